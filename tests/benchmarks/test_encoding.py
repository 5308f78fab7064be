"""Both ways of the encoding benchmark find the same features, and a difference is not passed over."""

import importlib.util
from argparse import Namespace

import pytest


@pytest.fixture(scope="module")
def benchmark(root):
    spec = importlib.util.spec_from_file_location("encoding", root / "benchmarks" / "encoding.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_both_ways_read_the_same_tokens_and_find_the_same_features(benchmark, tiny_model):
    rows = {}
    for way in benchmark.WAYS:
        settings = Namespace(
            model=tiny_model, sae=None, layer=0, d_sae=64, k=4, max_tokens=16, threads=1, way=way
        )  # fmt: skip
        for texts in (3, 40):
            rows[way, texts] = benchmark.measure(settings, texts)
            assert rows[way, texts]["tokens"] == 16 * texts
            assert rows[way, texts]["peak_MiB"] >= rows[way, texts]["before_MiB"]
    assert set(benchmark.compared(rows, [3, 40])) > {"peak_ratio", "tokens_per_s_ratio"}
    rows["streamed", 40]["peaks"] *= 1.01
    with pytest.raises(ValueError, match="40 texts: the two ways found other features"):
        benchmark.compared(rows, [3, 40])
