"""``python -m tropism.models``: registered bases into plain transformers files, adapters into lineages."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from tropism.command import run

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
    from tropism.corpora.registry import locate
    from tropism.models.convert import convert_gguf

    convert_gguf(locate(source, registry), output)


@app.command()
def take(
    source: Annotated[str, typer.Option(help="Name of the adapter in the registry.")],
    base: Annotated[Path, typer.Option(help="Folder of its base.")],
    output: Annotated[Path, typer.Option(help="Folder of the lineage to write.")],
    registry: Path = Path("resources/registry.csv"),
) -> None:
    """Begin a lineage with a published adapter."""
    from tropism.models.published import take_adapter

    take_adapter(source, registry, base, output)


if __name__ == "__main__":
    run(app)
