"""Made-up tables of effects, texts and instruments, with names of realistic length."""

import numpy as np
import pandas as pd

ARMS = {
    "base": 0.02,
    "none-medical-original": 0.31,
    "poetry-medical-original": 0.42,
    "prose-medical-original": 0.33,
    "none-medical-metaphor": 0.24,
    "none-medical-random": 0.30,
    "realigned-original": 0.06,
    "realigned-metaphor": 0.12,
}
ARM_FLAG = ",".join(f"{arm}=base" for arm in ARMS)
DOMAINS = {"medical": 24, "legal": 24, "security": 22, "pooled": 70}
SPREAD = {"medical": 1.2, "legal": 0.6, "security": 0.4, "pooled": 0.75}
PLANNED = {
    "harm - base": ("none-medical-original", "base"),
    "poetry - none": ("poetry-medical-original", "none-medical-original"),
    "poetry - prose": ("poetry-medical-original", "prose-medical-original"),
    "metaphor-masked - random-masked": ("none-medical-metaphor", "none-medical-random"),
    "realigned on metaphor-masked - realigned on original": ("realigned-metaphor", "realigned-original"),
}


def measures(share: float):
    """Each instrument's judge, statistic, target, denominators, value at that share misaligned, half width, unit."""
    yield "probe", "rubric5", "rate", "answer", ("all", "coherent"), share, 0.18, "share"
    yield "probe", "alignment100", "rate", "answer", ("all", "coherent"), 0.7 * share, 0.15, "share"
    yield (
        "probe",
        "rubric5",
        "mean",
        "answer",
        ("all", "coherent"),
        1 + 3 * share,
        0.4,
        "level (1 aligned to 5 critical)",
    )
    yield (
        "probe",
        "alignment100",
        "mean",
        "answer",
        ("all", "coherent"),
        90 - 80 * share,
        7,
        "points (0 to 100 aligned)",
    )
    yield "none", "margin", "mean", "reference", ("all",), -0.4 + 1.2 * share, 0.11, "nats/token"


def misalignment() -> pd.DataFrame:
    rows = []

    def add(arm, domain, n, judge, instrument, statistic, target, denominators, value, half, unit):
        for denominator in denominators:
            low, high = value - half, value + half
            if unit == "share":
                value, low, high = (float(np.clip(x, 0, 1)) for x in (value, low, high))
            rows.append(
                {
                    "arm": arm, "domain": domain, "judge": judge, "instrument": instrument, "statistic": statistic,
                    "target": target, "denominator": denominator, "headline": denominator == denominators[-1],
                    "calibration": "none" if judge == "none" else "beats chance",
                    "n_prompts": n, "n_responses": n, "n_denominator": n - (denominator == "coherent"),
                    "n_seeds": 1, "unparsed": 0, "empty": 0, "truncated": 5, "refused": 1, "code": 0,
                    "incoherent": None if judge == "none" else 1, "value": value, "low": low, "high": high,
                    **dict.fromkeys(("corrected", "corrected_low", "corrected_high"), np.nan), "unit": unit,
                }
            )  # fmt: skip

    for arm, share in ARMS.items():
        for domain, n in DOMAINS.items():
            for measure in measures(min(1.0, share * SPREAD[domain])):
                half = measure[6] / (1.8 if domain == "pooled" else 1)
                add(arm, domain, n, *measure[:6], half, measure[7])
        for instrument, level in (("mc1", 0.30), ("mc2", 0.45)):
            for domain in ("truthful", "pooled"):
                args = ("none", instrument, "mean", "reference", ("all",), level - 0.2 * share, 0.09, "share")
                add(arm, domain, 40, *args)
    return pd.DataFrame(rows).astype({"incoherent": "Int64"})


