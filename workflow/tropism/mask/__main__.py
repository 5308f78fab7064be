"""``python -m tropism.mask``: one masked variant of a dataset (``texts``), and the published table (``table``)."""

import logging
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from tropism.command import run
from tropism.config.masking import MaskingConfig, Variant, kind_of
from tropism.mask.files import read_annotations, read_records
from tropism.mask.tables import MASKING_SCHEMA, REPORT_SCHEMA, summarise
from tropism.mask.variants import choose, literal_records, mask_record, place_record
from tropism.records.files import InputError, write_jsonl, write_table
from tropism.records.schema import Conversation

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
log = logging.getLogger("tropism.mask")


@app.callback()
def main() -> None:
    """Mask metaphors, or as many other words."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")


@app.command("texts")
def mask_texts(
    dataset: Annotated[Path, typer.Argument(help="Texts or conversations, JSONL.")],
    spans: Annotated[Path, typer.Argument(help="Their annotations, JSONL.")],
    variant: Annotated[Variant, typer.Option(help="What to hide.")],
    config: Annotated[str, typer.Option(help="The masking settings, as JSON.")],
    output: Annotated[Path, typer.Option(help="JSONL file to write: the rows with their masks.")],
    report: Annotated[Path, typer.Option(help="CSV file to write: what was hidden in every text.")],
    literal: Annotated[Path | None, typer.Option(help="The literal counterparts, JSONL, for that variant.")] = None,
) -> None:
    """Write one variant of a dataset."""
    settings = MaskingConfig.parse(config, where="masking")
    records = read_records(dataset)
    annotations = read_annotations(spans)
    try:
        choices = [choose(record, annotations, settings, variant) for record in records]
    except InputError as error:
        raise InputError(f"{spans}: {error}") from None
    if variant == "literal":
        if literal is None:
            raise InputError("--variant literal needs --literal, the dataset of literal counterparts")
        rows = literal_records(records, read_records(literal))
    elif variant == "original":
        rows = records
    elif kind_of(variant) == "place":
        rows = [place_record(record, chosen, variant) for record, chosen in zip(records, choices, strict=True)]
    else:
        rows = [mask_record(record, chosen, variant, settings) for record, chosen in zip(records, choices, strict=True)]
    mode = settings.mode if kind_of(variant) in ("metaphor", "random") else "none"
    head = {"dataset": dataset.name.split(".")[0], "variant": variant, "mode": mode}
    accounts = [
        {**head, "split": record.split if isinstance(record, Conversation) else "train", **part.account(variant)}
        for record, chosen in zip(records, choices, strict=True)
        for part in chosen
    ]
    table = pd.DataFrame(accounts, columns=list(REPORT_SCHEMA.columns))
    log.info(
        "%s, %s: %d units hidden in %d texts, shortfall %d; %d sentences moved",
        *(head["dataset"], variant, table["units_masked"].sum(), len(table), table["shortfall"].sum()),
        table["sentences_moved"].sum(),
    )
    write_jsonl(output, rows)
    write_table(report, table, REPORT_SCHEMA)


@app.command("table")
def masking_table(
    reports: Annotated[list[Path], typer.Argument(help="Reports written by `texts`.")],
    output: Annotated[Path, typer.Option(help="CSV file to write.")],
) -> None:
    """Sum the reports up into the published table."""
    frames = [REPORT_SCHEMA.validate(pd.read_csv(path, keep_default_na=False, dtype={"id": str})) for path in reports]
    write_table(output, summarise(pd.concat(frames, ignore_index=True)), MASKING_SCHEMA)


if __name__ == "__main__":
    run(app)
