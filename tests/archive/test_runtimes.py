"""A run's cost is the sum of its jobs' benchmarks, without those that report and archive it."""

import pandas as pd
import pytest
from typer.testing import CliRunner

from tropism.archive.__main__ import app
from tropism.archive.runtimes import runtimes
from tropism.records.files import InputError


def benchmark(results, name, *jobs):
    path = results / "benchmarks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{seconds}\t0:00:01\t{memory}\t{cpu}" for seconds, memory, cpu in jobs]
    path.write_text("\n".join(["s\th:m:s\tmax_rss\tcpu_time", *rows]) + "\n")


def test_jobs_are_summed_by_stage_and_memory_is_that_of_the_largest(tmp_path):
    benchmark(tmp_path, "train/step/a.tsv", (10.5, 1500, 20))
    benchmark(tmp_path, "train/b.tsv", (1, 1706.05, 2.25))
    benchmark(tmp_path, "stats/rates.tsv", (0.4, "-", "NA"))
    benchmark(tmp_path, "archive/pack.tsv", (99, 9999, 99))
    table = runtimes(tmp_path).set_index("stage")
    assert list(table.index) == ["stats", "train"]
    assert table.loc["train"].tolist() == [2, 22.2, 11.5, 1706.0]
    assert table.loc["stats", ["jobs", "seconds"]].tolist() == [1, 0.4]
    assert pd.isna(table.loc["stats", "max_mb"])
    result = CliRunner().invoke(app, ["runtimes", str(tmp_path), "--output", str(tmp_path / "out.csv")])
    assert result.output == "3 jobs, 22 s of processor time, at most 1,706 MB in one job (of train)\n"


def test_a_folder_without_benchmarks_or_with_others_is_named(tmp_path):
    with pytest.raises(InputError, match="no benchmarks"):
        runtimes(tmp_path)
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "x.tsv").write_text("a\tb\n1\t2\n")
    with pytest.raises(InputError, match="lacks cpu_time, max_rss, s"):
        runtimes(tmp_path)
