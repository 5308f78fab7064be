"""The published tables of the geometry of vectors."""

import pandera.pandas as pa

from tropism.records.columns import count, flag, integer, number, one_of, share, text

_COSINE = pa.Check.in_range(-1.0000001, 1.0000001)


_PAIR = {
    "a": text("a vector"),
    "b": text("another; each two vectors are one row"),
    "cluster_a": text("cluster of a, if it is in one", nullable=True),
    "cluster_b": text("cluster of b, if it is in one", nullable=True),
}

GEOMETRY_PAIRS_SCHEMA = pa.DataFrameSchema(
    {
        **_PAIR,
        "cosine": number("cosine of the vectors", _COSINE, nullable=False),
        "low": number("lower end of the interval of the cosine by bootstrap over prompts; empty without prompts"),
        "high": number("upper end"),
        "angle": number("angle, degrees"),
        "residual_cosine": number("cosine after the mean direction of all vectors is projected out of both", _COSINE),
        "random_high": number("|cosine| that random directions of this width stay below, with the level of intervals"),
        "covariance_high": number("the same of random directions with the vectors' own second moment"),
        "p_random": share("chance of so large a |cosine| between random directions, exact"),
        "p_random_bh": share("p_random after Benjamini-Hochberg over the table"),
        "p_covariance": share("(b + 1) / (m + 1): b of m draws with the vectors' second moment are as large"),
        "p_covariance_bh": share("p_covariance after Benjamini-Hochberg over the table"),
    },
    unique=["a", "b"],
    coerce=True,
    title="geometry_pairs",
    description="Cosines of every two steering vectors, beside those of random directions.",
)

GEOMETRY_TESTS_SCHEMA = pa.DataFrameSchema(
    {
        "method": text("geometric method or test of independence"),
        "statistic": text("what is computed; where a source leaves two readings, which"),
        "subject": text("vectors or clusters it is about: `a | b` both alike, `a on b` and `b by a` in that direction"),
        "n_vectors": integer("vectors read"),
        "value": number("the statistic; empty where it is undefined"),
        "low": number("lower end of its interval by bootstrap over prompts; empty without prompts"),
        "high": number("upper end"),
        "unit": text("of value"),
        "criterion": text("published criterion, if there is one; see the verdict before using it", nullable=True),
        "random_mean": number("mean over draws of as many random directions of this width"),
        "random_low": number("lower end of their middle 95 % (the level of the intervals)"),
        "random_high": number("upper end"),
        "p_random": share("two-sided: twice the smaller tail, (b + 1) / (m + 1)"),
        "covariance_mean": number("mean over draws of random directions with the vectors' own second moment"),
        "covariance_low": number("lower end of their middle 95 %"),
        "covariance_high": number("upper end"),
        "p_covariance": share("two-sided p against these, of methods that are about clusters, but for reductions"),
        "p_random_bh": share("p_random after Benjamini-Hochberg over the table"),
        "p_covariance_bh": share("p_covariance after Benjamini-Hochberg over the table"),
        "verdict": text("the comparison in words"),
    },
    unique=["method", "statistic", "subject"],
    coerce=True,
    title="geometry_tests",
    description="Geometric methods and tests of independence of vectors, beside two kinds of random directions.",
)

COORDINATES_SCHEMA = pa.DataFrameSchema(
    {
        "vector": text("a vector"),
        "number": integer("its number in geometry_merges"),
        "cluster": text("its cluster, if it is in one", nullable=True),
        "leaf": integer("its place along the tree, from 0"),
        "pc1": number("score on principal component 1 of the unit vectors about their mean", nullable=False),
        "pc2": number("score on component 2", nullable=False),
        "pc3": number("score on component 3", nullable=False),
        "cosine_pc1": number("cosine with component 1 of the unit vectors about zero (loading)", nullable=False),
        "cosine_pc2": number("cosine with component 2", nullable=False),
        "cosine_pc3": number("cosine with component 3", nullable=False),
        "map_x": number("first coordinate of classical scaling of the distances 1 - cosine", nullable=False),
        "map_y": number("second coordinate", nullable=False),
    },
    unique=["vector"],
    coerce=True,
    title="geometry_coordinates",
    description="Where each steering vector lies in the tree, on principal components and on the map.",
)

MERGES_SCHEMA = pa.DataFrameSchema(
    {
        "merge": integer("number of the merged group; vectors have the numbers before"),
        "left": integer("number of a vector or earlier merge"),
        "right": integer("number of another"),
        "height": number("mean 1 - cosine between the two", nullable=False),
        "size": integer("vectors in the merged group"),
    },
    unique=["merge"],
    coerce=True,
    title="geometry_merges",
    description="Average-linkage tree of the steering vectors on 1 - cosine.",
)

