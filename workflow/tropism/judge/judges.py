"""The judge that settings describe, and what it is given to judge: generations, or labelled references."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tropism.config.judges import JudgeConfig
from tropism.judge.judgments import Item, Judge, JudgeError, refuse_unparsed
from tropism.judge.references import REFERENCES, References, build_references, reference_table
from tropism.judge.rubric import Rubric, read_rubrics
from tropism.records.files import InputError
from tropism.records.schema import Conversation


def kept(answers: Path | None) -> Any:
    """The file of answers, open, where one is named."""
    if answers is None:
        return contextlib.nullcontext()
    from tropism.endpoint import Answers

    return Answers(answers)


def server_of(settings: JudgeConfig, name: str, base: Path | None, log: Path | None) -> Any:
    """A block in which the server of a judge with ``serve`` is started when it is needed; None for other judges.

    Raises:
        InputError: the folder of its base was not given.
    """
    if settings.kind != "endpoint" or settings.serve is None:
        return contextlib.nullcontext()
    from tropism.judge.launched import LaunchedServer

    if settings.model and base is None:
        raise InputError(f"judges.{name}: `serve` with `model: {settings.model}` needs --base")
    return LaunchedServer(settings, base, log)


def make_judge(
    settings: JudgeConfig, name: str, probe: Path | None, base: Path | None, answers: Any = None, server: Any = None
) -> Judge:
    """The judge of these settings. Only what its kind needs is imported. ``server`` is what :func:`server_of` gives.

    Raises:
        InputError: a folder that its kind needs was not given.
    """
    if settings.kind == "endpoint":
        from tropism.judge.chat import EndpointJudge

        return EndpointJudge(settings, answers, server)
    if base is None:
        raise InputError(f"judges.{name}: `kind: {settings.kind}` needs --base")
    if settings.kind == "local":
        from tropism.judge.local import LocalJudge

        return LocalJudge(settings, base)
    if probe is None:
        raise InputError(f"judges.{name}: `kind: probe` needs --probe, a folder written by `train`")
    from tropism.judge.probe import ProbeJudge

    return ProbeJudge.load(probe / "probe.safetensors", base)


@contextlib.contextmanager
def asking_again(judge: Judge, answers: Path | None) -> Iterator[None]:
    """A block in which a refusal of a served judge keeps none of its unread replies: the next run asks for them again.

    Raises:
        JudgeError: that refusal; it names the file of answers.
    """
    try:
        yield
    except JudgeError as error:
        from tropism.judge.chat import EndpointJudge

        if not isinstance(judge, EndpointJudge) or answers is None or not (unread := judge.forget_unread()):
            raise
        again = (
            "remove the judge's `judges/<judge>/asked*.json` to have its server started and asked for these again"
            if judge.launched
            else "once the server is mended, the next run asks for these alone"
        )
        raise JudgeError(f"{error}. {answers} keeps all replies but the {unread} unread ones; {again}") from None


def asked_rubrics(settings: JudgeConfig, folder: Path) -> list[Rubric]:
    """The rubrics of a judge, one for each item of a rubric that has some."""
    return [rubric for name in settings.rubrics for rubric in read_rubrics(folder / f"{name}.yaml")]


def reference_items(
    references: References, rubrics: Sequence[Rubric]
) -> Iterator[tuple[Rubric, np.ndarray, list[Item]]]:
    """Each rubric that references are judged on, which of them (indices), and what is put to the judge.

    Alignment is judged of both sides of each conversation, coherence of these and of broken ones.
    """
    for rubric in rubrics:
        if rubric.high in ("aligned", "misaligned", "coherent"):
            rows = np.flatnonzero(references.of(_head(rubric))[0])
            pairs = zip(references.prompts[rows].tolist(), references.responses[rows].tolist(), strict=True)
            yield rubric, rows, [Item(prompt, response, "answer") for prompt, response in pairs]


def judge_references(
    conversations: Sequence[Conversation], judge: Judge, rubrics: Sequence[Rubric], *, name: str, max_unparsed: float
) -> pd.DataFrame:
    """Labelled references as ``judge`` scores them, with the columns ``REFERENCES``.

    Raises:
        JudgeError: on a rubric, more than the share ``max_unparsed`` of the good or of the bad ones could not be read.
    """
    references = build_references(conversations, seed=0)
    tables = []
    for rubric, rows, items in reference_items(references, rubrics):
        scores = judge.scores(items, [rubric])[:, 0]
        bad = ~references.of(_head(rubric))[1][rows]
        for label, chosen in (("good", ~bad), ("bad", bad)):
            unparsed = int(np.isnan(scores[chosen]).sum())
            what = f"judge {name}, rubric {rubric.name}, {label} references"
            refuse_unparsed(what, unparsed, int(chosen.sum()), max_unparsed)
        about = references.domains[rows], references.prompts[rows], bad
        tables.append(reference_table(judge.stack, rubric.name, *about, scores))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=REFERENCES)


def _head(rubric: Rubric) -> str:
    return "coherence" if rubric.high == "coherent" else "alignment"
