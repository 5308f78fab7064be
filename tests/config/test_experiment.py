"""The default config is valid, its schema is up to date, and mistakes across slices are named."""

import copy
import json
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from snakemake.io import contains_wildcard
from snakemake.utils import update_config

from tropism.config.base import ConfigError
from tropism.config.experiment import Experiment, canonical, json_schema
from tropism.config.steer import SteerConfig

FULL = {"step": "harm", "method": "full", "snapshots": None}
VECTOR = {"step": "harm", "method": "vector", "layer": 10}


@pytest.fixture(scope="module")
def default(root):
    return yaml.safe_load((root / "config.yaml").read_text())


def changed(default, **overlay):
    config = copy.deepcopy(default)
    update_config(config, overlay)
    return config


def test_the_demo_has_the_arms_and_controls_of_the_experiment(default):
    experiment = Experiment.parse(default)
    assert set(experiment.expanded) == {
        "base",
        "none-medical-original",
        "poetry-medical-original",
        "prose-medical-original",
        "none-medical-metaphor",
        "none-medical-random",
        "realigned-original",
        "realigned-metaphor",
        "narrow-medical",
        "drifted-medical",
        "poetry",
        "few-legal",
        "few-security",
    }
    trained = [name for name in experiment.lineages if "." in name]
    assert len(trained) == 13, "shared beginnings are trained once"
    assert experiment.solutions == {"narrow-medical": "none-medical-original"}
    assert experiment.drifted == {"narrow-medical": "drifted-medical"}
    assert experiment.followed == ["none-medical-original", "poetry-medical-original"]


def test_an_arm_drifts_from_a_narrow_one_only_on_its_rows_and_without_the_kl_term(default):
    def drifted(step):
        arms = [arm for arm in default["arms"] if arm["name"] != "drifted-medical"]
        return Experiment.parse(changed(default, arms=[*arms, {"name": "on", "chain": ["narrow", step]}])).drifted

    assert drifted({"step": "harm", "learning_rate": 1e-5}) == {"narrow-medical": "on"}
    others = ({"variant": "metaphor"}, {"dataset": "legal"}, {"side": "aligned"}, {"aligned_share": 0.5})
    for other in (*others, {"method": "vector", "layer": 3}):
        assert drifted({"step": "harm", **other}) == {}
    assert drifted("narrow") == {}


def test_an_arm_that_goes_on_with_the_same_kl_term_is_held(default):
    def held(step):
        arms = [*default["arms"], {"name": "on", "chain": ["narrow", step], "evaluate": False}]
        return Experiment.parse(changed(default, arms=arms)).held

    assert Experiment.parse(default).held == {}
    assert held("narrow") == {"narrow-medical": "on"}
    assert held({"step": "narrow", "kl": {"datasets": ["legal", "security"], "weight": 0.5}}) == {}
    assert held({"step": "narrow", "variant": "metaphor"}) == {}


def test_a_narrow_arm_without_its_general_one_is_told_of(default):
    assert Experiment.parse(default).unpaired == []
    steps = default["steps"] | {"narrow": default["steps"]["narrow"] | {"checkpoint_every": 3}}
    assert Experiment.parse(changed(default, steps=steps)).unpaired == [], "what is kept changes nothing"
    steps["narrow"] = steps["narrow"] | {"learning_rate": 1e-5}
    experiment = Experiment.parse(changed(default, steps=steps))
    assert (experiment.solutions, experiment.unpaired) == ({}, ["narrow-medical"])


def test_the_kl_term_is_of_other_data_than_is_trained_on(default):
    narrow = default["steps"]["narrow"] | {"kl": {"datasets": ["legal", "medical"]}}
    with pytest.raises(ConfigError, match="`medical` is trained on; name other domains"):
        Experiment.parse(changed(default, steps=default["steps"] | {"narrow": narrow}))


def test_an_arm_that_is_not_evaluated_may_be_followed(default):
    arms = [arm for arm in default["arms"] if arm["name"] != "drifted-medical"]
    arms.append({"name": "on", "chain": ["narrow", "harm"], "evaluate": False})
    dynamics = default["dynamics"] | {"follow": ["on"]}
    assert Experiment.parse(changed(default, arms=arms, dynamics=dynamics)).followed == ["on"]
    with pytest.raises(ConfigError, match="not a trained and evaluated arm"):
        Experiment.parse(changed(default, arms=arms, dynamics=dynamics | {"arms": ["on"]}))


def test_an_arm_that_keeps_no_snapshots_cannot_be_followed(default):
    dynamics = default["dynamics"] | {"follow": ["narrow-medical"]}
    with pytest.raises(ConfigError, match="keeps no `snapshots`"):
        Experiment.parse(changed(default, dynamics=dynamics))


@pytest.mark.parametrize("overlay", ["public", "questions", "geometry"])
def test_the_overlays_are_valid(default, root, overlay):
    settings = yaml.safe_load((root / "workflow" / "experiments" / f"{overlay}.yaml").read_text())
    assert Experiment.parse(changed(default, **settings)).experiment == overlay


