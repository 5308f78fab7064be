"""From settings to the annotator that they describe."""

import contextlib
from pathlib import Path
from typing import Any

from tropism.annotate.passages import Annotator
from tropism.config.annotator import AnnotatorConfig
from tropism.config.models import ModelConfig
from tropism.records.files import InputError


def kept(config: AnnotatorConfig, answers: Path | None) -> Any:
    """The file of what a chat model answered, open, or one in memory where none is named; None for other annotators.

    Raises:
        tropism.endpoint.EndpointError: another job has the file open, or it is no such file.
    """
    if config.kind != "llm":
        return contextlib.nullcontext()
    from tropism.annotate.chat import IN_MEMORY
    from tropism.endpoint import Answers

    return Answers(answers or IN_MEMORY)


def make_annotator(
    config: AnnotatorConfig, model: Path | None, base: ModelConfig | None = None, answers: Any = None
) -> Annotator:
    """The annotator that ``config`` asks for.

    ``model`` is the folder of its base, ``base`` that one's settings, ``answers`` what :func:`kept` gives; a chat model
    reads these two.

    Raises:
        InputError: it needs a base and ``model`` is None, or a chat model in process and ``base`` is None, or its files
            are missing or do not fit.
    """
    if config.kind == "gold":
        from tropism.annotate.gold import Gold

        return Gold(config.gold or "")
    if config.kind == "llm":
        from tropism.annotate.chat import Chat, Endpoint
        from tropism.annotate.llm import Instructed
        from tropism.annotate.mipvu import ANSWER_FORMAT

        chat: Chat
        if config.llm.base_url:
            chat = Endpoint(config.llm, answers, ANSWER_FORMAT)
        elif base is None:
            raise InputError("annotator: a chat model in process needs --model-config, its base's settings as JSON")
        else:
            from tropism.annotate.local import InProcess

            chat = InProcess(_needed(config, model), config.llm, base, answers)
        return Instructed(chat, config.llm.retries, config.llm.max_unparsed)
    from tropism.annotate.probe import Probe

    return Probe(config.probe, _needed(config, model), config.threshold)


def _needed(config: AnnotatorConfig, model: Path | None) -> Path:
    if model is None:
        raise InputError(f"annotator: `{config.kind}` reads with a base; give its folder with --model")
    if not (model / "config.json").is_file():
        raise InputError(f"{model}: no transformers model is there (no config.json); convert it first")
    return model
