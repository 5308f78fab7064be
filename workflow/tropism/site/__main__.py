"""``python -m tropism.site build``: an experiment as a page that opens from disk."""

import logging
import shutil
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from tropism.command import run
from tropism.config.experiment import Experiment
from tropism.records.calibration import read_calibrations
from tropism.records.files import replacing
from tropism.records.notes import read_notes
from tropism.site.features import auroc_of, top_features
from tropism.site.figures import write_figures
from tropism.site.overview import describe
from tropism.site.responses import judge_columns, read_responses, write_responses
from tropism.site.scripts import write_script
from tropism.site.tables import headline, planned, write_tables
from tropism.site.texts import write_texts

ASSETS = Path(__file__).with_name("assets")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def main() -> None:
    """Show a finished experiment."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")


@app.command()
def build(
    config: Annotated[str, typer.Option(help="All settings of the experiment as JSON.")],
    generations: Annotated[list[Path], typer.Option(help="Generations of an arm; repeat it.")],
    tables: Annotated[list[Path], typer.Option(help="A published table; repeat it.")],
    output: Annotated[Path, typer.Option(help="Folder to write; index.html in it is the page.")],
    judgments: Annotated[list[Path] | None, typer.Option(help="Judgments of an arm; repeat it.")] = None,
    calibration: Annotated[
        list[Path] | None, typer.Option(help="A judge's calibration; repeat it. Without: published thresholds.")
    ] = None,
    features: Annotated[
        list[Path] | None, typer.Option(help="Features of an arm, or a list of encoded arms; repeat it.")
    ] = None,
    figures: Annotated[
        list[Path] | None, typer.Option(help="A figure as SVG; its .pdf, .png, .csv, .rst lie beside it; repeat it.")
    ] = None,
    captions: Annotated[
        Path | None, typer.Option(help="The template of the report's captions, workflow/report/figure.rst.")
    ] = None,
    texts: Annotated[list[Path] | None, typer.Option(help="A dataset of texts or conversations; repeat it.")] = None,
    spans: Annotated[list[Path] | None, typer.Option(help="Metaphors of a dataset; repeat it.")] = None,
    variants: Annotated[list[Path] | None, typer.Option(help="A masked variant of a dataset; repeat it.")] = None,
    notes: Annotated[Path | None, typer.Option(help="The page that says what columns mean, docs/tables.md.")] = None,
) -> None:
    """Write the page and its data."""
    experiment = Experiment.parse(config)
    arms = list(experiment.expanded)
    responses = read_responses(generations, arms, experiment.evaluate.sets)
    judged = [pd.read_parquet(path) for path in judgments or []]
    thresholds = read_calibrations(calibration or [])
    columns = judge_columns(responses, pd.concat(judged, ignore_index=True), thresholds) if judged else []
    with replacing(output) as folder:
        shutil.copytree(ASSETS, folder)
        data = folder / "data"
        about: dict[str, Any] = describe(experiment)
        about["tables"] = write_tables(folder, tables, read_notes(notes) if notes else {})
        by_name = {path.stem: path for path in tables}
        about["headline"] = headline(by_name["misalignment"]) if "misalignment" in by_name else []
        about["planned"] = planned(by_name["contrasts"]) if "contrasts" in by_name else []
        about["texts"] = write_texts(data, texts or [], spans or [], variants or [])
        about["responses"] = len(responses.rows)
        about["judged"] = bool(columns)
        about["figures"] = write_figures(folder, figures or [], captions, experiment.model_dump())
        auroc = auroc_of(by_name["sae_features"]) if "sae_features" in by_name else {}
        write_responses(data, responses, columns, top_features(features or []), auroc, arms)
        write_script(data, "about", about)
    logging.info(
        "%d responses, %d tables, %d figures: %s", len(responses.rows), len(tables), len(figures or []), output
    )


if __name__ == "__main__":
    run(app)
