"""``python -m tropism.train``: one step of a lineage, and the published training tables."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from tropism.command import run
from tropism.config.models import ModelConfig
from tropism.config.training import StepConfig

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def main() -> None:
    """Train arms."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")


@app.command()
def step(
    dataset: Annotated[Path, typer.Argument(help="A variant: texts or conversations, JSONL.")],
    base: Annotated[Path, typer.Option(help="Folder of the base model.")],
    parent: Annotated[Path, typer.Option(help="manifest.json of the lineage so far, or of the base.")],
    config: Annotated[str, typer.Option(help="StepConfig as JSON.")],
    model_config: Annotated[str, typer.Option(help="ModelConfig as JSON.")],
    output: Annotated[Path, typer.Option(help="Folder of the new lineage.")],
    checkpoints: Annotated[Path, typer.Option(help="Folder that outlives a killed run.")],
    code: Annotated[str, typer.Option(help="Fingerprint of the code: checkpoints of other code are not used.")] = "",
    loss_masked: Annotated[bool, typer.Option(help="Masked tokens carry no loss (mode `loss`).")] = False,
    kl: Annotated[list[Path] | None, typer.Option(help="Datasets of the KL term, in the step's order.")] = None,
    threads: int = 2,
    processes: Annotated[int, typer.Option(help="Processes, one for each GPU; started by `accelerate launch`.")] = 1,
) -> None:
    """Train one step and write its lineage's adapter. Status 75: a signal stopped it, and the same call goes on."""
    import torch

    from tropism.train.distributed import join, launch
    from tropism.train.signals import STOPPED, Stopped
    from tropism.train.step import train_step

    launch(processes)
    torch.set_num_threads(threads)
    join()
    settings, model = StepConfig.parse(config, "steps"), ModelConfig.parse(model_config, "models")
    try:
        train_step(
            base,
            parent,
            dataset,
            settings,
            model,
            output,
            checkpoints,
            code=code,
            loss_masked=loss_masked,
            kl_datasets=kl or [],
        )
    except Stopped as stopped:
        logging.info("%s", stopped)
        raise typer.Exit(STOPPED) from None


@app.command()
def table(
    lineages: Annotated[list[Path], typer.Argument(help="Folders of lineages; each is named as its lineage.")],
    output: Annotated[Path, typer.Option(help="training.csv")],
    speed: Annotated[Path, typer.Option(help="training_speed.csv: measured, so not the same in every run.")],
) -> None:
    """Gather the loss curves of all lineages into one table, and how fast each was trained into another."""
    from tropism.records.files import write_table
    from tropism.train.tables import SPEED_SCHEMA, TRAINING_SCHEMA, speed_table, training_table

    write_table(output, training_table(lineages), TRAINING_SCHEMA)
    write_table(speed, speed_table(lineages), SPEED_SCHEMA)


if __name__ == "__main__":
    run(app)
