"""``python -m tropism.archive``: pack a finished experiment, verify an archive, compare two runs, say what one cost."""

import logging
from pathlib import Path
from typing import Annotated, Literal

import typer

from tropism.command import run
from tropism.records.files import InputError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
Project = Annotated[Path, typer.Option(help="The checkout whose results are archived.")]


@app.callback()
def main() -> None:
    """Publish an experiment, and check what was published."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")


@app.command()
def pack(
    config: Annotated[str, typer.Option(help="The whole settings of the experiment, JSON.")],
    output: Annotated[Path, typer.Option(help="The tar.gz to write.")],
    project: Project = Path(),
) -> None:
    """Write one deterministic file with code, settings, results and their provenance."""
    from tropism.archive.pack import pack as run

    run(project, config, output)


@app.command()
def report(
    config: Annotated[str, typer.Option(help="The whole settings of the experiment, JSON.")],
    output: Annotated[Path, typer.Option(help="The HTML to write.")],
    project: Project = Path(),
) -> None:
    """Write Snakemake's report of the finished experiment: figures, tables, captions, runtimes, rules."""
    from tropism.archive.report import write_report

    write_report(project, config, output)


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="The archive.")],
    rerun: Annotated[
        Literal["none", "figures"], typer.Option(help="figures: make tables and figures again and compare bytes.")
    ] = "none",
    static: Annotated[bool, typer.Option("--static", help="Run none of the archive's own code.")] = False,
    max_bytes: Annotated[int | None, typer.Option(help="Most bytes that it may unpack to.", min=1)] = None,
) -> None:
    """Check checksums, crate and workflow of an archive; exit 1 and name what is wrong."""
    from tropism.archive.verify import verify as run

    if static and rerun != "none":
        raise typer.BadParameter("--static runs nothing, --rerun does: give one of them")
    try:
        for line in run(file, rerun == "figures", static, max_bytes):
            typer.echo(line)
    except InputError as error:
        typer.echo(f"NOT VERIFIED: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo("verified")


@app.command()
def unlock(
    folder: Annotated[Path, typer.Argument(help="The folder `data` of an unpacked archive.")],
    password: Annotated[str | None, typer.Option(help="By default the one published in archive.json.")] = None,
) -> None:
    """Put the encrypted files of an unpacked archive where they belong. They train or show harm."""
    from tropism.archive.verify import unlock_folder

    for name in unlock_folder(folder, password):
        typer.echo(name)


@app.command()
def diff(
    a: Annotated[Path, typer.Argument(help="An archive, one that was unpacked, or a folder of results.")],
    b: Annotated[Path, typer.Argument(help="Another.")],
    output: Annotated[Path | None, typer.Option(help="Every compared number, CSV.")] = None,
) -> None:
    """Compare two runs: settings, code, environment, and every published number."""
    from tropism.archive.compare import compare

    try:
        for line in compare(a, b, output):
            typer.echo(line)
    except InputError as error:
        typer.echo(f"cannot compare: {error}", err=True)
        raise typer.Exit(1) from None


@app.command()
def runtimes(
    results: Annotated[Path, typer.Argument(help="results/<experiment> of a finished run.")],
    output: Annotated[Path, typer.Option(help="CSV: jobs, seconds and memory by stage.")],
) -> None:
    """Say what a run cost, from the benchmark of each of its jobs."""
    from tropism.archive.runtimes import write_runtimes

    typer.echo(write_runtimes(results, output))


if __name__ == "__main__":
    run(app)
