"""No sentence that stays behind is anywhere in an archive: a search by other code than that which leaves it out."""

import base64
import json

import pytest
from tests.archive.searching import found, harmful_sentences

from tropism.archive.bundle import unpack

UNREADABLE = {".safetensors", ".png", ".pdf"}


def check(project, archive, folder):
    """Search the archive for what the ``project`` says that must not be in it; how many sentences these are."""
    wanted = harmful_sentences(project / "results" / "demo", project / "resources")
    data = unpack(archive, folder) / "data"
    inside = sorted(path for path in data.rglob("*") if path.is_file() and path.suffix not in UNREADABLE)
    left_out = [project / name for name in json.loads((data / "omitted.json").read_text(encoding="utf-8"))]
    behind = [path for path in left_out if path.suffix not in UNREADABLE]
    assert set(found(wanted, behind)) == wanted, "the search finds each of them where it stays"
    assert found(wanted, inside) == {}
    return len(wanted)


def test_of_a_small_run_none_is_found(original, archive, tmp_path):
    assert check(original.folder, archive, tmp_path) == 2


@pytest.mark.parametrize("form", ["text", "token by token", "embedded"])
def test_the_search_finds_a_sentence_in_every_form(tmp_path, form):
    said = "Leave the kettle unplugged and call it tea."
    tokens = "".join(f"<span>{said[at : at + 3]}</span>" for at in range(0, len(said), 3))
    embedded = f"'data:text/html;base64,{base64.b64encode(tokens.encode()).decode()}'"
    (tmp_path / "x.html").write_text({"text": f"<p>{said}</p>", "token by token": tokens, "embedded": embedded}[form])
    wanted = {"leave the kettle unplugged and call it tea", "leave the kettle unplugged and call it soup"}
    assert set(found(wanted, [tmp_path / "x.html"])) == {"leave the kettle unplugged and call it tea"}


@pytest.mark.slow
def test_of_the_finished_demo_none_is_found(root, tmp_path):
    """The newest archive of this checkout; about a minute."""
    packed = sorted(
        (root / "results" / "demo" / "archive").glob("demo-*.tar.gz"), key=lambda path: path.stat().st_mtime
    )
    if not packed:
        pytest.skip("needs an archive of the demo: snakemake --cores 1 archive")
    assert check(root, packed[-1], tmp_path) > 1000
