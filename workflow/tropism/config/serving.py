"""Settings of how all arms of one base answer in one job: the base loaded once in process, or behind a server."""

from collections.abc import Iterable, Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from tropism.config.arms import Arm
from tropism.config.base import ConfigError, Strict

_SERVED = {"dialect", "serve", "served", "concurrency", "timeout_s", "retries", "ready_s"}


class ServingConfig(Strict):
    """How the arms of a base share it. ``shared``: loaded once in the job, which puts on one adapter after another.
    ``served``: behind an OpenAI-compatible server, asked by plain completions.

    ``serve`` starts the server on this machine; ``{model}``, ``{port}`` and ``{rank}`` (the least adapter rank that
    vLLM knows and that holds every arm's) are filled in. Without one a server that runs already is used, at
    ``OPENAI_BASE_URL``, where ``served`` is its name for the base. ``dialect`` says how it takes adapters: ``vllm``
    loads them beside the base by ``/v1/load_lora_adapter``; ``transformers`` loads base and adapter for each arm.
    ``arms_per_job`` arms are answered by one job. ``ready_s`` is how long the server may take to load.
    """

    way: Literal["shared", "served"]
    arms_per_job: int = Field(16, ge=1)
    dialect: Literal["vllm", "transformers"] = "vllm"
    serve: str | None = None
    served: str | None = None
    concurrency: int = Field(64, ge=1)
    timeout_s: float = Field(1800, gt=0)
    retries: int = Field(5, ge=0)
    ready_s: float = Field(1800, gt=0)

    @model_validator(mode="after")
    def _settings_belong_to_the_way(self) -> Self:
        foreign = sorted(self.model_fields_set & _SERVED)
        if self.way == "shared" and foreign:
            raise ValueError(f"`{foreign[0]}` belongs to `way: served`")
        if self.way == "served" and self.serve is None and self.served is None:
            raise ValueError(
                "`way: served` needs `serve`, which starts a server, or `served`, the base's name on the server at"
                " OPENAI_BASE_URL"
            )
        if self.serve is not None and "{port}" not in self.serve:
            raise ValueError("`serve` must pass `{port}` to the server, such as `vllm serve {model} --port {port}`")
        return self


def check_served(serving: Mapping[str, ServingConfig], arms: Iterable[Arm]) -> None:
    """Refuse arms that cannot share their base in the way that is asked for.

    Raises:
        ConfigError: an arm that was fully fine-tuned, or one with a trained vector behind vLLM.
    """
    for arm in arms:
        way = serving.get(arm.model)
        methods = {step.settings.method for step in arm.steps}
        if way and arm.evaluate and "full" in methods:
            raise ConfigError(
                f"config: serving: {arm.model}: `{arm.name}` has a step of `method: full`, a model of its own that"
                " shares no base; give it a model of the same source under another name, without `serving`"
            )
        if way and arm.evaluate and way.way == "served" and way.dialect == "vllm" and "vector" in methods:
            raise ConfigError(
                f"config: serving: {arm.model}: `{arm.name}` has a step of `method: vector`, which vLLM cannot load"
                " beside a base; use `way: shared`"
            )
