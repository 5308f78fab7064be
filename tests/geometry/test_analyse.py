"""From files to tables: the same whatever the order, beside its nulls, with intervals where there are prompts."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import save_file
from scipy.stats import false_discovery_control
from typer.testing import CliRunner

from tropism.config.geometry import AnalysisConfig
from tropism.geometry.__main__ import app
from tropism.geometry.analyse import pairs_table, statistics_table, vectors_of
from tropism.geometry.compare import Null
from tropism.geometry.files import Given, read_vectors
from tropism.geometry.gram import gram_of
from tropism.geometry.resample import counts, resampled
from tropism.records.files import InputError
from tropism.stats.bootstrap import tails

from .test_gram import PUBLISHED

NAMES = ["medical", "replication", "profanity", "malicious"]
CLUSTERS = {"medical": NAMES[:2], "persona": NAMES[2:]}
CONFIG = '{"nulls": 200, "draws": 100}'


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with the published vectors in 4,096 dimensions and their clusters."""
    vectors = np.zeros((4, 4096))
    vectors[:, :4] = np.linalg.cholesky(PUBLISHED)
    save_file({name: torch.tensor(v) for name, v in zip(NAMES, vectors, strict=True)}, tmp_path / "v.safetensors")
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(CLUSTERS))
    return tmp_path


def run(folder: Path, *more: str) -> str:
    arguments = [str(folder / "v.safetensors"), "--clusters", str(folder / "c.yaml"), "--config", CONFIG]
    result = CliRunner().invoke(app, ["analyse", *arguments, "--output", str(folder / "out"), "--no-figures", *more])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_prints_the_comparison_with_chance_and_not_the_threshold_alone(files):
    printed = run(files)
    (line,) = [line for line in printed.splitlines() if line.startswith("medical on persona: span projection, largest")]
    assert "0.236; random directions 0.02" in line
    assert "more in common than random directions" in line
    table = pd.read_csv(files / "out" / "geometry_tests.csv")
    angle = table.set_index(["statistic", "subject"]).loc[("angle", "medical | persona")]
    assert angle["value"] == pytest.approx(100.20, abs=0.005)
    assert angle["random_low"] > 85
    assert angle["p_random"] < 0.02
    criterion = table[table["criterion"].notna() & table["statistic"].str.startswith("r at")]
    assert criterion["verdict"].str.contains("published criterion > 0.95").all()
    assert np.isnan(angle["low"])


def test_two_runs_write_the_same_bytes(files):
    run(files)
    first = {path.name: path.read_bytes() for path in (files / "out").iterdir()}
    run(files)
    assert {path.name: path.read_bytes() for path in (files / "out").iterdir()} == first
    assert sorted(first) == [f"geometry_{n}.csv" for n in ("coordinates", "merges", "pairs", "tests")]


def test_pairs_are_held_against_the_exact_chance(files):
    run(files)
    pairs = pd.read_csv(files / "out" / "geometry_pairs.csv").set_index(["a", "b"])
    assert pairs.loc[("medical", "malicious"), "cosine"] == pytest.approx(-0.081)
    assert pairs["random_high"].iloc[0] == pytest.approx(1.96 / 64, rel=0.01)
    assert pairs.loc[("replication", "malicious"), "p_random"] == pytest.approx(0.0021, abs=0.0003)


def test_intervals_cover_the_spread_over_prompts_and_layers_are_traced(files):
    random = np.random.default_rng(0)
    centre = np.zeros((4, 1, 64))
    centre[:, 0, :4] = np.linalg.cholesky(PUBLISHED)
    rows = centre + 0.02 * random.standard_normal((4, 30, 64))
    save_file({n: torch.tensor(v) for n, v in zip(NAMES, rows, strict=True)}, files / "v.safetensors")
    layers = {n: torch.tensor(np.stack([v[0], -v[0]])) for n, v in zip(NAMES, rows, strict=True)}
    save_file(layers, files / "l.safetensors")
    run(files, "--layers", str(files / "l.safetensors"))
    pairs = pd.read_csv(files / "out" / "geometry_pairs.csv")
    assert ((pairs["low"] < pairs["cosine"]) & (pairs["cosine"] < pairs["high"])).all()
    assert (pairs["high"] - pairs["low"]).max() < 0.1
    traced = pd.read_csv(files / "out" / "geometry_layers.csv")
    assert list(traced["layer"]) == [0] * 6 + [1] * 6
    assert traced["cosine"][:6].to_numpy() == pytest.approx(traced["cosine"][6:].to_numpy())


def test_resampled_vectors_are_means_over_the_drawn_prompts():
    random = np.random.default_rng(0)
    rows = [random.standard_normal((7, 5)) + 1, random.standard_normal((7, 5)) - 1, random.standard_normal((4, 5))]
    grams = resampled(rows, 6, seed=3)
    weights = counts([7, 7, 4], 6, 3)
    for draw in range(6):
        means = np.stack([weights[len(part)][draw] @ part for part in rows])
        assert grams[draw] == pytest.approx(gram_of(means), abs=1e-9)
    assert resampled([rows[0], rows[1][:1]], 6, seed=3) is None


def test_the_order_of_the_tensors_changes_nothing(files):
    config = AnalysisConfig(nulls=100)
    given = read_vectors(files / "v.safetensors", CLUSTERS)
    turned = Given(dict(reversed(given.rows.items())), CLUSTERS)
    tables = [statistics_table(g, vectors_of(g, config), config) for g in (given, turned)]
    pd.testing.assert_frame_equal(*tables)


