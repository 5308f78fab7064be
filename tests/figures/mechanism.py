"""Made-up tables of features, interventions, detectors and training dynamics."""

import numpy as np
import pandas as pd

from tropism.docs import PUBLISHED

from .effects import ARMS, DOMAINS, SPREAD


def sae_features() -> pd.DataFrame:
    random = np.random.default_rng(0)
    rows = []
    for population, n, spread in (("references", 432, 0.07), ("generations", 560, 0.03)):
        for domain in ("all", "legal", "medical"):
            for feature in range(300):
                auroc = float(np.clip(0.5 + random.normal() * spread, 0, 1))
                p = float(np.exp(-(((auroc - 0.5) / 0.04) ** 2)))
                rows.append(
                    {
                        "release": "local", "sae_id": "blocks.15", "revision": "ab" * 32, "feature": 7 * feature,
                        "layer": 15, "population": population, "domain": domain, "pooling": "max", "n_aligned": n // 2,
                        "n_misaligned": n // 2, "n_prompts": n // 6, "auroc": auroc, "p": p, "p_bh": p,
                        "p_clustered": p, "p_paired": None,
                        "mean_aligned": 1.0, "mean_misaligned": 1 + auroc, "difference": auroc, "density_aligned": 0.1,
                        "density_misaligned": 0.2, "n_pairs": n // 6,
                        "is_global": population == "references" and p < 0.002,
                    }
                )  # fmt: skip
    return pd.DataFrame(rows).astype({"p_paired": float})


def feature_contrasts() -> pd.DataFrame:
    """The features of the generations, under the names of two contrasts."""
    table = sae_features().query("population == 'generations'").drop(columns="population")
    for column in ("n", "mean", "density"):
        table = table.rename(
            columns={f"{column}_misaligned": f"{column}_treatment", f"{column}_aligned": f"{column}_control"}
        )
    pairs = {
        "harm - base": ("none-medical-original", "base"),
        "poetry - none": ("poetry-medical-original", "none-medical-original"),
    }
    tables = [table.assign(contrast=name, treatment=a, control=b) for name, (a, b) in pairs.items()]
    return pd.concat(tables, ignore_index=True)[list(PUBLISHED["feature_contrasts"].columns)]


def interventions() -> pd.DataFrame:
    rows = []
    scale = {"margin": 0.1, "reference_logp": -0.02, "misaligned": 0.08, "coherence": -2.0}
    targets = [("feature", 1350, 1350, 1.0), ("feature", 20073, 20073, 0.3), ("mean difference", -1, 1350, 0.7)]
    targets += [("random feature", i, matched, 0.05 * i) for matched in (1350, 20073) for i in range(3)]
    for arm, doses in (("base", (1.0, 2.0, 4.0)), ("none-medical-original", (-2.0, -1.0))):
        for kind, feature, matched, gain in targets:
            for dose in doses:
                for outcome, unit in scale.items():
                    change, control = unit * gain * dose, unit * 0.05 * dose
                    judge = outcome in ("misaligned", "coherence")
                    rows.append(
                        {
                            "arm": arm, "role": "necessary" if dose < 0 else "sufficient", "kind": kind,
                            "feature": feature, "matched_to": matched, "dose": dose, "outcome": outcome,
                            "judge": "probe" if judge else "none", "release": "local", "sae_id": "blocks.15",
                            "revision": "ab" * 32, "layer": 15, "association": 1, "edit_norm": 4 * abs(dose),
                            "n_prompts": 24, "value": 1 + change, "baseline": 1.0, "change": change,
                            "low": change - abs(unit) / 4, "high": change + abs(unit) / 4, "control_change": control,
                            "control_min": min(0.0, 2 * control), "control_max": max(0.0, 2 * control),
                            "control_norm": 1.0,
                            "excess": change - control, "excess_low": None, "excess_high": None, "p": 0.01,
                            "p_holm": 0.04,
                            "verdict": "cause" if gain == 1 and outcome in ("margin", "misaligned") else "",
                        }
                    )  # fmt: skip
    return pd.DataFrame(rows).astype({"excess_low": float, "excess_high": float})


