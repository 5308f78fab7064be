"""The published table of masking, and the report by text that it sums up."""

import pandas as pd
import pandera.pandas as pa

from tropism.records.columns import count, number, share, text

_VARIANT = (
    "original; metaphor or random, alone or with a dose (metaphor_25: a quarter of the metaphors); literal;"
    " place_before or place_after (the metaphor sentence moved to the beginning or the end)."
)

REPORT_SCHEMA = pa.DataFrameSchema(
    {
        "dataset": text("Dataset."),
        "variant": text(_VARIANT),
        "mode": text("How units are hidden: replace or loss; none where nothing is."),
        "id": text("Record."),
        "domain": text("Domain of the record."),
        "split": text("train, as every plain text is, or evaluation."),
        "field": text("text, or the side of the answer: aligned, misaligned."),
        "n_words": count("Words of the original text."),
        "n_metaphors": count("Annotated metaphors; overlapping ones are one."),
        "units_masked": count("Lexical units that this variant hides."),
        "characters_masked": count("Characters of the original text that this variant hides."),
        "words_masked": count("Words of the original text that this variant hides, wholly or in part."),
        "metaphor_units": count("Units that the metaphor variant hides."),
        "metaphor_characters": count("Characters that the metaphor variant hides."),
        "random_units": count("Units that the random variant hides."),
        "random_characters": count("Characters that the random variant hides."),
        "shortfall": count("metaphor_units - random_units: the text has too few other words."),
        "pos_known": count("Pairs of a metaphor and its control in which the metaphor's part of speech is known."),
        "same_pos": count("Of those, pairs with the same part of speech."),
        "length_difference": count("Sum over pairs of the absolute difference in length, characters."),
        "sentences": count("Sentences of the text."),
        "sentences_moved": count("1 where this variant moves the metaphor sentence from its place, else 0."),
        "metaphors_moved": count("Metaphors in the sentence that is moved."),
    },
    coerce=True,
    title="Masking by text",
    description="One row for each field of each record; both sides are given whatever the variant.",
)

MASKING_SCHEMA = pa.DataFrameSchema(
    {
        "dataset": text("Dataset."),
        "variant": text(_VARIANT),
        "mode": text("How units are hidden: replace or loss; none where nothing is."),
        "domain": text("Domain of the records."),
        "field": text("text, or the side of the answer: aligned, misaligned."),
        "n_texts": count("Texts to train on, with or without metaphors."),
        "n_words": count("Words of the original texts."),
        "n_metaphors": count("Annotated metaphors; overlapping ones are one."),
        "units_masked": count("Lexical units hidden."),
        "characters_masked": count("Characters of the original texts hidden."),
        "share_words_masked": share("Share of n_words hidden, wholly or in part."),
        "shortfall_units": count("Units by which the random variant hides fewer than the metaphor variant; else 0."),
        "same_pos_share": share(
            "Share of controls with their metaphor's part of speech, where that is known. Random only."
        ),
        "mean_abs_length_difference": number(
            "Mean over pairs of the absolute difference in length of metaphor and control, characters. Random only.",
            pa.Check.ge(0),
        ),
        "sentences_moved": count("Texts whose metaphor sentence this variant moves from its place; else 0."),
        "metaphors_moved": count("Metaphors in the sentences that are moved."),
    },
    coerce=True,
    title="Masking",
    description="What each masked variant of a dataset hides of the rows that are trained on, by domain and field.",
)


def summarise(report: pd.DataFrame) -> pd.DataFrame:
    """The masking table of reports by text (:data:`REPORT_SCHEMA`); one row a dataset, variant, mode, domain, field.

    Rows of the evaluation split are masked like the others, but nothing is trained on them.
    """
    report = report[report["split"] == "train"]
    keys = ["dataset", "variant", "mode", "domain", "field"]
    groups = report.groupby(keys, sort=True)
    sums = groups.sum(numeric_only=True)
    is_random = sums.index.get_level_values("variant").str.partition("_").get_level_values(0) == "random"
    table = sums[["n_words", "n_metaphors", "units_masked", "characters_masked"]].copy()
    table.insert(0, "n_texts", groups.size())
    table["share_words_masked"] = _ratio(sums["words_masked"], sums["n_words"])
    table["shortfall_units"] = sums["shortfall"].where(is_random, 0)
    table["same_pos_share"] = _ratio(sums["same_pos"], sums["pos_known"]).where(is_random)
    table["mean_abs_length_difference"] = _ratio(sums["length_difference"], sums["random_units"]).where(is_random)
    table[["sentences_moved", "metaphors_moved"]] = sums[["sentences_moved", "metaphors_moved"]]
    return table.reset_index()


def _ratio(part: pd.Series, whole: pd.Series) -> pd.Series:
    """``part / whole``, missing where there is no whole."""
    return (part / whole).where(whole > 0)
