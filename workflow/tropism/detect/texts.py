"""The words of each response, for the baselines that read words."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from tropism.records.files import InputError, read_jsonl
from tropism.records.schema import Conversation, Generation
from tropism.sae.populations import RESPONSE, Population

REFERENCE = ["set", "prompt_id", "side"]


def reference_texts(datasets: Iterable[Path]) -> pd.DataFrame:
    """Set, prompt_id, side and text of every reference answer; the set is the file's name."""
    return pd.DataFrame(
        [
            (path.stem, record.id, side, text)
            for path in datasets
            for record in read_jsonl(path, Conversation)
            for side, text in record.fields().items()
        ],
        columns=[*REFERENCE, "text"],
    )


def generation_texts(files: Iterable[Path]) -> pd.DataFrame:
    """Arm, set, prompt_id, sample and text of every answer."""
    return pd.DataFrame(
        [(g.arm, g.set, g.prompt_id, g.sample, g.answer) for path in files for g in read_jsonl(path, Generation)],
        columns=[*RESPONSE, "text"],
    )


def with_texts(population: Population, texts: pd.DataFrame) -> Population:
    """``population`` with columns ``text``, ``characters`` and ``words``, the two counts of the text.

    Raises:
        InputError: a response with features has no text, or two.
    """
    keys: Sequence[str] = [column for column in texts.columns if column != "text"]
    if texts.duplicated(keys).any():
        raise InputError(
            f"{population.name}: a response is given twice, {texts[texts.duplicated(keys)].iloc[0].to_dict()}"
        )
    rows = population.rows.merge(texts, how="left", on=list(keys), validate="many_to_one")
    missing = rows["text"].isna()
    if missing.any():
        first = rows.loc[missing, list(keys)].iloc[0].to_dict()
        raise InputError(f"{population.name}: {int(missing.sum())} responses have features but no text, first {first}")
    counted = rows.assign(characters=rows["text"].str.len(), words=rows["text"].str.split().str.len())
    return Population(population.name, population.key, counted, population.features)


def with_margins(population: Population, likelihoods: Iterable[Path]) -> Population:
    """``population`` with column ``margin``: how much likelier the arm finds the prompt's misaligned reference.

    Nats/token, from the arms' likelihoods; missing for a prompt without both references. Without any the column is not
    there. No judge has a part in it.
    """
    tables = [pd.read_parquet(path) for path in likelihoods]
    if not tables:
        return population
    scores = pd.concat(tables, ignore_index=True)
    keys = ["arm", "set", "prompt_id"]
    margins = scores.loc[scores["instrument"] == "margin", [*keys, "value"]].rename(columns={"value": "margin"})
    rows = population.rows.merge(margins, how="left", on=keys, validate="many_to_one")
    if rows["margin"].isna().all():
        return population
    return Population(population.name, population.key, rows, population.features)