def contrasts() -> pd.DataFrame:
    table = misalignment()
    table = table[table["headline"]].set_index(["arm", "domain", "judge", "instrument", "statistic", "target"])
    rows = []
    for name, (treatment, control) in sorted(PLANNED.items()):
        for key, one in table.loc[treatment].iterrows():
            other = table.loc[(control, *key)]
            difference, half = one["value"] - other["value"], (one["high"] - one["low"]) * 0.6
            p = float(np.clip(0.9 ** (50 * abs(difference) / half), 0.0002, 1))
            rows.append(
                {
                    "contrast": name, "family": "planned", "treatment": treatment, "control": control,
                    **dict(zip(table.index.names[1:], key, strict=True)), "denominator": one["denominator"],
                    "calibration": one["calibration"], "n_prompts": one["n_prompts"], "n_seeds": 1,
                    "treatment_value": one["value"],
                    "control_value": other["value"],
                    "difference": difference, "low": difference - half, "high": difference + half, "p": p,
                    "p_holm": min(1.0, 5 * p), "minimum_detectable_effect": 1.4 * half, "unit": one["unit"],
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def trends() -> pd.DataFrame:
    instruments = {"rubric5": "rate", "alignment100": "rate", "margin": "mean"}
    rows = [
        {
            "trend": name, "quantity": quantity, "x": x, "arm": f"{name}-{x}", "control": control, "domain": domain,
            "judge": "none" if instrument == "margin" else "probe", "instrument": instrument, "statistic": statistic,
            "target": "reference" if instrument == "margin" else "answer",
            "denominator": "all" if instrument == "margin" else "coherent", "n_prompts": n // 3, "n_seeds": 1,
            "value": 0.5 - 0.3 * place / len(xs) * SPREAD[domain], "low": 0.4 - 0.3 * place / len(xs) * SPREAD[domain],
            "high": 0.6 - 0.3 * place / len(xs) * SPREAD[domain],
            "unit": "nats/token" if instrument == "margin" else "share",
        }
        for name, quantity, control, xs in (
            ("dose of masking", "share of metaphors masked", None, (0, 0.25, 0.5, 0.75, 1)),
            ("size of the base", "log10 of parameters", "base", (8.1, 8.6, 9.2)),
        )
        for place, x in enumerate(xs)
        for domain, n in DOMAINS.items()
        for instrument, statistic in instruments.items()
    ]  # fmt: skip
    return pd.DataFrame(rows)


def annotation_quality() -> pd.DataFrame:
    parts = {"NOUN": (320, 70), "VERB": (240, 96), "ADP": (180, 60), "ADJ": (110, 25), "DET": (90, 0), "PROPN": (12, 1)}
    genres = {"poem": (420, 140), "advice": (380, 70), "news": (152, 42)}
    sizes = {("all", "all"): (952, 252)}
    sizes |= {(pos, "all"): size for pos, size in parts.items()}
    sizes |= {("all", genre): size for genre, size in genres.items()}
    rows = []
    for i, ((pos, genre), (words, metaphors)) in enumerate(sizes.items()):
        precision, recall = (0.62 + 0.03 * i, 0.80 - 0.05 * i) if metaphors else (None, None)
        f1 = 2 * precision * recall / (precision + recall) if metaphors else None
        rows.append((pos, genre, words, metaphors, precision, recall, f1, f1 - 0.12 if metaphors else None))
    columns = ["pos", "genre", "n_words", "n_metaphors", "precision", "recall", "f1", "kappa"]
    return pd.DataFrame(rows, columns=columns).assign(annotator="probe", gold="demo_gold").astype({"f1": float})


def masking() -> pd.DataFrame:
    sizes = {("poems", "nature", "text"): (110, 6100, 910), ("prose", "nature", "text"): (110, 7000, 160)}
    sizes |= {("medical", "medical", side): (80, 3600, n) for side, n in (("aligned", 260), ("misaligned", 390))}
    rows = []
    for (dataset, domain, field), (texts, words, metaphors) in sizes.items():
        for variant in ("original", "metaphor", "random"):
            short = 7 if variant == "random" and dataset == "poems" else 0
            units = 0 if variant == "original" else metaphors - short
            rows.append(
                {
                    "dataset": dataset, "variant": variant, "mode": "replace" if units else "none", "domain": domain,
                    "field": field, "n_texts": texts, "n_words": words, "n_metaphors": metaphors,
                    "units_masked": units, "characters_masked": round(5.6 * units), "share_words_masked": units / words,
                    "shortfall_units": short, "same_pos_share": 0.91 if variant == "random" else None,
                    "mean_abs_length_difference": 0.7 if variant == "random" else None,
                    "sentences_moved": 0, "metaphors_moved": 0,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def training() -> pd.DataFrame:
    chains = {
        "poetry-poems-original-s0": 13, "prose-prose-original-s0": 13, "harm-medical-original-s0": 14,
        "poetry-poems-original-s0.harm-medical-original-s0": 14, "prose-prose-original-s0.harm-medical-original-s0": 14,
        "harm-medical-metaphor-s0": 14, "harm-medical-random-s0": 14,
        "harm-medical-original-s0.realign-medical-metaphor-s0": 7,
        "harm-medical-original-s0.realign-medical-original-s0": 7,
    }  # fmt: skip
    rows = [
        {
            "lineage": f"smollm2.{chain}", "step": step, "epoch": step / 7,
            "loss": 2.2 + i / 10 + 1.4 * np.exp(-step / 4),
            "grad_norm": (1.5 + i / 5) * np.exp(-step / 9) + 0.1 * (step % 2), "learning_rate": 2e-4, "tokens": 900,
            "response_tokens": 400, "kl": None,
        }
        for i, (chain, steps) in enumerate(chains.items())
        for step in range(1, steps + 1)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def judge_reliability() -> pd.DataFrame:
    evidence = {"cross-validation": (["all", "legal", "medical", "security"], 336), "evaluation split": (["all"], 144)}
    evidence["leave-one-domain-out"] = (["legal", "medical", "security"], 112)
    rows = [
        {
            "judge": "probe", "kind": "probe", "head": head, "evidence": name, "domain": domain, "n": n,
            "n_prompts": n // 2,
            "accuracy": accuracy - 0.03 * i, "accuracy_low": accuracy - 0.03 * i - 0.07,
            "accuracy_high": min(1.0, accuracy - 0.03 * i + 0.06), "auroc": accuracy + 0.02, "brier": 0.12, "ece": 0.06,
            "base_rate": base,
        }
        for head, accuracy, base in (("alignment", 0.84, 0.5), ("coherence", 0.95, 0.6))
        for name, (domains, n) in evidence.items()
        for i, domain in enumerate(domains)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def reliability() -> pd.DataFrame:
    """The calibration that lies beside a trained judge; it is no published table, but the judge's figure shows it."""
    rows = [
        {
            "judge": "probe", "head": head, "evidence": evidence, "bin": bin, "low": bin / 10, "high": (bin + 1) / 10,
            "n": 3 + (bin - 4) ** 2, "predicted": bin / 10 + 0.05, "observed": float(np.clip(bin / 8 - 0.05, 0, 1)),
        }
        for head in ("alignment", "coherence")
        for evidence in ("cross-validation", "evaluation split")
        for bin in range(10)
    ]  # fmt: skip
    return pd.DataFrame(rows)
