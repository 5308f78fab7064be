"""Each measure of a solution has its known value on a convex toy, and leaves the model as it was."""

import numpy as np
import pandas as pd
import pytest
import torch
from peft import LoraConfig, get_peft_model

from tropism.config.dynamics import NarrowConfig
from tropism.config.stats import StatsConfig
from tropism.dynamics.narrow import (
    divergences,
    factors,
    losses,
    measure,
    perturbed,
    scaled,
    update_norm,
)
from tropism.dynamics.solutions import COLUMNS, narrow_rows
from tropism.models.base import load_base
from tropism.train.examples import Example

STATS = StatsConfig(draws=400)


class Bowl(torch.nn.Module):
    """Parameters theta = (A, B) and a loss that is quadratic in them."""

    def __init__(self, size=60):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.params = torch.nn.ParameterDict(
            {
                name: torch.nn.Parameter(torch.randn(size, 1, generator=generator, dtype=torch.float64))
                for name in ("a", "b")
            }
        )

    def named_parameters(self, *_, **__):
        yield "lora_A.toy", self.params["a"]
        yield "lora_B.toy", self.params["b"]

    def theta(self):
        return torch.cat([self.params["a"], self.params["b"]]).detach().flatten()


def test_noise_of_a_known_size_raises_a_round_bowl_by_half_its_square():
    """L = |theta - minimum|^2 / 2 at its minimum: noise of r |theta| raises it by r^2 |theta|^2 / 2, either kind."""
    toy = Bowl()
    minimum = toy.theta()
    for relative in (0.1, 1.0):
        for orthogonal in (False, True):
            with perturbed(toy, relative, orthogonal, seed=3):
                rise = 0.5 * float(((toy.theta() - minimum) ** 2).sum())
            assert rise == pytest.approx(0.5 * relative**2 * float((minimum**2).sum()), rel=1e-6)
    assert torch.equal(toy.theta(), minimum), "left as it was"


def test_orthogonal_noise_does_not_climb_a_valley_along_the_solution():
    """L = (theta . u)^2 / 2 with u along the solution is flat for orthogonal noise and steep for isotropic noise."""
    toy = Bowl()
    start = toy.theta()
    along = start / start.norm()

    def rise():
        return abs(float(toy.theta() @ along) - float(start @ along))

    with perturbed(toy, 1.0, True, seed=4):
        flat = rise()
    with perturbed(toy, 1.0, False, seed=4):
        steep = rise()
    assert flat == pytest.approx(0, abs=1e-9)
    assert steep > 1e-3


def test_scaling_moves_along_the_solution_and_back():
    """L = (B - 1)^2 with B = 1 scaled by s is (s - 1)^2."""
    toy = Bowl()
    toy.params["b"].data.fill_(1.0)
    with scaled(toy, 0.25):
        assert float(((toy.params["b"].detach() - 1) ** 2).mean()) == pytest.approx(0.75**2)
    assert float(toy.params["b"].mean()) == 1.0


@pytest.fixture
def adapted(tiny_model):
    torch.manual_seed(1)
    model = get_peft_model(load_base(tiny_model), LoraConfig(r=2, lora_alpha=6, target_modules=["q_proj", "down_proj"]))
    for b in factors(model, "B"):
        b.normal_(std=0.3)
    return model


EXAMPLES = [Example(f"e{i}", [5 + i, 9, 30, 41], [-100, 9, 30, 41]) for i in range(3)]


def test_the_norm_is_that_of_the_dense_update(adapted, tmp_path):
    adapted.save_pretrained(str(tmp_path))
    dense = 0.0
    for module in adapted.modules():
        if hasattr(module, "get_delta_weight") and getattr(module, "lora_A", None):
            dense += float((module.get_delta_weight("default") ** 2).sum())
    assert update_norm(tmp_path) == pytest.approx(dense**0.5, rel=1e-5)


def test_an_adapter_scaled_to_nothing_is_the_base(adapted, tiny_model):
    base = load_base(tiny_model)
    with scaled(adapted, 0.0):
        assert losses(adapted, EXAMPLES, 0) == pytest.approx(losses(base, EXAMPLES, 0), abs=1e-5)
        assert divergences(adapted, EXAMPLES, 0) == pytest.approx([0, 0, 0], abs=1e-6)
    assert min(divergences(adapted, EXAMPLES, 0)) > 0


SETTINGS = NarrowConfig(texts="t", examples=3, norms=[0.5, 1.0], relative=[1.0], draws=2)


