"""A content fingerprint of a room: its own modules and every project module that they import.

Snakemake reruns a rule when its ``code`` parameter changes. The fingerprint is taken from the syntax tree, so nothing
is executed, and comments, docstrings and formatting do not count. It names each module, so that the reason that
Snakemake prints shows which one changed.

To parse every module takes longer than all else that Snakemake does before a small run, so what was read of a module
can be kept in a file. It is found again by the checksum of the source: never by its time.
"""

import ast
import contextlib
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tropism.records.files import replacing

PACKAGE = Path(__file__).resolve().parent
# What is kept was read by this very file and this Python: another version may dump the same tree otherwise.
READER = hashlib.sha256(Path(__file__).read_bytes() + sys.version.encode()).hexdigest()


class Source(NamedTuple):
    """What counts of a module: the checksum of its file, the hash of its meaning, imports as (level, module, names)."""

    checksum: str
    digest: str
    imports: list[tuple[int, str, list[str]]]


class Fingerprints:
    """Takes fingerprints of the rooms of ``package``, a folder; each of its files is read once in its lifetime.

    The file ``kept`` spares another process the parsing of what has not changed since.
    """

    def __init__(self, package: Path = PACKAGE, kept: Path | None = None) -> None:
        self._package = package
        self._kept = kept
        self._known = _load(kept) if kept else {}
        self._current: dict[str, Source] = {}
        self._paths: dict[str, Path | None] = {}
        self._imported: dict[str, tuple[str, ...]] = {}

    def take(self, room: str, *alone: str, also: tuple[str, ...] = ()) -> str:
        """``module=hash`` of every module in the import closure of ``room`` (such as ``tropism.mask``), sorted.

        That of each of ``also`` is taken besides.

        Of the modules ``alone`` the content counts, but not what they import: a command that serves many jobs and
        imports what each of them needs.

        Raises:
            ValueError: there is no such module.
        """
        modules: set[str] = set()
        for root in (room, *also):
            closure = self._closure(root)
            if not closure:
                raise ValueError(f"no module {root} in {self._package}")
            modules |= closure
        named = {name: self._source(name).digest for name in sorted(modules | set(alone))}
        if self._kept and self._known | self._current != self._known:
            self._known |= self._current
            # without the file the next process reads all modules anew: no reason to stop
            with contextlib.suppress(OSError), replacing(self._kept) as file:
                file.write_text(json.dumps({"reader": READER, "modules": self._known}))
        return " ".join(f"{name.removeprefix('tropism.')}={digest}" for name, digest in named.items())

    def _closure(self, room: str) -> set[str]:
        """A folder room is run through its ``__main__``, which is where the walk begins."""
        found: set[str] = set()
        waiting = [room, f"{room}.__main__"]
        while waiting:
            name = waiting.pop()
            if name not in found and self._path(name) is not None:
                found.add(name)
                waiting += self._imports(name)
        return found

    def _path(self, name: str) -> Path | None:
        if name not in self._paths:
            top, *parts = name.split(".")
            base = self._package.joinpath(*parts)
            candidates = [base / "__init__.py", base.with_suffix(".py")] if top == self._package.name else []
            self._paths[name] = next((path for path in candidates if path.is_file()), None)
        return self._paths[name]

    def _imports(self, name: str) -> tuple[str, ...]:
        """Absolute names of what a module imports, parents included (importing a.b runs a too)."""
        if name not in self._imported:
            path = self._path(name)
            assert path is not None
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            names: list[str] = [package]
            for level, module, items in self._source(name).imports:
                parts = package.split(".")[: len(package.split(".")) - level + 1] if level else []
                base = ".".join([*parts, *([module] if module else [])])
                names += [base, *(f"{base}.{item}" for item in items)]
            parents = {".".join(full.split(".")[:depth]) for full in names for depth in range(1, full.count(".") + 2)}
            self._imported[name] = tuple(sorted(parents - {""}))
        return self._imported[name]

    def _source(self, name: str) -> Source:
        if name not in self._current:
            path = self._path(name)
            assert path is not None
            text = path.read_bytes()
            checksum = hashlib.sha256(text).hexdigest()
            known = self._known.get(name)
            if known is None or known.checksum != checksum:
                known = _read(ast.parse(text, str(path)), checksum)
            self._current[name] = known
        return self._current[name]


def _load(kept: Path) -> dict[str, Source]:
    """What an earlier process kept; nothing if another reader did, or if the file was damaged: it is read anew then."""
    try:
        content = json.loads(kept.read_bytes())
        if content["reader"] != READER:
            return {}
        return {name: Source(*row) for name, row in content["modules"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _read(tree: ast.Module, checksum: str) -> Source:
    imports: list[tuple[int, str, list[str]]] = []
    for node in [tree, *_statements(tree)]:
        if isinstance(node, ast.Import):
            imports += [(0, alias.name, []) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imports.append((node.level, node.module or "", [alias.name for alias in node.names]))
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and _docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return Source(checksum, hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:12], imports)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Every statement below ``node``; expressions, which are most of a tree, hold neither imports nor docstrings."""
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        inside = getattr(node, field, None)
        for inner in inside if isinstance(inside, list) else ():
            yield inner
            yield from _statements(inner)


def _docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return ast.get_docstring(node, clean=False) is not None
