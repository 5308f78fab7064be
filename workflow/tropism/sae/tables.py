"""The published tables of the dictionary and of its features."""

import pandera.pandas as pa

from tropism.records.columns import count, flag, integer, number, one_of, share, text

_DICTIONARY = {
    "release": text("release of the dictionary; local for one trained here"),
    "sae_id": text("dictionary within the release: model and hook point"),
    "revision": text("sha256 of the dictionary's weights"),
}

SAE_QUALITY_SCHEMA = pa.DataFrameSchema(
    {
        **_DICTIONARY,
        "layer": count("block whose output the dictionary reads, from 0"),
        "architecture": text(
            "as it was trained; of a loaded one as it is saved, where a BatchTopK dictionary is jumprelu with one"
            " threshold for all features"
        ),
        "d_in": count("width of the states", least=1),
        "d_sae": count("features", least=1),
        "trained": flag("trained here; else loaded"),
        "held_out_tokens": count("tokens of texts that it was not trained on, attention sinks left out", least=1),
        "variance_explained": number("1 - squared error / variance of these tokens' states", nullable=False),
        "l0": number("mean number of active features a token", nullable=False),
        "dead_share": share("share of features that none of these tokens makes active", nullable=False),
        "ce_records": count("held-out texts, or prompts with their answers, that the model predicted", least=1),
        "ce_tokens": count("tokens predicted from the states that are replaced", least=1),
        "ce_clean": number("mean cross-entropy of these, states as they are, nats/token", nullable=False),
        "ce_sae": number("states replaced by their reconstruction, nats/token", nullable=False),
        "ce_ablated": number("states set to zero, nats/token", nullable=False),
        "ce_recovered": number("(ce_ablated - ce_sae) / (ce_ablated - ce_clean); empty where ablation costs nothing"),
        "ce_recovered_low": number("lower end of 95 %, bootstrap over records"),
        "ce_recovered_high": number("upper end of 95 %"),
    },
    unique=["revision"],
    coerce=True,
    title="sae_quality",
    description="How well the dictionary stands for the states that it reads, on texts it was not trained on.",
)

CLUSTERED = (
    "largest of p, of the same AUROC's p with a variance over prompts (Obuchowski 1997), and of an exact one where few"
    " responses have the feature"
)
SAE_FEATURES_SCHEMA = pa.DataFrameSchema(
    {
        **_DICTIONARY,
        "feature": count("index, meaningful in this dictionary only"),
        "layer": count("block whose output the dictionary reads, from 0"),
        "population": one_of(["references", "generations"], "written answers, or the arms' judged ones"),
        "domain": text("domain of the prompts, or all of them pooled: all"),
        "pooling": one_of(["max", "mean"], "how a response's tokens are pooled"),
        "n_aligned": integer("aligned responses"),
        "n_misaligned": integer("misaligned responses"),
        "n_prompts": integer("prompts that they answer"),
        "auroc": share("chance that a misaligned response has the larger value", nullable=False),
        "p": share("two-sided Mann-Whitney, responses taken as independent", nullable=False),
        "p_clustered": share(CLUSTERED, nullable=False),
        "p_bh": share("p_clustered after Benjamini-Hochberg within population and domain", nullable=False),
        "mean_aligned": number("mean pooled activation of aligned responses", nullable=False),
        "mean_misaligned": number("mean pooled activation of misaligned responses", nullable=False),
        "difference": number("mean_misaligned - mean_aligned", nullable=False),
        "density_aligned": share("mean share of tokens that activate it, aligned", nullable=False),
        "density_misaligned": share("mean share of tokens that activate it, misaligned", nullable=False),
        "n_pairs": integer("prompts with responses of both labels"),
        "p_paired": share("two-sided Wilcoxon of within-prompt differences, uncorrected"),
        "is_global": flag("p_bh below alpha, with one sign, in every domain of the population (two at least)"),
    },
    unique=["revision", "population", "domain", "feature"],
    coerce=True,
    title="sae_features",
    description="Features of a sparse dictionary, misaligned against aligned responses.",
)

FEATURE_CONTRASTS_SCHEMA = pa.DataFrameSchema(
    {
        **_DICTIONARY,
        "contrast": text("planned contrast of two arms, such as poetry - none"),
        "treatment": text("arm"),
        "control": text("arm that it is compared with"),
        "feature": count("index, meaningful in this dictionary only"),
        "layer": count("block whose output the dictionary reads, from 0"),
        "domain": text("domain of the prompts, or all of them pooled: all"),
        "pooling": one_of(["max", "mean"], "how a response's tokens are pooled"),
        "n_treatment": integer("responses of the treatment"),
        "n_control": integer("responses of the control"),
        "n_prompts": integer("prompts that both answered"),
        "auroc": share("chance that a response of the treatment has the larger value", nullable=False),
        "p": share("two-sided Mann-Whitney, responses taken as independent", nullable=False),
        "p_clustered": share(CLUSTERED, nullable=False),
        "p_bh": share("p_clustered after Benjamini-Hochberg within contrast and domain", nullable=False),
        "mean_treatment": number("mean pooled activation of the treatment's responses", nullable=False),
        "mean_control": number("mean pooled activation of the control's responses", nullable=False),
        "difference": number("mean_treatment - mean_control", nullable=False),
        "density_treatment": share("mean share of tokens that activate it, treatment", nullable=False),
        "density_control": share("mean share of tokens that activate it, control", nullable=False),
        "n_pairs": integer("prompts compared in pairs"),
        "p_paired": share("two-sided Wilcoxon of within-prompt differences, uncorrected"),
        "is_global": flag("p_bh below alpha, with one sign, in every domain (two at least)"),
    },
    unique=["revision", "contrast", "domain", "feature"],
    coerce=True,
    title="feature_contrasts",
    description="Features of a sparse dictionary in the responses of two arms, as each arm reads its own.",
)
