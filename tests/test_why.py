"""A dry run's reasons in short: which modules and which settings changed, and how many jobs only follow."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from tropism.why import app, explained

PARAMS = "Params have changed since last execution: Union of exclusive params before and now across all output: "
HASHES = ("5c0459599782", "1d4cc71b7415", "889c8b28eae1")
SETTINGS = '{"epochs":%s,"lora":{"rank":16,"targets":["q"]},"note":"it\'s \\"now: \'"}'


def code(ask, *more):
    return " ".join([f"tropism={HASHES[0]}", f"endpoint.ask={ask}", f"judge={HASHES[0]}", *more])


def reason(before, now):
    return f"{PARAMS}before: {','.join(map(repr, before))} now: {','.join(map(repr, now))} "


def test_of_the_code_the_changed_the_new_and_the_dropped_modules_are_named():
    before, now = code(HASHES[1], f"old={HASHES[0]}"), code(HASHES[2], f"new={HASHES[0]}")
    assert explained(reason([before], [now])) == ["code: endpoint.ask, new, old"]


def test_of_settings_the_keys_that_differ_are_named_with_both_values():
    told = explained(reason([SETTINGS % 1, code(HASHES[1])], [code(HASHES[2]), SETTINGS % 2]))
    assert told == ["code: endpoint.ask", "setting: epochs: 1 -> 2"]


def test_two_slices_are_each_held_against_their_own():
    one, other = '{"a":1,"b":2}', '{"draws":10,"seed":0}'
    told = explained(reason([one, other], ['{"draws":20,"seed":0}', '{"a":1,"b":3}']))
    assert told == ["setting: b: 2 -> 3", "setting: draws: 10 -> 20"]


def test_other_parameters_and_other_reasons_are_told_as_they_are():
    told = explained("Missing output files: a.csv; Updated input files: b.csv; " + reason(["--x 1"], ["--x 2"]))
    assert told == ["Missing output files: a.csv", "Updated input files: b.csv", "before: --x 1", "now: --x 2"]
    assert explained("Input files updated by another job: a.csv") == []


@pytest.mark.parametrize(
    ("given", "said"), [("Nothing to be done (all", "nothing to be done"), ("", "is it a dry run")]
)
def test_without_jobs_that_is_said(given, said):
    assert said in CliRunner().invoke(app, [], input=given).output


SNAKEFILE = """
rule all:
    input: "b"

rule first:
    output: "a"
    params: cfg='{"epochs":%s,"seed":0}'
    message: "Making a"
    shell: "touch {output}"

rule second:
    input: "a"
    output: "b"
    message: "Making b"
    shell: "touch {output}"
"""


def test_what_snakemake_prints_today_is_understood(tmp_path):
    """The form of its output is no promise, so that another version is noticed here."""
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--snakefile", "Snakefile"]
    (tmp_path / "Snakefile").write_text(SNAKEFILE % 1)
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "Snakefile").write_text(SNAKEFILE % 2)
    dry = subprocess.run([*command, "-n"], cwd=tmp_path, check=True, capture_output=True, text=True)
    told = CliRunner().invoke(app, [], input=dry.stdout).output
    assert told == "Making a\n  setting: epochs: 1 -> 2\n1 more, whose inputs come from these\n"
