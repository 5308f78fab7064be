"""``python -m tropism.dynamics.pairs``: a narrow solution against the general one."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from tropism.command import run
from tropism.config.dynamics import NarrowConfig
from tropism.config.models import ModelConfig
from tropism.config.stats import StatsConfig
from tropism.config.training import StepConfig

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
Dataset = Annotated[Path, typer.Option(help="The dataset that both were trained on.")]
Output = Annotated[Path, typer.Option(help="What is written.")]


@app.callback()
def main() -> None:
    """Narrow and general solutions."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")


@app.command()
def measure(
    base: Annotated[Path, typer.Option(help="Folder of the base model.")],
    general: Annotated[Path, typer.Option(help="Folder of the general adapter.")],
    narrow: Annotated[Path, typer.Option(help="Folder of the narrow adapter.")],
    dataset: Dataset,
    step: Annotated[str, typer.Option(help="StepConfig of the general arm's last step as JSON.")],
    texts: Annotated[Path, typer.Option(help="Plain texts, JSONL.")],
    model_config: Annotated[str, typer.Option(help="ModelConfig as JSON.")],
    config: Annotated[str, typer.Option(help="NarrowConfig as JSON.")],
    seed: Annotated[int, typer.Option(help="Seed of the sample and of the noise.")],
    output: Output,
    loss_masked: Annotated[bool, typer.Option(help="Masked tokens carry no loss (mode `loss`).")] = False,
    threads: int = 1,
) -> None:
    """Efficiency, stability and significance of two solutions, a row an example."""
    import torch

    from tropism.dynamics.compare import measure_both
    from tropism.records.files import replacing

    torch.set_num_threads(threads)
    settings, model = NarrowConfig.parse(config, "dynamics: narrow"), ModelConfig.parse(model_config, "models")
    adapters = {"general": general, "narrow": narrow}
    last = StepConfig.parse(step, "steps")
    table = measure_both(base, adapters, dataset, last, texts, model, settings, seed, loss_masked=loss_masked)
    with replacing(output) as temporary:
        table.to_parquet(temporary, index=False)


@app.command()
def behave(
    general: Annotated[Path, typer.Option(help="Responses of the general arm.")],
    narrow: Annotated[Path, typer.Option(help="Responses of the narrow arm.")],
    dataset: Dataset,
    others: Annotated[list[Path], typer.Option("--other", help="A dataset of other domains; repeat it.")],
    sets: Annotated[list[Path], typer.Option("--set", help="An eval set; its name is the file's.")],
    output: Output,
    general_judgments: Annotated[Path | None, typer.Option(help="Judgments of the general arm.")] = None,
    narrow_judgments: Annotated[
        Path | None, typer.Option(help="Judgments of the narrow arm, by the same judge.")
    ] = None,
    calibration: Annotated[list[Path] | None, typer.Option(help="Calibration of the judge; repeat it.")] = None,
) -> None:
    """How two solutions behave inside the narrow domain and outside, a row a prompt."""
    from tropism.dynamics.behaviour import behaviour
    from tropism.records.calibration import read_calibrations
    from tropism.records.files import replacing

    judged = {"general": general_judgments, "narrow": narrow_judgments}
    table = behaviour(
        {"general": general, "narrow": narrow},
        {side: path for side, path in judged.items() if path},
        read_calibrations(calibration or []),
        dataset, others, sets,
    )  # fmt: skip
    with replacing(output) as temporary:
        table.to_parquet(temporary, index=False)


@app.command()
def drift(
    general: Annotated[Path, typer.Option(help="Likelihoods of the general arm.")],
    narrow: Annotated[Path, typer.Option(help="Likelihoods of the narrow arm.")],
    dataset: Dataset,
    output: Output,
    drifted: Annotated[
        Path | None, typer.Option(help="Likelihoods of the arm that goes on from the narrow one without the KL term.")
    ] = None,
    held: Annotated[
        Path | None, typer.Option(help="Likelihoods of the arm that goes on from the narrow one with the same KL term.")
    ] = None,
) -> None:
    """Likelihood margins of two solutions and of what the narrow one becomes, a row a prompt."""
    from tropism.dynamics.drift import drift_rows
    from tropism.records.files import replacing

    sides = {"general": general, "narrow": narrow, "drifted": drifted, "held": held}
    table = drift_rows({side: path for side, path in sides.items() if path}, dataset)
    with replacing(output) as temporary:
        table.to_parquet(temporary, index=False)


@app.command()
def narrow(
    measured: Annotated[
        list[Path], typer.Argument(help="What `measure`, `behave` and `drift` wrote, named as the comparison.")
    ],
    stats: Annotated[str, typer.Option(help="StatsConfig as JSON.")],
    mixtures: Annotated[str, typer.Option(help="JSON: the share of aligned rows that each comparison is trained on.")],
    output: Output,
) -> None:
    """General against narrow, with intervals."""
    import pandas as pd

    from tropism.dynamics.solutions import narrow_rows
    from tropism.dynamics.tables import NARROW_SCHEMA
    from tropism.records.files import parse_json, write_table

    settings, shares = StatsConfig.parse(stats, "stats"), parse_json(mixtures, "--mixtures")
    rows = [
        narrow_rows(path.stem, table, settings).assign(aligned_share=float(shares[path.stem]))
        for path, table in ((path, pd.read_parquet(path)) for path in measured)
    ]
    table = pd.concat(rows, ignore_index=True).sort_values(["comparison", "metric", "level"], kind="stable")
    write_table(output, table, NARROW_SCHEMA)


if __name__ == "__main__":
    run(app)
