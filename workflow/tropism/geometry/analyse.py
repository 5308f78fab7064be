"""The whole analysis: vectors in, tables out."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import leaves_list
from scipy.stats import beta

from tropism.config.geometry import AnalysisConfig
from tropism.geometry.compare import DRAWN, Vectors, around, compare, corrected
from tropism.geometry.files import Given
from tropism.geometry.gram import Floats, centred, degrees, gram_of, principal, unit, without
from tropism.geometry.independence import of_ablation, of_clusters
from tropism.geometry.methods import mean_direction, of_three, on_pairs, scaling, shares, tree, whole
from tropism.geometry.nulls import batches, roots_of
from tropism.geometry.resample import resampled
from tropism.geometry.statistic import Statistic
from tropism.records.keyed import keyed_bytes
from tropism.stats.bootstrap import tails

PANEL = 16
"""Of more vectors than this, statistics of triplets, tree and map read a keyed choice of so many."""
COMPONENTS = 3


def vectors_of(given: Given, config: AnalysisConfig) -> Vectors:
    """Cosines of the vectors, and of bootstrap draws where each is a mean over prompts and they are few enough."""
    rows = [given.rows[name] for name in given.names]
    gram = gram_of(np.stack([part.mean(0) for part in rows]))
    drawn = resampled(rows, config.draws, config.seed) if len(rows) <= DRAWN else None
    return Vectors(given.names, gram, rows[0].shape[1], drawn, min(map(len, rows)))


def statistics(given: Given, config: AnalysisConfig) -> list[Statistic]:
    """Every statistic of these vectors."""
    names = list(given.names)
    clusters = {cluster: [names.index(m) for m in members] for cluster, members in given.clusters.items()}
    every = range(len(names))
    panel = list(every)
    if len(names) > PANEL:
        panel = sorted(sorted(every, key=lambda i: keyed_bytes(config.seed, names[i]))[:PANEL])
    of = given.cluster_of()
    labels = [sorted(set(of.values())).index(of[names[i]]) if names[i] in of else -1 - i for i in panel]
    references = [(members[0], members[1]) for members in clusters.values() if len(members) > 1]
    found = [*whole(names, panel, labels), *shares(every), *of_three(names)]
    if len(names) <= PANEL:
        found += on_pairs(names, references)
    found += of_clusters(clusters)
    if len(names) <= DRAWN:
        found += of_ablation(clusters, every, "all")
    return found


def statistics_table(given: Given, vectors: Vectors, config: AnalysisConfig) -> pd.DataFrame:
    """``geometry_tests``: every statistic beside both nulls."""
    return compare(statistics(given, config), vectors, config)


def pairs_table(given: Given, vectors: Vectors, config: AnalysisConfig) -> pd.DataFrame:
    """``geometry_pairs``: every two vectors.

    Of two random directions in d dimensions the squared cosine is Beta(1/2, (d - 1)/2), so that p is exact; p of the
    other null counts draws.
    """
    upper = np.triu_indices(len(vectors.names), 1)
    cosine = vectors.gram[upper]
    names, of = np.array(vectors.names, object), given.cluster_of()
    clusters = np.array([of.get(name) for name in vectors.names], object)
    null = np.concatenate([
        np.abs(batch[:, 0, 1])
        for batch in batches("covariance", 2, vectors.width, roots_of(vectors.gram), config.nulls, config.seed)
    ])  # fmt: skip
    table = pd.DataFrame({"a": names[upper[0]], "b": names[upper[1]]})
    table["cluster_a"], table["cluster_b"] = clusters[upper[0]], clusters[upper[1]]
    table["cosine"], table["angle"] = cosine, degrees(cosine)
    ends = np.full((2, len(cosine)), np.nan)
    if vectors.drawn is not None:
        drawn = (vectors.drawn[:, i, j] for i, j in zip(*upper, strict=True))
        levels = tails(vectors.prompts, config.confidence)
        ends = np.array([around(*pair, levels) for pair in zip(cosine.tolist(), drawn, strict=True)]).T
    table["low"], table["high"] = ends
    table["residual_cosine"] = unit(without(vectors.gram, mean_direction(vectors.gram)))[upper]
    table["random_high"] = np.sqrt(beta.ppf(config.confidence, 0.5, (vectors.width - 1) / 2))
    table["covariance_high"] = np.quantile(null, config.confidence)
    # a p that is too small for its number format is not zero
    exact = beta.sf(cosine**2, 0.5, (vectors.width - 1) / 2)
    table["p_random"] = np.maximum(exact, np.finfo(float).tiny)
    beyond = len(null) - np.searchsorted(np.sort(null), np.abs(cosine) - 1e-12)
    table["p_covariance"] = (beyond + 1) / (len(null) + 1)
    for name in ("random", "covariance"):
        table[f"p_{name}_bh"] = corrected(table[f"p_{name}"])
    return table


def coordinates_table(given: Given, vectors: Vectors) -> pd.DataFrame:
    """``geometry_coordinates``: place of every vector in the tree, on principal components and on the map."""
    names, of = vectors.names, given.cluster_of()
    table = pd.DataFrame({"vector": names, "number": range(len(names)), "cluster": [of.get(name) for name in names]})
    table["leaf"] = np.argsort(leaves_list(tree(vectors.gram)))
    scores = _axes(*principal(centred(vectors.gram)), COMPONENTS)
    loadings = _axes(*principal(vectors.gram), COMPONENTS)
    place = _axes(*_signed(*scaling(vectors.gram)), 2)
    for k in range(COMPONENTS):
        table[f"pc{k + 1}"] = scores[:, k]
        table[f"cosine_pc{k + 1}"] = loadings[:, k]
    table["map_x"], table["map_y"] = place[:, 0], place[:, 1]
    return table


def _axes(values: Floats, columns: Floats, k: int) -> Floats:
    """Coordinates on the first ``k`` axes, zero where there are fewer: (n, k)."""
    axes = columns * np.sqrt(np.clip(values, 0, None))
    return np.pad(axes, ((0, 0), (0, k)))[:, :k]


def _signed(values: Floats, columns: Floats) -> tuple[Floats, Floats]:
    largest = np.abs(columns).argmax(axis=0)
    return values, columns * np.sign(columns[largest, range(len(largest))])


def merges_table(vectors: Vectors) -> pd.DataFrame:
    """``geometry_merges``: the tree, as scipy numbers it: the merge of row i is number n + i."""
    merged = tree(vectors.gram)
    table = pd.DataFrame(merged, columns=["left", "right", "height", "size"])
    return table.astype({"left": int, "right": int, "size": int}).assign(
        merge=np.arange(len(merged)) + len(vectors.names)
    )


def layers_table(layers: Mapping[str, Floats], given: Given, config: AnalysisConfig) -> pd.DataFrame:
    """``geometry_layers``: the cosine of every two vectors at every layer.

    Args:
        layers: for each vector (layers, width), or (layers, prompts, width) whose mean over prompts it is.
        given: the vectors of the analysis; others of ``layers`` are left out.
        config: draws, confidence and seed of the intervals, and level of the random range.
    """
    names = [name for name in given.names if name in layers]
    parts = []
    for layer in range(min(len(layers[name]) for name in names) if len(names) > 1 else 0):
        rows = {name: np.atleast_2d(layers[name][layer]) for name in names}
        if all(np.linalg.norm(part.mean(0)) > 0 for part in rows.values()):
            vectors = vectors_of(Given(rows, _known(given, names)), config)
            columns = ["a", "b", "cluster_a", "cluster_b", "cosine", "low", "high"]
            columns += ["random_high", "p_random", "covariance_high", "p_covariance"]
            parts.append(pairs_table(Given(rows, _known(given, names)), vectors, config)[columns].assign(layer=layer))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _known(given: Given, names: list[str]) -> dict[str, list[str]]:
    kept = {cluster: [m for m in members if m in names] for cluster, members in given.clusters.items()}
    return {cluster: members for cluster, members in kept.items() if members}
