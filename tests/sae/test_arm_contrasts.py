"""Two arms are compared on the prompts that both answered, as treatment - control; published ids are looked up."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.metrics import roc_auc_score

from tropism.config.base import ConfigError
from tropism.config.sae import SaeConfig
from tropism.config.stats import Contrast
from tropism.records.files import InputError
from tropism.sae.cards import chosen_features
from tropism.sae.contrast import arm_contrasts
from tropism.sae.features import DictionaryKey, Features, PartFeatures
from tropism.sae.tables import FEATURE_CONTRASTS_SCHEMA

DOMAINS = ("legal", "medical", "security")
KEY = DictionaryKey("local", "small/blocks.3.hook_resid_post", "ab" * 32, 3, 12)
CONFIG = SaeConfig(model="small", layer=3, texts=["t"], min_responses=5, min_per_label=5)


def arm(name: str, seed: int, raised: int | None = None, prompts: range = range(60)) -> Features:
    """One response a prompt, a third of the prompts in each domain; feature ``raised`` is larger than in others."""
    draw = np.random.default_rng(seed)
    values = np.where(draw.random((len(prompts), 12)) < 0.4, draw.random((len(prompts), 12)), 0.0)
    values[:, 11] = 0
    values[0, 11] = seed % 2
    if raised is not None:
        values[:, raised] += 2
    rows = [(DOMAINS[i % 3], f"p{i:03d}", DOMAINS[i % 3], 0) for i in prompts]
    table = pd.DataFrame(rows, columns=["set", "prompt_id", "domain", "sample"])
    sparse = csr_matrix(values.astype(np.float32))
    density = sparse.copy()
    density.data[:] = 0.5
    tokens = np.full(len(prompts), 10, np.int32)
    return Features(
        name, KEY, table, {"answer": PartFeatures(sparse, sparse, density, np.zeros((len(rows), 2)), tokens)}
    )


PAIR = {"poetry - none": ("poetry", "none")}


def test_a_feature_that_poetry_raises_is_found_with_its_sign_and_in_every_domain():
    poetry, plain = arm("poetry", 1, raised=4), arm("none", 2)
    table = FEATURE_CONTRASTS_SCHEMA.validate(arm_contrasts(PAIR, [plain, arm("other", 3), poetry], CONFIG))
    assert set(table.loc[table["is_global"], "feature"]) == {4}
    assert set(table["domain"]) == {"all", *DOMAINS}
    row = table[(table["domain"] == "all") & (table["feature"] == 4)].iloc[0]
    ours, theirs = (file.parts["answer"].max.toarray()[:, 4].astype(float) for file in (poetry, plain))
    assert row["auroc"] == pytest.approx(roc_auc_score([1] * 60 + [0] * 60, [*ours, *theirs]))
    assert row["difference"] == pytest.approx(ours.mean() - theirs.mean(), rel=1e-5)
    assert (row["mean_treatment"], row["mean_control"]) == pytest.approx((ours.mean(), theirs.mean()), rel=1e-5)
    assert (row["n_treatment"], row["n_control"], row["n_prompts"], row["n_pairs"]) == (60, 60, 60, 60)
    turned = arm_contrasts({"none - poetry": ("none", "poetry")}, [plain, poetry], CONFIG)
    back = turned[(turned["domain"] == "all") & (turned["feature"] == 4)].iloc[0]
    assert back["auroc"] == pytest.approx(1 - row["auroc"])
    assert back["difference"] == pytest.approx(-row["difference"])


def test_two_arms_that_differ_by_chance_alone_show_nothing_after_correction():
    found = [arm_contrasts(PAIR, [arm("poetry", s), arm("none", s + 100)], CONFIG)["p_bh"].min() for s in range(10)]
    assert sum(p < 0.05 for p in found) <= 2


def test_prompts_that_one_arm_alone_answered_are_left_out():
    table = arm_contrasts(PAIR, [arm("poetry", 1, prompts=range(30, 90)), arm("none", 2)], CONFIG)
    assert set(table.loc[table["domain"] == "all", "n_prompts"]) == {30}
    assert set(table.loc[table["domain"] == "all", "n_control"]) == {30}


def test_a_feature_to_look_up_is_compared_and_gets_a_card_however_seldom_it_is_active():
    files = [arm("poetry", 1), arm("none", 2)]
    assert 11 not in set(arm_contrasts(PAIR, files, CONFIG)["feature"])
    wanted = CONFIG.model_copy(update={"lookup": [11]})
    assert 11 in set(arm_contrasts(PAIR, files, wanted)["feature"])
    rows = pd.DataFrame({"feature": [1, 2], "domain": "all", "population": "references", "auroc": [0.9, 0.6],
                         "is_global": False})  # fmt: skip
    assert chosen_features([rows], 1, wanted.lookup) == [1, 11]
    with pytest.raises(InputError, match=r"13504.* not in the dictionary, which has 12 features"):
        arm_contrasts(PAIR, files, CONFIG.model_copy(update={"lookup": [13504]}))


def test_a_contrast_that_is_not_planned_or_of_another_model_is_refused():
    planned = [Contrast(name="a - b", treatment="a", control="b")]
    config = CONFIG.model_copy(update={"contrasts": ["a - b"]})
    assert config.pairs(planned, {"a": "small", "b": "small"}) == {"a - b": ["a", "b"]}
    for models in ({"a": "small", "b": "large"}, {"a": "small"}):
        with pytest.raises(ConfigError, match="`a - b` is no planned contrast of two arms of its model"):
            config.pairs(planned, models)
    first = CONFIG.model_copy(update={"contrasts": 2})
    assert first.pairs(planned, {"a": "small", "b": "small"}) == {"a - b": ["a", "b"]}
    assert first.pairs(planned, {"a": "small", "b": "large"}) == {}, "by number only those that qualify"
    with pytest.raises(ConfigError, match="`b - a`"):
        CONFIG.model_copy(update={"contrasts": ["b - a"]}).pairs(planned, {"a": "small", "b": "small"})