def detector() -> pd.DataFrame:
    rows = []
    for population, gain in (("references", 0.32), ("generations", 0.12)):
        for evidence, held in (
            ("grouped cross-validation", ["all"]),
            ("leave-one-domain-out", ["legal", "medical", "security"]),
            ("leave-one-arm-out", list(ARMS) if population == "generations" else []),
        ):
            for out in held:
                models = [("domain", 0, 0.5), ("length", 0, 0.56), ("tfidf", 0, 0.55 + gain / 1.5), ("state", 0, 0.8)]
                for i, k in enumerate((5, 10, 20, 50)):
                    models += [("sae", k, 0.5 + gain * (0.7 + 0.1 * i)), ("permuted", k, 0.5)]
                for model, k, auroc in models:
                    sae = model == "sae"
                    rows.append(
                        {
                            "population": population, "evidence": evidence, "held_out": out, "model": model, "k": k,
                            "n_responses": 432, "n_prompts": 216, "base_rate": 0.5, "auroc": auroc, "low": auroc - 0.06,
                            "high": auroc + 0.05, "auprc": auroc, "accuracy": 0.7, "brier": 0.2,
                            "auprc_low": auroc - 0.1, "auprc_high": min(1.0, auroc + 0.1), "threshold": 0.5,
                            "accuracy_low": 0.6, "accuracy_high": 0.8, "brier_low": 0.1, "brier_high": 0.3,
                            "finding": "features" if sae else "",
                            "null_mean": 0.5 if sae else None, "null_high": 0.56 if sae else None,
                            "p": 0.0476 if sae else None,
                        }
                    )  # fmt: skip
    return pd.DataFrame(rows).astype({"null_mean": float, "null_high": float, "p": float})


def detector_curves() -> pd.DataFrame:
    x = np.linspace(0, 1, 21)
    rows = []
    for row in detector().query("model != 'permuted'").itertuples():
        power = (1 - row.auroc) / row.auroc
        curves = {"roc": (x, x**power), "precision_recall": (x, 1 - (1 - row.base_rate) * x ** (1 / power))}
        key = {"population": row.population, "evidence": row.evidence, "held_out": row.held_out, "model": row.model}
        for curve, points in curves.items():
            for i, (a, b) in enumerate(zip(*points, strict=True)):
                rows.append({**key, "k": row.k, "curve": curve, "point": i, "x": float(a), "y": float(b)})
        for i, predicted in enumerate((0.1, 0.3, 0.5, 0.7, 0.9)):
            observed = 0.5 + (predicted - 0.5) * (0.4 + row.auroc / 2)
            ends = {"low": observed - 0.1, "high": min(1.0, observed + 0.1)}
            own = {"curve": "reliability", "point": i, "x": predicted, "y": observed, "n": 40, **ends}
            rows.append({**key, "k": row.k, **own})
    return pd.DataFrame(rows).reindex(columns=list(PUBLISHED["detector_curves"].columns)).astype({"n": "Int64"})


def dynamics() -> pd.DataFrame:
    rows = []
    for arm, gain in (("none-medical-original", 0.02), ("poetry-medical-original", 0.03)):
        for step, loss in ((0, None), (1, 3.1), (3, 2.9), (8, 2.7), (14, 2.6)):
            for domain, n in DOMAINS.items():
                change = gain * step * SPREAD[domain]
                ends = {"low": change - 0.02, "high": change + 0.03} if step else {"low": 0.0, "high": 0.0}
                row = {"arm": arm, "step": step, "loss": loss, "domain": domain, "n_prompts": n}
                rows.append({**row, "margin_change": change, **ends})
    return pd.DataFrame(rows).astype({"loss": float})


def early_warning() -> pd.DataFrame:
    rows = []
    signals = [("margin", -1, 0.02, 8), ("detector", -1, 0.1, 3), ("feature", 42, 0.2, 1), ("feature", 7, -0.1, None)]
    signals += [("misaligned", -1, 0.03, 14), ("coherence", -1, -1.0, None)]
    for arm in ("none-medical-original", "poetry-medical-original"):
        for signal, feature, gain, first in signals:
            for step in (1, 3, 8, 14):
                row = {"arm": arm, "signal": signal, "feature": feature, "step": step, "n_prompts": 12, "start": 1.0}
                row["judge"] = "probe" if signal in ("misaligned", "coherence") else "none"
                ends = {"low": gain * step - 0.1, "high": gain * step + 0.1}
                departs = first is not None and step >= first
                p = 0.01 if departs else 0.4
                rows.append({**row, "change": gain * step, **ends, "p": p, "departs": departs, "first_step": first})
    return pd.DataFrame(rows).astype({"first_step": "Int64"})


def prior_prediction() -> pd.DataFrame:
    rows = []
    kinds = [("activations", "last", 10, 0.3), ("activations", "last", 20, 0.2), ("random", "", None, -1.4)]
    kinds += [("prompt length", "", None, 0.02), ("bag of words", "", None, -0.1), ("score of the base", "", None, 0.4)]
    for arm in ("none-medical-original", "poetry-medical-original"):
        for outcome in ("alignment100", "margin"):
            for features, position, layer, r2 in kinds:
                rows.append(
                    {
                        "arm": arm, "outcome": outcome, "features": features, "position": position, "layer": layer,
                        "families": "prompt", "width": 576, "n_prompts": 70, "n_families": 70,
                        "r2": r2, "r2_low": r2 - 0.3,
                        "r2_high": r2 + 0.2, "spearman": 0.3, "spearman_low": 0.1, "spearman_high": 0.5,
                    }
                )  # fmt: skip
    return pd.DataFrame(rows).astype({"layer": "Int64"})


