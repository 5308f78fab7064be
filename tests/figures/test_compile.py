"""A real LaTeX compiles every table and every macro, whatever the cells hold. Skipped where there is none."""

import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from tropism.figures.latex import as_latex
from tropism.figures.macros import macros
from tropism.records.notes import Note

DOCUMENT = r"""\documentclass{{article}}
\usepackage{{array,booktabs,longtable,pdflscape}}
{macros}
\begin{{document}}
{body}
\end{{document}}
"""
HOSTILE = [
    *"&%$#_{}~^\\<>|\"`'[]*=-+/@!?;:,.",
    "\\input{x}",
    "--",
    "% a_b & {c}^2 ~ $d$",
    "é – ü “q” … €",
    "→≥≤±×−σ ∞ 猫",
]


@pytest.fixture(scope="module")
def pdflatex() -> str:
    path = shutil.which("pdflatex")
    if path is None or not shutil.which("kpsewhich"):
        pytest.skip("needs pdflatex: apt-get install texlive-latex-recommended")
    if subprocess.run(["kpsewhich", "booktabs.sty"], capture_output=True).returncode:
        pytest.skip("needs booktabs: apt-get install texlive-latex-recommended")
    return path


def compiled(pdflatex: str, folder: Path, macros: str, body: str) -> str:
    """What LaTeX says; it ends at the first error."""
    (folder / "paper-to-be.tex").write_text(DOCUMENT.format(macros=macros, body=body), encoding="utf-8")
    command = [pdflatex, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "paper-to-be.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert (folder / "paper-to-be.pdf").stat().st_size > 1000
    return done.stdout


def test_every_table_and_every_macro_compiles(pdflatex, written, tmp_path):
    names = [
        name for file in ("paper", "speed") for name in re.findall(r"{\\(\w+)}", (written / f"{file}.tex").read_text())
    ]
    tables = sorted(path.stem for path in written.glob("*.tex") if path.stem not in ("paper", "speed"))
    assert len(names) > 500
    assert len(tables) > 15
    head = "\n".join(rf"\input{{{written}/{name}.tex}}" for name in ("paper", "speed"))
    body = "\n".join(rf"\{name}{{}}" for name in names)
    body += "\n\\typeout{tables follow}" + "".join(f"\n\\clearpage\n\\input{{{written}/{name}.tex}}" for name in tables)
    printed = compiled(pdflatex, tmp_path, head, body)
    assert "Missing character" not in printed
    tables_alone = printed[printed.index("tables follow") :]
    assert re.findall(r"Overfull .hbox \(([\d.]+)pt", tables_alone) == [], "every table fits its page"


@pytest.mark.parametrize("rows", [1, 2])
def test_names_that_mean_something_to_tex_are_printed_as_they_are(pdflatex, tmp_path, rows):
    """Enough rows for a table, then for one that runs over pages."""
    cells = HOSTILE * rows
    table = pd.DataFrame({"arm": [f"{i} {cell}" for i, cell in enumerate(cells)], "value": 0.5, "note_%": cells})
    note = Note("What & why_it 100 % `is` #1", ("arm",), {})
    lines = "\n".join(macros("hostile_table", table, note.key))
    compiled(pdflatex, tmp_path, lines, as_latex("hostile_table", table, note))
