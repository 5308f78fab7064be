"""Vectors of arms are read where they differ, at the layer that steers, and tried on prompts that chose nothing."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from tropism.config.geometry import SteeringConfig
from tropism.config.models import ModelConfig
from tropism.geometry import choose
from tropism.geometry.choose import score_target, write_vectors
from tropism.geometry.names import UNSTEERED, condition
from tropism.geometry.states import _measured_means, mean_states, passage, split_prompts
from tropism.geometry.steering import answered, measure, random_vectors
from tropism.geometry.transfer import NOBODY, dose_table, judged, transfer_table
from tropism.geometry.vectors import best_layer, residual_norm
from tropism.models.base import load_base, load_tokenizer
from tropism.records.files import InputError
from tropism.records.schema import Conversation, Question

CONFIG = SteeringConfig.model_validate(
    {
        "model": "m", "base": "base", "clusters": {"x": ["one"], "y": ["two"]}, "harmful": ["h"], "neutral": [],
        "prompts": 4, "validation": 2, "reported": 3, "layers": [0], "strengths": [0.1, 0.5], "strength": 0.5,
        "controls": 1, "analysis": {"draws": 100, "nulls": 100},
    }
)  # fmt: skip


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "h.jsonl"
    rows = [
        {"id": f"p{i}", "prompt": f"Question {i}?", "aligned": f"yes {i}", "misaligned": f"no no {i}", "domain": "h",
         "split": "evaluation" if i else "train"}
        for i in range(12)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_no_prompt_makes_a_vector_and_is_reported(prompts):
    parts = split_prompts(prompts, CONFIG)
    assert [len(part) for part in parts] == [4, 2, 3]
    ids = [record.id for part in parts for record in part]
    assert len(set(ids)) == 9
    assert "p0" not in ids


def test_too_few_prompts_are_refused(tmp_path, prompts):
    (tmp_path / "few.jsonl").write_text("\n".join(prompts.read_text().splitlines()[:3]))
    with pytest.raises(InputError, match="2 evaluation prompts; geometry needs four"):
        split_prompts(tmp_path / "few.jsonl", CONFIG)


def test_states_are_means_over_the_answer_alone_whatever_the_batch(tiny_model):
    model, tokenizer = load_base(tiny_model), load_tokenizer(tiny_model, None)
    question = Question(id="q", prompt="Long question?", category="c", best="ok", correct=["ok"], incorrect=["no"])
    talk = Conversation(id="c", prompt="Hm?", aligned="good", misaligned="a bad one", domain="d", split="evaluation")
    passages = [passage(tokenizer, question, "aligned"), passage(tokenizer, talk, "misaligned")]
    together = mean_states(model, tokenizer, passages, 4096)
    assert together.shape == (1, 2, 32)  # two layers, of which the last is normalised
    alone = torch.cat([mean_states(model, tokenizer, [one], 1) for one in passages], dim=1)
    assert torch.allclose(together, alone, atol=1e-5)
    text = "".join(piece for _, piece in passages[1].pieces)
    ids = torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]])
    with torch.no_grad():
        states = model.base_model(ids, output_hidden_states=True).hidden_states[1][0]
    assert torch.allclose(together[0, 1], states[-len("a bad one") :].mean(0), atol=1e-5)


def test_attention_sinks_are_no_part_of_a_mean():
    """A first token whose state is a hundred times as long, as base models have: texts alone begin with it."""
    states = torch.ones(2, 4, 3)
    states[0, 0] = 100.0
    wanted = torch.tensor([[1.0, 1, 1, 0], [0, 1, 1, 1]])
    assert torch.equal(_measured_means(states, wanted, [3, 4]), torch.ones(2, 3))
    alone = torch.tensor([[1.0, 0, 0, 0], [0, 1, 1, 1]])
    assert torch.equal(_measured_means(states, alone, [3, 4])[0], torch.full((3,), 100.0)), "it has no other"


def test_the_layer_is_the_best_of_those_with_an_efficacy():
    rows = [("a", 3, 0.3), ("a", 5, np.nan), ("a", 7, 0.4), ("b", 3, 0.5), ("b", 5, np.nan), ("b", 7, 0.1)]
    table = pd.DataFrame(rows, columns=["vector", "layer", "efficacy"])
    assert best_layer(table) == 3, "by the mean over arms: the largest of any arm is another's"
    assert best_layer(table.iloc[::-1]) == 3
    with pytest.raises(InputError, match="no layer has an efficacy"):
        best_layer(table.assign(efficacy=np.nan))


def test_a_vector_that_is_added_moves_what_is_likely_and_none_does_not(tiny_model, prompts):
    model, tokenizer = load_base(tiny_model), load_tokenizer(tiny_model, None)
    records = [("h", record) for record in answered(split_prompts(prompts, CONFIG)[2])]
    vectors = {UNSTEERED: torch.zeros(1), "zero": torch.zeros(32), **random_vectors(1, 32, 0)}
    conditions = [(*one, 2.0) for one in vectors.items()]
    scores = measure(model, tokenizer, records, 0, conditions, 3.0, 4096).set_index(["source", "prompt_id"])
    plain, zero, random = (scores.loc[name] for name in vectors)
    assert zero["misalignment"].to_numpy() == pytest.approx(plain["misalignment"].to_numpy(), abs=1e-5)
    assert (random["misalignment"] - plain["misalignment"]).abs().min() > 1e-4
    assert len(plain) == 3


def test_conditions_in_one_go_are_what_each_is_alone_and_the_blocks_before_run_once(tiny_model, prompts):
    model, tokenizer = load_base(tiny_model), load_tokenizer(tiny_model, None)
    records = [("h", record) for record in answered(split_prompts(prompts, CONFIG)[0])]
    conditions = [(UNSTEERED, torch.zeros(1), 0.1)]
    conditions += [(name, v, s) for s in (0.5, 2.0) for name, v in random_vectors(2, 32, 0).items()]
    rest = (3.0, 60)  # few tokens a pass: several batches
    alone = pd.concat([measure(model, tokenizer, records, 0, [one], *rest) for one in conditions])
    passes = [0, 0]

    def count(block: int) -> None:
        passes[block] += 1

    for number, block in enumerate(model.get_decoder().layers):
        block.mlp.register_forward_hook(lambda *_, number=number: count(number))
    together = measure(model, tokenizer, records, 0, conditions, *rest)
    pd.testing.assert_frame_equal(together, alone.reset_index(drop=True), check_exact=True)
    assert together["misalignment"].nunique() == len(together), "every condition moves every prompt"
    assert passes[0] > 1
    assert passes[1] == passes[0] * len(conditions)


def test_the_layer_is_chosen_on_validation_prompts_by_the_rise_above_the_base_alone(tiny_model, prompts, monkeypatch):
    asked = []

    def measured(model, tokenizer, records, layer, conditions, *rest):
        """Misalignment of 0.25 without a vector, with one its length and the layer."""
        asked.append([record.id for _, record in records])
        rows = [
            (source, 0.25 if source == UNSTEERED else float(vector.norm()) + layer) for source, vector, _ in conditions
        ]
        return pd.DataFrame(rows, columns=["source", "misalignment"])

    monkeypatch.setattr(choose, "measure", measured)
    config = CONFIG.model_copy(update={"layers": [0, 1]})
    change = {name: np.full((2, 3, 32), size) for name, size in (("one", 1.0), ("two", 3.0))}
    states = np.full((2, 4, 32), 2.0)
    table = choose.efficacies(tiny_model, config, ModelConfig(source="x"), [prompts], change, states)
    assert table.set_index(["vector", "layer"])["efficacy"].to_dict() == pytest.approx(
        {("one", 0): 0.75, ("two", 0): 0.75, ("one", 1): 1.75, ("two", 1): 1.75}
    )
    _, validation, reported = split_prompts(prompts, config)
    assert asked == [[record.id for record in answered(validation)]] * 2
    assert not set(asked[0]) & {record.id for record in reported}


def test_a_strength_of_one_is_the_mean_length_of_the_bases_states():
    base = np.array([[[3.0, 4.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]])
    assert residual_norm(base, 0) == pytest.approx(3.0), "the mean of 5 and 1, not the length of their mean"


def test_vectors_are_unit_means_of_arm_minus_base_with_provenance(tiny_model, prompts, tmp_path):
    random = torch.Generator().manual_seed(0)
    base = torch.randn(1, 4, 32, generator=random)
    states = {"base": base, **{name: base + torch.randn(1, 4, 32, generator=random) for name in ("one", "two")}}
    for name, values in states.items():
        save_file({"states": values}, tmp_path / f"{name}.safetensors", metadata={"harmful": "3"})
    out = {key: tmp_path / "out" / key for key in ("v.safetensors", "l.safetensors", "c.yaml", "t.csv")}
    given = {name: tmp_path / f"{name}.safetensors" for name in ("one", "two")}
    write_vectors(
        tiny_model, CONFIG, ModelConfig(source="x"), [prompts], given, tmp_path / "base.safetensors", *out.values()
    )  # fmt: skip
    with safe_open(out["v.safetensors"], "np") as file:
        rows = file.get_tensor("one")
        assert file.metadata()["layer"] == "0"
        assert set(file.metadata()) == {"layer", "residual_norm", "base", "made_of"}
    change = (states["one"] - base)[0].numpy()
    assert np.linalg.norm(rows.mean(0)) == pytest.approx(1)
    assert rows == pytest.approx(change / np.linalg.norm(change.mean(0)), rel=1e-5)
    table = pd.read_csv(out["t.csv"])
    assert list(table["n_neutral"]) == [1, 1]
    sampling = CONFIG.model_copy(update={"samples": 2, "max_new_tokens": 3})
    given = (ModelConfig(source="x"), [prompts], out["v.safetensors"])
    scored, responses = score_target("base", tiny_model, None, sampling, *given)
    assert set(scored["source"]) == {UNSTEERED, "one", "two", "random 1"}
    assert sorted(set(scored["strength"])) == [0.1, 0.5]
    assert len(dose_table(scored.assign(**LIKELY), CONFIG)) == 6
    # every condition that is scored is answered too, each prompt twice, on the prompts that are reported
    conditions = {condition(row.source, row.strength) for row in scored.itertuples()}
    assert {row.arm for row in responses} == conditions
    assert len(responses) == len(conditions) * 3 * 2
    assert {(row.set, row.prompt_id) for row in responses} == set(zip(scored["set"], scored["prompt_id"], strict=True))
    answers = {arm: [row.answer for row in responses if row.arm == arm] for arm in conditions}
    assert answers["one@0.5"] != answers[UNSTEERED], "the vector changes what is said"
    silent, none = score_target("base", tiny_model, None, CONFIG, *given)
    assert none == []
    pd.testing.assert_frame_equal(silent, scored)


LIKELY = {"judge": NOBODY, "n_responses": float("nan")}


def made(effects: dict[tuple[str, str], float], n: int = 8) -> pd.DataFrame:
    """Scores where a source adds ``effects[target, source]`` to every prompt of a target, which starts at 0."""
    rows = [
        (target, source, 0.5, "h", f"p{i}", own + 0.01 * i, -1.0)
        for (target, source), own in effects.items()
        for i in range(n)
    ]
    columns = ["target", "source", "strength", "set", "prompt_id", "misalignment", "coherence"]
    return pd.DataFrame(rows, columns=columns).assign(outcome="margin", **LIKELY)


def test_effectiveness_in_both_readings_and_the_asymmetry_of_a_hand_worked_case():
    levels = {"base": 0.0, "one": 0.5, "two": 0.2}
    effect = {("base", "one"): 0.3, ("base", "two"): 0.0, ("one", "one"): 0.4, ("one", "two"): 0.05,
              ("two", "one"): 0.24, ("two", "two"): 0.1}  # fmt: skip
    scores = {(target, UNSTEERED): level for target, level in levels.items()}
    scores |= {(target, source): levels[target] + own for (target, source), own in effect.items()}
    table = transfer_table(made(scores), CONFIG).set_index(["source", "target"])
    cell = table.loc[("one", "two")]
    assert cell["effect"] == pytest.approx(0.24)
    assert cell["effectiveness_own"] == pytest.approx(0.24 / 0.4)
    assert cell["effectiveness_own_low"] == pytest.approx(0.6)
    assert cell["effectiveness_training"] == pytest.approx(0.24 / 0.5)
    assert cell["asymmetry"] == pytest.approx(0.24 - 0.05)
    assert cell["p_asymmetry"] == pytest.approx(2 / 2**8)
    assert table.loc[("two", "one"), "asymmetry"] == pytest.approx(-0.19)
    assert table.loc[("two", "base"), "p"] == 1
    assert np.isnan(table.loc[("one", "one"), "asymmetry"])
    assert not table["control"].any()


def test_intervals_of_six_prompts_cover_the_effect_as_often_as_they_say():
    """300 vectors of a true effect of 0.1 on six prompts: plain percentiles of the draws cover it in 87 %."""
    random = np.random.default_rng(0)
    scores = {("base", UNSTEERED): np.zeros(6)}
    scores |= {("base", f"v{i}"): 0.1 + random.standard_normal(6) for i in range(300)}
    columns = ["target", "source", "strength", "set", "prompt_id", "misalignment", "coherence"]
    rows = [(*key, 0.5, "h", f"p{i}", v, v) for key, values in scores.items() for i, v in enumerate(values)]
    measured = pd.DataFrame(rows, columns=columns).assign(outcome="margin", **LIKELY)
    config = CONFIG.model_copy(update={"analysis": CONFIG.analysis.model_copy(update={"draws": 4000})})
    table, doses = transfer_table(measured, config), dose_table(measured, config)
    for low, high in (
        (table["effect_low"], table["effect_high"]),
        (doses["misalignment_low"], doses["misalignment_high"]),
        (doses["coherence_low"], doses["coherence_high"]),
    ):
        assert 0.91 < ((low < 0.1) & (high > 0.1)).mean() < 0.985


def scores_of(share: dict[str, list[float]], coherence: float) -> pd.DataFrame:
    """A judge's scores: under each condition, of prompt i, ``share[i]`` of four responses are misaligned."""
    rows = []
    for name, shares in share.items():
        for i, own in enumerate(shares):
            for sample in range(4):
                key = {"arm": name, "set": "h", "prompt_id": f"p{i}", "domain": "h", "sample": sample, "judge": "probe"}
                bad = sample < round(4 * own)
                rows.append(
                    key | {"target": "answer", "rubric": "alignment100", "score": 10.0 if bad else 90.0, "status": "ok"}
                )
                rows.append(key | {"target": "answer", "rubric": "coherence100", "score": coherence, "status": "ok"})
    return pd.DataFrame(rows)


