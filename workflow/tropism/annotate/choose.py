"""From settings to the annotator that they describe."""

from pathlib import Path

from tropism.annotate.passages import Annotator
from tropism.config.annotator import AnnotatorConfig
from tropism.records.files import InputError


def make_annotator(config: AnnotatorConfig, model: Path | None) -> Annotator:
    """The annotator that ``config`` asks for; ``model`` is the folder of its base.

    Raises:
        InputError: it needs a base and ``model`` is None, or its files are missing or do not fit.
    """
    if config.kind == "gold":
        from tropism.annotate.gold import Gold

        return Gold(config.gold or "")
    if config.kind == "llm":
        from tropism.annotate.chat import Endpoint, InProcess
        from tropism.annotate.llm import Instructed

        chat = Endpoint(config.llm) if config.llm.base_url else InProcess(_needed(config, model), config.llm)
        return Instructed(chat, config.llm.retries)
    from tropism.annotate.probe import Probe

    return Probe(config.probe, _needed(config, model), config.threshold)


def _needed(config: AnnotatorConfig, model: Path | None) -> Path:
    if model is None:
        raise InputError(f"annotator: `{config.kind}` reads with a base; give its folder with --model")
    if not (model / "config.json").is_file():
        raise InputError(f"{model}: no transformers model is there (no config.json); convert it first")
    return model
