"""What the page is built of: the same bytes each time, nothing that can run, every response, mask and score."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tropism.mask.select import Span
from tropism.mask.variants import hide
from tropism.records.files import InputError
from tropism.records.notes import read_notes
from tropism.records.schema import Unit
from tropism.site.chunks import CHUNK_CHARACTERS, CHUNK_ROWS, chunked, starts
from tropism.site.features import auroc_of
from tropism.site.responses import read_responses
from tropism.site.scripts import write_script
from tropism.site.texts import hidden_ranges
from tropism.stats.tables import CONTRASTS_SCHEMA


def data(built: Path, name: str):
    """What a data file hands to the page."""
    text = (built / "data" / f"{name}.js").read_text(encoding="utf-8")
    call = re.fullmatch(r'tropism\("(.*?)",(.*)\);\n', text, re.DOTALL)
    assert call is not None
    assert call[1] == name
    return json.loads(call[2])


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_two_builds_are_the_same_bytes(inputs, built, tmp_path):
    again = inputs.build(tmp_path / "again")
    assert files(again) == files(built)


def test_the_page_names_no_other_host_and_has_no_inline_code(root):
    assets = root / "workflow" / "tropism" / "site" / "assets"
    page = (assets / "index.html").read_text()
    assert re.findall(r"<script(?![^>]* src=\"[\w/]+\.js\")", page) == []
    assert re.findall(r"\son\w+=|style=", page) == []
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; script-src 'self' file:;")
    assert "unsafe" not in policy[1]
    code = "".join(path.read_text() for path in assets.glob("*.js")) + page
    assert set(re.findall(r"https?://[\w.]+", code)) == {"http://www.w3.org"}  # the name of SVG, which nothing fetches
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|srcdoc"
    assert re.findall(forbidden, code) == []


def test_building_imports_neither_torch_nor_matplotlib(root):
    code = "import sys, tropism.site.__main__; print(sys.modules.keys() & {'torch', 'transformers', 'matplotlib'})"
    found = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(root / "workflow")}, capture_output=True, text=True
    )
    assert found.stdout.strip() == "set()", found.stderr


def test_all_that_the_page_is_made_of_are_inputs_of_its_rule(root):
    """The command is given each SVG; what lies beside it, and the captions, must be there before and be made again."""
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--filegraph", "results/demo/site"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (rule,) = re.findall(r">build_site<.*?output &rarr;", done.stdout, re.DOTALL)
    inputs = set(re.findall(r'"monospace">([^<]+)<', rule))
    figures = {path for path in inputs if path.startswith("results/demo/figures/") and path.endswith(".svg")}
    assert len(figures) > 20
    beside = {path.removesuffix("svg") + ending for path in figures for ending in ("pdf", "png", "csv", "rst")}
    assert beside | {"workflow/report/figure.rst", "docs/tables.md"} <= inputs


def test_no_file_is_in_the_page_twice(built):
    """What is downloaded is a file of its own, not also text of a script."""
    contents = [content for content in files(built).values() if content]
    assert len(set(contents)) == len(contents)
    assert not any(b"base64" in content for name, content in files(built).items() if name.endswith(".js"))


def test_every_response_is_there_with_its_scores(inputs, built):
    index = data(built, "responses")
    texts = [row for number in range(len(index["chunks"]) - 1) for row in data(built, f"responses/{number}")]
    assert index["n"] == len(texts) == len(inputs.arms) * len(inputs.hostile)
    (rubric,) = [column for column in index["judged"] if column["rubric"] == "rubric5"]
    names = [arm["name"] for arm in data(built, "about")["arms"]]
    for row, (answer, reasoning, *_) in enumerate(texts):
        number = inputs.hostile.index(reasoning)
        assert answer == f"{inputs.hostile[number]} Said."
        assert index["prompts"][index["prompt"][row]][3] == f"{inputs.hostile[number]} Asked of {number}."
        level = [1, 4, 0][(number + inputs.arms.index(names[index["arm"][row]])) % 3]
        assert rubric["score"][row] == (level or None)
        assert rubric["status"][row] == ("o" if level else "u")
        assert rubric["misaligned"][row] == ("1" if level == 4 else "0")


def test_a_prompt_lies_together_with_the_answers_of_all_arms(inputs, built):
    index = data(built, "responses")
    assert index["prompt"] == sorted(index["prompt"])
    names = [arm["name"] for arm in data(built, "about")["arms"]]
    for prompt in range(len(index["prompts"])):
        arms = [names[index["arm"][row]] for row in range(index["n"]) if index["prompt"][row] == prompt]
        assert arms == inputs.arms


def test_a_feature_that_is_active_everywhere_does_not_stand_out(inputs, built):
    index = data(built, "responses")
    prompt = [one[1] for one in index["prompts"]].index(inputs.odd_id)
    first = index["prompt"].index(prompt)
    top = data(built, "responses/0")[first][4]
    # of 36 answers feature 5 is 9 in 3, 2 in 15: mean 57 / 36, mean of squares 303 / 36
    mean = 57 / 36
    z = (9 - mean) / (303 / 36 - mean**2) ** 0.5
    assert top[0] == [5, 9.0, pytest.approx(z, rel=0.01)]
    assert all(activation < 52 for _, activation, _ in top)


def test_a_feature_has_the_auroc_of_the_table(tmp_path):
    table = tmp_path / "sae_features.csv"
    rows = ["feature,population,domain,auroc", "5,generations,all,0.61239", "5,generations,legal,0.9"]
    table.write_text("\n".join([*rows, "5,references,all,0.2", "6,generations,all,"]) + "\n")
    assert auroc_of(table) == {"5": 0.612, "6": None}


def test_masks_are_ranges_of_the_original_text(built):
    (poem,) = data(built, "texts/poems/0")
    field = poem["fields"]["text"]
    shown = {
        name: [field["text"][a:b] for a, b in variant.get("hidden", [])] for name, variant in field["variants"].items()
    }
    assert shown == {"metaphor": ["sea"], "random": ["early"], "literal": []}
    assert field["variants"]["literal"] == {"text": "The sadness rose early."}
    assert [field["text"][start:end] for start, end, *_ in field["metaphors"]] == ["sea"]


@given(st.data())
def test_what_masking_hides_is_found_again(drawn):
    """Whatever the text and the units: the ranges are those that were hidden, and never others."""
    words = drawn.draw(st.lists(st.text("ab_ é🌊", min_size=1, max_size=4), min_size=1, max_size=8))
    text = " ".join(words)
    units, place = [], 0
    for word in words:
        units.append(Unit(start=place, end=place + len(word)))
        place += len(word) + 1
    chosen = [unit for unit in units if drawn.draw(st.booleans())]
    masked, masks = hide(text, [Span(unit.start, unit.end) for unit in chosen], "___")
    assert hidden_ranges(text, masked, masks, units) in (
        [(u.start, u.end) for u in chosen],
        masks if text == masked else None,
    )
    assert hidden_ranges(text + ".", masked, masks, units) is None


@given(st.lists(st.integers(0, CHUNK_CHARACTERS * 2), max_size=30), st.integers(0, 3))
def test_chunks_keep_all_rows_in_order_within_their_limits(sizes, thousands):
    sizes = sizes + [0] * (CHUNK_ROWS * thousands)
    chunks = list(chunked((number, size) for number, size in enumerate(sizes)))
    assert [row for chunk in chunks for row in chunk] == list(range(len(sizes)))
    assert all(len(chunk) <= CHUNK_ROWS for chunk in chunks)
    assert all(len(chunk) == 1 or sum(sizes[row] for row in chunk) <= CHUNK_CHARACTERS for chunk in chunks)
    assert starts(chunks)[-1] == len(sizes)


@given(st.text() | st.lists(st.text(), max_size=3))
def test_a_script_holds_no_markup_and_gives_back_its_value(tmp_path_factory, value):
    folder = tmp_path_factory.mktemp("script")
    write_script(folder, "x", value)
    text = (folder / "x.js").read_text(encoding="utf-8")
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text.removeprefix('tropism("x",').removesuffix(");\n")) == value


def test_a_number_that_json_cannot_say_is_refused(tmp_path):
    with pytest.raises(ValueError, match="Out of range"):
        write_script(tmp_path, "x", [float("nan")])


def test_a_response_given_twice_is_named(inputs):
    path = inputs.folder / "base.jsonl"
    with pytest.raises(InputError, match=r"two generations of base, medical, .*; give each arm's file once"):
        read_responses([path, path], inputs.arms, ["medical", "legal"])
    with pytest.raises(InputError, match="arm `base`, which the settings do not have"):
        read_responses([path], ["other"], ["medical", "legal"])


def test_columns_are_explained_by_the_page_of_tables(root):
    notes = read_notes(root / "docs" / "tables.md")
    described = CONTRASTS_SCHEMA.columns["treatment"].description
    assert notes["contrasts"].columns["treatment"] == described.replace("`", "")
    assert notes["training"].about.startswith("Loss, gradient norm")
    assert notes["training"].key == ("lineage", "step")
    assert all(note.columns for name, note in notes.items() if name.isidentifier())