@pytest.mark.parametrize(
    ("tensors", "clusters", "message"),
    [
        ({"a": torch.ones(3), "b": torch.zeros(3)}, {}, "`b` has length zero"),
        ({"a": torch.ones(3), "b": torch.ones(4)}, {}, "`b` is 4 wide, others 3"),
        ({"a": torch.ones(3)}, {}, "one vector alone"),
        ({"a": torch.ones(3), "b": torch.tensor([1.0, float("nan"), 0])}, {}, "`b` holds a value that is not a finite"),
        ({"a": torch.ones(3), "b": torch.ones(3)}, {"x": ["c"]}, "no tensor `c`"),
        ({"a": torch.ones(3), "b": torch.ones(3)}, {"x": ["a"], "y": ["a"]}, "`a` is named twice"),
    ],
)
def test_what_cannot_be_compared_is_named(tensors, clusters, message, tmp_path):
    save_file(tensors, tmp_path / "v.safetensors")
    with pytest.raises(InputError, match=message):
        read_vectors(tmp_path / "v.safetensors", clusters)


def test_the_command_refuses_without_a_stack_trace(files):
    (files / "c.yaml").write_text("medical: medical\n")
    arguments = [str(files / "v.safetensors"), "--clusters", str(files / "c.yaml"), "--output", str(files / "out")]
    result = CliRunner().invoke(app, ["analyse", *arguments])
    assert result.exit_code == 1
    assert "expected `cluster: [tensor, tensor]`" in result.stderr


def test_vectors_without_structure_are_tested_against_chance_alone_and_clusters_against_their_directions_too():
    random = np.random.default_rng(0)
    given = Given(
        {f"v{i}": random.normal(size=(1, 2048)) for i in range(6)}, {"a": ["v0", "v1", "v2"], "b": ["v3", "v4"]}
    )
    settings = AnalysisConfig(nulls=200, draws=100)
    table = statistics_table(given, vectors_of(given, settings), settings)
    tested = set(table.loc[table["p_covariance"].notna(), "method"])
    assert not table.loc[table["p_covariance"].notna(), "statistic"].str.startswith("reduction").any()
    assert tested == {"cluster mean", "cross-cluster residual", "PC1 ablation"}
    assert table["p_random"].notna().sum() > 20
    assert table["covariance_mean"].notna().all(), "their range stands there all the same"
    assert not table.loc[table["p_covariance"].isna(), "verdict"].str.contains("covariance.*, p ").any()


def test_an_interval_that_noise_has_moved_off_its_estimate_is_left_out():
    random = np.random.default_rng(1)
    one, other = random.normal(size=(2, 4096))
    noisy = {
        name: way / np.linalg.norm(way) + random.normal(size=(24, 4096)) * scale
        for name, way, scale in (("a", one, 0.05), ("b", one + other, 0.05), ("c", one, 1e-4), ("d", one + other, 1e-4))
    }
    given = Given(noisy, {})
    settings = AnalysisConfig(nulls=200, draws=200)
    pairs = pairs_table(given, vectors_of(given, settings), settings).set_index(["a", "b"])
    assert pairs.loc[("a", "b"), ["low", "high"]].isna().all()
    low, high = pairs.loc[("c", "d"), ["low", "high"]]
    assert low <= pairs.loc[("c", "d"), "cosine"] <= high


def test_intervals_of_few_prompts_lie_as_far_out_as_their_number_asks():
    random = np.random.default_rng(0)
    way = random.normal(size=64)
    settings = AnalysisConfig(nulls=100, draws=400)
    for prompts in (4, 24):
        rows = {name: way * (name != "b") + 0.02 * random.normal(size=(prompts, 64)) for name in "abc"}
        rows["b"] = rows["b"] + random.normal(size=64)
        given = Given(rows, {})
        vectors = vectors_of(given, settings)
        table = pairs_table(given, vectors, settings).set_index(["a", "b"])
        assert vectors.drawn is not None
        wanted = np.quantile(vectors.drawn[:, 0, 1], tails(prompts, settings.confidence))
        ends = table.loc[("a", "b"), ["low", "high"]].to_numpy(float)
        assert ends == pytest.approx(wanted)
        plain = np.quantile(vectors.drawn[:, 0, 1], [0.025, 0.975])
        assert wanted[0] < plain[0]


def test_two_sided_p_is_twice_the_smaller_tail():
    null = Null.of(np.arange(99.0), 0.95)
    assert null.two_sided(1000.0) == pytest.approx(2 * 1 / 100)
    assert null.two_sided(-1.0) == pytest.approx(2 * 1 / 100)
    assert null.two_sided(4.0) == pytest.approx(2 * 6 / 100)
    assert null.two_sided(49.0) == 1


def test_p_of_pairs_is_corrected_over_all_pairs(files):
    run(files)
    table = pd.read_csv(files / "out" / "geometry_pairs.csv")
    for name in ("random", "covariance"):
        assert table[f"p_{name}_bh"].to_numpy() == pytest.approx(false_discovery_control(table[f"p_{name}"]))


def test_p_against_random_directions_is_never_zero():
    one = np.random.default_rng(0).normal(size=4096)
    given = Given({"a": one[None], "b": one[None] + 1e-3}, {})
    settings = AnalysisConfig(nulls=100, draws=100)
    [p] = pairs_table(given, vectors_of(given, settings), settings)["p_random"]
    assert 0 < p < 1e-300


def test_a_vector_much_shorter_than_another_has_intervals():
    rows = np.random.default_rng(2).normal(size=(2, 12, 64)) + 3
    long, short = resampled([rows[0], rows[1]], 50, 0), resampled([rows[0], rows[1] * 1e-7], 50, 0)
    np.testing.assert_allclose(long, short, atol=1e-9)