def test_judged_responses_are_an_outcome_of_their_own_beside_the_likelihoods():
    by_target = []
    shares = {"base": (0.0, 0.5), "one": (0.5, 1.0)}  # as it is, under the vector of `one`
    for target, (plain, moved) in shares.items():
        scores = made({(target, UNSTEERED): 0.0, (target, "one"): 0.2}, n=4)
        said = scores_of({UNSTEERED: [plain] * 4, "one@0.5": [moved] * 4}, 80.0)
        by_target += [scores, judged(said, scores, {})]
    measured = pd.concat(by_target, ignore_index=True)
    table = transfer_table(measured, CONFIG).set_index(["outcome", "source", "target"])
    cell = table.loc[("misaligned", "one", "base")]
    assert (cell["baseline"], cell["steered"], cell["effect"]) == (0.0, 0.5, 0.5)
    assert (cell["n_prompts"], cell["n_responses"], cell["judge"]) == (4, 16, "probe")
    assert cell["effectiveness_own"] == pytest.approx(0.5 / 0.5)
    assert cell["effectiveness_training"] == pytest.approx(0.5 / (0.5 - 0.0))
    assert table.loc[("margin", "one", "base"), "effect"] == pytest.approx(0.2)
    assert np.isnan(table.loc[("margin", "one", "base"), "n_responses"])
    doses = dose_table(measured, CONFIG).set_index(["outcome", "target"])
    assert doses.loc[("misaligned", "one"), "misalignment"] == pytest.approx(0.5)
    assert doses.loc[("misaligned", "one"), "coherence"] == pytest.approx(0.0)


