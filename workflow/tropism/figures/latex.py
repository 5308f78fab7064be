"""Published tables as LaTeX, and the macros of their numbers: ``paper.tex``, and ``speed.tex`` of what is measured in
seconds, which differs between runs.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tropism.figures.canvas import read_table
from tropism.figures.columns import GAP, Column, head_lines, lay_out
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
% \\usepackage{array,booktabs,longtable,pdflscape} for the tables.
"""


def write_latex(paths: Sequence[Path], notes: Mapping[str, Note], folder: Path) -> None:
    """Write both files of macros and one ``<table>.tex`` for each table of at most ``MOST_ROWS`` rows worth quoting."""
    lines = {"paper": [HEAD], "speed": [HEAD]}
    for path in paths:
        table = read_table(path, [])
        note = notes.get(path.stem, Note("", (), {}))
        lines["speed" if path.stem in MEASURED else "paper"] += [*macros(path.stem, table, note.key, note.whole), ""]
        if 0 < len(quoted(table)) <= MOST_ROWS:
            with replacing(folder / f"{path.stem}.tex") as temporary:
                temporary.write_text(as_latex(path.stem, table, note), encoding="utf-8", newline="\n")
    for name, text in lines.items():
        with replacing(folder / f"{name}.tex") as temporary:
            temporary.write_text("\n".join(text), encoding="utf-8", newline="\n")


def as_latex(name: str, table: pd.DataFrame, note: Note) -> str:
    """The rows to quote, as a ``booktabs`` table or, from ``LONG`` rows, a ``longtable``; text is escaped.

    What is too wide for a page is turned; what is too wide for that comes in parts that repeat the row's key.
    """
    rows = quoted(table).drop(columns="headline", errors="ignore")
    constant = [column for column in rows if rows[column].nunique(dropna=False) == 1 and len(rows) > 1]
    shown = rows.drop(columns=constant)
    numeric = {str(column): pd.api.types.is_numeric_dtype(shown[column]) for column in shown}
    columns = [
        Column(str(c), [_text(v, str(c), note.whole) for v in shown[c].tolist()], numeric[str(c)]) for c in shown
    ]
    words = [column.name for column in columns if not column.numeric]
    layout = lay_out(columns, note.key or words)
    same = "; ".join(
        f"{_escaped(str(column))}: {_cell(rows[column].tolist()[0], str(column), note.whole)}"
        for column in constant
        if pd.notna(rows[column].iloc[0])
    )
    about = f"{_escaped(note.about.replace('`', ''))} {f'In all rows: {same}.' if same else ''}".strip()
    cells = {column: _cells(shown[column], column, column in layout.wrapped, note.whole) for column in numeric}
    long = len(shown) >= LONG or layout.turned
    parts = []
    for number, part in enumerate(layout.parts, start=1):
        which = f"part {number} of {len(layout.parts)}" if len(layout.parts) > 1 else ""
        caption = rf"Table~\ref{{tab:{name}}}, {which}." if number > 1 else f"{about} {which.capitalize()}".strip()
        text = pd.DataFrame({_head(column, numeric[column]): cells[column] for column in part}).to_latex(
            index=False,
            escape=False,
            longtable=long,
            caption=caption or None,
            label=f"tab:{name}" + (f"-{number}" if number > 1 else ""),
            column_format="".join(_format(column, numeric[column], layout.wrapped) for column in part),
        )
        parts.append(text.rstrip("\n"))
    # a float goes back to the size of the text, so there the size is set inside of it
    sized = rf"{layout.size}\setlength{{\tabcolsep}}{{{GAP / 2:g}pt}}"
    if not long:
        return parts[0].replace(r"\begin{tabular}", f"\\centering{sized}\n\\begin{{tabular}}", 1) + "\n"
    body = "\n".join([rf"{{{sized}\setlength{{\LTcapwidth}}{{\linewidth}}", *parts, "}"])
    return f"\\begin{{landscape}}\n{body}\n\\end{{landscape}}\n" if layout.turned else f"{body}\n"


def _head(column: str, numeric: bool) -> str:
    lines = r"\\".join(_escaped(line) for line in head_lines(column))
    return rf"\shortstack[{'r' if numeric else 'l'}]{{{lines}}}" if r"\\" in lines else lines


def _format(column: str, numeric: bool, wrapped: Mapping[str, float]) -> str:
    if column in wrapped:
        return rf">{{\raggedright\arraybackslash}}p{{{wrapped[column]:.0f}pt}}"
    return "r" if numeric else "l"


def _cells(column: pd.Series, name: str, wrapped: bool, whole: Collection[str]) -> list[str]:
    """What LaTeX reads; in a wrapped column a line may break after an underscore, as it may after a hyphen."""
    cells = [_cell(value, name, whole) for value in column.tolist()]
    return [cell.replace(r"\_", r"\_\allowbreak{}") for cell in cells] if wrapped else cells


def _cell(value: Any, name: str, whole: Collection[str]) -> str:
    text = _text(value, name, whole)
    return _escaped(text) if isinstance(value, bool | str) else text


def _text(value: Any, name: str, whole: Collection[str]) -> str:
    """Shares keep the table's own scale here, since the column ``unit`` stands beside them."""
    if pd.isna(value) or isinstance(value, bool | str):
        return "" if pd.isna(value) else str(value)
    return printed(value, name, whole=whole)


def _escaped(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {character: f"\\{character}" for character in "&%$#_{}"}
    special |= {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
    special |= {"−": r"\ensuremath{-}"} | {sign: rf"\ensuremath{{\{name}}}" for sign, name in SIGNS.items()}
    return "".join(special.get(character) or _plain(character) for character in text)


def _plain(character: str) -> str:
    """What LaTeX reads without a package; the code point of what it does not, which is better seen than an error."""
    return character if character <= LAST_LETTER or character in PUNCTUATION else f"[U+{ord(character):04X}]"
