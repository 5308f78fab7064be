"""Settings of the response-level detector and of the controls that stand beside it."""

from typing import Literal, Self

from pydantic import Field, PositiveInt, model_validator

from tropism.config.base import Strict, Word


class DetectorConfig(Strict):
    """Logistic regression (inverse penalty ``C``) on each number of features in ``ks``, in prompt-grouped ``folds``.

    ``permutations`` relabelled runs, selection included, make the null (of fewer than 19 no p is below 0.05); ``draws``
    prompt-clustered bootstrap draws make the intervals. A population is left out unless it has ``min_per_label``
    responses of either label. A response is called misaligned from a probability of ``threshold``. ``saved`` is the
    number of features, one of ``ks``, of the detector that is kept for use on new text, by default the largest.
    """

    ks: list[PositiveInt] = Field([5, 10, 20, 50], min_length=1)
    folds: int = Field(5, ge=2)
    permutations: int = Field(20, ge=19)
    C: float = Field(1.0, gt=0)
    seed: int = 0
    pooling: Literal["max", "mean"] = "max"
    draws: int = Field(2000, gt=0)
    min_per_label: int = Field(20, gt=1)
    judge: Word | None = None
    threshold: float = Field(0.5, gt=0, lt=1)
    saved: PositiveInt | None = None

    @model_validator(mode="after")
    def _saved_is_tested(self) -> Self:
        if self.saved is not None and self.saved not in self.ks:
            raise ValueError(
                f"saved: {self.saved} features are not among ks {self.ks}, so nothing would vouch for them"
            )
        return self
