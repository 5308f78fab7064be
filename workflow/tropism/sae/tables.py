"""The published feature table."""

import pandera.pandas as pa

_SHARE = pa.Check.in_range(0, 1)

SAE_FEATURES_SCHEMA = pa.DataFrameSchema(
    {
        "release": pa.Column(str, description="release of the dictionary; local for one trained here"),
        "sae_id": pa.Column(str, description="dictionary within the release: model and hook point"),
        "revision": pa.Column(str, description="sha256 of the dictionary's weights"),
        "feature": pa.Column(int, pa.Check.ge(0), description="index, meaningful in this dictionary only"),
        "layer": pa.Column(int, pa.Check.ge(0), description="block whose output the dictionary reads, from 0"),
        "population": pa.Column(
            str, pa.Check.isin(["references", "generations"]), description="written answers, or the arms' judged ones"
        ),
        "domain": pa.Column(str, description="domain of the prompts, or all of them pooled: all"),
        "pooling": pa.Column(str, pa.Check.isin(["max", "mean"]), description="how a response's tokens are pooled"),
        "n_aligned": pa.Column(int, description="aligned responses"),
        "n_misaligned": pa.Column(int, description="misaligned responses"),
        "n_prompts": pa.Column(int, description="prompts that they answer"),
        "auroc": pa.Column(float, _SHARE, description="chance that a misaligned response has the larger value"),
        "p": pa.Column(float, _SHARE, description="two-sided Mann-Whitney, responses taken as independent"),
        "p_bh": pa.Column(float, _SHARE, description="p after Benjamini-Hochberg within population and domain"),
        "mean_aligned": pa.Column(float, description="mean pooled activation of aligned responses"),
        "mean_misaligned": pa.Column(float, description="mean pooled activation of misaligned responses"),
        "difference": pa.Column(float, description="mean_misaligned - mean_aligned"),
        "density_aligned": pa.Column(float, _SHARE, description="mean share of tokens that activate it, aligned"),
        "density_misaligned": pa.Column(float, _SHARE, description="mean share of tokens that activate it, misaligned"),
        "n_pairs": pa.Column(int, description="prompts with responses of both labels"),
        "p_paired": pa.Column(
            float, _SHARE, nullable=True, description="two-sided Wilcoxon of within-prompt differences, uncorrected"
        ),
        "is_global": pa.Column(
            bool, description="p_bh below alpha, with one sign, in every domain of the population (two at least)"
        ),
    },
    unique=["revision", "population", "domain", "feature"],
    coerce=True,
    title="sae_features",
    description="Features of a sparse dictionary, misaligned against aligned responses.",
)
