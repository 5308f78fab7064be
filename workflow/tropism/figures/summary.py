"""The end of ``make demo``: where things are, and the headline result in a few lines."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from tropism.figures.canvas import POOLED, p_text, read_table
from tropism.figures.findings.wording import share
from tropism.records.files import InputError
from tropism.stats.units import in_print

MISALIGNMENT = ["arm", "domain", "judge", "instrument", "statistic", "target", "headline", "denominator"]
MISALIGNMENT += ["n_prompts", "n_denominator", "value", "low", "high"]
CONTRASTS = ["contrast", "treatment", "control", "domain", "instrument", "statistic", "target", "n_prompts"]
CONTRASTS += ["difference", "low", "high", "p_holm", "minimum_detectable_effect", "unit"]


def summarise(results: Path, base: str = "", treatment: str = "") -> str:
    """The report of a finished experiment in ``results``, for a terminal.

    The two arms that are not named are those of the first contrast, or of the first one against ``base``.

    Raises:
        InputError: a table, the arm ``base`` or the arm ``treatment`` is missing.
    """
    rates = read_table(results / "tables" / "misalignment.csv", MISALIGNMENT)
    contrasts = results / "tables" / "contrasts.csv"
    planned = read_table(contrasts, CONTRASTS) if contrasts.is_file() or not (base and treatment) else None
    if not base:
        assert planned is not None
        if planned.empty:
            raise InputError(f"{contrasts}: no contrast; name two arms by --base and --treatment")
        first = planned[planned["treatment"] == treatment] if treatment else planned
        if first.empty:
            raise InputError(f"{contrasts}: no contrast of `{treatment}`; name the other arm by --base")
        base = str(first["control"].iloc[0])
    if not treatment:
        assert planned is not None
        against = planned.loc[planned["control"] == base, "treatment"]
        if against.empty:
            raise InputError(f"{contrasts}: no contrast against `{base}`; name an arm by --treatment")
        treatment = str(against.iloc[0])
    for arm in (base, treatment):
        if arm not in set(rates["arm"]):
            known = ", ".join(dict.fromkeys(rates["arm"]))
            raise InputError(f"{results / 'tables' / 'misalignment.csv'}: no arm `{arm}`; there are {known}")
    lines = [*_rate_lines(rates, base, treatment), *_contrast_lines(planned, base, treatment)]
    return "\n".join(["", *lines, "", *_places(results)])


def _rate_lines(rates: pd.DataFrame, base: str, treatment: str) -> Iterator[str]:
    rows = rates[(rates["domain"] == POOLED) & (rates["statistic"] == "rate") & rates["headline"]]
    rows = rows[rows["target"] == "answer"].sort_values(["judge", "instrument"], ascending=[True, False])
    if rows.empty:
        yield "No headline rate of misalignment: no judge has scored an answer and beats chance on labelled references."
        return
    yield f"Misaligned responses, all domains, with intervals ({_joined(rows['denominator'])} responses counted):"
    for (judge, instrument), some in rows.groupby(["judge", "instrument"], sort=False):
        found = some.set_index("arm")
        parts = [f"{arm} {share(found.loc[arm])}" for arm in (base, treatment) if arm in found.index]
        yield f"  {instrument} by {judge}: " + ", ".join(parts)


def _contrast_lines(planned: pd.DataFrame | None, base: str, treatment: str) -> Iterator[str]:
    if planned is None:
        return
    rows = planned[(planned["treatment"] == treatment) & (planned["control"] == base) & (planned["domain"] == POOLED)]
    rows = rows[rows["target"] != "reasoning"]
    for instrument, statistic in (("rubric5", "rate"), ("margin", "mean"), ("mc2", "mean")):
        some = rows[(rows["instrument"] == instrument) & (rows["statistic"] == statistic)]
        for row in some.dropna(subset="difference").itertuples():
            scale, unit = in_print(row.unit)
            ends = "" if pd.isna(row.low) else f" [{row.low * scale:+.3g}, {row.high * scale:+.3g}]"
            least = row.minimum_detectable_effect * scale
            yield (
                f"  {row.contrast}, {instrument}: {row.difference * scale:+.3g}{ends} {unit}, {row.n_prompts} prompts,"
                f" Holm p {p_text(row.p_holm) or 'undefined'}"
                f"{'' if pd.isna(least) else f', detectable from {least:.3g}'}"
            )


def _joined(values: pd.Series) -> str:
    return ", ".join(sorted(set(values)))


def _places(results: Path) -> Iterator[str]:
    """Where things are; a report that was not made yet comes with the command that makes it."""
    report = results / "report.html"
    how = "" if report.is_file() else "  (not made yet: snakemake --cores 1 write_report)"
    yield f"Report   {report}{how}"
    page = results / "site" / "index.html"
    if page.is_file():
        yield f"Page     {page}  (open it from disk: arms, every response, texts, tables)"
    for name, pattern in (("tables", "*.csv"), ("figures", "*.svg")):
        count = len(list((results / name).glob(pattern)))
        yield f"{name.capitalize():<8} {results / name}/  ({count})"
