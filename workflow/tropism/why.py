"""``snakemake -n ... | python -m tropism.why``: what changed, in place of the two whole lists that Snakemake prints.

Snakemake gives a job's parameters before and now side by side: two thousand characters in which a module's hash or a
setting differs.
"""

import ast
import json
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import typer

from tropism.command import run

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

CHANGED = "Params have changed since last execution: "
FOLLOWS = "Input files updated by another job: "
JOB = re.compile(r"^(?:local)?(?:rule|checkpoint|Job \d+): *(.*?):?$")
TOKEN = re.compile(r"""(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?P<now>(?<= )now: )""")
MODULES = re.compile(r"tropism=[0-9a-f]{12}(?: [\w.]+=[0-9a-f]{12})*")
SHOWN = 3
LONGEST = 160


@app.command()
def why() -> None:
    """Read a dry run from standard input and print, for all jobs of one reason, which modules and settings changed."""
    print_reasons(sys.stdin.read())


def print_reasons(printed: str) -> None:
    """Print the jobs of a dry run by what makes them run; those that only follow others are counted."""
    by_reason: dict[tuple[str, ...], list[str]] = {}
    for job, reason in jobs(printed):
        by_reason.setdefault(tuple(explained(reason)), []).append(job)
    following = by_reason.pop((), [])
    for lines, names in by_reason.items():
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        typer.echo("; ".join(names[:SHOWN]) + more)
        for line in lines:
            typer.echo(f"  {line}")
    if following:
        typer.echo(f"{len(following)} more, whose inputs come from these")
    if not by_reason and not following:
        typer.echo(
            "nothing to be done" if "Nothing to be done" in printed else "no job in it; is it a dry run's output?"
        )


def jobs(printed: str) -> Iterator[tuple[str, str]]:
    """``(job, reason)`` of each job in a dry run's output; a job is called by its rule's message."""
    job = ""
    for line in printed.splitlines():
        if found := JOB.match(line):
            job = found[1]
        elif (reason := line.strip()).startswith("Reason: "):
            yield job, reason.removeprefix("Reason: ")


def explained(reason: str) -> list[str]:
    """What makes a job run, in lines; none for one that only follows other jobs."""
    before, _, changed = reason.partition(CHANGED)
    lines = [part for part in before.split("; ") if part and not part.startswith(FOLLOWS)]
    if changed:
        lines += differences(*sides(changed))
    return [line if len(line) <= LONGEST or line.startswith("code: ") else f"{line[:LONGEST]} ..." for line in lines]


def sides(changed: str) -> tuple[list[str], list[str]]:
    """The parameters that a job had before, and those that it has now."""
    both: tuple[list[str], list[str]] = ([], [])
    side = 0
    for token in TOKEN.finditer(changed):
        if token["now"]:
            side = 1
        else:
            both[side].append(str(ast.literal_eval(token["text"])))
    return both


def differences(before: list[str], now: list[str]) -> list[str]:
    """What differs: modules of the code, settings by their keys, other parameters as they are."""
    lines = []
    old, new = modules(before), modules(now)
    if names := sorted(name for name in old | new if old.get(name) != new.get(name)):
        lines.append(f"code: {', '.join(names)}")
    (old_settings, old_rest), (new_settings, new_rest) = settings(before), settings(now)
    for one in old_settings:
        # of several the one that has most keys in common
        in_common = [len(other.keys() & one.keys()) for other in new_settings]
        other = new_settings.pop(in_common.index(max(in_common))) if in_common else {}
        keys = sorted(key for key in one | other if one.get(key) != other.get(key))
        lines += [f"setting: {key}: {one.get(key, 'none')} -> {other.get(key, 'none')}" for key in keys]
    lines += [f"setting: {key}: none -> {value}" for flat in new_settings for key, value in sorted(flat.items())]
    lines += [f"before: {text}" for text in old_rest] + [f"now: {text}" for text in new_rest]
    return lines


def modules(texts: Iterable[str]) -> dict[str, str]:
    """The modules and hashes of the fingerprints among some parameters."""
    pairs = [
        (pair.partition("=")[0], pair.partition("=")[2])
        for text in texts
        if MODULES.fullmatch(text)
        for pair in text.split()
    ]
    return dict(pairs)


def settings(texts: Iterable[str]) -> tuple[list[dict[str, str]], list[str]]:
    """The slices of settings among some parameters, by dotted key, and what is neither settings nor code."""
    found, rest = [], []
    for text in texts:
        if MODULES.fullmatch(text):
            continue
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if isinstance(value, dict):
            found.append(dict(flat(value)))
        else:
            rest.append(text)
    return found, rest


def flat(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """A setting's values by dotted key, as JSON."""
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from flat(item, f"{key}.{name}" if key else name)
    else:
        yield key, json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    run(app)
