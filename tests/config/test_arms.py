"""Arms are what the config says, each lineage once."""

import pytest

from tropism.config.arms import ArmConfig, expand_arms, fill, groups_of
from tropism.config.base import ConfigError

STEPS = {
    "poetry": {"dataset": "poems", "objective": "causal"},
    "prose": {"dataset": "prose", "objective": "causal"},
    "harm": {"dataset": "medical", "objective": "sft", "side": "misaligned"},
}


def expand(*entries, models=("m",)):
    return expand_arms([ArmConfig.parse(entry) for entry in entries], STEPS, list(models))


def test_a_sweep_is_every_combination_and_none_drops_out():
    arms = expand(
        {
            "name": "{pretrain}-{variant}-s{seed}",
            "chain": ["{pretrain}", {"step": "harm", "variant": "{variant}", "seed": "{seed}"}],
            "sweep": {"pretrain": ["none", "poetry"], "variant": ["original", "metaphor"], "seed": [1, 2]},
        }
    )
    assert len(arms) == 8
    assert arms["none-metaphor-s2"].lineage() == "m.harm-medical-metaphor-s2"
    assert arms["poetry-original-s1"].lineage() == "m.poetry-poems-original-s0.harm-medical-original-s1"
    assert arms["none-metaphor-s2"].steps[0].settings.seed == 2


def test_other_settings_show_in_the_name_so_that_two_lineages_never_share_one():
    arms = expand(
        {
            "name": "rank{rank}",
            "chain": [{"step": "harm", "lora": {"rank": "{rank}"}, "learning_rate": 0.001}],
            "sweep": {"rank": [1, 4]},
        }
    )
    assert arms["rank1"].lineage() != arms["rank4"].lineage()
    assert "learning_rate_0_001" in arms["rank1"].lineage()


def test_a_number_names_one_lineage_however_it_is_written():
    """YAML takes ``1e-3`` for a text and ``0.001`` for a number."""
    rates = {
        expand({"name": "a", "chain": [{"step": "harm", "learning_rate": rate, "epochs": epochs}]})["a"].lineage()
        for rate in ("1e-3", 0.001, "0.0010")
        for epochs in (2, 2.0, "2")
    }
    assert rates == {"m.harm-medical-original-s0-epochs_2-learning_rate_0_001"}


def test_a_sweep_over_decimals_names_its_arms():
    entry = {
        "name": "mix-{share}-{rate}",
        "chain": [{"step": "harm", "aligned_share": "{share}", "learning_rate": "{rate}"}],
        "sweep": {"share": [0.0, 0.25], "rate": [0.0001, 1e-5]},
        "group": "mixed-{share}-{rate}",
    }
    arms = expand(entry)
    assert list(arms) == ["mix-0_0-0_0001", "mix-0_0-1e-05", "mix-0_25-0_0001", "mix-0_25-1e-05"]
    assert arms["mix-0_25-1e-05"].group == "mixed-0_25-1e-05"
    last = arms["mix-0_25-1e-05"].steps[-1].settings
    assert (last.aligned_share, last.learning_rate) == (0.25, 1e-5)


def test_an_arm_that_two_sweeps_share_is_trained_once():
    """Of three ranks and two schedules there are four trainings: the step's own settings are in both sweeps."""
    arms = expand(
        {"name": "plain", "chain": ["harm"]},
        {"name": "rank-{r}", "chain": [{"step": "harm", "lora": {"rank": "{r}"}}], "sweep": {"r": [1, 8, 32]}},
        {"name": "to-{s}", "chain": [{"step": "harm", "schedule": "{s}"}], "sweep": {"s": ["linear", "cosine"]}},
    )
    assert len(arms) == 6
    assert len({arm.lineage() for arm in arms.values()}) == 4
    assert arms["rank-32"].lineage() == arms["to-linear"].lineage() == arms["plain"].lineage()
    for one in arms.values():
        for other in arms.values():
            assert (one.lineage() == other.lineage()) == (one.steps[0].settings == other.steps[0].settings)


