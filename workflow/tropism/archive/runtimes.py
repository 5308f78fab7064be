"""What a finished run cost, stage by stage, from the benchmark that Snakemake wrote of each job."""

from pathlib import Path

import pandas as pd

from tropism.records.files import InputError, replacing

OWN = "archive"
"""The report and the archive are made of a run and are no part of it."""
MEASURED = {"s": "seconds", "cpu_time": "cpu_seconds", "max_rss": "max_mb"}
COLUMNS = ["stage", "jobs", "cpu_seconds", "seconds", "max_mb"]


def runtimes(results: Path) -> pd.DataFrame:
    """A row for each stage of ``results/<experiment>``, ``COLUMNS``: sums of seconds, the most MB of one job.

    Raises:
        InputError: no benchmarks, or one of another form.
    """
    rows = []
    folder = results / "benchmarks"
    for path in sorted(folder.rglob("*.tsv")):
        stage = path.relative_to(folder).parts[0]
        if stage == OWN:
            continue
        job = pd.read_csv(path, sep="\t", na_values=["-", "NA"])
        if not set(MEASURED) <= set(job):
            raise InputError(
                f"{path}: lacks {', '.join(sorted(set(MEASURED) - set(job)))}; no benchmark of Snakemake's"
            )
        rows.append(job[list(MEASURED)].rename(columns=MEASURED).assign(stage=stage, jobs=1))
    if not rows:
        raise InputError(f"{folder}: no benchmarks; run the workflow first")
    table = pd.concat(rows, ignore_index=True).groupby("stage", sort=True)
    sums = table[["jobs", "cpu_seconds", "seconds"]].sum()
    return sums.assign(max_mb=table["max_mb"].max()).round(1).reset_index()[COLUMNS]


def write_runtimes(results: Path, output: Path) -> str:
    """Write the table as CSV; the sum of it in one line."""
    table = runtimes(results)
    with replacing(output) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
    most = table.loc[table["max_mb"].idxmax()]
    jobs, seconds = table["jobs"].sum(), table["cpu_seconds"].sum()
    memory = f"at most {most['max_mb']:,.0f} MB in one job (of {most['stage']})"
    return f"{jobs} jobs, {seconds:,.0f} s of processor time, {memory}"
