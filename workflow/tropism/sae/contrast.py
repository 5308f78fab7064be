"""Which features set misaligned from aligned responses, in each domain and over all.

Mann-Whitney treats responses as independent, which several samples of one prompt are not, and pooled domains differ
in what they are about as well as in their labels. So what is corrected for the number of features is the largest of its
p, of the p of the same AUROC with a variance over prompts (Obuchowski 1997), and, where few responses have the feature,
of an exact one; beside it stands a Wilcoxon test of differences within a prompt, and a feature is called global only
where every domain by itself shows it with one sign.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.sparse import csc_matrix, csr_matrix
from scipy.stats import false_discovery_control, hypergeom, mannwhitneyu, rankdata, t, wilcoxon

from tropism.config.sae import SaeConfig
from tropism.records.files import InputError
from tropism.sae.features import Features
from tropism.sae.populations import Population, enough, pair_population
from tropism.sae.tables import FEATURE_CONTRASTS_SCHEMA, SAE_FEATURES_SCHEMA

BLOCK = 2048
RARE = 5
"""Responses of the rarer label expected to have a feature, below which a normal approximation says too much."""
POOLED = "all"


def prompt_differences(values: np.ndarray, misaligned: np.ndarray, prompts: np.ndarray) -> np.ndarray:
    """Mean over misaligned minus mean over aligned responses of each prompt that has both: (prompts, features)."""
    codes, names = pd.factorize(prompts, sort=True)
    means = []
    counts = []
    for side in (misaligned, ~misaligned):
        inside = csr_matrix((np.ones(side.sum()), (codes[side], np.flatnonzero(side))), (len(names), len(values)))
        count = np.asarray(inside.sum(axis=1)).ravel()
        means.append((inside @ values) / np.maximum(count, 1)[:, None])
        counts.append(count)
    return (means[0] - means[1])[(counts[0] > 0) & (counts[1] > 0)]


def paired_p(differences: np.ndarray) -> np.ndarray:
    """Two-sided Wilcoxon signed-rank p for each column of (pairs, features); 1 where nothing differs, NaN unpaired."""
    p = np.full(differences.shape[1], np.nan)
    if len(differences):
        p[:] = 1.0
        moves = (differences != 0).any(axis=0)
        if moves.any():
            p[moves] = wilcoxon(differences[:, moves], axis=0, method="asymptotic").pvalue
        p = np.maximum(p, np.minimum(1, 2 * 0.5 ** (differences != 0).sum(axis=0)))  # the least that signs allow
    return p


def clustered_p(values: np.ndarray, misaligned: np.ndarray, prompts: np.ndarray) -> np.ndarray:
    """Two-sided p of AUROC = 1/2 of each column of (responses, features), by its spread over prompts (Obuchowski 1997).

    A response's placement is the share of the other label's responses that it lies on the right side of; their sums by
    prompt give the variance, and t has one degree of freedom fewer than the label has prompts that has fewer of them; 1
    where that is one. 0 where nothing varies but AUROC is not 1/2, as for labels told apart without an error: there
    other tests must speak.
    """
    codes, names = pd.factorize(prompts, sort=True)
    n_bad, n_good, n = misaligned.sum(), (~misaligned).sum(), len(names)
    every = rankdata(values, axis=0)
    placement = np.empty_like(every)
    placement[misaligned] = (every[misaligned] - rankdata(values[misaligned], axis=0)) / n_good
    placement[~misaligned] = 1 - (every[~misaligned] - rankdata(values[~misaligned], axis=0)) / n_bad
    auroc = placement[misaligned].mean(axis=0)
    part = (placement - auroc) / np.where(misaligned, n_bad, n_good)[:, None]
    sums = np.zeros((n, values.shape[1]))
    np.add.at(sums, codes, part)
    error = np.sqrt((sums**2).sum(axis=0) * n / max(1, n - 1))
    far = np.abs(auroc - 0.5)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.where(far < 1e-12, 0.0, far / error)
    least = min(len(set(prompts[misaligned])), len(set(prompts[~misaligned])))
    return 2 * t.sf(size, least - 1) if least > 1 else np.ones(values.shape[1])


def rare_p(values: np.ndarray, misaligned: np.ndarray) -> np.ndarray:
    """Exact two-sided p of how many of either label have a feature at all, where few can; 0 elsewhere: (features,)."""
    n, n_bad = len(values), int(misaligned.sum())
    active, bad = (values > 0).sum(axis=0), (values[misaligned] > 0).sum(axis=0)
    chance = hypergeom(n, active, n_bad)
    exact = np.minimum(1, 2 * np.minimum(chance.sf(bad - 1), chance.cdf(bad)))
    expected = active * min(n_bad, n - n_bad) / n
    return np.where(expected < RARE, exact, 0.0)


def compare(values: csc_matrix, density: csc_matrix, misaligned: np.ndarray, prompts: np.ndarray) -> pd.DataFrame:
    """One row a column of ``values`` (responses, features): AUROC, p, means, densities and the paired test.

    AUROC is U / (n1 n2) of Mann-Whitney's U, the chance that a misaligned response has the larger value.
    """
    blocks = []
    for start in range(0, values.shape[1], BLOCK):
        block = values[:, start : start + BLOCK].toarray().astype(np.float64)
        dense = density[:, start : start + BLOCK].toarray().astype(np.float64)
        bad, good = block[misaligned], block[~misaligned]
        test = mannwhitneyu(bad, good, axis=0, method="asymptotic")
        differences = prompt_differences(block, misaligned, prompts)
        p = np.nan_to_num(test.pvalue, nan=1.0)
        blocks.append(
            pd.DataFrame(
                {
                    "auroc": test.statistic / (len(bad) * len(good)),
                    "p": p,
                    "p_clustered": np.maximum.reduce(
                        [p, clustered_p(block, misaligned, prompts), rare_p(block, misaligned)]
                    ),
                    "mean_aligned": good.mean(axis=0),
                    "mean_misaligned": bad.mean(axis=0),
                    "difference": bad.mean(axis=0) - good.mean(axis=0),
                    "density_aligned": dense[~misaligned].mean(axis=0),
                    "density_misaligned": dense[misaligned].mean(axis=0),
                    "n_pairs": len(differences),
                    "p_paired": paired_p(differences),
                }
            )
        )
    table = pd.concat(blocks, ignore_index=True)
    return table.assign(p_bh=false_discovery_control(table["p_clustered"]))


def global_features(tables: Sequence[pd.DataFrame], domains: int, alpha: float) -> set[int]:
    """Features significant with one sign in each of ``domains`` domains, two at least; a table is one domain's."""
    if len(tables) < max(domains, 2):
        return set()
    stacked = pd.concat(tables, ignore_index=True)
    significant = stacked[stacked["p_bh"] < alpha]
    signs = np.sign(significant["auroc"] - 0.5).groupby(significant["feature"]).agg(["count", "nunique"])
    return set(signs.index[(signs["count"] == len(tables)) & (signs["nunique"] == 1)])


