"""``python -m tropism.figures``: draw a figure from published tables, or sum up an experiment in a few lines."""

import logging
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from tropism.command import run
from tropism.figures.catalogue import CATALOGUE
from tropism.records.files import InputError, replacing

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def main() -> None:
    """Show what was found."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # it narrates how it embeds a font


@app.command()
def draw(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(CATALOGUE)}.")],
    tables: Annotated[list[Path], typer.Option(help="Published tables, or folders of them; repeatable.")],
    output_stem: Annotated[Path, typer.Option(help="Where to write, without the ending: .svg, .pdf, .png, .csv.")],
    arms: Annotated[
        str, typer.Option(help="Arms in order, each as arm=untrained arm or arm alone, parted by commas; default: all.")
    ] = "",
) -> None:
    """Write one figure as SVG, PDF and PNG, with the CSV of what is plotted and its findings for the caption."""
    from tropism.figures.canvas import parse_arms, publish
    from tropism.figures.findings import sentences
    from tropism.figures.gallery import PLOTS

    if name not in PLOTS:
        raise InputError(f"no figure `{name}`; there are {', '.join(PLOTS)}")
    publish(PLOTS[name], tables, output_stem, parse_arms(arms), partial(sentences, name))


@app.command()
def latex(
    tables: Annotated[list[Path], typer.Option(help="A published table; repeat it.")],
    notes: Annotated[Path, typer.Option(help="The page that says what columns mean, docs/tables.md.")],
    output: Annotated[Path, typer.Option(help="Folder to write: paper.tex and a file for each table.")],
) -> None:
    """Write published tables as LaTeX and their numbers as macros."""
    from tropism.figures.latex import write_latex
    from tropism.records.notes import read_notes

    with replacing(output) as folder:
        write_latex(tables, read_notes(notes), folder)


@app.command()
def summary(
    results: Annotated[Path, typer.Option(help="Folder of a finished experiment, such as results/demo.")],
    base: Annotated[
        str, typer.Option(help="The arm to compare with; default: the control of the first contrast.")
    ] = "",
    treatment: Annotated[
        str, typer.Option(help="The arm to hold against it; default: that of its first contrast.")
    ] = "",
) -> None:
    """Print where the report, tables and figures are, and the headline result in a few lines."""
    from tropism.figures.summary import summarise

    try:
        text = summarise(results, base, treatment)
    except InputError as error:
        typer.echo(f"No summary: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(text)


if __name__ == "__main__":
    run(app)