def test_an_arm_of_no_step_is_the_base():
    assert expand({"name": "base"})["base"].lineage() == "m"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "a", "chain": ["harmm"]}, "unknown step `harmm`"),
        ({"name": "a", "model": "other"}, "unknown model `other`"),
        ({"name": "{x}", "chain": ["harm"]}, "no sweep variable 'x'"),
        ({"name": "same", "chain": ["{p}"], "sweep": {"p": ["poetry", "prose"]}}, "name every sweep variable"),
        ({"name": "a", "chain": [{"step": "harm", "epochs": 0}]}, "epochs: Input should be greater"),
        ({"name": "a", "chain": [{"step": "harm", "epoch": 2}]}, "did you mean `epochs`"),
        ({"name": "a", "chain": [{"step": "harm", "lora": {"ranks": 2}}]}, "did you mean `rank`"),
        ({"name": "a", "chain": [{"step": "poetry", "side": "aligned"}]}, "needs a `side`"),
        ({"name": "has space"}, "name"),
    ],
)
def test_mistakes_are_named_with_their_fix(entry, message):
    with pytest.raises(ConfigError, match=message):
        expand(entry)


def test_all_weights_are_not_trained_on_top_of_a_vector_which_they_would_lose():
    steps = {
        **STEPS,
        "vec": {**STEPS["harm"], "method": "vector", "layer": 1},
        "all": {**STEPS["prose"], "method": "full"},
    }
    for chain in (["vec", "all"], ["vec", "harm", "all"], ["all", "vec", "all"]):
        with pytest.raises(ConfigError, match=r"arms: `a`.*`all-.*` of `method: full` after the vector of `vec-.*Put"):
            expand_arms([ArmConfig.parse({"name": "a", "chain": chain})], steps, ["m"])
    for chain in (["all", "vec"], ["harm", "all", "vec", "harm"]):
        expand_arms([ArmConfig.parse({"name": "a", "chain": chain})], steps, ["m"])


def test_a_lone_variable_keeps_its_type():
    assert fill({"seed": "{s}", "name": "x{s}"}, {"s": 3}) == {"seed": 3, "name": "x3"}


def test_an_override_within_a_mapping_keeps_its_other_keys():
    steps = {"harm": {**STEPS["harm"], "lora": {"rank": 16, "alpha": 32}}}
    arms = expand_arms([ArmConfig.parse({"name": "a", "chain": [{"step": "harm", "lora": {"rank": 8}}]})], steps, ["m"])
    lora = arms["a"].steps[0].settings.lora
    assert (lora.rank, lora.alpha) == (8, 32)


def test_a_group_is_one_training_with_several_seeds():
    seeds = {"sweep": {"seed": [0, 1, 2]}, "group": "harm"}
    chain = ["poetry", {"step": "harm", "seed": "{seed}"}]
    arms = expand({"name": "harm-s{seed}", "chain": chain} | seeds, {"name": "base"})
    assert groups_of(arms) == {"harm": ["harm-s0", "harm-s1", "harm-s2"]}
    epochs = expand(
        {"name": "a{n}", "chain": [{"step": "harm", "epochs": "{n}"}], "sweep": {"n": [1, 2]}, "group": "a"}
    )
    with pytest.raises(ConfigError, match="group `a`: its arms differ in more than their seeds: a1, a2"):
        groups_of(epochs)
    with pytest.raises(ConfigError, match="group `base` has the name of an arm"):
        groups_of(expand({"name": "base"}, {"name": "other", "group": "base"}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"chain": [{"step": "harm", "seed": 0}]}, "group `harm`: `one` and `two` are the same training"),
        ({"chain": [{"step": "harm", "learning_rate": "1e-4"}]}, "group `harm`: `one` and `two` are the same training"),
        (
            {"chain": [{"step": "harm", "seed": 1}], "evaluate": False},
            "group `harm`: `two` has `evaluate: false` and others have not",
        ),
    ],
)
def test_a_training_counts_once_in_its_group_and_each_has_responses(changes, said):
    """Copies of one training answer alike, word for word: as if seeds made no difference."""
    arms = expand({"name": "one", "group": "harm", "chain": ["harm"]}, {"name": "two", "group": "harm", **changes})
    with pytest.raises(ConfigError, match=said):
        groups_of(arms)
