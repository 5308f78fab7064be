"""``python -m tropism.generate``: sample an arm's responses to the prompts of all eval sets."""

import logging
import shutil
from pathlib import Path
from typing import Annotated

import typer

from tropism.config.evaluate import EvaluateConfig
from tropism.config.models import ModelConfig

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def main() -> None:
    """Generate responses."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")


@app.command()
def sample(
    arm: Annotated[str, typer.Option(help="Name of the arm, written into every row.")],
    base: Annotated[Path, typer.Option(help="Folder of the base model.")],
    model_config: Annotated[str, typer.Option(help="ModelConfig as JSON.")],
    config: Annotated[str, typer.Option(help="EvaluateConfig as JSON.")],
    sets: Annotated[list[Path], typer.Option("--set", help="An eval set; its name is the file's.")],
    output: Annotated[Path, typer.Option(help="Generations, JSONL.")],
    shards: Annotated[Path, typer.Option(help="Folder of finished parts, which outlives a killed run.")],
    adapter: Annotated[Path | None, typer.Option(help="Folder of the arm's adapter; none for the base.")] = None,
    code: Annotated[str, typer.Option(help="Fingerprint of the code: parts made by other code are not used.")] = "",
    threads: int = 2,
) -> None:
    """Load the arm once and answer every evaluation prompt."""
    import torch

    from tropism.generate.sample import respond
    from tropism.records.files import write_jsonl

    torch.set_num_threads(threads)
    settings = EvaluateConfig.parse(config, "evaluate")
    rows = respond(arm, base, adapter, sets, settings, ModelConfig.parse(model_config, "models"), shards, code)
    write_jsonl(output, rows)
    shutil.rmtree(shards)


if __name__ == "__main__":
    app()
