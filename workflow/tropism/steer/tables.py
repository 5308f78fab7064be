"""The published table of interventions."""

import pandera.pandas as pa

from tropism.records.columns import integer, number, one_of, text

_KEYS = {
    "arm": text("arm that is intervened on"),
    "role": one_of(
        ["necessary", "sufficient"],
        "what a negative dose asks (is it necessary?), and a positive one (is it sufficient?)",
    ),
    "kind": one_of(
        ["feature", "random feature", "mean difference"],
        "what is changed; random features and the mean-difference direction are controls",
    ),
    "feature": integer("index in the dictionary; -1 for the direction", pa.Check.ge(-1)),
    "matched_to": integer("feature under test whose edits this one's match in norm"),
    "dose": number(
        "below 0: share of the activation that is taken away, -1 ablates; above 0: times the typical peak"
        " activation that is added",
        nullable=False,
    ),
    "outcome": one_of(
        ["margin", "reference_logp", "misaligned", "coherence"],
        "margin: log p misaligned - aligned reference, nats/token; reference_logp: log p of the"
        " likelier reference, nats/token; misaligned: share of responses; coherence: 0 to 100",
    ),
    "judge": text("who gave the outcome; none for likelihoods"),
}

INTERVENTIONS_SCHEMA = pa.DataFrameSchema(
    {
        **_KEYS,
        "release": text("release of the dictionary"),
        "sae_id": text("dictionary within the release"),
        "revision": text("sha256 of the dictionary's weights"),
        "layer": integer("block after which the residual stream is changed, from 0"),
        "association": integer("1: larger in misaligned responses", pa.Check.isin([-1, 1])),
        "edit_norm": number("mean norm of what was added to an edited position", pa.Check.ge(0), nullable=False),
        "n_prompts": integer("prompts, the unit of all tests"),
        "value": number("mean outcome under the intervention", nullable=False),
        "baseline": number("mean outcome of the arm untouched, same prompts", nullable=False),
        "change": number("value - baseline, paired by prompt", nullable=False),
        "low": number("change, lower end of 95 %, bootstrap over prompts"),
        "high": number("change, upper end of 95 %"),
        "control_change": number(
            "mean change by the random features matched to it, same dose, x edit_norm / control_norm", nullable=False
        ),
        "control_min": number("least change by one of them, scaled alike", nullable=False),
        "control_max": number("greatest change by one of them, scaled alike", nullable=False),
        "control_norm": number("mean edit_norm of those", nullable=False),
        "excess": number("change - control_change", nullable=False),
        "excess_low": number("excess, lower end of 95 %, bootstrap over prompts"),
        "excess_high": number("excess, upper end of 95 %"),
        "p": number("two-sided sign-flip test of the excess over prompts; empty for controls"),
        "p_holm": number("p after Holm within arm and outcome"),
        "verdict": one_of(
            ["", "cause", "damage", "reversed", "not shown"],
            "for margin and misaligned: cause = moves it as associated, beyond every control, p_holm below"
            " alpha, coherence or reference_logp kept; damage = the same at their cost; reversed = significant in the"
            " other direction",
        ),
    },
    unique=[*_KEYS],
    coerce=True,
    title="interventions",
    description="What suppressing or amplifying a feature does to an arm, beside controls of matched norm.",
)
