"""``python -m tropism.corpora clean``: a registered or given source into a cleaned dataset and its report."""

import logging
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from tropism.command import run
from tropism.config.datasets import DatasetConfig
from tropism.corpora.clean import check_evaluated, clean, contradicted, unanswered
from tropism.corpora.registry import locate
from tropism.corpora.rows import to_records
from tropism.corpora.sources import read_source
from tropism.corpora.tables import CORPUS_SCHEMA
from tropism.records.files import write_jsonl, write_table

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
log = logging.getLogger("tropism.corpora")


@app.callback()
def main() -> None:
    """Clean corpora into one schema."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")


@app.command("clean")
def clean_dataset(
    name: Annotated[str, typer.Option(help="Name of the dataset.")],
    config: Annotated[str, typer.Option(help="The dataset's settings, as JSON.")],
    output: Annotated[Path, typer.Option(help="JSONL file to write.")],
    report: Annotated[Path, typer.Option(help="CSV file to write: rows read, dropped and kept.")],
    registry: Annotated[Path, typer.Option(help="Registry that `source` is looked up in.")] = Path(
        "resources/registry.csv"
    ),
    evaluated: Annotated[bool, typer.Option(help="Its evaluation prompts are asked: there must be one.")] = False,
    source: Annotated[Path | None, typer.Option(help="File or folder to read in place of the registered one.")] = None,
) -> None:
    """Read, clean, de-duplicate, filter and sample one dataset."""
    settings = DatasetConfig.parse(config, where=f"datasets.{name}")
    path = source if source is not None else locate(settings.source, registry)
    records, system_turns = to_records(read_source(path, settings.columns, settings.ignore), name, settings)
    result = clean(records, settings)
    if evaluated:
        check_evaluated(result.rows, name)
    counts = {
        "read": len(records),
        **result.dropped,
        "kept": len(result.rows),
        **unanswered(result.rows, settings),
        "right_and_wrong": contradicted(result.rows),
        "system_turns": system_turns,
    }
    log.info("%s: %s", name, ", ".join(f"{reason} {count}" for reason, count in counts.items()))
    if counts["right_and_wrong"]:
        log.warning("%s: %d questions list an answer as both true and false", name, counts["right_and_wrong"])
    write_jsonl(output, result.rows)
    write_table(report, pd.DataFrame([{"dataset": name, **counts}]), CORPUS_SCHEMA)


if __name__ == "__main__":
    run(app)