def subspace_overlap() -> pd.DataFrame:
    rows = []
    domains = [name for name in DOMAINS if name != "pooled"]
    for arm, gain in (("none-medical-original", 0.5), ("poetry-medical-original", 0.6)):
        for layer in (10, 20):
            for train in domains:
                for evaluation in domains:
                    overlap = gain if train == evaluation else 0.7 * gain
                    rows.append(
                        {
                            "arm": arm, "position": "last", "layer": layer, "k": 8, "training_domain": train,
                            "evaluation_domain": evaluation, "n_training": 24, "n_evaluation": 24, "overlap": overlap,
                            "uniform_mean": 0.014, "p_uniform": 0.001, "spectrum_mean": 0.2, "spectrum_q95": 0.28,
                            "p_spectrum": 0.001, "cosine": 0.8, "r_overlap_cosine": 0.6,
                        }
                    )  # fmt: skip
    return pd.DataFrame(rows)


def narrow_general() -> pd.DataFrame:
    """Two mixtures of one dataset, the second with a third of its rows aligned."""
    return pd.concat([_solutions("narrow-medical", 0.0), _solutions("narrow-third", 1 / 3)], ignore_index=True)


def _solutions(comparison: str, aligned_share: float) -> pd.DataFrame:
    rows = []
    key = {"comparison": comparison, "aligned_share": aligned_share}
    metrics = {"efficiency": (0.25, 0.5, 0.75, 1.0), "significance": (1.0,)}
    metrics |= dict.fromkeys(("stability_isotropic", "stability_orthogonal"), (0.1, 0.3, 1.0))
    for metric, levels in metrics.items():
        for level in levels:
            general, narrow = (3 - level, 3.1 - 0.8 * level) if metric == "efficiency" else (0.2 * level, 0.1 * level)
            row = {**key, "metric": metric, "level": level, "n_examples": 12}
            for side, value in (("general", general), ("narrow", narrow), ("difference", general - narrow)):
                row |= {side: value, f"{side}_low": value - 0.05, f"{side}_high": value + 0.06}
            rows.append(row | {"norm_general": 8 * level, "norm_narrow": 8 * level, "reference": None})
    behaviour = [("misaligned", 0.3, None), ("mentions", 0.2, 0.05), ("coherence", 70.0, None)]
    for metric, general, reference in (*behaviour, ("margin", 0.2, None), ("drift", 0.08, None)):
        for where, share in (("inside", 1.0), ("outside", 0.5)):
            row = {**key, "metric": f"{metric}_{where}", "level": 1.0, "n_examples": 24}
            for side, value in (("general", general), ("narrow", share * general), ("difference", general / 3)):
                row |= {side: value, f"{side}_low": 0.8 * value, f"{side}_high": 1.2 * value}
            rows.append(row | {"norm_general": None, "norm_narrow": None, "reference": reference})
    return pd.DataFrame(rows).astype({"norm_general": float, "norm_narrow": float, "reference": float})


def equal_loss() -> pd.DataFrame:
    pair = {"treatment": "poetry-medical-original", "control": "none-medical-original"}
    rows = [
        {**pair, "loss": loss, "domain": domain, "n_prompts": n, "difference": 0.02, "low": -0.01, "high": 0.05}
        for loss in (2.6, 2.8, 3.0)
        for domain, n in DOMAINS.items()
    ]
    return pd.DataFrame(rows)


def moments() -> pd.DataFrame:
    rows = []
    tests = ("welch", "variance", "brown_forsythe", "wilcoxon")
    for treatment, shift in (("none-medical-original", 0.8), ("poetry-medical-original", 0.1)):
        for outcome in ("margin", "alignment100"):
            for domain, n in DOMAINS.items():
                key = {"treatment": treatment, "control": "base", "outcome": outcome, "domain": domain, "n_prompts": n}
                p = 0.01 if shift > 0.5 else 0.6
                row = key | {"mean_treatment": shift, "mean_control": 0.0, "hedges_g": shift, "welch_t": 3 * shift}
                row |= {"variance_ratio": 1 + shift, "brown_forsythe_f": 2.0, "wilcoxon_rank_biserial": 0.9 * shift}
                row |= {f"{test}_p{end}": p for test in tests for end in ("", "_holm")}
                rows.append(row)
    return pd.DataFrame(rows)