def test_a_solution_and_its_double_are_one_at_equal_norm_and_two_at_their_own(adapted):
    """Twice the update is the same direction: as efficient at any norm, and further from the base."""
    one = measure(adapted, "narrow", 2.0, 2.0, EXAMPLES, EXAMPLES, SETTINGS, 0, seed=0)
    for b in factors(adapted, "B"):
        b *= 2
    double = measure(adapted, "general", 4.0, 2.0, EXAMPLES, EXAMPLES, SETTINGS, 0, seed=0)
    key = ["metric", "level", "draw", "example"]
    both = one.merge(double, on=key, suffixes=("_one", "_double")).set_index("metric")
    assert len(both) == len(one)
    efficiency = both.loc["efficiency"]
    assert efficiency["value_one"].to_numpy() == pytest.approx(efficiency["value_double"].to_numpy(), abs=1e-5)
    assert (efficiency["norm_one"] == efficiency["norm_double"]).all()
    assert set(efficiency["norm_one"]) == {1.0, 2.0}, "shares of the smaller norm"
    assert (both.loc["significance", "value_double"] > both.loc["significance", "value_one"]).all()
    kinds = [one[one["metric"] == f"stability_{kind}"].set_index(key[1:]) for kind in ("isotropic", "orthogonal")]
    assert len(kinds[0]) == 6, "a row a draw and example"
    assert not np.allclose(kinds[0]["value"], 0)


def test_significance_is_the_kl_from_the_base_on_every_token(adapted, tiny_model):
    ids = torch.tensor([EXAMPLES[0].ids])
    with torch.no_grad():
        before, after = (
            torch.log_softmax(m(ids).logits[0, :-1].double(), -1) for m in (load_base(tiny_model), adapted)
        )
    by_hand = float((before.exp() * (before - after)).sum(-1).mean())
    whole = Example("e0", EXAMPLES[0].ids, EXAMPLES[0].ids)
    rows = measure(adapted, "narrow", 1.0, 1.0, EXAMPLES, [whole], SETTINGS, 0, seed=0)
    assert rows[rows["metric"] == "significance"]["value"].tolist() == pytest.approx([by_hand], rel=1e-4)


def noisy(draws: int, of_draw: float, of_example: float, seed: int) -> pd.DataFrame:
    """Both sides' rise under noise, with no difference but that of the draws and of the examples."""
    random = np.random.default_rng(seed)
    rows = [
        [side, "stability_isotropic", 1.0, 2.0, draw, f"e{i}", value]
        for side in ("general", "narrow")
        for draw, shift in enumerate(random.normal(0, of_draw, draws))
        for i, value in enumerate(shift + random.normal(0, of_example, 8))
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def test_the_draw_of_the_noise_is_part_of_the_interval_of_stability():
    missed = 0
    for seed in range(60):
        (row,) = narrow_rows("c", noisy(8, 1.0, 0.2, seed), STATS).to_dict("records")
        missed += not row["difference_low"] <= 0 <= row["difference_high"]
    assert missed <= 9, "about one in fifteen of eight draws; over examples alone it was nine in ten"
    (one,) = narrow_rows("c", noisy(1, 1.0, 1.0, 0), STATS).to_dict("records")
    assert np.isnan(one["difference_low"]), "one draw says nothing of another"
    assert np.isfinite(one["difference"])


def test_a_metric_that_one_side_lacks_has_no_row():
    rows = noisy(2, 1.0, 1.0, 0)
    lone = rows[rows["side"] == "general"].assign(metric="coherence_outside")
    assert set(narrow_rows("c", pd.concat([rows, lone]), STATS)["metric"]) == {"stability_isotropic"}


def test_the_difference_is_paired_by_example():
    """Examples differ by up to 7, the sides of one by 0.45 or 0.55."""
    rows = [
        ["general" if side else "narrow", "efficiency", 1.0, 2.0, 0, f"e{i}", i + side * (0.45 + 0.1 * (i % 2))]
        for i in range(8)
        for side in (0, 1)
    ]
    measured = pd.DataFrame(rows, columns=["side", "metric", "level", "norm", "draw", "example", "value"])
    (row,) = narrow_rows("c", measured, STATS).to_dict("records")
    assert row["difference"] == pytest.approx(0.5)
    assert 0.4 < row["difference_low"] < 0.5 < row["difference_high"] < 0.6
    assert row["general"] == pytest.approx(4.0)
    assert row["general_low"] < row["general"] < row["general_high"]
    assert np.isclose(row["norm_general"], 2.0)
