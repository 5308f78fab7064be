"""The tables of this room: columns, units and meaning, checked when they are written."""

import pandera.pandas as pa

from tropism.records.columns import count, integer, number, one_of, share, text

_EVIDENCE = one_of(
    ["cross-validation", "evaluation split", "leave-one-domain-out"],
    "How the judged references were held out: by prompt within the train split; as a split that was never trained"
    " on; or as a domain of which nothing was trained on.",
)
_HEAD = one_of(
    ["alignment", "coherence"], "What was told apart: aligned from misaligned, or coherent from broken references."
)

JUDGE_RELIABILITY_SCHEMA = pa.DataFrameSchema(
    {
        "judge": text("Name of the judge."),
        "kind": text("Its kind: probe, endpoint or local."),
        "head": _HEAD,
        "evidence": _EVIDENCE,
        "domain": text("Domain of the references; `all` is all of them together."),
        "n": count("References judged (count).", least=1),
        "n_prompts": count("Prompts that they belong to (count).", least=1),
        "accuracy": share("Share judged rightly at a probability of one half.", nullable=False),
        "accuracy_low": share("Lower end of its 95 % interval, by bootstrap over prompts (share).", nullable=False),
        "accuracy_high": share("Upper end of the interval (share).", nullable=False),
        "auroc": share("Area under the ROC curve (0.5 is chance); empty for one class."),
        "brier": share("Mean squared error of the probability (0 is best).", nullable=False),
        "ece": share("Expected calibration error over ten equal bins (probability).", nullable=False),
        "base_rate": share("Share of references that are aligned, or coherent.", nullable=False),
    },
    unique=["judge", "head", "evidence", "domain"],
    coerce=True,
    title="judge_reliability",
    description="How well each judge tells labelled references apart that it did not learn from.",
)

JUDGE_CALIBRATION_SCHEMA = pa.DataFrameSchema(
    {
        "judge": text("Name of the judge."),
        "head": _HEAD,
        "evidence": _EVIDENCE,
        "bin": integer("Number of the bin of predicted probability.", pa.Check.in_range(0, 9)),
        "low": share("Lower edge of the bin (probability).", nullable=False),
        "high": share("Upper edge of the bin (probability).", nullable=False),
        "n": count("References in the bin (count); empty bins have no row.", least=1),
        "predicted": share("Mean predicted probability of aligned, or coherent.", nullable=False),
        "observed": share("Share that is aligned, or coherent.", nullable=False),
    },
    unique=["judge", "head", "evidence", "bin"],
    coerce=True,
    title="judge_calibration",
    description="Predicted against observed: `reliability.csv` beside each trained judge.",
)


_INTERVAL = "end of its 95 % interval, by bootstrap over prompts (share); empty for fewer than two prompts."
_BAD = "misaligned (for coherence100: broken)"

JUDGE_THRESHOLDS_SCHEMA = pa.DataFrameSchema(
    {
        "judge": text("Name of the judge."),
        "rubric": text("The rubric."),
        "domain": text("Domain of the references; `all` is all of them together."),
        "threshold": number(
            "Score from which a response is misaligned (rubric5), or up to which it is misaligned or"
            " incoherent (alignment100, coherence100), in the rubric's points.",
            nullable=False,
        ),
        "source": one_of(
            ["published", "settings", "references"],
            "Where the threshold is from: published by others, the settings, or chosen on the references.",
        ),
        "calibration": one_of(
            ["beats chance", "at chance", "uncalibrated"],
            "Whether the AUROC over all domains lies above 0.5 with its whole interval; `uncalibrated`"
            " where the judge was tried on no references of both labels, or on too few prompts to say so (ten).",
        ),
        "n_misaligned": count(f"References that are {_BAD} (count)."),
        "n_aligned": count("References that are not (count)."),
        "n_prompts": count("Prompts that they belong to (count)."),
        "unparsed": count("References whose judgment was not read (count)."),
        "sensitivity": share(
            f"Share of the {_BAD} references that are called so (recall), by a threshold that was chosen without their"
            " prompt; empty where nothing was tried."
        ),
        "sensitivity_low": share(f"Lower {_INTERVAL}"),
        "sensitivity_high": share(f"Upper {_INTERVAL}"),
        "specificity": share("Share of the other references that are not called so."),
        "specificity_low": share(f"Lower {_INTERVAL}"),
        "specificity_high": share(f"Upper {_INTERVAL}"),
        "precision": share(f"Share of those called so that are {_BAD}, at the references' own mix."),
        "precision_low": share(f"Lower {_INTERVAL}"),
        "precision_high": share(f"Upper {_INTERVAL}"),
        "auroc": share("Area under the ROC curve (0.5 is chance); empty for one label."),
        "auroc_low": share(f"Lower {_INTERVAL}"),
        "auroc_high": share(f"Upper {_INTERVAL}"),
    },
    unique=["judge", "rubric", "domain"],
    coerce=True,
    title="judge_thresholds",
    description="The threshold of each judge on each rubric, and its error on labelled references.",
)

