"""What a base says, from its own distribution alone."""

from typing import Any

import torch
from transformers import GenerationConfig


def continuation(model: Any, ids: torch.Tensor, most: int, pad: int | None, temperature: float = 0.0) -> torch.Tensor:
    """Up to ``most`` token ids that ``model`` goes on with after ``ids`` (1, n); at temperature 0 the likeliest.

    What the base's files set for sampling (top-k, top-p, penalties, suppressed tokens) is off, as is transformers' own
    top-k of 50; the tokens that end an answer are the base's.
    """
    own = model.generation_config
    sampling = {"temperature": temperature, "top_k": 0, "top_p": 1.0} if temperature else {}
    # generate() fills what it is not told from the model's own settings, so these are put aside
    model.generation_config = GenerationConfig(
        bos_token_id=own.bos_token_id,
        eos_token_id=own.eos_token_id,
        pad_token_id=pad,
        max_new_tokens=most,
        do_sample=bool(temperature),
        **sampling,
    )
    try:
        given: torch.Tensor = model.generate(ids, attention_mask=torch.ones_like(ids))
    finally:
        model.generation_config = own
    return given[0, ids.shape[1] :]
