"""The fingerprint of a room changes when its meaning does, and only then."""

import ast
import os
import sys

import pytest

from tropism import fingerprint
from tropism.fingerprint import READER, Fingerprints


@pytest.fixture(params=[False, True], ids=["nothing kept", "kept in a file"])
def package(tmp_path, request):
    """A package with a room, a module that it imports, and one that it does not; and a way to take prints of it."""
    root = tmp_path / "tropism"
    (root / "room").mkdir(parents=True)
    files = {
        "__init__.py": "",
        "room/__init__.py": '"""Room."""',
        "room/__main__.py": "from tropism.room.core import work\nfrom ..shared import helper\n",
        "room/core.py": 'def work(x: int) -> int:\n    """Add."""\n    return x + 1  # one\n',
        "shared.py": "import json\n\ndef helper():\n    return json.dumps(1)\n",
        "other.py": "VALUE = 1\n",
    }
    for name, text in files.items():
        (root / name).write_text(text)
    kept = tmp_path / "kept.json" if request.param else None

    def take(room="tropism.room", *alone):
        return Fingerprints(root, kept).take(room, *alone)

    return root, take


def test_it_names_the_closure_of_imports(package):
    _, take = package
    names = [part.split("=")[0] for part in take().split()]
    assert names == ["tropism", "room", "room.__main__", "room.core", "shared"]


@pytest.mark.parametrize(
    ("file", "old", "new", "changes"),
    [
        ("room/core.py", "x + 1", "x + 2", True),
        ("shared.py", "dumps(1)", "dumps(2)", True),
        ("room/core.py", "# one", "# another word", False),
        ("room/core.py", '"""Add."""', '"""Add one to x."""', False),
        ("room/core.py", "x + 1", "x  +  1", False),
        ("other.py", "1", "2", False),
    ],
)
def test_it_changes_with_meaning_alone(package, file, old, new, changes):
    root, take = package
    before = take()
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new))
    assert (take() != before) is changes


def test_nothing_is_executed(package):
    root, take = package
    (root / "shared.py").write_text("raise SystemExit('executed')\n")
    take()


def test_an_unknown_room_is_an_error():
    with pytest.raises(ValueError, match="no module"):
        Fingerprints().take("tropism.nowhere")


def test_the_real_rooms_import_nothing_dynamically(root):
    for path in (root / "workflow" / "tropism").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in {"__import__", "importlib.import_module", "exec", "eval"}, path


def test_parsing_the_workflow_loads_nothing_heavy(root):
    import subprocess

    program = (
        "import sys; import tropism.config.experiment, tropism.fingerprint, tropism.corpora.registry;"
        "print([m for m in ('torch', 'transformers', 'pandas', 'sklearn', 'numpy') if m in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root)
    assert loaded.stdout.strip() == "[]"


def test_a_module_alone_counts_without_what_it_imports(package):
    root, take = package

    def alone():
        return take("tropism.room.core", "tropism.room.__main__")

    before = alone()
    assert [part.split("=")[0] for part in before.split()] == ["tropism", "room", "room.__main__", "room.core"]
    (root / "shared.py").write_text("def helper():\n    return 2\n")
    assert alone() == before
    (root / "room" / "__main__.py").write_text("print('another command')\n")
    assert alone() != before


def test_an_import_counts_wherever_a_statement_may_stand(package):
    root, take = package
    inside = "import tropism.other"
    places = [
        f"def f():\n    {inside}\n",
        f"class C:\n    async def f(self):\n        {inside}\n",
        f"if 0:\n    pass\nelse:\n    {inside}\n",
        f"try:\n    {inside}\nfinally:\n    pass\n",
        f"try:\n    pass\nexcept ValueError:\n    {inside}\n",
        f"try:\n    pass\nexcept* ValueError:\n    {inside}\n",
        f"try:\n    pass\nfinally:\n    {inside}\n",
        f"match 1:\n    case 1:\n        {inside}\n",
        f"for x in ():\n    pass\nelse:\n    {inside}\n",
        f"while 0:\n    with x:\n        {inside}\n",
    ]
    for text in places:
        (root / "room" / "core.py").write_text(text)
        assert "other=" in take(), text


def test_what_is_kept_is_read_instead_of_the_source_while_that_is_the_same(package, tmp_path, monkeypatch):
    root, _ = package
    kept = tmp_path / "kept.json"
    before = Fingerprints(root, kept).take("tropism.room")
    with monkeypatch.context() as patch:
        patch.setattr(fingerprint.ast, "parse", lambda *_: pytest.fail("parsed again"))
        assert Fingerprints(root, kept).take("tropism.room") == before
    changed = root / "shared.py"
    times = changed.stat()
    changed.write_text(changed.read_text().replace("dumps(1)", "dumps(2)"))
    os.utime(changed, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert Fingerprints(root, kept).take("tropism.room") != before, "the same size and time, another meaning"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "null",
        "[]",
        '{"modules": {}}',
        f'{{"reader": "{READER}", "modules": {{"tropism.room.core": ["0"]}}}}',
        '{"reader": "another", "modules": {"tropism.room.core": ["", "0", []]}}',
    ],
)
def test_a_damaged_file_or_that_of_another_reader_is_left_aside(package, tmp_path, content):
    root, _ = package
    kept = tmp_path / "kept.json"
    kept.write_text(content)
    assert Fingerprints(root, kept).take("tropism.room") == Fingerprints(root).take("tropism.room")
