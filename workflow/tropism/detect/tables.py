"""The published detector table, and the curves behind its figure."""

import pandera.pandas as pa

from tropism.records.columns import count, integer, number, one_of, share, text

_KEYS = {
    "population": one_of(["references", "generations"], "written answers, or the arms' judged ones"),
    "evidence": one_of(
        ["grouped cross-validation", "leave-one-domain-out", "leave-one-arm-out"],
        "how training and test are parted; a prompt is never in both",
    ),
    "held_out": text("the domain or arm tested, or all"),
    "model": one_of(
        ["sae", "domain", "length", "tfidf", "likelihood", "state", "permuted"],
        "what is seen: k SAE features; domain; characters and words; TF-IDF; the margin that the"
        " arm's likelihoods give the prompt, no judge (generations only); 50 components of the mean residual state;"
        " k features, labels permuted",
    ),
    "k": count("SAE features, chosen on the training part; 0 for models without"),
}

DETECTOR_SCHEMA = pa.DataFrameSchema(
    {
        **_KEYS,
        "n_responses": integer("responses tested"),
        "n_prompts": integer("prompts that they answer"),
        "base_rate": share("share of them that is misaligned", nullable=False),
        "auroc": share("area under the ROC curve, out of sample; permuted: mean", nullable=False),
        "low": share(
            "AUROC, lower end of 95 %: bootstrap over prompts, for sae widened by what retraining adds to"
            " the spread of permuted runs; permuted: over permutations",
            nullable=False,
        ),
        "high": share("AUROC, upper end of 95 %", nullable=False),
        "auprc": share("average precision; chance is base_rate", nullable=False),
        "auprc_low": share("its lower end of 95 %, as of AUROC, widened by the same factor", nullable=False),
        "auprc_high": share("its upper end of 95 %", nullable=False),
        "threshold": share("probability from which a response counts as misaligned", nullable=False),
        "accuracy": share("share right at that threshold", nullable=False),
        "accuracy_low": share("lower end of 95 %, bootstrap over prompts"),
        "accuracy_high": share("upper end of 95 %"),
        "brier": share("mean squared error of the probability", nullable=False),
        "brier_low": share("lower end of 95 %, bootstrap over prompts"),
        "brier_high": share("upper end of 95 %"),
        "null_mean": number("mean AUROC of runs with permuted labels, sae only"),
        "null_high": number("95th percentile of these AUROCs"),
        "p": number("(b + 1) / (m + 1): b of m permuted runs reach the AUROC, one-sided"),
        "finding": one_of(
            ["", "chance", "domain", "length", "tfidf", "likelihood", "state", "features"],
            "sae only: chance = interval reaches 0.5; else domain = it does not beat the domain baseline (95 % of the"
            " paired difference); else chance where p is above 0.05; else the first other baseline that it does not"
            " beat; features = it beats all",
        ),
    },
    unique=list(_KEYS),
    coerce=True,
    title="detector",
    description="How well misaligned responses are told from aligned ones, beside baselines and a permutation null.",
)

CURVES_SCHEMA = pa.DataFrameSchema(
    {
        **_KEYS,
        "curve": one_of(["roc", "precision_recall", "reliability"], "which curve"),
        "point": integer("number of the point along the curve, from 0"),
        "x": share("false positive rate; recall; mean probability in the bin", nullable=False),
        "y": share("true positive rate; precision; share misaligned in the bin", nullable=False),
        "n": count("responses in the bin, reliability only", nullable=True),
        "low": number("share misaligned in the bin, Wilson's 95 %, lower end"),
        "high": number("upper end"),
    },
    unique=[*_KEYS, "curve", "point"],
    coerce=True,
    title="detector_curves",
    description="Points of the curves of every detector and baseline.",
)
