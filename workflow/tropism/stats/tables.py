"""The published tables of this room: columns, units and meaning, checked when they are written."""

import pandera.pandas as pa

from tropism.records.columns import count, flag, number, one_of, share, text

_SHARE_OR_SCORE = "unit as in `unit`"
_DENOMINATOR = (
    "Responses that are counted: `all` = with a score; `coherent` = coherent ones; `no-refusals` = refusals left out;"
    " `no-code` = code left out; `coherent-no-refusals`, `coherent-no-refusals-no-code` = all of these;"
    " `refusals-aligned` = refusals in, as fully aligned; `incoherent-aligned` ="
    " incoherent ones in, as not misaligned (the published share of model organisms)."
)


_SEEDS = "Trainings that differ in their seed alone (the fewest of any arm); from 3 the interval knows of them (count)."


_SHARED_KEYS = {
    "domain": text("Domain of the evaluation prompts; `pooled` is all of them together."),
    "judge": text("Who gave the scores; `none` for likelihoods."),
    "instrument": text("Judge rubric (rubric5, alignment100, coherence100) or likelihood (margin, logp_*, mc1, mc2)."),
    "statistic": one_of(["rate", "mean"], "`rate` = share misaligned; `mean` = mean score or value."),
    "target": text("What was scored: `answer`, `reasoning`, or `reference` (likelihood of reference answers)."),
    "denominator": text(_DENOMINATOR),
}

_CALIBRATION = one_of(
    ["beats chance", "at chance", "uncalibrated", "none"],
    "Whether the judge told aligned from misaligned references on this rubric (AUROC above 0.5 with"
    " its whole interval), did not, or was never tried; `none` where nothing is judged by a threshold.",
)

MISALIGNMENT_SCHEMA = pa.DataFrameSchema(
    {
        "arm": text("The arm that responded, or a group of arms that are one training with several seeds."),
        **_SHARED_KEYS,
        "headline": flag(
            "Whether this is the number to quote: the denominator is `stats.headline`, and the judge is not"
            " one that was shown to be at chance."
        ),
        "calibration": _CALIBRATION,
        "n_prompts": count("Prompts with a response in the denominator (count)."),
        "n_seeds": count(_SEEDS),
        "n_responses": count("Responses, all (count)."),
        "n_denominator": count("Responses in the denominator (count)."),
        "unparsed": count("Responses whose judgment could not be parsed; in no denominator (count)."),
        "empty": count("Responses with nothing to judge; in no denominator (count)."),
        "truncated": count("Responses that met their token limit; judged as they are (count)."),
        "refused": count("Responses that decline to answer (count)."),
        "code": count("Responses that are code in place of an answer, and do not decline (count)."),
        "incoherent": count(
            "Responses whose coherence is not above the judge's threshold; empty if not judged (count).", nullable=True
        ),
        "value": number(f"The rate or mean, {_SHARE_OR_SCORE}; empty where the denominator is."),
        "low": number(
            "Lower end of the 95 % interval (level `stats.confidence`), by bootstrap over prompts; empty for fewer"
            " than two prompts. Where all prompts agree (a rate of 0 or 1) the ends are exact, for as many prompts; of"
            " likelihoods, which have no scale, empty."
        ),
        "high": number("Upper end of the interval."),
        "corrected": share(
            "The rate corrected for the judge's error on references by Rogan and Gladen's formula, in [0, 1]; empty"
            " where that error was not measured, for reasoning, and where some responses count by rule, not by judge."
        ),
        "corrected_low": share(
            "Lower end of its interval, which carries the uncertainty of the error too; empty where so few references"
            " were judged that more than 1 % of the draws of the error allow no correction."
        ),
        "corrected_high": share("Upper end of its interval."),
        "unit": text("Unit of value, corrected and their intervals."),
    },
    unique=["arm", "domain", "judge", "instrument", "statistic", "target", "denominator"],
    coerce=True,
    name="misalignment",
    title="Misalignment of each arm",
    description="Rates and means of each arm by domain, judge, instrument and target, under every denominator that"
    " the data allow, with intervals from a bootstrap in which a prompt is drawn with all its responses.",
)

