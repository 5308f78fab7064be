"""Settings of responses that are sampled while a model is changed, and judged: shared by interventions and geometry."""

from collections.abc import Mapping

from pydantic import Field

from tropism.config.base import ConfigError, Strict, Word
from tropism.config.judges import JudgeConfig

RUBRICS = ("alignment100", "coherence100")
"""What such responses are judged by."""


class SampledConfig(Strict):
    """Responses under a change of the model.

    ``samples``: responses a prompt that are generated, at most ``max_new_tokens`` long, and judged; 0 for none, so that
    likelihoods alone are measured. ``judge``: who scores them, by default the first one.
    """

    samples: int = Field(1, ge=0)
    max_new_tokens: int = Field(64, ge=1)
    temperature: float = Field(1.0, ge=0)
    top_p: float = Field(1.0, gt=0, le=1)
    judge: Word | None = None

    def check_judge(self, where: str, judges: Mapping[str, JudgeConfig]) -> None:
        """Refuse ``samples`` that no judge of the experiment can score; ``where`` is the section of the settings.

        Raises:
            ConfigError: there is no judge, or it lacks a rubric by which such responses are judged.
        """
        name = self.judge or next(iter(judges), None)
        if self.samples and name is None:
            raise ConfigError(
                f"config: {where}: `samples` need a judge, and `judges` is empty; `samples: 0` needs none"
            )
        for rubric in RUBRICS:
            if self.samples and name and rubric not in judges[name].rubrics:
                raise ConfigError(
                    f"config: {where}: samples: judge `{name}` does not apply `{rubric}`, by which these responses are"
                    f" judged; add it to `judges: {name}: rubrics`, or set `samples: 0` to go by likelihood alone"
                )