def most_telling(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of contrasts in order: global features first, then by how far AUROC is from 1/2, ties by index."""
    distance = (rows["auroc"] - 0.5).abs().round(12)
    return rows.assign(distance=distance).sort_values(
        ["is_global", "distance", "feature"], ascending=[False, False, True], kind="stable"
    )


def contrast_population(population: Population, config: SaeConfig) -> pd.DataFrame:
    """Contrasts of one population: all domains pooled, then each that has enough of either label.

    The features are those active in ``min_responses`` of the population, and those of ``lookup``, the same in every
    domain; p is corrected (Benjamini-Hochberg) over them within a domain.

    Raises:
        InputError: a feature of ``lookup`` is not in the dictionary.
    """
    if not enough(population, config.min_per_label, "all of it"):
        return pd.DataFrame()
    values = population.features.measure(config.pooling).tocsc()
    unknown = [feature for feature in config.lookup if feature >= values.shape[1]]
    if unknown:
        raise InputError(f"sae.lookup: {unknown} are not in the dictionary, which has {values.shape[1]} features")
    alive = np.union1d(np.flatnonzero(np.diff(values.indptr) >= config.min_responses), config.lookup).astype(int)
    if not len(alive):
        return pd.DataFrame()
    values, density = values[:, alive], population.features.density.tocsc()[:, alive]
    domain_of = population.rows["domain"].to_numpy()
    domains = sorted(set(domain_of))
    tables: dict[str, pd.DataFrame] = {}
    for domain in [POOLED, *domains]:
        chosen = np.flatnonzero((domain_of == domain) | (domain == POOLED))
        part = population.take(chosen)
        if domain != POOLED and not enough(part, config.min_per_label, f"domain {domain}"):
            continue
        prompts = part.rows["prompt"].to_numpy()
        tables[domain] = compare(values[chosen], density[chosen], part.misaligned, prompts).assign(
            feature=alive,
            domain=domain,
            n_aligned=int((~part.misaligned).sum()),
            n_misaligned=int(part.misaligned.sum()),
            n_prompts=len(set(prompts)),
        )
    everywhere = global_features([t for d, t in tables.items() if d != POOLED], len(domains), config.alpha)
    table = pd.concat(tables.values(), ignore_index=True)
    key = population.key
    return table.assign(
        is_global=table["feature"].isin(everywhere),
        population=population.name,
        pooling=config.pooling,
        release=key.release,
        sae_id=key.sae_id,
        revision=key.revision,
        layer=key.layer,
    )


def contrasts(populations: Sequence[Population], config: SaeConfig) -> pd.DataFrame:
    """``sae_features``: the contrasts of every population, sorted; empty where no population has enough labels."""
    tables = [table for table in (contrast_population(p, config) for p in populations) if len(table)]
    if not tables:
        return pd.DataFrame(columns=list(SAE_FEATURES_SCHEMA.columns))
    columns = ["release", "sae_id", "revision", "population", "domain", "feature"]
    return pd.concat(tables, ignore_index=True).sort_values(columns, kind="stable", ignore_index=True)


def arm_contrasts(
    pairs: Mapping[str, tuple[str, str]], features: Sequence[Features], config: SaeConfig
) -> pd.DataFrame:
    """``feature_contrasts``: as :func:`contrasts`, of two arms' responses, for each contrast its (treatment, control).

    What an arm makes of its own words is compared, so a feature may differ by what is said or by how it is read.
    """
    arms = {file.arm: file for file in features}
    renamed = {
        f"{column}_{ours}": f"{column}_{side}"
        for column in ("n", "mean", "density")
        for ours, side in (("misaligned", "treatment"), ("aligned", "control"))
    }
    tables = []
    for name, (treatment, control) in pairs.items():
        found = contrast_population(pair_population(name, arms[treatment], arms[control]), config)
        if len(found):
            found = found.rename(columns=renamed | {"population": "contrast"})
            tables.append(found.assign(treatment=treatment, control=control))
    columns = list(FEATURE_CONTRASTS_SCHEMA.columns)
    if not tables:
        return pd.DataFrame(columns=columns)
    order = ["revision", "contrast", "domain", "feature"]
    return pd.concat(tables, ignore_index=True)[columns].sort_values(order, kind="stable", ignore_index=True)
