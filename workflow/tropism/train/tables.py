"""The published training tables: what was learned, and how fast."""

import json
from pathlib import Path

import pandas as pd
import pandera.pandas as pa

from tropism.records.columns import count, integer, number, text

TRAINING_SCHEMA = pa.DataFrameSchema(
    {
        "lineage": text("base and steps, joined by dots"),
        "step": count("optimiser step, from 1", least=1),
        "epoch": number("epochs of the data seen after this step", pa.Check.gt(0), nullable=False),
        "loss": number(
            "mean cross-entropy over the tokens with loss (plus weight x `kl`), nats/token, before it", nullable=False
        ),
        "kl": number("mean KL from the model as it was before the lineage's last step, nats/token"),
        "grad_norm": number("L2 norm of the gradient before clipping", nullable=False),
        "learning_rate": number("learning rate of this step, as the schedule and its warm-up leave it", nullable=False),
        "tokens": integer("tokens fed, without padding"),
        "response_tokens": integer("tokens with loss"),
    },
    unique=["lineage", "step"],
    coerce=True,
    title="training",
    description="Loss, gradient norm and learning rate of every optimiser step of every lineage.",
)

SPEED_SCHEMA = pa.DataFrameSchema(
    {
        "lineage": text("base and steps, joined by dots"),
        "seconds": number("wall time of the training loop, s", nullable=False),
        "response_tokens": integer("tokens with loss in that time"),
        "tokens_per_second": number("response tokens per second, measured in this run", nullable=False),
        "resumed_at_step": integer("optimiser step it went on from, 0 if it was never stopped"),
    },
    unique=["lineage"],
    coerce=True,
    title="training_speed",
    description="How fast each lineage's last step was trained. Measured, so it differs between runs.",
)


def training_table(lineages: list[Path]) -> pd.DataFrame:
    """All loss curves, one row a lineage and step."""
    parts = [pd.read_csv(folder / "training.csv").assign(lineage=folder.name) for folder in sorted(lineages)]
    return pd.concat(parts, ignore_index=True)


def speed_table(lineages: list[Path]) -> pd.DataFrame:
    """Measured speed, one row a lineage."""
    rows = [{"lineage": f.name, **json.loads((f / "speed.json").read_text())} for f in sorted(lineages)]
    table = pd.DataFrame(rows)
    table["tokens_per_second"] = table["response_tokens"] / table["seconds"].clip(lower=0.01)
    return table
