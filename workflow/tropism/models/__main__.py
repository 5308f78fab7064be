"""``python -m tropism.models convert``: a registered base into plain transformers files."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from tropism.corpora.registry import locate
from tropism.models.convert import convert_gguf

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def main() -> None:
    """Prepare base models."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")


@app.command()
def convert(
    source: Annotated[str, typer.Option(help="Name in the registry.")],
    output: Annotated[Path, typer.Option(help="Folder to write.")],
    registry: Path = Path("resources/registry.csv"),
) -> None:
    """Check the registered file's sha256 and convert it."""
    convert_gguf(locate(source, registry), output)


if __name__ == "__main__":
    app()
