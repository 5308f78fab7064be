"""The report that cleaning leaves beside a dataset: what was read, what was dropped and why, what was kept."""

import pandera.pandas as pa


def _count(description: str) -> pa.Column:
    return pa.Column(int, pa.Check.ge(0), description=description)


CORPUS_SCHEMA = pa.DataFrameSchema(
    {
        "dataset": pa.Column(str, description="Dataset."),
        "read": _count("Rows in the source."),
        "exact_duplicates": _count("Rows dropped because one of the same split has the same content."),
        "near_duplicates": _count(
            "Rows dropped because the Jaccard similarity of their word pairs to a kept row of the same split reaches"
            " the dataset's `near_duplicate`."
        ),
        "too_short": _count("Rows dropped because a text or answer has fewer words than `min_words`."),
        "too_long": _count("Rows dropped because a text or answer has more words than `max_words`."),
        "split_overlap": _count("Training rows dropped because their prompt is, or nearly is, an evaluation prompt."),
        "not_sampled": _count("Rows dropped because `sample` asked for fewer."),
        "kept": _count("Rows in the dataset."),
        "system_turns": _count("System turns of `messages` rows that were left out (among the rows read)."),
    },
    strict=False,
    coerce=True,
    title="Cleaning of a dataset",
    description="One row: read = the sum of all kinds of dropped rows + kept.",
)
