"""What the published tables of the dynamics stage hold."""

from typing import Any

import pandera.pandas as pa

from tropism.records.columns import count, flag, integer, number, one_of, share, text


def _interval(name: str, of: str) -> dict[str, pa.Column]:
    return {f"{name}low": number(f"lower end of the interval of {of}"), f"{name}high": number(f"its upper end, {of}")}


def _schema(title: str, description: str, unique: list[str], columns: dict[str, Any]) -> pa.DataFrameSchema:
    return pa.DataFrameSchema(columns, unique=unique, coerce=True, title=title, description=description)


DYNAMICS_SCHEMA = _schema(
    "dynamics",
    "Training loss against misalignment over an arm's last step: the margin's change since that step began.",
    ["arm", "step", "domain"],
    {
        "arm": text("arm that is followed"),
        "step": count("optimiser step of the last training step; 0 is before it"),
        "loss": number("training loss averaged over the last five optimiser steps, nats/token; none at 0"),
        "domain": text("domain of the prompts, or pooled"),
        "n_prompts": count("prompts with both references"),
        "margin_change": number("mean change of the margin since step 0, nats/token; positive is more misaligned"),
        **_interval("", "the mean over prompts"),
    },
)
EARLY_WARNING_SCHEMA = _schema(
    "early_warning",
    "Which signal departs first over an arm's last training: detector, features, judged rate or likelihood margin.",
    ["arm", "signal", "feature", "step"],
    {
        "arm": text("arm that is followed"),
        "signal": one_of(
            ["detector", "feature", "margin", "misaligned", "coherence"],
            "detector: its log-odds of misaligned, mean of a prompt's two references, read by the arm as it then was;"
            " feature: the largest activation there; margin: log p misaligned - aligned reference, nats/token;"
            " misaligned: share of the arm's responses at the snapshot that the judge calls so; coherence: of these, 0"
            " to 100",
        ),
        "feature": integer("index in the dictionary; -1 for the other signals"),
        "judge": text("who judged the responses; none for signals without one"),
        "step": count("optimiser step of the last training step", least=1),
        "n_prompts": count("evaluation prompts with both references"),
        "start": number("mean signal before the last training step"),
        "change": number("mean change since then, on the same prompts"),
        "low": number("lower end of the change's interval, bootstrap over prompts; of this step by itself, pointwise"),
        "high": number("its upper end"),
        "p": share(
            "two-sided, signs flipped over prompts, of the largest absolute t among all steps of the signal in this"
            " arm, and all its features"
        ),
        "departs": flag("p is at most 1 - stats.confidence"),
        "first_step": count(
            "first step from which on the signal departs, to one side, at every later snapshot too; empty if at none",
            nullable=True,
        ),
    },
)
EQUAL_LOSS_SCHEMA = _schema(
    "equal_loss",
    "Two followed arms where their training losses are equal: which is more misaligned for what it has learned?",
    ["treatment", "control", "loss", "domain"],
    {
        "treatment": text("arm"),
        "control": text("arm that it is compared with"),
        "loss": number("training loss of both, nats/token", nullable=False),
        "domain": text("domain of the prompts, or pooled"),
        "n_prompts": count("prompts of both"),
        "difference": number("mean difference of the margin's change, treatment - control, nats/token"),
        **_interval("", "the difference"),
    },
)
PRIOR_SCHEMA = _schema(
    "prior_prediction",
    "How well features of a prompt that were known before fine-tuning predict how the arm does on it, held out.",
    ["arm", "outcome", "features", "position", "layer"],
    {
        "arm": text("arm whose outcome is predicted"),
        "outcome": text("instrument: margin or alignment100, mean over a prompt's responses"),
        "features": text("activations of the base, or a baseline that knows no model, or the base's own score"),
        "position": text("last token of the prompt, one counted from its end, or mean over it; empty for a baseline"),
        "layer": count("residual stream after this block, from 0", nullable=True),
        "width": count("numbers a prompt"),
        "n_prompts": count("prompts"),
        "families": one_of(
            ["similar", "id", "prompt", "domain"],
            "what folds keep together: prompts that share half of their words, those that ids number as wordings of one"
            " question, repetitions, or domains",
        ),
        "n_families": count("families of prompts, the groups of the folds"),
        "r2": number("1 - SS(error) / SS(error of the training folds' mean), held-out prompts"),
        **_interval("r2_", "r2 over families"),
        "spearman": number("rank correlation of outcome and prediction, held-out prompts; none if one is constant"),
        **_interval("spearman_", "spearman over families"),
    },
)
OVERLAP_SCHEMA = _schema(
    "subspace_overlap",
    "Do training and evaluation prompts shift in the same directions? Arm minus base, leading k directions.",
    ["arm", "position", "layer", "k", "training_domain", "evaluation_domain"],
    {
        "arm": text("arm"),
        "position": text("last token of the prompt, one counted from its end, or mean over it"),
        "layer": count("residual stream after this block, from 0"),
        "k": count("dimension of the subspaces"),
        "training_domain": text("domain of the prompts of the train split"),
        "evaluation_domain": text("domain of the prompts of the evaluation split"),
        "n_training": count("prompts of the train split"),
        "n_evaluation": count("prompts of the evaluation split"),
        "overlap": share("mean squared cosine of the principal angles, of shifts less their mean"),
        "uniform_mean": share("mean overlap with uniformly random subspaces"),
        "p_uniform": share("share of those that overlap as much, observed one included"),
        "spectrum_mean": share("mean overlap with subspaces that vary as the base's activations do"),
        "spectrum_q95": share("their 95th percentile"),
        "p_spectrum": share("share of those that overlap as much, observed one included"),
        "cosine": number("cosine of the two mean shifts"),
        "r_overlap_cosine": number("Pearson r of overlap and cosine over the rows of this position, layer and k"),
    },
)
MOMENTS_SCHEMA = _schema(
    "moments",
    "Means and spreads of an outcome in two arms on the same prompts; p-values two-sided, Holm over the table's rows.",
    ["treatment", "control", "outcome", "domain"],
    {
        "treatment": text("arm"),
        "control": text("arm that it is compared with"),
        "outcome": text("instrument, mean over a prompt's responses"),
        "domain": text("domain of the prompts, or pooled"),
        "n_prompts": count("prompts of both arms"),
        "mean_treatment": number("mean outcome"),
        "mean_control": number("mean outcome"),
        "hedges_g": number("standardised difference of the means, small-sample corrected"),
        "welch_t": number("Welch's t"),
        "welch_p": share("its p-value"),
        "variance_ratio": number("F: variance of treatment / variance of control"),
        "variance_p": share("its p-value"),
        "brown_forsythe_f": number("Brown and Forsythe's F, on distances from the medians"),
        "brown_forsythe_p": share("its p-value"),
        "wilcoxon_rank_biserial": number("matched-pairs rank-biserial correlation, the paired effect size"),
        "wilcoxon_p": share("p-value of the signed-rank test"),
        **{
            f"{test}_p_holm": share(f"p-value of {test}, Holm over the rows")
            for test in ("welch", "variance", "brown_forsythe", "wilcoxon")
        },
    },
)
NARROW_SCHEMA = _schema(
    "narrow_general",
    "A general and a narrow solution of one dataset: loss at equal norm, loss rise under noise, KL on plain text,"
    " how they behave inside the dataset's domain and outside, and whether the narrow one drifts back.",
    ["comparison", "metric", "level"],
    {
        "comparison": text("name of the comparison"),
        "aligned_share": share("of the rows, trained on their aligned answer in both: the mixture", nullable=False),
        "metric": text(
            "efficiency, stability_isotropic, stability_orthogonal, significance; of responses to prompts inside the"
            " domain or outside (domains of the KL term are outside too): misaligned_* (share, by the judge),"
            " coherence_* (its score, 0 to 100), mentions_* (share that mentions the domain, by its words),"
            " presence_* (a judge's score of that, 0 to 100); of the references to such prompts: margin_* (likelihood"
            " margin), drift_* (its change from the narrow solution: to the general one, and by training on from the"
            " narrow one without the KL term)"
        ),
        "level": number("share of the smaller norm; share of the own norm; 1", nullable=False),
        "n_examples": count("training rows; texts for significance; prompts for behaviour, margin and drift"),
        "general": number(
            "mean: loss, its rise, KL from the base, margin or its change, nats/token; share or score of behaviour"
        ),
        **_interval("general_", "general over examples, for stability over draws too"),
        "narrow": number("the same of the narrow solution"),
        **_interval("narrow_", "narrow over examples, for stability over draws too"),
        "difference": number("general - narrow on the same examples"),
        **_interval("difference_", "the difference"),
        "reference": number(
            "of mentions the same share of the aligned references of these prompts, for what the words are worth; of"
            " drift the change by training on from the narrow solution with the KL term, where an arm does"
        ),
        "norm_general": number("Frobenius norm of the update, or of the noise on the factors"),
        "norm_narrow": number("the same of the narrow solution"),
    },
)
