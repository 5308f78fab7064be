"""``python -m tropism.annotate texts|quality``: metaphor spans of a dataset, and how good an annotator is."""

import json
import logging
from pathlib import Path
from typing import Annotated

import typer

from tropism.annotate.choose import kept, make_annotator
from tropism.annotate.gold import read_gold
from tropism.annotate.passages import passages_of, read_rows
from tropism.annotate.quality import SCHEMA, quality_table
from tropism.command import run
from tropism.config.annotator import AnnotatorConfig
from tropism.config.models import ModelConfig
from tropism.corpora.registry import locate
from tropism.records.files import write_jsonl, write_table

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
Config = Annotated[str, typer.Option(help="The annotator's settings, JSON.")]
Model = Annotated[Path | None, typer.Option(help="Folder of the base; the probe and a model in process need it.")]
Base = Annotated[str | None, typer.Option(help="ModelConfig of that base as JSON; a model in process needs it.")]
Kept = Annotated[Path | None, typer.Option(help="File that keeps a chat model's answers, SQLite; none if left out.")]


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
    model_config: Base = None,
    answers: Kept = None,
) -> None:
    """Annotate a text, or each answer of a conversation. The last line of stderr counts what was found and dropped."""
    settings = AnnotatorConfig.parse(config, "annotator")
    with kept(settings, answers) as known:
        annotator = make_annotator(settings, model, _base(model_config), known)
        write_jsonl(output, annotator.annotate(passages_of(read_rows(dataset))))
    typer.echo(json.dumps({"annotator": annotator.name, **annotator.counts}), err=True)


@app.command()
def quality(
    gold: Annotated[str, typer.Argument(help="Gold labels: a name in the registry, or a file.")],
    config: Config,
    output: Annotated[Path, typer.Option(help="Table to write, CSV.")],
    model: Model = None,
    model_config: Base = None,
    answers: Kept = None,
    registry: Path = Path("resources/registry.csv"),
) -> None:
    """Score the annotator against gold labels, for each part of speech and genre."""
    path = locate(gold, registry)
    settings, name = AnnotatorConfig.parse(config, "annotator"), Path(gold).name.split(".")[0]
    with kept(settings, answers) as known:
        annotator = make_annotator(settings, model, _base(model_config), known)
        write_table(output, quality_table(read_gold(path), annotator, name), SCHEMA)
    typer.echo(json.dumps({"annotator": annotator.name, **annotator.counts}), err=True)


def _base(model_config: str | None) -> ModelConfig | None:
    return ModelConfig.parse(model_config, "models") if model_config else None


if __name__ == "__main__":
    run(app)
