"""What the pages name is there: settings in the config, tables in the schemas, commands and flags in the rooms."""

import pkgutil
import re
from pathlib import Path

import pytest
import typer.main
import yaml

from tropism.config.archive import ArchiveConfig
from tropism.config.experiment import Experiment
from tropism.config.training import StepConfig
from tropism.docs import BESIDE, PUBLISHED

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", "divergences.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]
COMMAND = re.compile(r"python -m (tropism(?:\.\w+)+)((?:[ \t]+[^\s`|;]+)*)")
FILE = re.compile(r"`((?:workflow|resources|docs|envs|benchmarks|tests)/[\w./*-]+)`")


def text(page):
    return (ROOT / page).read_text(encoding="utf-8")


def choices():
    """The rows of divergences.md: choice, why, risk, how to revert."""
    lines = [line for line in text("divergences.md").splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def test_every_choice_says_why_at_what_risk_and_how_to_revert_it():
    rows = choices()
    assert len(rows) > 15
    assert [row[0] for row in rows if len(row) != 4 or not all(row)] == []


def keys_of(schema, definitions):
    """Every key of a JSON schema and of what it refers to, as a set of names."""
    names, seen, waiting = set(), set(), [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            reference = part.get("$ref", "").rpartition("/")[2]
            if reference and reference not in seen:
                seen.add(reference)
                waiting.append(definitions[reference])
            names |= set(part.get("properties", {}))
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
    return names


def names_of_users():
    """What the shipped settings name themselves: datasets, steps, judges, and the rubrics that there are."""
    names = {path.stem for path in (ROOT / "resources" / "rubrics").glob("*.yaml")}
    for path in [ROOT / "config.yaml", *(ROOT / "workflow" / "experiments").glob("*.yaml")]:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
        for slice_name in ("models", "datasets", "steps", "judges"):
            names |= set(settings.get(slice_name) or {})
    return names


def test_the_settings_that_a_choice_names_are_settings():
    schema = Experiment.model_json_schema()
    definitions = schema["$defs"]
    training = StepConfig.model_json_schema()
    steps, own = keys_of(training, training["$defs"]), names_of_users()
    wrong, checked = [], 0
    for choice, *_, revert in choices():
        slice_name = ""
        for span in re.findall(r"`([^`]+)`", revert):
            keys = re.findall(r"([a-z_0-9]+):", span) if re.match(r"[a-z_0-9]+:", span) else []
            if not keys:
                slice_name = span if span in schema["properties"] else slice_name
                continue
            if keys[0] in schema["properties"]:
                slice_name = keys.pop(0)  # a later span of the row may go on below it
            if not slice_name:
                wrong.append((choice, keys[0]))
                continue
            known = keys_of(schema["properties"][slice_name], definitions) | own
            wrong += [
                (choice, f"{slice_name}: {key}")
                for key in keys
                if key not in known | (steps if slice_name == "steps" else set())
            ]
            checked += 1
    assert wrong == []
    assert checked > 5


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_is_there(page):
    assert [name for name in FILE.findall(text(page)) if not list(ROOT.glob(name))] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_a_page_names_has_these_words_and_flags(page):
    wrong = []
    for module, rest in COMMAND.findall(text(page)):
        app = typer.main.get_command(pkgutil.resolve_name(f"{entry(module)}:app"))
        words = rest.split()
        if hasattr(app, "commands") and words and not words[0].startswith("-"):
            if words[0] not in app.commands:
                wrong.append(f"{module} {words[0]}")
                continue
            app = app.commands[words[0]]
        flags = {flag for parameter in app.params for flag in [*parameter.opts, *parameter.secondary_opts]} | {"--help"}
        wrong += [f"{module}: {word}" for word in words if word.startswith("--") and word not in flags]
    assert wrong == []


@pytest.mark.parametrize("page", PAGES)
def test_the_further_commands_that_a_page_lists_after_one_are_there(page):
    """`python -m tropism.room one --help`, "and likewise `two`, `three`"."""
    wrong = []
    for module, more in re.findall(r"python -m (tropism(?:\.\w+)+) [^\n]*\n\s*and likewise ([^.;]*)", text(page)):
        app = typer.main.get_command(pkgutil.resolve_name(f"{entry(module)}:app"))
        wrong += [f"{module} {name}" for name in re.findall(r"`(\w+)`", more) if name not in app.commands]
    assert wrong == []


CALLED = [
    *PAGES,
    *("Snakefile", "Makefile", "config.yaml", "benchmarks/README.md", "envs/README.md"),
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "workflow" / "profiles").rglob("*.yaml"))),
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "workflow" / "experiments").glob("*.yaml"))),
]


@pytest.mark.parametrize("page", CALLED)
def test_a_flag_that_takes_many_words_does_not_take_the_target(page):
    """`--resources gpu=2 all` would read `all` as a resource."""
    calls = re.findall(r"snakemake [^`\n#]*--(?:resources|configfiles?) [^`\n#]*", text(page))
    assert [call for call in calls if not re.search(r" -- \w", call)] == []


def entry(module):
    folder = ROOT / "workflow" / module.replace(".", "/")
    return f"{module}.__main__" if folder.is_dir() else module


def test_the_readme_lists_published_tables_only():
    section = text("README.md").split("## Tables")[1].split("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", "".join(line.split("|")[1] for line in section.splitlines() if "|" in line)))
    assert {"misalignment", "contrasts"} <= named
    assert named <= set(PUBLISHED)


def test_tables_md_names_every_published_table_with_its_columns_and_no_other():
    page = text("docs/tables.md")
    sections = {part.split("\n", 1)[0]: part for part in re.split(r"^###? ", page, flags=re.MULTILINE)[1:]}
    for name, schema in {**PUBLISHED, **BESIDE}.items():
        columns = re.findall(r"^\| `(\w+)` \|", sections[name], re.MULTILINE)
        assert columns == list(schema.columns), name
    assert set(sections) - {"Beside the published tables"} == {*PUBLISHED, *BESIDE}


def test_the_snakemake_targets_that_pages_name_are_rules():
    rules = set()
    for path in [ROOT / "Snakefile", *(ROOT / "workflow" / "rules").glob("*.smk")]:
        rules |= set(re.findall(r"^rule (\w+):", path.read_text(), re.MULTILINE))
    named = {match[1] for page in PAGES for match in re.finditer(r"snakemake --cores \S+ (\w+)(?:`|$|\s)", text(page))}
    assert {"all", "archive"} & named
    assert named <= rules


def test_the_example_settings_of_the_archive_are_settings():
    example = re.findall(r"```yaml\n(.*?)```", text("docs/archive.md"), re.DOTALL)[0]
    assert ArchiveConfig.parse(yaml.safe_load(example)["archive"]) == ArchiveConfig(), "the page shows the defaults"