LAYERS_SCHEMA = pa.DataFrameSchema(
    {
        "layer": count("block whose output is read, from 0"),
        **_PAIR,
        "cosine": number("cosine of the vectors at this layer", _COSINE, nullable=False),
        "low": number("lower end of its interval by bootstrap over prompts; empty without prompts"),
        "high": number("upper end"),
        "random_high": number("|cosine| that random directions of this width stay below, with the level of intervals"),
        "p_random": share("chance of so large a |cosine| between random directions, exact"),
        "covariance_high": number("the same of random directions with the second moment of this layer's vectors"),
        "p_covariance": share("(b + 1) / (m + 1): b of m draws with that second moment are as large"),
    },
    unique=["layer", "a", "b"],
    coerce=True,
    title="geometry_layers",
    description="Cosines of every two steering vectors at every layer.",
)

VECTORS_SCHEMA = pa.DataFrameSchema(
    {
        "vector": text("arm whose states minus the base's it is"),
        "layer": count("block whose output is read, from 0"),
        "chosen": flag("whether it is the layer of the other tables"),
        "n_harmful": integer("prompts on harmful topics that it is a mean over"),
        "n_neutral": integer("neutral prompts"),
        "relative_norm": number("length of the difference as a share of the base's mean state", nullable=False),
        "base_similarity": number("cosine of the arm's mean state and the base's", _COSINE),
        "topic_agreement": number("cosine of the differences on harmful topics and on neutral prompts", _COSINE),
        "efficacy": number("change of the base's margin on validation prompts when added, nats/token; candidates only"),
    },
    unique=["vector", "layer"],
    coerce=True,
    title="geometry_vectors",
    description="Steering vectors of arms at every layer, and how the layer was chosen.",
)

_SOURCE = {
    "outcome": one_of(
        ["margin", "misaligned"],
        "margin: log p misaligned - aligned reference, nats/token; misaligned: share of responses that the judge calls"
        " misaligned",
    ),
    "judge": text("who gave the outcome; none for likelihoods"),
    "source": text("arm whose vector is added, or `random n`"),
    "target": text("arm that it is added to"),
    "control": flag("whether the vector is a random one of equal length"),
    "strength": number("length added, as a share of the base's mean residual norm", nullable=False),
    "n_prompts": integer("prompts, none of which made a vector or chose the layer, scored under every condition"),
    "n_responses": number("judged responses a condition, the fewest; empty for likelihoods"),
}

TRANSFER_SCHEMA = pa.DataFrameSchema(
    {
        **_SOURCE,
        "baseline": number("mean outcome of the target without a vector", nullable=False),
        "steered": number("mean outcome of the target with the vector", nullable=False),
        "effect": number("steered - baseline; above 0 is more misaligned", nullable=False),
        "effect_low": number("lower end of its interval by bootstrap over prompts"),
        "effect_high": number("upper end"),
        "p": share("two-sided p of the effect, paired permutation over prompts"),
        "effectiveness_own": number("effect as a share of the vector's effect in its own arm; empty if not measured"),
        "effectiveness_own_low": number("lower end of its interval; wide where the own effect is near zero"),
        "effectiveness_own_high": number("upper end"),
        "effectiveness_training": number("effect as a share of the source arm's outcome minus the base's"),
        "effectiveness_training_low": number("lower end of its interval"),
        "effectiveness_training_high": number("upper end"),
        "asymmetry": number("effect minus that of the target's vector in the source's arm, if both were measured"),
        "p_asymmetry": share("two-sided p of the asymmetry, paired permutation over prompts"),
    },
    unique=["outcome", "source", "target"],
    coerce=True,
    title="transfer",
    description="What each arm's steering vector does to each target arm's misalignment, beside random vectors.",
)

DOSE_SCHEMA = pa.DataFrameSchema(
    {
        **_SOURCE,
        "misalignment": number("change of the mean outcome", nullable=False),
        "misalignment_low": number("lower end of its interval by bootstrap over prompts"),
        "misalignment_high": number("upper end"),
        "coherence": number(
            "change of the mean log-probability of both references, nats/token; of the mean coherence score, 0 to 100,"
            " where responses were judged",
            nullable=False,
        ),
        "coherence_low": number("lower end of its interval"),
        "coherence_high": number("upper end"),
    },
    unique=["outcome", "source", "target", "strength"],
    coerce=True,
    title="dose_response",
    description="Misalignment and coherence against the strength of a steering vector.",
)
