"""``python -m tropism.annotate texts|quality``: metaphor spans of a dataset, and how good an annotator is."""

import json
import logging
from pathlib import Path
from typing import Annotated

import typer

from tropism.annotate.choose import make_annotator
from tropism.annotate.gold import read_gold
from tropism.annotate.passages import passages_of, read_rows
from tropism.annotate.quality import SCHEMA, quality_table
from tropism.command import run
from tropism.config.annotator import AnnotatorConfig
from tropism.corpora.registry import locate
from tropism.records.files import write_jsonl, write_table

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
Config = Annotated[str, typer.Option(help="The annotator's settings, JSON.")]
Model = Annotated[Path | None, typer.Option(help="Folder of the base; the probe and a model in process need it.")]


@app.callback()
def main() -> None:
    """Find metaphors, and say how well they are found."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)


@app.command()
def texts(
    dataset: Annotated[Path, typer.Argument(help="Texts or conversations, JSONL.")],
    config: Config,
    output: Annotated[Path, typer.Option(help="Annotations to write, JSONL.")],
    model: Model = None,
) -> None:
    """Annotate a text, or each answer of a conversation. The last line of stderr counts what was found and dropped."""
    annotator = make_annotator(AnnotatorConfig.parse(config, "annotator"), model)
    write_jsonl(output, annotator.annotate(passages_of(read_rows(dataset))))
    typer.echo(json.dumps({"annotator": annotator.name, **annotator.counts}), err=True)


@app.command()
def quality(
    gold: Annotated[str, typer.Argument(help="Gold labels: a name in the registry, or a file.")],
    config: Config,
    output: Annotated[Path, typer.Option(help="Table to write, CSV.")],
    model: Model = None,
    registry: Path = Path("resources/registry.csv"),
) -> None:
    """Score the annotator against gold labels, for each part of speech and genre."""
    path = locate(gold, registry)
    annotator = make_annotator(AnnotatorConfig.parse(config, "annotator"), model)
    name = Path(gold).name.split(".")[0]
    write_table(output, quality_table(read_gold(path), annotator, name), SCHEMA)
    typer.echo(json.dumps({"annotator": annotator.name, **annotator.counts}), err=True)


if __name__ == "__main__":
    run(app)
