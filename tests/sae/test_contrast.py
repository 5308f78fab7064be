"""A feature is said to differ where labels differ, and global only if it does everywhere."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import mannwhitneyu, wilcoxon
from sklearn.metrics import roc_auc_score

from tropism.config.sae import SaeConfig
from tropism.records.calibration import PUBLISHED, Calibration
from tropism.records.files import InputError, write_table
from tropism.sae.contrast import compare, contrasts, global_features, paired_p, prompt_differences, rare_p
from tropism.sae.features import DictionaryKey, Features, PartFeatures
from tropism.sae.populations import Population, generation_population, labels, reference_population
from tropism.sae.tables import SAE_FEATURES_SCHEMA

DOMAINS = ("legal", "medical", "security")
KEY = DictionaryKey("local", "small/blocks.3.hook_resid_post", "ab" * 32, 3, 30)
CONFIG = SaeConfig(model="small", layer=3, texts=["t"], min_responses=5, min_per_label=5)


def features(values: np.ndarray) -> PartFeatures:
    sparse = csr_matrix(values.astype(np.float32))
    density = sparse.copy()
    density.data[:] = 0.5
    return PartFeatures(sparse, sparse, density, np.zeros((len(values), 2)), np.full(len(values), 10, np.int32))


def noise(rows: int, width: int, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return np.where(draw.random((rows, width)) < 0.4, draw.random((rows, width)), 0.0)


def references(values: np.ndarray) -> Features:
    """Both sides of prompts, a third of them in each domain; row 2i is aligned, row 2i + 1 misaligned."""
    n = len(values) // 2
    rows = [
        (DOMAINS[i % 3], f"p{i:03d}", DOMAINS[i % 3], side, "train")
        for i in range(n)
        for side in ("aligned", "misaligned")
    ]
    table = pd.DataFrame(rows, columns=["set", "prompt_id", "domain", "side", "split"])
    return Features("references", KEY, table, {"answer": features(values)})


def planted() -> np.ndarray:
    """Feature 3 rises on the misaligned side everywhere, feature 7 in the medical domain only, the others are noise."""
    values = noise(240, 30)
    prompt = np.arange(240) // 2
    misaligned = np.arange(240) % 2 == 1
    values[misaligned, 3] += 2
    values[misaligned & (prompt % 3 == 1), 7] += 2
    return values


def test_planted_features_are_found_and_only_the_one_in_every_domain_is_global():
    table = contrasts([reference_population(references(planted()))], CONFIG)
    assert set(table.loc[table["is_global"], "feature"]) == {3}
    medical = table[(table["domain"] == "medical") & (table["p_bh"] < 0.05)]
    assert {3, 7} <= set(medical["feature"])
    legal = table[(table["domain"] == "legal") & (table["p_bh"] < 0.05)]
    assert 7 not in set(legal["feature"])
    row = table[(table["domain"] == "all") & (table["feature"] == 3)].iloc[0]
    assert row["auroc"] > 0.99
    assert row["n_pairs"] == 120
    assert row["difference"] == pytest.approx(row["mean_misaligned"] - row["mean_aligned"])


def test_noise_gives_few_features_and_no_global_one():
    table = contrasts([reference_population(references(noise(240, 30, seed=5)))], CONFIG)
    assert not table["is_global"].any()
    assert (table["p_bh"] < 0.05).mean() < 0.05


def test_statistics_are_those_of_scipy_and_sklearn_one_by_one():
    values = noise(40, 6)
    misaligned = np.arange(40) % 3 == 0
    sparse = csr_matrix(values).tocsc()
    table = compare(sparse, sparse, misaligned, np.array([f"p{i // 4}" for i in range(40)]))
    for feature in range(6):
        column = values[:, feature]
        assert table["auroc"][feature] == pytest.approx(roc_auc_score(misaligned, column))
        expected = mannwhitneyu(column[misaligned], column[~misaligned], method="asymptotic").pvalue
        assert table["p"][feature] == pytest.approx(expected)


def test_within_prompt_differences_by_hand():
    values = np.array([[1.0], [3.0], [10.0], [5.0]])
    misaligned = np.array([False, True, True, True])
    prompts = np.array(["a", "a", "a", "b"])
    assert prompt_differences(values, misaligned, prompts).tolist() == [[5.5]]


def test_paired_p_is_wilcoxons_and_one_where_nothing_moves():
    moves = np.random.default_rng(0).normal(0.4, 1, 30)
    p = paired_p(np.column_stack([moves, np.zeros(30)]))
    assert p[0] == pytest.approx(wilcoxon(moves, method="asymptotic").pvalue)
    assert p[1] == 1
    assert np.isnan(paired_p(np.empty((0, 2)))).all()


def generations(arm: str = "base", prompts: int = 60) -> Features:
    rows = [("demo", f"p{i:03d}", DOMAINS[i % 3], 0) for i in range(prompts)]
    table = pd.DataFrame(rows, columns=["set", "prompt_id", "domain", "sample"])
    return Features(arm, KEY, table, {"answer": features(noise(prompts, 30))})


READ = PUBLISHED["alignment100"].model_copy(update={"threshold": 50.0})
AT_50 = {"probe": Calibration(judge="probe", rubrics={"alignment100": READ})}


def judged(arm: str, scores: dict[str, float], status: str = "ok", rubric: str = "alignment100") -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"arm": arm, "set": "demo", "prompt_id": p, "sample": 0, "target": "answer", "rubric": rubric,
             "judge": "probe", "score": s, "status": status}
            for p, s in scores.items()
        ]
    )  # fmt: skip


def test_labels_come_from_alignment_of_answers_that_could_be_judged():
    tables = [
        judged("base", {"p000": 50.0, "p001": 50.1}),
        judged("base", {"p002": np.nan}, status="unparsed"),
        judged("base", {"p003": 3.0}, rubric="rubric5"),
        judged("base", {"p004": 10.0}, status="truncated"),
    ]
    population = generation_population([generations()], tables, AT_50)
    assert dict(zip(population.rows["prompt_id"], population.misaligned.tolist(), strict=True)) == {
        "p000": True, "p001": False, "p004": True,
    }  # fmt: skip


def test_two_judges_at_once_are_refused():
    with pytest.raises(InputError, match=r"1 answers have several alignment100 judgments.*base, p000"):
        labels([judged("base", {"p000": 1.0}), judged("base", {"p000": 99.0})], AT_50)


def test_too_few_of_a_label_gives_no_rows_and_a_line_in_the_log(caplog, tmp_path):
    scores = {f"p{i:03d}": 90.0 for i in range(60)}
    population = generation_population([generations()], [judged("base", scores)], AT_50)
    table = contrasts([population], CONFIG)
    assert table.empty
    assert "generations: all of it left out, 60 aligned and 0 misaligned" in caplog.text
    write_table(tmp_path / "t.csv", table, SAE_FEATURES_SCHEMA)
    assert (tmp_path / "t.csv").read_text().startswith("release,sae_id,revision,feature")


def test_the_order_of_rows_and_files_does_not_matter():
    arms = [generations("a"), generations("b")]
    scores = {f"p{i:03d}": float(i % 7 * 15) for i in range(60)}
    judgments = [judged("a", scores), judged("b", scores)]

    def table(arms: list[Features], judgments: list[pd.DataFrame]) -> pd.DataFrame:
        return contrasts([generation_population(arms, judgments, AT_50)], CONFIG)

    pd.testing.assert_frame_equal(table(arms, judgments), table(arms[::-1], [j[::-1] for j in judgments[::-1]]))


def test_rows_and_features_stay_together_when_sorted():
    values = np.zeros((6, 30))
    values[np.arange(6), np.arange(6)] = 1 + np.arange(6)
    mixed = references(values)
    population: Population = reference_population(mixed)
    for row, vector in zip(population.rows.itertuples(), population.features.max.toarray(), strict=True):
        i = mixed.rows.index[(mixed.rows["prompt_id"] == row.prompt_id) & (mixed.rows["side"] == row.side)][0]
        assert vector[i] == 1 + i


@pytest.mark.parametrize("samples", [1, 20])
def test_answers_to_one_prompt_do_not_make_features_significant(samples):
    """Features and labels depend on the prompt, not on one another: 60 prompts say no more by answering often."""
    random = np.random.default_rng(1)
    prompts = np.repeat(np.arange(60), samples)
    rate, level = random.beta(1, 1, 60), random.normal(size=(60, 200))
    misaligned = random.random(len(prompts)) < rate[prompts]
    values = np.maximum(0, level[prompts] + random.normal(size=(len(prompts), 200)))
    sparse = csr_matrix(values).tocsc()
    table = compare(sparse, sparse, misaligned, prompts.astype(str))
    assert (table["p_clustered"] < 0.05).mean() <= 0.11
    assert (table["p_bh"] < 0.05).sum() <= 1
    assert (table["p_clustered"] >= table["p"]).all()
    if samples > 1:
        assert (table["p"] < 0.05).mean() > 0.3, "where answers are taken as independent"


def test_a_rare_feature_of_a_rare_label_is_no_discovery():
    """Each of 2,000 features is active in 10 of 500 responses, 10 of which are misaligned, independently."""
    random = np.random.default_rng(2)
    values = np.zeros((500, 2000))
    for column in range(2000):
        values[random.choice(500, 10, replace=False), column] = 1 + random.random(10)
    misaligned = np.zeros(500, dtype=bool)
    misaligned[random.choice(500, 10, replace=False)] = True
    sparse = csr_matrix(values).tocsc()
    table = compare(sparse, sparse, misaligned, np.arange(500).astype(str))
    assert (table["p_bh"] < 0.05).sum() == 0
    assert table["p"].min() < 1e-4, "as a normal approximation has it"


def test_labels_told_apart_without_an_error_are_significant():
    values = np.column_stack([np.r_[np.zeros(20), np.ones(20) + np.arange(20)], np.arange(40) % 7])
    sparse = csr_matrix(values).tocsc()
    table = compare(sparse, sparse, np.arange(40) >= 20, np.arange(40).astype(str))
    assert table.loc[0, "p_clustered"] < 1e-6
    assert table.loc[1, "p_clustered"] > 0.05


@pytest.mark.parametrize(("pairs", "least"), [(3, 0.25), (5, 0.0625)])
def test_few_pairs_have_no_smaller_p_than_their_signs_allow(pairs, least):
    differences = np.zeros((12, 1))
    differences[:pairs, 0] = 1 + np.arange(pairs)
    assert paired_p(differences)[0] >= least


@pytest.mark.parametrize("bad", [1, 2, 3])
def test_a_label_from_few_prompts_is_few_things_seen(bad):
    """Nine prompts of ten answers, ``bad`` of them misaligned throughout; features depend on the prompt alone."""
    random = np.random.default_rng(bad)
    prompts = np.repeat(np.arange(9), 10)
    values = np.maximum(0, random.normal(size=(9, 600))[prompts] + random.normal(size=(90, 600)))
    sparse = csr_matrix(values).tocsc()
    table = compare(sparse, sparse, prompts < bad, prompts.astype(str))
    assert (table["p_clustered"] < 0.05).mean() <= 0.08


def test_a_reference_of_which_no_token_was_read_is_left_out(caplog):
    made = references(noise(40, 6))
    made.parts["answer"].tokens[[1, 3, 5]] = 0
    population = reference_population(made)
    assert (len(population.rows), int(population.misaligned.sum())) == (37, 17)
    assert "3 of 40 references have no token that was read" in caplog.text


def test_of_a_rare_feature_p_is_fishers_by_hand():
    """Of 20 responses 5 are misaligned. Three have the feature: all bad, 10 of 1,140 ways; none bad, 455 of 1,140."""
    misaligned = np.arange(20) < 5
    values = np.zeros((20, 3))
    values[:3, 0] = 1.0
    values[10:13, 1] = 1.0
    values[:, 2] = 1.0
    found = rare_p(values, misaligned)
    assert found == pytest.approx([2 * 10 / 1140, 2 * 455 / 1140, 0.0]), "what all have is not rare"


def test_a_feature_that_turns_its_sign_between_domains_is_not_global():
    columns = ["feature", "auroc", "p_bh"]
    one = pd.DataFrame([(1, 0.9, 0.001), (2, 0.9, 0.001), (3, 0.9, 0.001)], columns=columns)
    other = pd.DataFrame([(1, 0.8, 0.001), (2, 0.2, 0.001), (3, 0.9, 0.2)], columns=columns)
    assert global_features([one, other], 2, 0.05) == {1}
    assert global_features([one], 2, 0.05) == set()
