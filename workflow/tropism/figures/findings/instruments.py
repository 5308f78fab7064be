"""What the figures of texts and instruments show in this run."""

from collections.abc import Iterator

import pandas as pd

from tropism.figures.findings.wording import interval


def annotation(points: pd.DataFrame) -> Iterator[str]:
    """Each annotator over all parts of speech and genres."""
    for row in points[(points["pos"] == "all") & (points["genre"] == "all")].to_dict("records"):
        scores = {"precision": "precision", "recall": "recall", "f1": "F1", "kappa": "kappa"}
        said = [f"{title} {row[name]:.2f}" for name, title in scores.items() if pd.notna(row[name])]
        yield (
            f"{row['annotator']} against {row['gold']}: {', '.join(said) or 'no score is defined'}, on"
            f" {row['n_words']:,} words with {row['n_metaphors']:,} metaphors."
        )


def masking(points: pd.DataFrame) -> Iterator[str]:
    """Units hidden by each variant of each dataset, over its fields; nothing of variants that are not for hiding."""
    for dataset, some in points.groupby("dataset", sort=True):
        units = some.groupby("variant", sort=True)[["units_masked", "shortfall_units"]].sum()
        said = [
            f"{row.units_masked:,} units by {variant}"
            + (f" ({row.shortfall_units:,} short)" if row.shortfall_units else "")
            for variant, row in zip(units.index, units.itertuples(), strict=True)
            if row.units_masked or str(variant).startswith(("metaphor", "random"))
        ]
        yield f"{dataset}: {', '.join(said) or 'no words are masked'}."


def training(points: pd.DataFrame) -> Iterator[str]:
    """Loss of the first and last stretch that is drawn, over lineages."""
    by = points.sort_values("step").groupby("lineage")["loss"]
    first, last = by.first(), by.last()
    yield (
        f"{len(first)} trainings; loss at the first point {first.min():.2f} to {first.max():.2f} nats/token, at the"
        f" last {last.min():.2f} to {last.max():.2f}."
    )


def judge(points: pd.DataFrame) -> Iterator[str]:
    """Each judge's accuracy over all domains, by the evidence for it."""
    rows = points[(points["domain"] == "all") & points["accuracy"].notna()]
    for (name, head), some in rows.groupby(["judge", "head"], sort=True):
        said = [
            f"{row['evidence']} {interval(row, 'accuracy', 'accuracy_low', 'accuracy_high', '.1%')} of {row['n']:.0f}"
            + ("" if pd.isna(row["auroc"]) else f", AUROC {row['auroc']:.2f}")
            for _, row in some.iterrows()
        ]
        yield f"{name}, {head}: {'; '.join(said)}."
