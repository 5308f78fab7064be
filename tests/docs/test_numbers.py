"""Every number and every command of the README has a check: a setting, a lock, a table of the committed run, a file."""

import json
import math
import re
import shlex
import tomllib

import pandas as pd
import pytest
import yaml

NAMES = re.compile(
    r"\b(?:rubric5|L0|alignment100|MC1/MC2|F1|Qwen3-32B|SmolLM2-135M-Instruct|Apache-2\.0|CC0 1\.0|s0)\b"
)
"""Words with digits that are names, not numbers."""
UNMEASURED = "## What has and has not been run"
"""Below it stand measurements: those that a file of the run holds are among the claims, the rest tell of occasions."""


@pytest.fixture(scope="module")
def readme(root) -> str:
    return (root / "README.md").read_text(encoding="utf-8")


def run_of(root) -> pd.DataFrame:
    return pd.read_csv(root / "docs" / "demo" / "runtimes.csv")


def settings(root) -> dict:
    return yaml.safe_load((root / "config.yaml").read_text(encoding="utf-8"))


def probe(root) -> dict:
    return json.loads((root / "resources" / "metaphor_probe" / "probe.json").read_text(encoding="utf-8"))


def confidence(root) -> str:
    return f"{100 * settings(root)['stats']['confidence']:g}"


def python(root) -> str:
    """The oldest that the project runs on; the Makefile makes its environment with the same."""
    needed = tomllib.loads((root / "pyproject.toml").read_text())["project"]["requires-python"]
    version = re.match(r">=([\d.]+),", needed)[1]
    assert f"python{version}" in (root / "Makefile").read_text()
    return version


def millions(root) -> str:
    """Parameters of the demo's base, by its name in the registry."""
    [base] = settings(root)["models"].values()
    registry = pd.read_csv(root / "resources" / "registry.csv").set_index("name")
    return re.search(r"(\d+)M", registry.loc[base["source"], "location"])[1]


def gigabytes_of_two(root) -> str:
    """What two of its largest jobs side by side stay below: 4 GB is asked for, unless they take more."""
    return f"{max(4, math.ceil(2 * run_of(root)['max_mb'].max() / 1000))}"


CLAIMS = {
    r"real (\d+)M model": millions,
    r"([\d.]+) % intervals": confidence,
    r"([\d.]+) % interval \|": confidence,
    r"It needs Python ([\d.]+)": python,
    r"two cores, (\d+) GB of memory": gigabytes_of_two,
    r"Its ([\d,]+) jobs": lambda root: f"{run_of(root)['jobs'].sum():,}",
    r"report\s+([\d,]+) s of processor time": lambda root: f"{run_of(root)['cpu_seconds'].sum():,.0f}",
    r"No\s+job took more than ([\d.]+) GB": lambda root: f"{run_of(root)['max_mb'].max() / 1000:.1f}",
    r"side by side stay below (\d+) GB": gigabytes_of_two,
    r"probe \(F1 (\.\d+) on unseen VUA": lambda root: f"{probe(root)['scores']['dev']['f1']:.3f}".lstrip("0"),
}
"""What the README says, and where it comes from."""


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_number_is_that_of_its_source(root, readme, claim):
    said = re.findall(claim, readme)
    assert said, "the README no longer says this: take the claim out, or put it in its new words"
    assert set(said) == {CLAIMS[claim](root)}


def test_no_number_stands_without_a_claim(readme):
    prose = readme.split(UNMEASURED)[0]
    for other in (
        r"(?s)```.*?```",
        r"(?m)^    .*$",
        r"`[^`\n]*`",
        r"\[arXiv ([\d.]+)\]\(https://arxiv.org/abs/\1\)",
        r"\]\([^)]*\)",
    ):
        prose = re.sub(other, "", prose)  # commands and examples are checked below, links elsewhere
    for claim in CLAIMS:
        prose = re.sub(claim, "", prose)
    assert re.findall(r"[^\n]*\d[^\n]*", NAMES.sub("", prose)) == []


def commands(text: str) -> list[list[str]]:
    """Command lines of Snakemake and make: in indented lines, in spans of code, in comments of examples."""
    found = re.findall(r"^(?:    |# [\w.]+: )((?:[A-Z_]+=\S+ )?(?:snakemake|make) [^#\n]*)", text, re.MULTILINE)
    found += re.findall(r"`((?:snakemake|make) [^`\n]*)`", text)
    return [[word for word in shlex.split(one) if not re.match(r"TROPISM_DATA=", word)] for one in found]


def test_its_snakemake_commands_name_options_files_and_rules_that_are_there(root, readme):
    from snakemake.cli import get_argument_parser

    rules = set()
    for path in [root / "Snakefile", *(root / "workflow" / "rules").glob("*.smk")]:
        rules |= set(re.findall(r"^rule (\w+):", path.read_text(), re.MULTILINE))
    own = set(re.findall(r"^# (\w+\.yaml):", readme, re.MULTILINE))
    lines = [words[1:] for words in commands(readme) if words[0] == "snakemake"]
    assert len(lines) > 3
    for words in lines:
        options = get_argument_parser().parse_args(words)  # leaves the test by SystemExit where an option is unknown
        assert set(options.targets or []) <= rules, words
        missing = [
            str(path) for path in options.configfile or [] if str(path) not in own and not (root / path).is_file()
        ]
        assert missing == [], words


def test_its_make_commands_name_targets_and_variables_of_the_makefile(root, readme):
    makefile = (root / "Makefile").read_text()
    targets = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    variables = set(re.findall(r"^(\w+) \?=", makefile, re.MULTILINE))
    lines = [words[1:] for words in commands(readme) if words[0] == "make"]
    assert ["demo"] in lines
    for target, *given in lines:
        assert target in targets
        assert {one.split("=")[0] for one in given} <= variables
    assert set(re.findall(r"`(\w+)=[^`]*`", readme)) <= variables | {"column"}


def test_the_folder_that_public_data_comes_from_is_read_by_this_name(root, readme):
    assert re.findall(r"^    (\w+)=folder ", readme, re.MULTILINE) == ["TROPISM_DATA"]
    package = (path.read_text(encoding="utf-8") for path in (root / "workflow" / "tropism").rglob("*.py"))
    assert any('"TROPISM_DATA"' in text for text in package)


def test_results_that_it_names_are_outputs_of_rules(root, readme):
    rules = "".join(path.read_text() for path in (root / "workflow" / "rules").glob("*.smk"))
    named = set(re.findall(r"results/(?:<experiment>|demo)/(\w+)", readme))
    assert {"site", "tables"} <= named
    assert [name for name in sorted(named) if f"<results>/{name}" not in rules] == []
