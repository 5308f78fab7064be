"""What served judges will be asked and what that may cost, before anything is spent.

Calls are exact of labelled references and where an arm's responses exist, and at most as many as prompts, samples,
rubrics and targets make where they do not; of responses of changed or half-trained arms they are known once these
exist, and until then the files are named. Of tokens nothing is certain but the limits: a text is counted as one token
for four characters of English, a reply at its limit, a response that is not there yet at its limit too.
"""

import contextlib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tropism.config.evaluate import EvaluateConfig
from tropism.config.judges import JudgeConfig
from tropism.endpoint import Answers, Server, chat_bodies, free_of_charge
from tropism.endpoint.server import URL_VARIABLE
from tropism.judge.chat import reply_settings, requests
from tropism.judge.judges import asked_rubrics, reference_items
from tropism.judge.judgments import Item
from tropism.judge.references import build_references
from tropism.judge.rubric import Rubric, Target
from tropism.records.files import read_jsonl
from tropism.records.schema import Conversation, Generation

TARGETS: tuple[Target, ...] = ("answer", "reasoning")
CHARACTERS_PER_TOKEN = 4
TURN_TOKENS = 8
"""What a chat template adds to a turn, about."""


Changed = Mapping[str, Mapping[str, Sequence[Path]]]
"""Files of responses of changed or half-trained arms, by judge and by what marks its files of answers about them."""


@dataclass(frozen=True)
class Load:
    """Requests to a judge. ``known`` of them are answered already and free; tokens are those of the others."""

    calls: int = 0
    known: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: "Load") -> "Load":
        return Load(
            self.calls + other.calls,
            self.known + other.known,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
        )

    def dollars(self, judge: JudgeConfig) -> float | None:
        """Price of the tokens; None where the settings name no prices."""
        if judge.price_input is None or judge.price_output is None:
            return None
        return (self.input_tokens * judge.price_input + self.output_tokens * judge.price_output) / 1e6


def load_of_responses(
    responses: Sequence[Generation], rubrics: Sequence[Rubric], judge: JudgeConfig, answers: Path
) -> Load:
    """What judging these responses asks; what the file ``answers`` holds is free, and needs no key to be looked up."""
    asked = [
        ([item for row in responses for item in _items(row, target)], [one for one in rubrics if target in one.targets])
        for target in TARGETS
    ]
    return _load_of_items(asked, judge, answers)


def load_of_references(
    conversations: Sequence[Conversation], rubrics: Sequence[Rubric], judge: JudgeConfig, answers: Path
) -> Load:
    """What judging these labelled references asks; what the file ``answers`` holds is free."""
    references = build_references(conversations, seed=0)
    asked = [(items, [rubric]) for rubric, _, items in reference_items(references, rubrics)]
    return _load_of_items(asked, judge, answers)


def _load_of_items(asked: Sequence[tuple[list[Item], list[Rubric]]], judge: JudgeConfig, answers: Path) -> Load:
    server = Server(judge.base_url or os.environ.get(URL_VARIABLE, ""), str(judge.served))
    total = Load()
    with Answers(answers) if answers.is_file() else contextlib.nullcontext() as kept:
        for items, rubrics in asked:
            bodies = chat_bodies(server, requests(items, rubrics), **reply_settings(judge, items, rubrics))
            free = free_of_charge(server, bodies, kept)
            paid = [body for body, costs_nothing in zip(bodies, free, strict=True) if not costs_nothing]
            tokens = sum(message_tokens(body["messages"]) for body in paid)
            total += Load(len(bodies), sum(free), tokens, len(paid) * judge.max_tokens)
    return total


def load_of_prompts(
    prompts: Sequence[Conversation],
    rubrics: Sequence[Rubric],
    judge: JudgeConfig,
    settings: EvaluateConfig,
    reasons: bool,
) -> Load:
    """What judging an arm asks at most whose responses to ``prompts`` are not there yet."""
    total = Load()
    for target in TARGETS if reasons else TARGETS[:1]:
        asked = [rubric for rubric in rubrics if target in rubric.targets]
        bodies = requests([Item(row.prompt, "", target) for row in prompts], asked)
        tokens = sum(message_tokens(body) + settings.max_new_tokens for body in bodies)
        calls = len(bodies) * settings.samples
        total += Load(calls, 0, tokens * settings.samples, calls * judge.max_tokens)
    return total


