"""The commands: what they take, what they write, and what they refuse."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from tropism.config.base import ConfigError
from tropism.config.stats import ContrastConfig, StatsConfig
from tropism.records.files import InputError
from tropism.stats.__main__ import app
from tropism.stats.read import read_responses

CONFIG = json.dumps({"draws": 200, "permutations": 200})
CONTRASTS = json.dumps([{"name": "worse", "treatment": "treated", "control": "control"}])


def run(*arguments):
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if result.exception:
        raise result.exception


@pytest.fixture
def judgments(tmp_path, simulated):
    """A folder as the judge room leaves it: one file per arm."""
    folder = tmp_path / "judgments" / "probe"
    folder.mkdir(parents=True)
    for arm, rows in pd.DataFrame(simulated).groupby("arm"):
        rows.to_parquet(folder / f"{arm}.parquet", index=False)
    return folder


def test_a_folder_and_its_files_give_the_same_bytes_twice(tmp_path, judgments):
    files = [part for path in sorted(judgments.iterdir(), reverse=True) for part in ("--judgments", path)]
    for name, given in (("a", ["--judgments", judgments]), ("b", files), ("c", files)):
        run("rates", *given, "--config", CONFIG, "--output", tmp_path / f"{name}.csv")
        run("contrasts", *given, "--config", CONFIG, "--contrasts", CONTRASTS, "--output", tmp_path / f"{name}2.csv")
    assert len({(tmp_path / f"{name}.csv").read_bytes() for name in "abc"}) == 1
    assert len({(tmp_path / f"{name}2.csv").read_bytes() for name in "abc"}) == 1
    assert len(pd.read_csv(tmp_path / "a2.csv")) == 15


def test_only_wanted_arms_are_counted(tmp_path, judgments):
    run("rates", "--judgments", judgments, "--config", CONFIG, "--arms", '["third"]', "--output", tmp_path / "some.csv")
    run("rates", "--judgments", judgments, "--config", CONFIG, "--output", tmp_path / "all.csv")
    some, every = pd.read_csv(tmp_path / "some.csv"), pd.read_csv(tmp_path / "all.csv")
    pd.testing.assert_frame_equal(some, every.query("arm == 'third'").reset_index(drop=True))


def test_contrasts_may_come_from_a_file(tmp_path, judgments):
    (tmp_path / "planned.json").write_text(CONTRASTS)
    for name, given in (("a", CONTRASTS), ("b", tmp_path / "planned.json")):
        run(
            "contrasts", "--judgments", judgments, "--config", CONFIG, "--contrasts", given, "--output", tmp_path / name
        )
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_nothing_is_written_when_the_input_is_wrong(tmp_path, judgments):
    for arguments, message in (
        (["rates"], "give --judgments"),
        (["rates", "--judgments", tmp_path / "absent"], "no such file"),
        (["rates", "--judgments", judgments, "--arms", '["nobody"]'], "no row of the wanted arms"),
        (["contrasts", "--judgments", judgments, "--contrasts", "missing.json"], "neither a JSON list nor a file"),
    ):
        with pytest.raises(InputError, match=message):
            run(*arguments, "--output", tmp_path / "out.csv")
    with pytest.raises(ConfigError, match=r"contrasts\.0: treatmnt: unknown key; did you mean `treatment`"):
        run(
            "contrasts",
            "--judgments",
            judgments,
            "--contrasts",
            '[{"treatmnt": "a"}]',
            "--output",
            tmp_path / "out.csv",
        )
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": 101.0}, "has score 101; alignment100 runs from 0 to 100"),
        ({"status": "fine"}, "status 'fine'; known: ok, unparsed"),
        ({"status": "unparsed"}, "is unparsed and yet has a score"),
        ({"domain": "pooled"}, "a domain is called 'pooled'"),
        ({"arm": None}, "an empty cell"),
    ],
)
def test_a_misleading_judgment_is_refused_by_file(tmp_path, make_judgment, change, message):
    path = tmp_path / "arm.parquet"
    pd.DataFrame([make_judgment("p", 0, "alignment100", 50) | change]).to_parquet(path)
    with pytest.raises(InputError, match=f"arm.parquet: .*{message}"):
        read_responses([path], [])


def test_a_missing_column_and_a_response_judged_twice_are_refused(tmp_path, make_judgment):
    rows = pd.DataFrame([make_judgment("p", 0, "alignment100", 50)])
    rows.drop(columns="status").to_parquet(tmp_path / "less.parquet")
    with pytest.raises(InputError, match=r"less\.parquet: no column status"):
        read_responses([tmp_path / "less.parquet"], [])
    for name in "ab":
        rows.to_parquet(tmp_path / f"{name}.parquet")
    with pytest.raises(InputError, match="judged twice: arm poetry, judge probe"):
        read_responses([tmp_path / "a.parquet", tmp_path / "b.parquet"], [])
    assert len(read_responses([tmp_path / "a.parquet", tmp_path / "a.parquet"], [])) == 1


def test_settings_name_the_wrong_key():
    with pytest.raises(ConfigError, match="did you mean `draws`"):
        StatsConfig.parse('{"drawss": 5}')
    with pytest.raises(ConfigError, match="headline"):
        StatsConfig.parse('{"headline": "some"}')
    written = {
        "name": "poetry-{domain}",
        "treatment": "poetry-{domain}",
        "control": "none-{domain}",
        "sweep": {"domain": ["a"]},
    }
    assert ContrastConfig.parse(written).family == "planned"