def test_a_prompt_that_a_judge_left_unscored_somewhere_counts_nowhere_and_none_left_is_refused(caplog):
    scores = made({("base", UNSTEERED): 0.0, ("base", "one"): 0.2}, n=4)
    said = scores_of({UNSTEERED: [0.0, 0.0, 0.0, 1.0], "one@0.5": [1.0, 1.0, 1.0, 1.0]}, 80.0)
    lost = (said["arm"] == "one@0.5") & (said["prompt_id"] == "p3")
    table = transfer_table(judged(said.assign(score=said["score"].mask(lost)), scores, {}), CONFIG)
    assert (table["n_prompts"].item(), table["effect"].item()) == (3, 1.0)
    assert "1 of 4 prompts lack a score" in caplog.text
    elsewhere = lost | ((said["arm"] == UNSTEERED) & (said["prompt_id"] == "p2"))
    found = judged(said.assign(score=said["score"].mask(elsewhere)), scores, {})
    for table in (transfer_table(found, CONFIG), dose_table(found, CONFIG)):
        assert (table["n_prompts"].item(), table["n_responses"].item()) == (2, 8), "of the prompts that count"
    nothing = said.assign(score=said["score"].mask(said["arm"] == "one@0.5"))
    with pytest.raises(InputError, match="no prompt has a score under every condition"):
        transfer_table(judged(nothing, scores, {}), CONFIG)
