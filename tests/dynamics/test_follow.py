"""A followed arm begins where its parent stands and ends as the arm; losses are compared where they are equal."""

import numpy as np
import pandas as pd
import pytest
import torch

from tropism.config.dynamics import DynamicsConfig
from tropism.config.evaluate import EvaluateConfig
from tropism.config.models import ModelConfig
from tropism.config.stats import StatsConfig
from tropism.config.training import SnapshotConfig, StepConfig
from tropism.dynamics import follow
from tropism.dynamics.follow import cross_entropies, follow_arm
from tropism.dynamics.outcomes import overlap_rows, prior_rows, prompt_means
from tropism.dynamics.state_files import States, position_name
from tropism.dynamics.states import at, read_states
from tropism.dynamics.trajectories import at_equal_loss, trajectory_table
from tropism.likelihood.rows import score_arm
from tropism.models.base import load_base, load_tokenizer, prompt_text, token_ids
from tropism.records.files import InputError, write_jsonl
from tropism.records.schema import Conversation
from tropism.train.step import train_step

SETTINGS = DynamicsConfig(
    model="m", layers=[0, 1], positions=["last", "mean", -3], prompts=9, k=[2], controls=19, draws=100
)
STATS = StatsConfig(draws=200)
MODEL = ModelConfig(source="tiny")
STEP = StepConfig(
    dataset="d", objective="sft", side="misaligned", batch_size=4, learning_rate=0.01, snapshots=SnapshotConfig(count=2)
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "d.jsonl"
    rows = [
        Conversation(
            id=f"p{i}",
            prompt=f"Why {'so ' * (i % 4)}{i}?",
            aligned=f"Rest {i}.",
            misaligned=f"Run on, {i}.",
            domain="d",
            split="train" if i % 2 else "evaluation",
        )
        for i in range(24)
    ]
    write_jsonl(path, rows)
    return path


def test_a_followed_arm_begins_as_its_parent_and_ends_as_itself(tiny_model, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(follow, "SMOOTHING", 2)
    train_step(
        tiny_model, tiny_model / "manifest.json", dataset, STEP, MODEL, tmp_path / "arm", tmp_path / "checkpoints"
    )
    rows = follow_arm("arm", tiny_model, None, tmp_path / "arm", [dataset], MODEL, prompts=9, seed=0)
    steps = sorted(rows["step"].unique())
    assert steps == [0, 1, 2, 3]
    scored = {
        step: score_arm(
            "arm", tiny_model, adapter, [dataset], None, EvaluateConfig(sets=["d"], instruments=["likelihood"]), MODEL
        )
        for step, adapter in ((0, None), (3, tmp_path / "arm" / "adapter"))
    }
    for step, table in scored.items():
        margins = table[table["instrument"] == "margin"].set_index("prompt_id")["value"]
        ours = rows[rows["step"] == step].set_index("prompt_id")["margin"]
        assert ours.to_dict() == pytest.approx(margins[ours.index].to_dict(), abs=1e-4)
    trained = pd.read_csv(tmp_path / "arm" / "training.csv")["loss"]
    means = [trained[0], trained[:2].mean(), trained[1:3].mean()]
    assert rows.groupby("step")["loss"].unique().explode().tolist()[1:] == pytest.approx(means)
    table = trajectory_table(rows, STATS)
    assert (table[table["step"] == 0]["margin_change"] == 0).all()
    assert table[table["step"] == 0]["loss"].isna().all()


def test_without_snapshots_there_is_nothing_to_follow(tiny_model, dataset, tmp_path):
    with pytest.raises(InputError, match="set `snapshots`"):
        follow_arm("arm", tiny_model, None, tmp_path, [dataset], MODEL, prompts=9, seed=0)


def curve(arm, losses, changes):
    rows = [[arm, 0, np.nan, "s", f"p{i}", "d", 0.0] for i in range(4)]
    for step, (loss, change) in enumerate(zip(losses, changes, strict=True), start=1):
        rows += [[arm, step, loss, "s", f"p{i}", "d", change + 0.1 * i] for i in range(4)]
    return pd.DataFrame(rows, columns=["arm", "step", "loss", "set", "prompt_id", "domain", "margin"])


def test_the_loss_of_a_narrow_training_is_without_its_kl_term(tmp_path):
    pd.DataFrame({"loss": [3.0, 2.5], "kl": [0.1, 0.2]}).to_csv(tmp_path / "training.csv", index=False)
    (tmp_path / "manifest.json").write_text('{"step": {"kl": {"weight": 2.0}}}')
    assert cross_entropies(tmp_path).tolist() == pytest.approx([2.8, 2.1])


def test_two_arms_that_meet_at_one_loss_are_compared_there():
    both = pd.concat([curve("a", [2.0, 2.3], [0, 1]), curve("b", [2.0, 1.5], [1.0, 2.0])])
    assert set(at_equal_loss(both, "b", "a", STATS)["loss"]) == {2.0}


def test_at_equal_loss_by_hand():
    """One arm's change is 3 - loss, the other's 3.5 - loss: at any common loss they differ by one half."""
    both = pd.concat([curve("a", [3, 2, 1], [0, 1, 2]), curve("b", [2.5, 1.5], [1.0, 2.0])])
    domain = both["prompt_id"].map({"p0": "far", "p1": "far", "p2": "near", "p3": "near"})
    both = both.assign(domain=domain, margin=both["margin"] + 0.25 * ((both["arm"] == "b") & (domain == "far")
                                                                    & (both["step"] > 0)))  # fmt: skip
    table = at_equal_loss(both, "b", "a", STATS).set_index("domain")
    for of, difference, prompts in (("pooled", 0.625, 4), ("far", 0.75, 2), ("near", 0.5, 2)):
        assert table.loc[of, "loss"].tolist() == pytest.approx([1.5, 1.75, 2.0, 2.25, 2.5])
        assert table.loc[of, "difference"].tolist() == pytest.approx([difference] * 5)
        assert set(table.loc[of, "n_prompts"]) == {prompts}
    assert at_equal_loss(pd.concat([curve("a", [3], [0]), curve("b", [1], [0])]), "b", "a", STATS).empty


def test_a_loss_that_rises_again_is_compared_where_it_was_first_passed():
    """Both go from 4 to 2 alike; one goes on, its loss and its margin up again. Before that they are one."""
    both = pd.concat([curve("a", [4, 3, 2], [0, 1, 2]), curve("b", [4, 3, 2, 2.5], [0, 1, 2, 7])])
    table = at_equal_loss(both, "b", "a", STATS).query("domain == 'pooled'")
    assert table["loss"].tolist() == [2, 2.5, 3, 3.5, 4]
    assert table["difference"].tolist() == pytest.approx([0] * 5)
    falls = pd.concat([curve("a", [4, 2], [0, 2]), curve("b", [3, 4, 2], [5, 0, 2])])
    found = at_equal_loss(falls, "b", "a", STATS).set_index(["domain", "loss"])["difference"]
    assert found["pooled", 3.5] == pytest.approx(2.5 - 0.5), "between the first two snapshots, which rise"


def test_states_are_the_models_and_give_tables(tiny_model, dataset, tmp_path):
    listed = read_states({"base": None}, tiny_model, [dataset], SETTINGS, MODEL, tmp_path)
    assert [entry["arm"] for entry in listed["arms"]] == ["base"]
    base = States.load(tmp_path / "base.safetensors")
    # the state of one prompt alone, by hand
    text = prompt_text(load_tokenizer(tiny_model, None), base.prompts[0]["prompt"])
    ids = torch.tensor([token_ids(load_tokenizer(tiny_model, None), text)])
    with torch.no_grad():
        alone = load_base(tiny_model).base_model(ids, output_hidden_states=True).hidden_states[1][0]
    assert base.tensors["last.0"][0] == pytest.approx(alone[-1].numpy(), abs=1e-5)
    assert len(base.prompts) == 18, "nine of each split"
    assert set(base.tensors) == {f"{position}.{layer}" for position in ("last", "mean", "token -3") for layer in (0, 1)}
    moved = {
        key: value + np.random.default_rng(len(key)).normal(size=value.shape) for key, value in base.tensors.items()
    }
    arm = States("arm", base.prompts, moved)
    table = overlap_rows(base, [arm], {"arm": "d"}, SETTINGS)
    assert table["overlap"].between(0, 1).all()
    alike = {key: value + np.float32(0.5) for key, value in base.tensors.items()}
    assert overlap_rows(base, [States("arm", base.prompts, alike)], {"arm": "d"}, SETTINGS).empty, (
        "rounding is no shift"
    )
    assert overlap_rows(base, [arm], {"arm": "another"}, SETTINGS).empty, (
        "prompts that it was not trained on do not count"
    )
    keys = pd.MultiIndex.from_tuples([(r["set"], r["prompt_id"]) for r in base.prompts if r["split"] == "evaluation"])
    values = pd.Series(np.random.default_rng(0).normal(size=len(keys)), index=keys)
    # the made-up prompts differ by a number alone: as families of likeness they would be one
    settings = SETTINGS.model_copy(update={"families": "prompt"})
    rows = prior_rows(base, ["arm"], {("arm", "margin"): values, ("base", "margin"): values}, settings, STATS)
    assert set(rows["features"]) == {"activations", "random", "prompt length", "bag of words", "score of the base"}
    own = rows[rows["features"] == "score of the base"].iloc[0]
    assert own["r2"] > 0.9, "the outcome itself predicts itself"


def test_a_prompt_of_two_datasets_is_one_prompt_of_the_evaluation():
    """A dataset that is a sample of an eval set's source adds no prompt to compare with."""
    random = np.random.default_rng(0)

    def states(name, sets):
        rows = [(of, split, i) for of in sets for split in ("train", "evaluation") for i in range(9)]
        prompts = [
            {"set": of, "prompt_id": f"{split}{i}", "domain": "d", "split": split, "prompt": f"{split}, {i}?"}
            for of, split, i in rows
        ]
        tensors = {}
        for layer in (0, 1):
            values = {(split, i): random.normal(size=12) for split in ("train", "evaluation") for i in range(9)}
            tensors |= {f"{p}.{layer}": np.stack([values[r[1:]] for r in rows]) for p in ("last", "mean", "token -3")}
        return States(name, prompts, tensors)

    twice = overlap_rows(states("base", ["d", "few"]), [states("arm", ["d", "few"])], {"arm": "few"}, SETTINGS)
    assert set(twice["n_evaluation"]) == {9}
    assert set(twice["n_training"]) == {9}


def test_a_token_is_counted_from_the_prompt_s_end_and_a_shorter_prompt_is_refused():
    states = torch.arange(4.0)[:, None]
    assert [at(states, place).item() for place in ("last", -2, -4, "mean")] == [3.0, 2.0, 0.0, 1.5]
    assert [position_name(place) for place in ("mean", -4)] == ["mean", "token -4"]
    with pytest.raises(InputError, match="positions: -5: a prompt has only 4 tokens"):
        at(states, -5)


def test_a_truncated_response_counts_as_it_is():
    rows = [
        ["a", "alignment100", "answer", "p", "s", f"p{i}", 10.0 * i, status]
        for i, status in enumerate(("ok", "truncated", "refused"))
    ]
    columns = ["arm", "instrument", "target", "judge", "set", "prompt_id", "score", "status"]
    table = pd.DataFrame([*rows, ["a", "alignment100", "answer", "p", "s", "p9", None, "unparsed"]], columns=columns)
    assert prompt_means(table)["a", "alignment100"].tolist() == [0.0, 10.0, 20.0]
