"""The published feature table."""

import pandera.pandas as pa

from tropism.records.columns import count, flag, integer, number, one_of, share, text

SAE_FEATURES_SCHEMA = pa.DataFrameSchema(
    {
        "release": text("release of the dictionary; local for one trained here"),
        "sae_id": text("dictionary within the release: model and hook point"),
        "revision": text("sha256 of the dictionary's weights"),
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
        "p_bh": share("p after Benjamini-Hochberg within population and domain", nullable=False),
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
