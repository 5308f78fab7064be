"""Published tables as LaTeX, and the macros of their numbers: ``paper.tex``, and ``speed.tex`` of what is measured in
seconds, which differs between runs.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from tropism.figures.canvas import read_table
from tropism.figures.macros import MOST_ROWS, macros, printed, quoted
from tropism.records.files import replacing
from tropism.records.notes import Note

MEASURED = ("training_speed",)
LONG = 40  # rows from which a table may run over pages
SIGNS = {
    "→": "rightarrow",
    "←": "leftarrow",
    "≥": "geq",
    "≤": "leq",
    "≠": "neq",
    "≈": "approx",
    "∞": "infty",
}
LAST_LETTER = "\u017f"  # Latin with accents
PUNCTUATION = "–—‘’“”„…†‡•€"
HEAD = """% Numbers and tables of one run; made, so not to be edited. \\input{paper.tex} in the preamble, with
% \\usepackage{booktabs,longtable} for the tables.
"""


def write_latex(paths: Sequence[Path], notes: Mapping[str, Note], folder: Path) -> None:
    """Write both files of macros and one ``<table>.tex`` for each table of at most ``MOST_ROWS`` rows worth quoting."""
    lines = {"paper": [HEAD], "speed": [HEAD]}
    for path in paths:
        table = read_table(path, [])
        note = notes.get(path.stem, Note("", (), {}))
        lines["speed" if path.stem in MEASURED else "paper"] += [*macros(path.stem, table, note.key), ""]
        if 0 < len(quoted(table)) <= MOST_ROWS:
            with replacing(folder / f"{path.stem}.tex") as temporary:
                temporary.write_text(as_latex(path.stem, table, note), encoding="utf-8", newline="\n")
    for name, text in lines.items():
        with replacing(folder / f"{name}.tex") as temporary:
            temporary.write_text("\n".join(text), encoding="utf-8", newline="\n")


def as_latex(name: str, table: pd.DataFrame, note: Note) -> str:
    """The rows to quote, as a ``booktabs`` table or, from ``LONG`` rows, a ``longtable``; text is escaped."""
    rows = quoted(table).drop(columns="headline", errors="ignore")
    constant = [column for column in rows if rows[column].nunique(dropna=False) == 1 and len(rows) > 1]
    shown = rows.drop(columns=constant)
    text = pd.DataFrame({column: _cells(shown[column], str(column)) for column in shown})
    text.columns = [_escaped(str(column)) for column in shown]
    same = "; ".join(f"{column}: {rows[column].iloc[0]}" for column in constant if pd.notna(rows[column].iloc[0]))
    caption = _escaped(" ".join([note.about.replace("`", ""), f"In all rows: {same}." if same else ""]).strip())
    numeric = [pd.api.types.is_numeric_dtype(shown[column]) for column in shown]
    return text.to_latex(
        index=False,
        escape=False,
        longtable=len(text) >= LONG,
        caption=caption or None,
        label=f"tab:{name}",
        column_format="".join("r" if number else "l" for number in numeric),
    )


def _cells(column: pd.Series, name: str) -> list[str]:
    """Shares keep the table's own scale here, since the column ``unit`` stands beside them."""
    return [
        "" if pd.isna(value) else _escaped(str(value)) if isinstance(value, bool | str) else printed(value, name)
        for value in column.tolist()
    ]


def _escaped(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {character: f"\\{character}" for character in "&%$#_{}"}
    special |= {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
    special |= {"−": r"\ensuremath{-}"} | {sign: rf"\ensuremath{{\{name}}}" for sign, name in SIGNS.items()}
    return "".join(special.get(character) or _plain(character) for character in text)


def _plain(character: str) -> str:
    """What LaTeX reads without a package; the code point of what it does not, which is better seen than an error."""
    return character if character <= LAST_LETTER or character in PUNCTUATION else f"[U+{ord(character):04X}]"
