"""Settings of metaphor annotation: which annotator, and what it needs."""

from typing import Literal, Self

from pydantic import Field, model_validator

from tropism.config.base import Name, Strict


class ChatConfig(Strict):
    """A chat model that annotates by instruction.

    ``base_url`` is an OpenAI-compatible endpoint that serves ``model``; without one, the annotator's base answers in
    process, in its number format (``models: <name>: dtype``) and without reasoning. The key comes from the environment
    (``OPENAI_API_KEY``) and from nowhere else. With ``structured`` an endpoint is asked for JSON by a schema, and
    without one where it refuses, and of ``concurrency`` texts at a time. ``retries`` counts further tries after an
    answer that does not parse. A text without one has no spans; a file fails when more than ``max_unparsed`` of its
    texts are such, where one is always allowed unless that is 0 or it is the only text.
    """

    base_url: str | None = None
    model: str | None = None
    temperature: float = Field(default=0.0, ge=0)
    max_tokens: int = Field(default=1024, ge=1)
    retries: int = Field(default=2, ge=0)
    structured: bool = True
    concurrency: int = Field(default=8, ge=1)
    max_unparsed: float = Field(default=0.02, ge=0, le=1)


class AnnotatorConfig(Strict):
    """One of three annotators: a ``probe`` on a base's states, a chat model (``llm``), or labels that exist (``gold``).

    ``model`` names the base that the probe reads with, or that answers in process; ``probe`` is the folder of the
    trained probe; ``threshold`` is the least score of a metaphor, by default the probe's own. ``gold`` is a file of
    token labels, whose rows name the ``id`` of a text and, of a conversation with two answers, the ``field``.
    """

    kind: Literal["probe", "llm", "gold"] = "probe"
    model: Name | None = None
    probe: str = "resources/metaphor_probe"
    threshold: float | None = Field(default=None, ge=0, le=1)
    llm: ChatConfig = ChatConfig()
    gold: str | None = None

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        if self.kind == "probe" and self.model is None:
            raise ValueError("the `probe` reads with a base; name it as `model`")
        if self.kind == "llm" and self.llm.base_url is None and self.model is None:
            raise ValueError("the `llm` needs an endpoint (`llm: {base_url: ..., model: ...}`) or a base (`model`)")
        if self.kind == "llm" and self.llm.base_url is not None and self.llm.model is None:
            raise ValueError("`llm.base_url` is given without `llm.model`, the name of the model served there")
        if self.kind == "gold" and self.gold is None:
            raise ValueError("the `gold` annotator needs `gold`, a file of token labels")
        return self
