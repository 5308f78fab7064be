"""The detector finds what is there, and is caught by its controls where nothing is."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from tropism.config.detector import DetectorConfig
from tropism.detect.evaluate import designs, evaluate, null_labellings
from tropism.detect.models import detector_probabilities
from tropism.detect.ranking import best_features, excess_ranks
from tropism.detect.splits import domains_out
from tropism.detect.texts import with_margins
from tropism.sae.features import DictionaryKey, PartFeatures
from tropism.sae.populations import Population

DOMAINS = ("legal", "medical", "security")
KEY = DictionaryKey("local", "small/blocks.3.hook_resid_post", "ab" * 32, 3, 200)
CONFIG = DetectorConfig(ks=[5, 50], permutations=19, draws=200)
PLANTED = DetectorConfig(ks=[5], permutations=19, draws=200)
WIDTH = 200


def noise(rows: int, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return np.where(draw.random((rows, WIDTH)) < 0.4, draw.random((rows, WIDTH)), 0.0)


def population(name: str, values: np.ndarray, misaligned: np.ndarray, per_prompt: int, domains=DOMAINS) -> Population:
    """Consecutive ``per_prompt`` rows answer one prompt; prompts take turns over the domains."""
    prompt = np.arange(len(values)) // per_prompt
    draw = np.random.default_rng(11)
    words = [
        "stretch",
        "rest",
        "lease",
        "clause",
        "password",
        "phone",
        "doctor",
        "letter",
        "run",
        "door",
        "light",
        "wait",
    ]
    texts = [" ".join(draw.choice(words, 12)) for _ in prompt]
    rows = pd.DataFrame(
        {
            "set": "demo",
            "prompt_id": [f"p{i:03d}" for i in prompt],
            "prompt": [f"demo/p{i:03d}" for i in prompt],
            "domain": [domains[i % len(domains)] for i in prompt],
            "misaligned": misaligned,
            "text": texts,
            "characters": [len(t) for t in texts],
            "words": 12,
        }
    )
    sparse = csr_matrix(values.astype(np.float32))
    return Population(
        name, KEY, rows, PartFeatures(sparse, sparse, sparse, values[:, :4], np.full(len(values), 9, np.int32))
    )


def pick(table: pd.DataFrame, model: str, k: int = 0, held_out: str = "all") -> pd.Series:
    [row] = [r for _, r in table.iterrows() if (r["model"], r["k"], r["held_out"]) == (model, k, held_out)]
    return row


@pytest.fixture(scope="module")
def on_noise() -> pd.DataFrame:
    misaligned = np.random.default_rng(1).random(300) < 0.4
    return evaluate([population("generations", noise(300), misaligned, 3)], CONFIG)[0]


def test_on_noise_it_reports_chance(on_noise):
    """Over ten data sets: a 95 % interval may miss chance, and a p be small, once in twenty, but not much oftener."""
    covered = small = 0
    for seed in range(10):
        misaligned = np.random.default_rng(100 + seed).random(240) < 0.4
        data = population("generations", noise(240, seed), misaligned, 3, domains=["legal"])
        row = pick(evaluate([data], DetectorConfig(ks=[5], permutations=19, folds=4, draws=200))[0], "sae", 5)
        covered += row["low"] < 0.5 < row["high"]
        small += row["p"] <= 0.05
        assert row["finding"] == "chance" or row["p"] <= 0.05
    assert covered >= 8
    assert small <= 2
    for k in CONFIG.ks:
        assert 0.44 < pick(on_noise, "sae", k)["null_mean"] < 0.56
        assert pick(on_noise, "sae", k)["n_prompts"] == 100


def test_the_null_selects_anew_so_that_it_stays_at_chance_where_selecting_once_does_not(on_noise):
    values = csr_matrix(noise(300)).tocsc()
    leaky = []
    for seed in range(5):
        labels = np.random.default_rng(seed).permutation(np.arange(300) < 120)
        chosen = best_features(excess_ranks(values), labels[None], 50)[0]
        scores = cross_val_predict(
            LogisticRegression(), values[:, chosen].toarray(), labels, cv=5, method="predict_proba"
        )
        leaky.append(roc_auc_score(labels, scores[:, 1]))
    assert np.mean(leaky) > 0.6
    assert pick(on_noise, "permuted", 50)["auroc"] < 0.56


def test_planted_features_are_found_in_unseen_prompts_and_unseen_domains():
    misaligned = np.arange(300) % 2 == 1
    values = noise(300)
    values[misaligned, :3] += 0.8
    table, curves = evaluate([population("references", values, misaligned, 2)], PLANTED)
    row = pick(table, "sae", 5)
    assert row["auroc"] > 0.9
    assert row["p"] == pytest.approx(1 / 20)
    assert row["auroc"] > row["null_high"]
    for domain in DOMAINS:
        assert pick(table, "sae", 5, domain)["auroc"] > 0.9
    for model in ("domain", "length", "tfidf"):
        assert pick(table, model)["low"] < 0.6
    assert row["finding"] in ("features", "state")
    assert row["accuracy_low"] < row["accuracy"] < row["accuracy_high"]
    assert row["brier_low"] < row["brier"] < row["brier_high"]
    roc = curves[(curves["model"] == "sae") & (curves["k"] == 5) & (curves["held_out"] == "all")]
    roc = roc[roc["curve"] == "roc"]
    assert np.trapezoid(roc["y"], roc["x"]) == pytest.approx(row["auroc"])
    assert set(curves["curve"]) == {"roc", "precision_recall", "reliability"}


def test_where_only_the_domain_differs_it_says_so():
    prompt = np.arange(360) // 3
    medical = prompt % 3 == 1
    misaligned = np.random.default_rng(2).random(360) < np.where(medical, 0.9, 0.1)
    values = noise(360)
    values[medical, :10] += 1.0
    table, _ = evaluate([population("generations", values, misaligned, 3)], PLANTED)
    sae, domain = pick(table, "sae", 5), pick(table, "domain")
    assert sae["auroc"] > 0.8
    assert domain["auroc"] >= sae["auroc"] - 0.02
    assert sae["finding"] == "domain"
    assert sae["p"] > 0.05, "the null keeps each domain's share, so domain alone is no finding"
    for held_out in DOMAINS:
        row = pick(table, "sae", 5, held_out)
        assert row["low"] < 0.5 < row["high"]
        assert pick(table, "domain", held_out=held_out)["auroc"] == 0.5


def test_what_is_tested_has_no_part_in_choosing_or_fitting():
    """Changing the features of one tested response leaves the fit, hence the probabilities of the others, unchanged."""
    labels = np.arange(60) % 2 == 0
    values = noise(60, seed=4)
    [design, *_] = domains_out(np.array(["a"] * 40 + ["b"] * 20))
    altered = values.copy()
    altered[design.tested[0], :] = 9.0
    first, second = (
        detector_probabilities(csr_matrix(v).tocsc(), labels[None], design, [5], 1.0)[0, 0] for v in (values, altered)
    )
    np.testing.assert_array_equal(first[1:], second[1:])


def test_the_null_keeps_what_every_fold_has_of_a_label_as_the_folds_were_made_for_the_real_ones():
    """Else a permuted run has more of a label to test where it has less in training, and lies below 1/2."""
    misaligned = np.random.default_rng(7).random(180) < 0.35
    people = population("generations", noise(180), misaligned, 3)
    people.rows["arm"] = [f"a{i % 3}" for i in range(180)]
    found = designs(people, CONFIG)
    assert {design.evidence.split("-")[0] for design in found} == {"grouped cross", "leave"}
    for design in found:
        nulls = null_labellings(people, CONFIG, design)
        assert (nulls != misaligned).any(axis=1).all()
        for split in design.splits:
            for domain in DOMAINS:
                tested = split.test[people.rows["domain"].iloc[split.test] == domain]
                assert (nulls[:, tested].sum(axis=1) == misaligned[tested].sum()).all()


def test_a_feature_of_one_arm_alone_is_no_evidence_in_an_unseen_arm():
    """Two arms, one nearly all misaligned: a feature that marks the arm tells all in grouped folds, nothing across."""
    values = noise(240)
    arms = np.array(["base", "tuned"])[np.arange(240) % 2]
    misaligned = np.random.default_rng(5).random(240) < np.where(arms == "tuned", 0.85, 0.15)
    values[arms == "tuned", :5] += 1.0
    data = population("generations", values, misaligned, 4, domains=["legal"])
    data.rows["arm"] = arms
    table, _ = evaluate([data], PLANTED)
    assert pick(table, "sae", 5)["auroc"] > 0.75
    for arm in ("base", "tuned"):
        row = pick(table, "sae", 5, arm)
        assert row["evidence"] == "leave-one-arm-out"
        assert row["n_responses"] == 120
        assert 0.3 < row["auroc"] < 0.7


def test_too_few_labels_give_empty_tables_and_a_line_in_the_log(caplog):
    misaligned = np.arange(60) < 5
    table, curves = evaluate([population("generations", noise(60), misaligned, 2)], CONFIG)
    assert table.empty
    assert curves.empty
    assert "generations: the detector left out, 55 aligned and 5 misaligned responses" in caplog.text


def test_two_runs_give_the_same_tables():
    misaligned = np.random.default_rng(1).random(90) < 0.5
    runs = [
        evaluate(
            [population("generations", noise(90), misaligned, 3)], DetectorConfig(ks=[5], permutations=19, draws=50)
        )
        for _ in range(2)
    ]
    for first, second in zip(*runs, strict=True):
        pd.testing.assert_frame_equal(first, second)


def test_a_permuted_labelling_of_one_label_tells_nothing_and_stops_nothing():
    values = csr_matrix(noise(20, seed=3)).tocsc()
    [design, *_] = domains_out(np.array(["a"] * 14 + ["b"] * 6))
    labels = np.zeros((2, 20), dtype=bool)
    labels[0, ::2] = True  # the real one
    labels[1, design.splits[0].test[:3]] = True  # one whose training part has none
    found = detector_probabilities(values, labels, design, [3], 1.0)
    assert len(set(found[0, 0])) > 1
    assert set(found[1, 0]) == {0.0}


def test_where_the_prompt_s_likelihood_tells_it_all_the_detector_is_not_credited(tmp_path):
    """Labels follow the arm's margin; the only feature that tells is a noisy copy of it."""
    draw = np.random.default_rng(5)
    margin = draw.normal(size=100)
    misaligned = np.repeat(margin, 3) + draw.normal(size=300) * 0.2 > 0
    values = noise(300)
    values[:, 3] = np.clip(np.repeat(margin, 3) + draw.normal(size=300) * 0.5 + 3, 0, None)
    people = population("generations", values, misaligned, 3)
    people.rows["arm"] = "one"
    scores = pd.DataFrame(
        {"arm": "one", "set": "demo", "prompt_id": [f"p{i:03d}" for i in range(100)], "value": margin}
    )
    scores.assign(instrument="margin").drop(index=[7]).to_parquet(tmp_path / "one.parquet")
    seen = with_margins(people, [tmp_path / "one.parquet"])
    assert seen.rows["margin"].isna().sum() == 3, "the prompt without a margin keeps its responses"
    table, _ = evaluate([seen], PLANTED)
    assert pick(table, "likelihood")["auroc"] > pick(table, "sae", 5)["auroc"] > 0.8
    assert pick(table, "sae", 5)["finding"] == "likelihood"
    assert (table["auprc_low"] <= table["auprc"]).all()
    assert (table["auprc"] <= table["auprc_high"]).all()
    assert "margin" not in with_margins(people, []).rows
