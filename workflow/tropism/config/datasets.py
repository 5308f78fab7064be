"""Settings of a dataset: where it comes from, how its file is read, and how it is cleaned."""

from typing import Any, Literal

from pydantic import Field, model_validator

from tropism.config.base import Name, Strict, Word

Kind = Literal["texts", "conversations", "prompts", "questions"]


class DatasetConfig(Strict):
    """A dataset.

    ``source``: a name in ``resources/registry.csv``, or a path to a file or to a folder of ``.txt`` files.
    ``kind``: ``texts`` for causal training, ``conversations`` with answers, ``prompts`` without answers (evaluation
    only), ``questions`` of TruthfulQA.
    ``domain``: of rows that name none themselves; by default the dataset's name.
    ``side``: which side the assistant's turn of a ``messages`` file is.
    ``min_words``, ``max_words``: bounds, inclusive, of each text or answer.
    ``sample``: how many rows to keep, by keyed hash.
    ``evaluation``: share of prompts kept for evaluation where the file does not say.
    ``near_duplicate``: Jaccard similarity of word pairs from which two rows are one; null, the default of questions,
    keeps all but exact copies.
    ``columns``: our column names to the file's, where they differ. ``ignore``: columns of the file that are dropped.
    ``literal``: the dataset that holds, by id, a literal counterpart of each text.
    """

    source: str = Field(min_length=1)
    kind: Kind
    domain: Word | None = None
    side: Literal["aligned", "misaligned"] | None = None
    min_words: int | None = Field(None, ge=0)
    max_words: int | None = Field(None, ge=1)
    sample: int | None = Field(None, ge=1)
    evaluation: float = Field(0.3, ge=0, le=1)
    near_duplicate: float | None = Field(0.8, gt=0, le=1)
    columns: dict[str, str] = Field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    literal: Name | None = None
    seed: int = 0

    @model_validator(mode="before")
    @classmethod
    def _questions_alike_are_two(cls, settings: Any) -> Any:
        if isinstance(settings, dict) and settings.get("kind") == "questions":
            return {"near_duplicate": None, **settings}
        return settings

    @model_validator(mode="after")
    def _consistent(self) -> "DatasetConfig":
        if self.side is not None and self.kind != "conversations":
            raise ValueError(f"`side` is for `kind: conversations`, not {self.kind}")
        if (self.min_words, self.max_words) != (None, None) and self.kind not in ("texts", "conversations"):
            raise ValueError(f"`min_words` and `max_words` bound texts and answers; {self.kind} have none to filter")
        if self.min_words is not None and self.max_words is not None and self.min_words > self.max_words:
            raise ValueError(f"min_words {self.min_words} is above max_words {self.max_words}")
        return self
