"""Rubrics: what a judge is asked, and how its reply is read.

A rubric is a file, versioned and hashed into every judgment. The judged text is data: it reaches the judge as one line
of JSON between two fences that the text cannot know, so that it can neither end its block nor speak outside it. The
reply is read strictly; what is not a score on the scale is no score.
"""

import hashlib
import json
import math
import re
import string
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import ConfigDict, Field, ValidationError, model_validator

from tropism.records.files import InputError, explain
from tropism.records.schema import Row

Target = Literal["answer", "reasoning"]
Message = dict[str, str]
MIN_MASS = 0.25
"""Least probability that the scale's integers must hold together (Emergent Misalignment)."""

_INTEGER = re.compile(r"\s*([0-9]{1,9})\s*", re.ASCII)
_FIRST_NUMBER = re.compile(r"\s*([0-9]+)", re.ASCII)
_UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


class Scale(Row):
    """Whole numbers from ``min`` to ``max``."""

    min: int
    max: int


class Rubric(Row):
    """One question to a judge; ``high`` says what a high score means.

    ``hash`` is the sha256 of its file; ``item`` is the text of the one item of that file that is asked about, if any.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9_]+$")
    version: int = Field(ge=1)
    targets: tuple[Target, ...] = Field(min_length=1)
    scale: Scale
    high: str
    levels: dict[int, str]
    system: str
    item: str | None = None
    hash: str

    @model_validator(mode="after")
    def _levels_lie_on_the_scale(self) -> Self:
        outside = [level for level in self.levels if not self.scale.min <= level <= self.scale.max]
        if outside or self.scale.min >= self.scale.max:
            raise ValueError(f"scale {self.scale.min} to {self.scale.max} does not hold level {outside[:1]}")
        known = {"fence", "target", "levels", "min", "max", "item"}
        found = set(string.Template(self.system).get_identifiers())
        if not string.Template(self.system).is_valid() or not found <= known or "fence" not in found:
            raise ValueError(f"system: uses ${', $'.join(sorted(known))} and must use $fence; found {sorted(found)}")
        if ("item" in found) != (self.item is not None):
            raise ValueError("system: uses $item, and `items` names them, or neither")
        return self

    def messages(self, prompt: str, response: str, target: Target) -> list[Message]:
        """The request: one system message, the same but for the fence, and one user message that holds the data.

        The fence is a digest of the data and the rubric together, so a text that holds its own fence would have to
        hold its own digest.
        """
        data = escape({"prompt": prompt, target: response})
        fence = "==" + hashlib.blake2b(data.encode(), key=bytes.fromhex(self.hash), digest_size=16).hexdigest()
        system = string.Template(self.system).substitute(
            fence=fence,
            target=target,
            item=self.item or "",
            levels="\n".join(f"{level} = {text}" for level, text in sorted(self.levels.items())),
            min=self.scale.min,
            max=self.scale.max,
        )
        return [
            {"role": "system", "content": system.strip()},
            {"role": "user", "content": f"{fence} begin\n{data}\n{fence} end"},
        ]

    def parse(self, reply: str) -> float | None:
        """The score in ``reply``: an integer on the scale, alone or as ``{"score": n}``; None for anything else."""
        match = _INTEGER.fullmatch(reply)
        value = int(match[1]) if match else _score_of_object(reply)
        return float(value) if value is not None and self.scale.min <= value <= self.scale.max else None

    def expected(self, alternatives: Mapping[str, float]) -> float | None:
        """The probability-weighted mean over the scale's integers; None if they hold less than 0.25 together.

        Args:
            alternatives: natural-log probability of each candidate for the reply's first token.
        """
        total = weighted = 0.0
        for token, logprob in alternatives.items():
            value = self.parse(token)
            if value is not None and not token.lstrip().startswith("{"):
                total += math.exp(logprob)
                weighted += value * math.exp(logprob)
        return weighted / total if total >= MIN_MASS else None


def split_number(first_token: str, reply: str) -> str | None:
    """The number that ``reply`` begins with, if it is in several tokens, so that the first alone is no number."""
    number = _FIRST_NUMBER.match(reply)
    split = number is not None and first_token.strip().isdigit() and first_token.strip() != number[1]
    return number[1] if number and split else None


def escape(value: str | Mapping[str, str]) -> str:
    """``value`` as one line of JSON in which no character can act: control, bidirectional and other invisible ones,
    and ``<`` and ``[``, with which chat templates begin their marks, are written as escapes."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(_escaped(c) if c in "<[" or unicodedata.category(c) in _UNSAFE else c for c in text)


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1] if ord(character) > 127 else f"\\u{ord(character):04x}"


def _score_of_object(reply: str) -> int | None:
    try:
        pairs = json.loads(reply, object_pairs_hook=tuple)
    except (ValueError, RecursionError):
        return None
    if isinstance(pairs, tuple) and len(pairs) == 1 and pairs[0][0] == "score" and type(pairs[0][1]) is int:
        return int(pairs[0][1])
    return None


def read_rubric(path: Path | str) -> Rubric:
    """The rubric in a YAML file.

    Raises:
        InputError: no such file, not YAML, not a rubric, or several: see :func:`read_rubrics`.
    """
    rubrics = read_rubrics(path)
    if len(rubrics) > 1:
        raise InputError(f"{path}: has items, so it is several rubrics: {', '.join(rubric.name for rubric in rubrics)}")
    return rubrics[0]


def read_rubrics(path: Path | str) -> list[Rubric]:
    """The rubrics in a YAML file: one, or one for each of its ``items``, called ``<name>_<item>``.

    Raises:
        InputError: no such file, not YAML, not a rubric, or one that is called otherwise than its file, as a copy is.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(
            f"{path}: no such rubric; known: {', '.join(sorted(p.stem for p in path.parent.glob('*.yaml')))}"
        )
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    try:
        fields = yaml.safe_load(content)
        items = {f"{fields['name']}_{item}": str(text) for item, text in dict(fields.pop("items", {})).items()}
        named = [{"name": name, "item": text} for name, text in items.items()] or [{}]
        rubrics = [Rubric.model_validate({**fields, **one, "hash": digest}) for one in named]
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML ({str(error).splitlines()[0]})") from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, ValidationError):
            raise InputError(f"{path}: {explain(error)}") from None
        raise InputError(f"{path}: not a rubric: expected keys and values, `items` too") from None
    if fields["name"] != path.stem:
        # settings name the file, judgments and thresholds the rubric: a copy's scores would count as the original's
        raise InputError(f"{path}: its `name` is `{fields['name']}`; call the rubric as its file, `{path.stem}`")
    return rubrics
