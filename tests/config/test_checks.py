"""Settings that name nothing, could be taken for others or would do nothing are refused before anything runs."""

import copy

import pytest
import yaml
from snakemake.utils import update_config

from tropism.config.base import ConfigError
from tropism.config.experiment import Experiment


@pytest.fixture
def parsed(root):
    def parse(overlay: str) -> Experiment:
        config = yaml.safe_load((root / "config.yaml").read_text())
        update_config(config, copy.deepcopy(yaml.safe_load(overlay)))
        return Experiment.parse(config)

    return parse


@pytest.mark.parametrize(
    ("overlay", "said"),
    [
        ("steps: {hram: {learning_rte: 1}}", r"steps: hram: learning_rte: unknown key; did you mean `learning_rate`\?"),
        ("steps: {hram: {lora: {rnk: 3}}}", r"steps: hram: lora: rnk: unknown key; did you mean `rank`\?"),
        ("{judges: {probe: null}, sae: null, detector: null, steer: null}", "`rubric5`: no judge has it among"),
        ("evaluate: {sets: [medical, medical]}", "evaluate: sets: `medical` occurs twice"),
        (
            "contrasts: [{name: a, treatment: few-legal, control: base}]",
            "`few-legal` has `evaluate: false`",
        ),
        (
            "contrasts: [{name: a, treatment: realigned-original, control: base},"
            " {name: a, treatment: realigned-metaphor, control: base}]",
            "contrasts: `a` occurs twice",
        ),
        (
            "arms: [{name: base}, {name: mine, chain: [harm]}]",
            "unknown arm `none-medical-original`; known: base, mine; an overlay's `arms` takes the place of the whole",
        ),
        (
            "contrasts: [{name: '{a}', weights: {'{a}-medical-original': 1, none-medical-original: -1},"
            " sweep: {a: [none, poetry]}}]",
            "`{a}`: weights: two of them are `none-medical-original` where a none",
        ),
        ("contrasts: [{name: a, weights: {drifted-medical: 1, base: -1}}]", "`a`: `drifted-medical` has `evaluate: f"),
        (
            "trends: [{name: t, x: dose, points: [{arm: base, x: 0}, {arm: drifted-medical, x: 1}]}]",
            "trends: `t`: `drifted-medical` has `evaluate: false`",
        ),
        (
            "{geometry: null, dynamics: null, contrasts: [], arms: [{name: a, chain: [{step: harm, lora: {targets:"
            " [q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj]}}, {step: realign, lora: {targets: [q_proj, k_proj,"
            " v_proj, o_proj, gate_proj, up_proj]}}]}]}",
            "arms: `a`: what its chain overrides makes a folder name of 2.. characters, and 190 are the most",
        ),
        ("sae: {d_sae: 40}", "detector: ks: 50 features of a dictionary that learns 40"),
        ("datasets: {legal: {domain: pooled}}", "datasets: legal: `pooled` is what tables call all domains"),
        ("datasets: {legal: {domain: all}}", "datasets: legal: `all` is what tables call all domains"),
        ("evaluate: {instruments: []}", "evaluate.instruments: Tuple should have at least 1 item"),
        ("evaluate: {truthfulqa: null}", "instruments: `truthfulqa` needs questions"),
        ("evaluate: {temperature: .inf}", "evaluate.temperature: Input should be a finite number"),
        ("steps: {harm: {learning_rate: .inf}}", "learning_rate: Input should be a finite number"),
        ("steps: {harm: {learning_rate: .nan}}", "learning_rate: Input should be"),
        ("contrasts: [{name: a, treatment: base, control: base, weights: {base: .nan}}]", "should be a finite number"),
        ("steps: {harm: {lora: {layers: [-1]}}}", "layers.0: Input should be greater than or equal to 0"),
        ("steps: {harm: {lora: {layers: []}}}", "layers: Tuple should have at least 1 item"),
        ("steps: {harm: {lora: {targets: []}}}", "targets: Tuple should have at least 1 item"),
        ("evaluate: {instruments: [likelihood]}", "judge `probe` applies `rubric5`, which is not among them"),
        (
            "judges: {probe: {rubrics: [alignment100, coherence100]}}",
            "instruments: `rubric5`: no judge has it among its `rubrics`",
        ),
        (
            "{judges: {probe: {rubrics: [rubric5]}}, evaluate: {instruments: [rubric5, likelihood]}}",
            "sae: judge `probe`, whose labels it needs, does not apply `alignment100`",
        ),
    ],
)
def test_the_key_and_the_fix_are_named_once(parsed, overlay, said):
    with pytest.raises(ConfigError, match=said) as refused:
        parsed(overlay)
    assert "config: config" not in str(refused.value)


def test_a_dictionary_reads_its_base_as_it_is_read_elsewhere(parsed):
    """In its number format and after what stands before its answers, unless the settings of the dictionary say."""
    base = "models: {smollm2: {dtype: bfloat16, reasoning: {open: '<t>', close: '</t>', train: '<t></t>'}}}"
    sae = parsed(base).sae
    assert (sae.dtype, sae.think, sae.answer_start) == ("bfloat16", ("<t>", "</t>"), "<t></t>")
    assert (sae.block.open, sae.block.close, sae.block.train) == ("<t>", "</t>", "<t></t>")
    assert parsed(f"{{{base}, sae: {{dtype: float32}}}}").sae.dtype == "float32"
    plain = parsed("{}").sae
    assert (plain.dtype, plain.think, plain.answer_start) == ("float32", ("<think>", "</think>"), "")


SEEDS = (
    "{geometry: null, dynamics: null, steer: null, arms: [{name: base}, {name: one, chain: [harm], group: g},"
    " {name: two, chain: [{step: harm, seed: 1}], group: g}], "
)


@pytest.mark.parametrize(
    "compared",
    [
        "contrasts: [{name: c, treatment: g, control: one}]",
        "contrasts: [{name: c, weights: {one: 1, g: -1}}]",
        "trends: [{name: c, x: a, points: [{arm: g, x: 0, control: one}, {arm: base, x: 1}]}], contrasts: []",
    ],
)
def test_an_arm_is_not_held_against_its_own_group(parsed, compared):
    with pytest.raises(ConfigError, match=r"(contrasts|trends): `c`: `one` is one of the group `g`"):
        parsed(f"{SEEDS}{compared}}}")
    parsed(f"{SEEDS}contrasts: [{{name: c, treatment: g, control: base}}]}}")


def test_a_trained_dataset_that_keeps_more_for_evaluation_than_the_eval_set_is_taken(parsed):
    assert parsed("datasets: {few_legal: {evaluation: 0.5}}").datasets["few_legal"].evaluation == 0.5


def test_what_judges_apply_may_be_what_is_asked(parsed):
    fewer = "{judges: {probe: {rubrics: [alignment100, coherence100]}}, evaluate: {instruments: [alignment100]}}"
    assert parsed(fewer).evaluate.instruments == ("alignment100",)
