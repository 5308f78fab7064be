"""One base, two adapters: the measures of narrow and general solutions on the same examples."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from tropism.config.dynamics import NarrowConfig
from tropism.config.models import ModelConfig
from tropism.config.training import StepConfig
from tropism.dynamics.narrow import measure, update_norm
from tropism.models.adapters import SharedBase
from tropism.models.base import load_base, load_tokenizer
from tropism.records.keyed import keyed_bytes
from tropism.train.examples import Example, build_examples


def measure_both(
    base: Path,
    adapters: dict[str, Path],
    dataset: Path,
    step: StepConfig,
    texts: Path,
    model_config: ModelConfig,
    settings: NarrowConfig,
    seed: int,
    *,
    loss_masked: bool,
) -> pd.DataFrame:
    """Every measure of the ``general`` and the ``narrow`` adapter, whole lineages as they are published."""
    tokenizer = load_tokenizer(base, model_config.system_prompt)
    plain = step.model_copy(
        update={"objective": "causal", "side": None, "aligned_share": 0.0, "kl": None, "dataset": texts.stem}
    )
    rows = sample(build_examples(tokenizer, dataset, step, model_config, loss_masked), settings.examples, seed)
    passages = sample(build_examples(tokenizer, texts, plain, model_config, False), settings.examples, seed)
    norms = {side: update_norm(adapter) for side, adapter in adapters.items()}
    shared = SharedBase(load_base(base, model_config.dtype))
    found = []
    for side, adapter in adapters.items():
        shared.wear(adapter)
        pad = int(tokenizer.pad_token_id)
        smaller = min(norms.values())
        found.append(measure(shared.worn, side, norms[side], smaller, rows, passages, settings, pad, seed))
    return pd.concat(found, ignore_index=True)


def sample(examples: Sequence[Example], count: int, seed: int) -> list[Example]:
    """``count`` examples by keyed hash, in order of id; all of them where there are fewer."""
    chosen = sorted(examples, key=lambda e: (keyed_bytes(seed, "solutions", e.id), e.id))[:count]
    return sorted(chosen, key=lambda e: e.id)
