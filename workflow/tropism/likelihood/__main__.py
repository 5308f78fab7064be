"""``python -m tropism.likelihood``: score reference answers and multiple-choice questions under an arm."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from tropism.command import run
from tropism.config.evaluate import EvaluateConfig
from tropism.config.models import ModelConfig
from tropism.records.files import replacing

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def main() -> None:
    """Score likelihoods."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")


@app.command()
def score(
    arm: Annotated[str, typer.Option(help="Name of the arm, written into every row.")],
    base: Annotated[Path, typer.Option(help="Folder of the base model.")],
    model_config: Annotated[str, typer.Option(help="ModelConfig as JSON.")],
    config: Annotated[str, typer.Option(help="EvaluateConfig as JSON.")],
    sets: Annotated[list[Path], typer.Option("--set", help="An eval set; its name is the file's.")],
    output: Annotated[Path, typer.Option(help="Scores, Parquet.")],
    questions: Annotated[Path | None, typer.Option(help="Multiple-choice questions.")] = None,
    adapter: Annotated[Path | None, typer.Option(help="Folder of the arm's adapter; none for the base.")] = None,
    threads: int = 2,
) -> None:
    """Score every evaluation prompt that has both references, and every question."""
    import torch

    from tropism.likelihood.rows import score_arm

    torch.set_num_threads(threads)
    settings, model = EvaluateConfig.parse(config, "evaluate"), ModelConfig.parse(model_config, "models")
    table = score_arm(arm, base, adapter, sets, questions, settings, model)
    with replacing(output) as temporary:
        table.to_parquet(temporary, index=False)


if __name__ == "__main__":
    run(app)
