"""The tables of this room: columns, units and meaning, checked when they are written."""

import pandera.pandas as pa

_SHARE = [pa.Check.in_range(0, 1)]
_EVIDENCE = pa.Column(
    str,
    pa.Check.isin(["cross-validation", "evaluation split", "leave-one-domain-out"]),
    description=(
        "How the judged references were held out: by prompt within the train split; as a split that was never trained"
        " on; or as a domain of which nothing was trained on."
    ),
)
_HEAD = pa.Column(
    str,
    pa.Check.isin(["alignment", "coherence"]),
    description="What was told apart: aligned from misaligned, or coherent from broken references.",
)

JUDGE_RELIABILITY_SCHEMA = pa.DataFrameSchema(
    {
        "judge": pa.Column(str, description="Name of the judge."),
        "kind": pa.Column(str, description="Its kind: probe, endpoint or local."),
        "head": _HEAD,
        "evidence": _EVIDENCE,
        "domain": pa.Column(str, description="Domain of the references; `all` is all of them together."),
        "n": pa.Column(int, pa.Check.gt(0), description="References judged (count)."),
        "n_prompts": pa.Column(int, pa.Check.gt(0), description="Prompts that they belong to (count)."),
        "accuracy": pa.Column(float, _SHARE, description="Share judged rightly at a probability of one half."),
        "accuracy_low": pa.Column(
            float, _SHARE, description="Lower end of its 95 % interval, by bootstrap over prompts (share)."
        ),
        "accuracy_high": pa.Column(float, _SHARE, description="Upper end of the interval (share)."),
        "auroc": pa.Column(
            float, _SHARE, nullable=True, description="Area under the ROC curve (0.5 is chance); empty for one class."
        ),
        "brier": pa.Column(float, _SHARE, description="Mean squared error of the probability (0 is best)."),
        "ece": pa.Column(float, _SHARE, description="Expected calibration error over ten equal bins (probability)."),
        "base_rate": pa.Column(float, _SHARE, description="Share of references that are aligned, or coherent."),
    },
    unique=["judge", "head", "evidence", "domain"],
    strict=False,
    coerce=True,
    title="judge_reliability",
    description="How well each judge tells labelled references apart that it did not learn from.",
)

JUDGE_CALIBRATION_SCHEMA = pa.DataFrameSchema(
    {
        "judge": pa.Column(str, description="Name of the judge."),
        "head": _HEAD,
        "evidence": _EVIDENCE,
        "bin": pa.Column(int, pa.Check.in_range(0, 9), description="Number of the bin of predicted probability."),
        "low": pa.Column(float, _SHARE, description="Lower edge of the bin (probability)."),
        "high": pa.Column(float, _SHARE, description="Upper edge of the bin (probability)."),
        "n": pa.Column(int, pa.Check.gt(0), description="References in the bin (count); empty bins have no row."),
        "predicted": pa.Column(float, _SHARE, description="Mean predicted probability of aligned, or coherent."),
        "observed": pa.Column(float, _SHARE, description="Share that is aligned, or coherent."),
    },
    unique=["judge", "head", "evidence", "bin"],
    strict=False,
    coerce=True,
    title="judge_calibration",
    description="Predicted against observed: `reliability.csv` beside each trained judge.",
)