def estimate_all(
    judges: dict[str, JudgeConfig],
    arms: dict[str, bool],
    references: dict[str, list[Path]],
    prompts: Sequence[Conversation],
    settings: EvaluateConfig,
    results: Path,
    rubrics: Path,
    changed: Changed,
) -> dict[tuple[str, str], Load]:
    """The load by judge and by what it is counted from: its ``references``, an arm's ``responses``, the ``prompts``
    that it will get, or responses of ``changed`` or half-trained arms, as far as they exist.

    ``arms`` says of each whether it reasons, ``references`` names the files of each judge.
    """
    loads: dict[tuple[str, str], Load] = {}
    for name, judge in judges.items():
        asked = asked_rubrics(judge, rubrics)
        if references.get(name):
            labelled = [row for path in references[name] for row in read_jsonl(path, Conversation)]
            answers = results / "answers" / f"{name}.references.sqlite"
            loads[name, "references"] = load_of_references(labelled, asked, judge, answers)
        for arm, reasons in arms.items():
            made = results / "generations" / f"{arm}.jsonl"
            if made.is_file():
                answers = results / "answers" / name / f"{arm}.sqlite"
                kind, load = "responses", load_of_responses(read_jsonl(made, Generation), asked, judge, answers)
            else:
                kind, load = "prompts", load_of_prompts(prompts, asked, judge, settings, reasons)
            loads[name, kind] = loads.get((name, kind), Load()) + load
        for mark, files in changed.get(name, {}).items():
            for made in filter(Path.is_file, files):
                answers = results / "answers" / f"{name}{mark}" / f"{made.stem}.sqlite"
                load = load_of_responses(read_jsonl(made, Generation), asked, judge, answers)
                loads[name, "changed"] = loads.get((name, "changed"), Load()) + load
    return loads


def message_tokens(messages: Sequence[dict[str, str]]) -> int:
    """About how many tokens a request has, rounded up."""
    return sum(math.ceil(len(turn["content"]) / CHARACTERS_PER_TOKEN) + TURN_TOKENS for turn in messages)


def _items(row: Generation, target: Target) -> list[Item]:
    text = getattr(row, target).strip()
    return [Item(row.prompt, text, target)] if text else []


def printed(loads: dict[tuple[str, str], Load], judges: dict[str, JudgeConfig], changed: Changed) -> str:
    """One line a judge: ``loads`` by judge and by what they are counted from, as of :func:`estimate_all`.

    Of ``changed`` the files that are not there yet are named, since nobody knows how much they will hold.
    """
    lines = [
        f"{'judge':<16}{'calls':>10}{'answered':>10}{'to ask':>10}{'input tokens':>16}{'output tokens':>16}{'cost':>14}"
    ]
    for name, judge in judges.items():
        load = sum((load for (whose, _), load in loads.items() if whose == name), Load())
        dollars = load.dollars(judge)
        lines.append(
            f"{name:<16}{load.calls:>10,}{load.known:>10,}{load.calls - load.known:>10,}{load.input_tokens:>16,}"
            f"{load.output_tokens:>16,}{'no price set' if dollars is None else f'${dollars:,.2f}':>14}"
        )
    waiting = sum(load.calls for (_, known), load in loads.items() if known == "prompts")
    lines.append(
        f"Tokens are about one for {CHARACTERS_PER_TOKEN} characters, replies are counted at `max_tokens`."
        + (f" {waiting:,} calls judge responses that do not exist yet, counted at their longest." if waiting else "")
    )
    for name in judges:
        files = [str(path) for paths in changed.get(name, {}).values() for path in paths if not path.is_file()]
        if files:
            lines.append(
                f"Not counted: what `{name}` will be asked of responses of changed or half-trained arms that do not"
                f" exist yet: {', '.join(files)}. Ask for an estimate again once they do."
            )
    return "\n".join(lines)