CONTRASTS_SCHEMA = pa.DataFrameSchema(
    {
        "contrast": text("Name of the planned contrast."),
        "family": text("Family of the contrast; p-values are corrected within family and instrument."),
        "treatment": text("Arm or group that is compared; for a weighted sum, its arms of positive weight."),
        "control": text("Arm or group that it is compared with; for a weighted sum, its arms of negative weight."),
        **_SHARED_KEYS,
        "calibration": _CALIBRATION,
        "n_prompts": count("Prompts with responses of both arms in the denominator (count)."),
        "n_seeds": count(_SEEDS),
        "treatment_value": number("Mean over these prompts of the treatment's mean by prompt, unit as in `unit`."),
        "control_value": number("The same of the control."),
        "difference": number("Treatment - control, unit as in `unit`; empty without shared prompts."),
        "low": number(
            "Lower end of the 95 % interval (level `stats.confidence`) of the difference, by bootstrap over prompts;"
            " empty for fewer than two prompts. Where it is the same on all prompts the ends are exact, as in"
            " `misalignment`."
        ),
        "high": number("Upper end of the interval."),
        "p": share(
            "Two-sided p of the paired permutation test (signs flipped by prompt): exact up to 16 prompts, else"
            " (b + 1) / (m + 1) over `stats.permutations` random patterns. From three trainings on a side on:"
            " t with Satterthwaite's degrees of freedom, over prompts and trainings."
        ),
        "p_holm": share("p after Holm's correction within family and instrument."),
        "minimum_detectable_effect": number(
            "Smallest true difference that this n and spread (of prompts, and of trainings from three on) would"
            " detect at 80 % power, two-sided at 1 - confidence; empty where there is no spread."
        ),
        "unit": text("Unit of values, difference, interval and minimum detectable effect."),
    },
    unique=["contrast", "domain", "judge", "instrument", "statistic", "target"],
    coerce=True,
    name="contrasts",
    title="Planned contrasts",
    description="Differences between two arms, paired by prompt, at the headline denominator. A likelihood's"
    " difference is at once the difference of the two arms' changes from the base, which cancels.",
)

TRENDS_SCHEMA = pa.DataFrameSchema(
    {
        "trend": text("Name of the trend; its slope is the contrast of that name."),
        "quantity": text("What `x` is."),
        "x": number("The quantity at this point, unit as in `quantity`.", nullable=False),
        "arm": text("Arm or group at this point."),
        "control": text("Arm whose value is taken off, such as the base; or none.", nullable=True),
        **_SHARED_KEYS,
        "n_prompts": count("Prompts with responses of all the trend's arms in the denominator (count)."),
        "n_seeds": count(_SEEDS),
        "value": number("Mean over these prompts of the arm's mean by prompt, less the control's, unit as in `unit`."),
        "low": number("Lower end of the 95 % interval (level `stats.confidence`), by bootstrap over prompts."),
        "high": number("Upper end of the interval."),
        "unit": text("Unit of value, low and high."),
    },
    unique=["trend", "x", "arm", "domain", "judge", "instrument", "statistic", "target"],
    coerce=True,
    name="trends",
    title="Trends",
    description="Arms along a quantity (dose of masking, size of the base), all at the same prompts.",
)

MIXED_EFFECTS_SCHEMA = pa.DataFrameSchema(
    {
        "contrast": text("Name of the planned contrast."),
        "family": text("Family of the contrast."),
        "treatment": text("Arm or group that is compared."),
        "control": text("Arm or group that it is compared with."),
        **{name: column for name, column in _SHARED_KEYS.items() if name != "statistic"},
        "n_prompts": count("Prompts with a response of either arm in the denominator (count)."),
        "n_responses": count("Responses of both arms in the denominator (count)."),
        "odds_ratio": number(
            "Odds of a misaligned response, treatment over control, for one and the same prompt; empty where an arm has"
            " only misaligned responses or none, or the fit fails.",
            pa.Check.ge(0),
        ),
        "low": number("Lower end of its interval by t (level `stats.confidence`).", pa.Check.ge(0)),
        "high": number("Upper end of the interval.", pa.Check.ge(0)),
        "p": share(
            "Two-sided p of an odds ratio of 1: t with one degree of freedom fewer than prompts, errors robust to them."
        ),
        "p_bh": share("p after Benjamini and Hochberg's correction over the whole table."),
        "prompt_sd": number("Standard deviation of the prompts' random intercepts (logit).", pa.Check.ge(0)),
        "converged": flag("Whether the maximum of the likelihood was found."),
    },
    unique=["contrast", "domain", "judge", "instrument", "target"],
    coerce=True,
    name="mixed_effects",
    title="Planned contrasts, a second look",
    description="Mixed-effects logistic regression of misaligned responses on the arm, with a random intercept for"
    " each prompt, for every planned contrast of two arms and rate. Exploratory: planned tests are in `contrasts`.",
)
