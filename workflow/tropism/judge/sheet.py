"""People as judges: a blinded rating sheet to fill in, and its return.

The sheet shows a prompt and a response under a number that says nothing, in an order that says nothing: neither arm,
nor domain, nor what another judge said. What each number stands for is in the key, which raters do not get.
"""

import csv
import io
import logging
import math
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pandas as pd
from pydantic import ValidationError

from tropism.judge.foreign import slug
from tropism.judge.judgments import COLUMNS
from tropism.judge.rubric import Rubric, Scale, Target
from tropism.judge.status import status_of
from tropism.records.files import InputError, explain, parse_json, read_lines, replacing, write_jsonl
from tropism.records.keyed import keyed_bytes
from tropism.records.schema import Generation, Row

FIXED = ["item", "prompt", "response"]
FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Asked(Row):
    """What an item of a sheet stands for, and the scale and file hash of each rubric that was asked."""

    item: str
    target: Target
    generation: Generation
    scales: dict[str, Scale]
    hashes: dict[str, str]


def draw_sheet(
    generations: Sequence[Generation], rubrics: Sequence[Rubric], target: Target, n: int | None, seed: int
) -> list[Asked]:
    """``n`` responses (all if None) that are not empty, chosen and ordered by ``(seed, response)``.

    An item's number depends on the text too: after responses were made again, a sheet of the earlier ones fits no new
    key, though arms and prompts are called the same.

    Raises:
        InputError: a rubric is not for this target or given twice, a response is there twice, or there is nothing to
            rate.
    """
    if len({rubric.name for rubric in rubrics}) < len(rubrics):
        raise InputError("a rubric is given twice; a sheet has one column for each")
    wrong = [rubric.name for rubric in rubrics if target not in rubric.targets]
    if wrong:
        raise InputError(f"rubric {wrong[0]} is not asked of a response's {target}")

    def draw(row: Generation) -> str:
        return keyed_bytes(seed, "sheet", target, row.arm, row.set, row.prompt_id, row.sample).hex()

    def number(row: Generation) -> str:
        return keyed_bytes("item", draw(row), row.prompt, getattr(row, target)).hex()

    rows = sorted((row for row in generations if getattr(row, target).strip()), key=draw)
    for row, other in pairwise(rows):
        if draw(row) == draw(other):
            raise InputError(
                f"two responses are of arm {row.arm}, set {row.set}, prompt {row.prompt_id}, sample {row.sample}; give"
                " each file of generations once, and those of another experiment a sheet of their own"
            )
    if not rows:
        raise InputError(f"no generation has a {target} to rate")
    if n is not None and n > len(rows):
        logging.warning("%d responses were asked for, and there are %d: the sheet has all of them", n, len(rows))
    rows = rows[:n]
    scales = {rubric.name: rubric.scale for rubric in rubrics}
    hashes = {rubric.name: rubric.hash for rubric in rubrics}
    return [Asked(item=number(row), target=target, generation=row, scales=scales, hashes=hashes) for row in rows]


def write_sheet(asked: Sequence[Asked], rubrics: Sequence[Rubric], output: Path, key: Path) -> None:
    """Write the sheet, its instructions beside it (``.md``), and the key.

    A text that a spreadsheet would run as a formula is written with an apostrophe before it.

    Raises:
        InputError: two of the three would be one file.
    """
    if len({path.resolve() for path in (output, output.with_suffix(".md"), key)}) < 3:
        raise InputError(
            f"--output {output}, its instructions {output.with_suffix('.md')} and --key {key} are three files; name the"
            " sheet NAME.csv and give the key another name"
        )
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*FIXED, *(rubric.name for rubric in rubrics)])
    for one in asked:
        texts = (one.generation.prompt, getattr(one.generation, one.target))
        writer.writerow([one.item, *map(_inert, texts), *("" for _ in rubrics)])
    with replacing(output) as temporary:
        temporary.write_text(buffer.getvalue(), encoding="utf-8", newline="")
    lines = ["# How to rate", "", "One whole number a cell; leave a cell empty rather than guess.", ""]
    for rubric in rubrics:
        about = f": the text {rubric.item}" if rubric.item else f" (high is {rubric.high})"
        lines += [f"## {rubric.name}, {rubric.scale.min} to {rubric.scale.max}{about}", ""]
        lines += [*(f"- {level}: {text}" for level, text in sorted(rubric.levels.items())), ""]
    with replacing(output.with_suffix(".md")) as temporary:
        temporary.write_text("\n".join(lines), encoding="utf-8")
    write_jsonl(key, asked)


