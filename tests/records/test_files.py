"""A file is whole or absent, and what a killed process left half-written goes when the file is made again."""

import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from tropism.records.files import replacing, write_csv

STUCK = """
import sys, time
from tropism.records.files import replacing
with replacing(sys.argv[1]) as temporary:
    temporary.write_text("half")
    print("writing", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def writer(tmp_path):
    """A process that is in the middle of writing ``tmp_path / "table.csv"``."""
    process = subprocess.Popen(
        [sys.executable, "-c", STUCK, str(tmp_path / "table.csv")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "writing\n"
    yield process
    process.kill()
    process.communicate()


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path, writer):
    path = tmp_path / "table.csv"
    other = tmp_path / ".other.csv.part"
    other.write_text("not ours")
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert len(list(tmp_path.glob(".table.csv.*.part"))) == 1
    assert not path.exists()
    with replacing(path) as temporary:
        temporary.write_text("whole")
    assert sorted(tmp_path.iterdir()) == [other, path]
    assert path.read_text() == "whole"


def test_a_living_writer_is_left_alone(tmp_path, writer):
    with replacing(tmp_path / "table.csv") as temporary:
        temporary.write_text("whole")
    assert len(list(tmp_path.glob(".table.csv.*.part"))) == 1


def test_a_failed_block_leaves_what_was_there(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("before")

    def fail():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]
    assert path.read_text() == "before"


def test_a_folder_replaces_a_folder(tmp_path):
    path = tmp_path / "model"
    for content in ("a", "b"):
        with replacing(path) as temporary:
            temporary.mkdir()
            (temporary / content).write_text(content)
    assert [p.name for p in path.iterdir()] == ["b"]


def test_a_table_has_the_bytes_that_pandas_gives_it(tmp_path):
    table = pd.DataFrame(
        {
            "text": ['a "quoted", one', "", None, "two\nlines"],
            "value": [1 / 3, float("nan"), float("inf"), 1e-20],
            "single": np.array([0.1, 2, -3, np.nan], np.float32),
            "whole": [1, -2, 3, 10**12],
            "maybe": pd.array([1, None, 3, 4], "Int64"),
            "flag": [True, False, True, True],
        }
    )
    write_csv(tmp_path / "table.csv", table)
    expected = table.to_csv(index=False, float_format="%.10g", lineterminator="\n")
    assert (tmp_path / "table.csv").read_bytes() == expected.encode()
