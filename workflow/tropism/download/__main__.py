"""``python -m tropism.download fetch``: a registered model, dataset file or dictionary from the hub."""

import logging
import os
from pathlib import Path
from typing import Annotated

import typer

from tropism.command import run

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def main() -> None:
    """Download what the registry places on the Hugging Face hub."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")


@app.command()
def fetch(
    source: Annotated[str, typer.Argument(help="Name in the registry.")],
    output: Annotated[Path, typer.Option(help="Folder to write.")],
    registry: Path = Path("resources/registry.csv"),
) -> None:
    """Fetch a source at its pinned revision, check every file, and write its manifest; a killed fetch goes on."""
    # every other stage works offline; the client reads these when it is imported
    os.environ.update(HF_HUB_OFFLINE="0", HF_HUB_DISABLE_TELEMETRY="1")
    from tropism.download.hub import fetch_source

    fetch_source(source, registry, output)


if __name__ == "__main__":
    run(app)
