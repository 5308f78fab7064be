"""Settings of the sparse autoencoder: which activations it learns, how, and how its features are compared."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import Field, NonNegativeInt, field_validator, model_validator

from tropism.config.base import ConfigError, Name, Strict, Word
from tropism.config.models import ReasoningConfig
from tropism.config.stats import Contrast


class SaeSource(Strict):
    """A dictionary that is loaded instead of trained.

    ``kind``: ``release`` of sae-lens by its name in ``release`` and ``id``; ``registered`` on the hub, ``release`` its
    name in the registry, fetched before the jobs begin; ``folder`` in sae-lens format by path in ``release``. ``id`` is
    the folder within the latter two: for ``registered`` its path in the repository.
    """

    kind: Literal["release", "registered", "folder"]
    release: str = Field(min_length=1)
    id: str | None = None

    @field_validator("kind", mode="before")
    @classmethod
    def _pickles_are_converted_by_hand(cls, kind: object) -> object:
        if kind == "dictionary_learning":
            raise ValueError(
                "its `ae.pt` is a pickle, which no job opens; convert it once, `python -m tropism.sae convert FOLDER"
                " --output NEW`, and set `kind: folder, release: NEW`"
            )
        return kind

    @model_validator(mode="after")
    def _release_has_an_id(self) -> Self:
        if self.kind == "release" and not self.id:
            raise ValueError("a release of sae-lens needs the `id` of a dictionary in it")
        return self


class SaeConfig(Strict):
    """A dictionary of one layer of one base, and the comparison of its features.

    ``architecture`` ``batchtopk`` keeps ``k`` features active a token on average, ``jumprelu`` learns a threshold for
    each and is drawn to ``k`` by a penalty of weight ``l0_coefficient``; look at l0 in ``sae_quality``.

    Training reads ``training_tokens`` activations in steps of ``batch_tokens``, of at most ``max_records`` records of
    each of ``texts``. All are kept and shuffled anew each time round if they are at most ``buffer_tokens``; of a larger
    corpus a mixing buffer holds a quarter as many. ``held_out`` is the share of records kept to measure the dictionary;
    on ``ce_records`` of them it is measured what the model's predictions lose by it.

    With ``source`` nothing is trained: the dictionary is loaded, and refused where it explains less than
    ``min_variance_explained`` of held-out activations or where another layer or scale fits it better.

    A feature is compared where it is active in at least ``min_responses`` responses, and a group only where it has
    ``min_per_label`` aligned and misaligned ones. A generation
    is misaligned where ``judge`` says so on alignment100, at its own threshold.

    ``contrasts``: planned contrasts of two arms of ``model``, by name or how many of the first, whose responses are
    compared as well, feature by feature.
    ``lookup``: features that are compared however seldom they are active, and get a card: published ones, where their
    dictionary is loaded.

    Responses of arms that lie on one model are encoded ``arms_per_job`` at a time by a job that loads it once.
    ``reference_prompts`` of each eval set at most, by keyed hash, have their references encoded.

    The base is read as it is elsewhere: ``dtype`` (states are float32 all the same), ``think``, the marks of its
    reasoning, and ``answer_start``, what stands before an answer that was not reasoned, are those of its entry in
    ``models`` unless they are given; ``system_prompt`` is that one's always.

    ``cards`` features that tell most in each population, among all prompts and among those that features are ranked on,
    get a page with the ``contexts`` reference answers in which they peak.
    """

    model: Name
    layer: int = Field(ge=0)
    source: SaeSource | None = None
    min_variance_explained: float = Field(0.3, ge=0, le=1)
    architecture: Literal["batchtopk", "jumprelu"] = "batchtopk"
    d_sae: int = Field(2048, gt=0)
    k: int = Field(32, gt=0)
    l0_coefficient: float = Field(1.0, gt=0)
    training_tokens: int = Field(100_000, gt=0)
    batch_tokens: int = Field(512, gt=0)
    buffer_tokens: int = Field(65_536, gt=0)
    learning_rate: float = Field(3e-3, gt=0)
    max_records: int | None = Field(None, gt=1)
    held_out: float = Field(0.1, gt=0, lt=1)
    ce_records: int = Field(64, ge=2)
    seed: int = 0
    texts: list[Name] = Field(min_length=1)
    dtype: Literal["float32", "bfloat16"] = "float32"
    judge: Word | None = None
    max_tokens: int = Field(2048, gt=0)
    think: tuple[str, str] = ("<think>", "</think>")
    answer_start: str = ""
    system_prompt: str | None = None
    pooling: Literal["max", "mean"] = "max"
    cards: int = Field(8, ge=0)
    contexts: int = Field(6, ge=1)
    min_responses: int = Field(10, gt=0)
    min_per_label: int = Field(10, gt=1)
    alpha: float = Field(0.05, gt=0, lt=1)
    contrasts: NonNegativeInt | list[str] = 0
    lookup: list[NonNegativeInt] = Field(default_factory=list)
    arms_per_job: int = Field(8, ge=1)
    reference_prompts: int | None = Field(None, ge=2)

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.k > self.d_sae:
            raise ValueError(f"k = {self.k} of d_sae = {self.d_sae} features cannot be active; lower k")
        if self.buffer_tokens < 4 * self.batch_tokens or self.training_tokens < self.batch_tokens:
            raise ValueError("training_tokens must be at least batch_tokens, and buffer_tokens four times as many")
        return self

    @property
    def block(self) -> ReasoningConfig:
        """How the base marks its reasoning, and what stands before an answer without any."""
        return ReasoningConfig(open=self.think[0], close=self.think[1], train=self.answer_start)

    @classmethod
    def read_by(cls, settings: object, models: object) -> object:
        """Raw ``settings`` of a dictionary with what its base's entry in ``models`` says of reading that base."""
        if not isinstance(settings, dict) or not isinstance(models, dict):
            return settings
        base = models.get(settings.get("model"))
        if not isinstance(base, dict):
            return settings
        own: dict[str, Any] = {key: base[key] for key in ("dtype", "system_prompt") if key in base}
        if isinstance(block := base.get("reasoning"), dict):
            own["think"] = [block.get("open", "<think>"), block.get("close", "</think>")]
            own["answer_start"] = block.get("train", "")
        return {**own, **settings}

    def pairs(self, planned: Sequence[Contrast], models: Mapping[str, str]) -> dict[str, list[str]]:
        """Treatment and control of each of ``contrasts``; ``models`` has the model of each arm.

        Raises:
            ConfigError: one that is named is no planned contrast, or not of two arms of ``model``.
        """
        sides = {
            contrast.name: [contrast.treatment, contrast.control]
            for contrast in planned
            if contrast.treatment and contrast.control
        }
        own = {name: pair for name, pair in sides.items() if {models.get(arm) for arm in pair} == {self.model}}
        chosen = list(own)[: self.contrasts] if isinstance(self.contrasts, int) else self.contrasts
        for name in chosen:
            if name not in own:
                raise ConfigError(f"config: sae: contrasts: `{name}` is no planned contrast of two arms of its model")
        return {name: own[name] for name in chosen}
