"""What a causal model makes of its last hidden states, for code that runs decoder and output embedding one by one."""

import torch
from transformers import PreTrainedModel


def logits_of(model: PreTrainedModel, states: torch.Tensor) -> torch.Tensor:
    """Logits (n, vocabulary), in the model's number format, of normalised last hidden states (n, hidden).

    Some families scale or cap what the output embedding gives, and each keeps the number under a name of its own in
    its config. A family that does yet another thing is refused where this is used: see
    :func:`tropism.likelihood.check.check_same_scores` and :func:`tropism.train.trainer.check_same_loss`.
    """
    logits: torch.Tensor = model.get_output_embeddings()(states)
    config = model.config.get_text_config()
    if divisor := getattr(config, "logits_scaling", None):  # Granite
        logits = logits / divisor
    if factor := getattr(config, "logit_scale", None):  # Cohere
        logits = logits * factor
    if cap := getattr(config, "final_logit_softcapping", None):  # Gemma
        logits = torch.tanh(logits / cap) * cap
    return logits
