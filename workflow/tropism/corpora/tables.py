"""The report that cleaning leaves beside a dataset: what was read, what was dropped and why, what was kept."""

import pandera.pandas as pa

from tropism.records.columns import count, text

CORPUS_SCHEMA = pa.DataFrameSchema(
    {
        "dataset": text("Dataset."),
        "read": count("Rows in the source."),
        "too_short": count("Rows dropped because a text or answer has fewer words than `min_words`."),
        "too_long": count("Rows dropped because a text or answer has more words than `max_words`."),
        "exact_duplicates": count("Rows dropped because one of the same split has the same content."),
        "near_duplicates": count(
            "Rows dropped because the Jaccard similarity of their word pairs to a kept row of the same split reaches"
            " the dataset's `near_duplicate`."
        ),
        "repeated_prompts": count(
            "Evaluation rows dropped because another asks the same prompt, which stays with most references."
        ),
        "split_overlap": count("Training rows dropped because their prompt is, or nearly is, an evaluation prompt."),
        "not_sampled": count("Rows dropped because `sample` asked for fewer."),
        "kept": count("Rows in the dataset."),
        "without_aligned": count("Of the kept rows of `kind: conversations`, those without an aligned answer."),
        "without_misaligned": count(
            "Of the kept rows of `kind: conversations`, those without a misaligned answer: no step with"
            " `side: misaligned` trains on them."
        ),
        "right_and_wrong": count("Kept questions of which one answer is listed both as true and as false."),
        "system_turns": count("System turns of `messages` rows that were left out (among the rows read)."),
    },
    coerce=True,
    title="Cleaning of a dataset",
    description="One row: read = the sum of all kinds of dropped rows + kept.",
)