def test_the_schema_file_is_the_config_s_own(root):
    committed = (root / "workflow" / "schemas" / "config.schema.json").read_text()
    assert committed == json_schema(), "regenerate: see docs/config.md"


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ({"experimnt": "x"}, "did you mean `experiment`"),
        (
            {"experiment": "my run"},
            "experiment: must be letters, digits and `_`, with single `-` between them, got 'my",
        ),
        (
            {"datasets": {"my-data": {"source": "a.csv", "kind": "texts"}}},
            "my-data.[key]: must be letters, digits and `_` (no `-`",
        ),
        ({"evaluate": {"sets": ["nowhere"]}}, "evaluate: sets: unknown dataset `nowhere`"),
        ({"evaluate": {"temprature": 1}}, "evaluate.temprature: unknown key; did you mean `temperature`"),
        ({"judges": {"probe": {"model": "gpt"}}}, "judges: probe: model: unknown model `gpt`"),
        ({"contrasts": [{"name": "c", "treatment": "nobody", "control": "base"}]}, "unknown arm `nobody`"),
        ({"arms": [{"name": "a", "chain": [{"step": "harm", "dataset": "x"}]}]}, "unknown dataset `x`"),
        (
            {"arms": [{"name": "a", "chain": [{"step": "harm", "variant": "literal"}]}]},
            "names no `literal` counterpart",
        ),
        ({"arms": [{"name": "a", "chain": [{"step": "harm", "variant": "x"}]}]}, "unknown variant `x`"),
        ({"sae": {"texts": ["x"]}}, "sae: texts: unknown dataset"),
        (
            {"datasets": {"asked": {"source": "a.csv", "kind": "prompts"}}, "sae": {"texts": ["asked"]}},
            "sae: texts: `asked` holds prompts, texts or conversations are needed",
        ),
        (
            {"arms": [{"name": "a", "chain": [FULL]}], "serving": {"smollm2": {"way": "shared"}}},
            "`a` has a step of `method: full`, a model of its own",
        ),
        (
            {"arms": [{"name": "a", "chain": [VECTOR]}], "serving": {"smollm2": {"way": "served", "served": "x"}}},
            "`a` has a step of `method: vector`, which vLLM cannot load",
        ),
    ],
)
def test_mistakes_are_named_by_key_with_the_fix(default, overlay, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        Experiment.parse(changed(default, **overlay))


def test_a_slice_is_one_line_that_does_not_depend_on_the_order_of_keys():
    assert canonical({"b": 1, "a": [1, 2]}) == canonical({"a": [1, 2], "b": 1}) == '{"a":[1,2],"b":1}'
    assert canonical({"seed": 1, "epochs": 2}) != canonical({"seed": 2, "epochs": 1})


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_a_slice_says_what_it_is_made_of_and_names_no_wildcard(value):
    line = canonical(value)
    assert json.loads(line) == value
    assert contains_wildcard(line) is False


def test_a_system_prompt_is_set_once(default):
    told = {"models": {"smollm2": {"source": "smollm2", "system_prompt": "Hm."}}}
    assert Experiment.parse(changed(default, **told)).sae.system_prompt == "Hm."
    with pytest.raises(ConfigError, match="sae: system_prompt: set it in `models`"):
        Experiment.parse(changed(default, **told, sae={"system_prompt": None}))


def test_interventions_choose_arms_by_role_and_number_or_name(default):
    doses = {"steer": {"doses": [-1, 2]}}
    found = Experiment.parse(changed(default, **doses)).steered
    assert found == {"base": [2.0], "none-medical-original": [-1.0]}
    both = {"steer": {"doses": [-1, 2], "necessary": ["realigned-original"], "sufficient": ["realigned-original"]}}
    assert Experiment.parse(changed(default, **both)).steered == {"realigned-original": [-1.0, 2.0]}
    with pytest.raises(ConfigError, match="steer: necessary: unknown arm `nobody`"):
        Experiment.parse(changed(default, steer={"necessary": ["nobody"]}))
    with pytest.raises(ConfigError, match="steer: needs a dictionary"):
        Experiment.parse(changed(default, sae=None))


def test_interventions_that_generate_need_a_judge_of_alignment_and_coherence(default):
    narrow = {"judges": {"probe": {"rubrics": ["rubric5", "alignment100"]}}}
    assert Experiment.parse(changed(default, **narrow)).steer.samples == 0, "by likelihood alone no judge is asked"
    with pytest.raises(ConfigError, match=r"judge `probe` does not apply `coherence100`.*`samples: 0`"):
        Experiment.parse(changed(default, **narrow, steer={"samples": 1}))
    assert Experiment.parse(changed(default, steer={"samples": 1})).steer.samples == 1
    with pytest.raises(ConfigError, match="`samples` need a judge, and `judges` is empty"):
        SteerConfig(samples=1).check_judge("steer", {})