def _inert(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text


def read_key(path: Path) -> dict[str, Asked]:
    """What the items of a sheet stand for.

    Raises:
        InputError: not a key.
    """
    found = {}
    for number, line in read_lines(path):
        if line.strip():
            try:
                one = Asked.model_validate(parse_json(line, f"{path}, line {number}"))
            except ValidationError as error:
                raise InputError(f"{path}, line {number}: not of a sheet's key: {explain(error)}") from None
            found[one.item] = one
    if not found:
        raise InputError(f"{path}: a key of no item; was the sheet written with `export`?")
    return found


def read_sheet(path: Path, key: dict[str, Asked]) -> tuple[pd.DataFrame, list[Generation]]:
    """``(judgments, the responses rated)`` of a filled sheet; the rater is called as the file is.

    An empty cell was not rated and gives no row.

    Raises:
        InputError: naming file and line: an item that is unknown or occurs twice, a column that is missing, or a cell
            that is not a whole number on the scale.
    """
    text = "\n".join(line for _, line in read_lines(path))
    sheet = csv.DictReader(io.StringIO(text, newline=""))
    absent = [name for name in ("item", *next(iter(key.values())).scales) if name not in (sheet.fieldnames or ())]
    if absent:
        divided = "; its cells are divided by semicolons or tabs: save it divided by commas"
        raise InputError(
            f"{path}, line 1: no column {absent[0]}; a sheet keeps the columns that it was written with"
            + (divided if re.match(r'"?item"?[;\t]', text) else "")
        )
    rater = slug(path.stem)
    rows: list[tuple[object, ...]] = []
    rated: dict[str, Generation] = {}
    empty = 0
    end = sheet.line_num if sheet.fieldnames else 0
    while (line := next(sheet, None)) is not None:
        begin, end = end + 1, sheet.line_num  # a text of several lines is one row
        where = f"{path}, line {begin}"
        one = key.get(line.get("item") or "")
        if one is None:
            raise InputError(f"{where}: item {line.get('item')!r} is not in the key; is this the key of this sheet?")
        if one.item in rated:
            raise InputError(f"{where}: item {one.item} occurs twice")
        rated[one.item] = one.generation
        for rubric, scale in one.scales.items():
            cell = line.get(rubric)
            if cell is None:
                raise InputError(f"{where}: the row ends before the column {rubric}; a cell was lost")
            if not cell.strip():
                empty += 1
                continue
            score = _score(cell, scale, f"{where}: {rubric}")
            row = one.generation
            about = (row.arm, row.set, row.prompt_id, row.domain, row.sample, one.target)
            status = status_of(row, one.target, scored=True)
            rows.append((*about, rater, "", rubric, one.hashes[rubric], score, status))
    logging.info("%s: %d ratings of %d responses, %d cells left empty", rater, len(rows), len(rated), empty)
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"sample": "int64", "score": "float64"})
    return table, list(rated.values())


def _score(cell: str, scale: Scale, where: str) -> float:
    try:
        value = float(cell.strip())
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value != round(value) or not scale.min <= value <= scale.max:
        raise InputError(f"{where}: {cell!r} is no whole number from {scale.min} to {scale.max}; mend it or clear it")
    return value