JUDGE_ROC_SCHEMA = pa.DataFrameSchema(
    {
        "judge": text("Name of the judge."),
        "rubric": text("The rubric."),
        "point": count("Number of the point, from the strictest threshold."),
        "threshold": number("Score of the point; empty for calling nothing."),
        "false_positive_rate": share(f"Share of aligned references called {_BAD}.", nullable=False),
        "true_positive_rate": share(f"Share of {_BAD} references called so.", nullable=False),
    },
    unique=["judge", "rubric", "point"],
    coerce=True,
    title="judge_roc",
    description="ROC curve of each judge on all its labelled references.",
)

_AGREES = [pa.Check.in_range(-1, 1)]


JUDGE_AGREEMENT_SCHEMA = pa.DataFrameSchema(
    {
        "rubric": text("The rubric, or score column, on which both gave scores."),
        "target": text("What was scored: `answer` or `reasoning`."),
        "domain": text("Domain of the prompts; `all` is all of them together."),
        "judge": text("A judge, or a person; `all` for the row of all judges together."),
        "other": text("The judge that it is compared with."),
        "level": one_of(
            ["ordinal", "interval"], "How alpha takes the scale: ordinal for at most ten whole levels, else interval."
        ),
        "n": count("Responses that both scored, or at least two judges (count).", least=1),
        "n_prompts": count("Prompts that they answer (count).", least=1),
        "same": share("Share of responses with exactly the same score."),
        "kappa": number("Quadratically weighted kappa (1 is full agreement); empty without spread.", *_AGREES),
        "kappa_low": number("Lower end of its 95 % interval, by bootstrap over prompts.", *_AGREES),
        "kappa_high": number("Upper end of the interval.", *_AGREES),
        "spearman": number("Spearman's rank correlation; empty where one judge gives one score alone.", *_AGREES),
        "alpha": number("Krippendorff's alpha (1 is full agreement, 0 chance)."),
        "alpha_low": number("Lower end of its 95 % interval, by bootstrap over prompts."),
        "alpha_high": number("Upper end of the interval."),
        "bias": number("Mean of judge - other, in the rubric's points (Bland and Altman)."),
        "limit_low": number("Lower limit of agreement: bias - 1.96 standard deviations of the differences."),
        "limit_high": number("Upper limit of agreement."),
    },
    unique=["rubric", "target", "domain", "judge", "other"],
    coerce=True,
    title="judge_agreement",
    description="How far judges, people among them, agree on the same responses.",
)

JUDGE_ATTACKS_SCHEMA = pa.DataFrameSchema(
    {
        "judge": text("Name of the judge."),
        "rubric": text("The rubric."),
        "attack": text("What was tried; `plain` is the response without an attack."),
        "n": count("Misaligned references put to the judge (count).", least=1),
        "unparsed": count("Of these, without a score that could be read (count)."),
        "shift": number("Mean change of the score against `plain`, in points towards what the attack asks for."),
        "moved": share("Share of scored references whose score moved that way."),
    },
    unique=["judge", "rubric", "attack"],
    coerce=True,
    title="judge_attacks",
    description="How far a judge gives in to responses that address it: `python -m tropism.judge attack`.",
)
