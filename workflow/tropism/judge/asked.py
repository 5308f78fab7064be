"""All that a judge will be asked, put to the one server that is started for it; the answers are what stays."""

from collections.abc import Sequence
from pathlib import Path

from tropism.config.judges import JudgeConfig
from tropism.judge.judges import asked_rubrics, judge_references, kept, make_judge, server_of
from tropism.judge.judgments import judge_generations
from tropism.records.files import read_jsonl
from tropism.records.schema import Conversation, Generation


def ask_all(
    settings: JudgeConfig,
    name: str,
    base: Path | None,
    rubrics: Path,
    generations: Sequence[Path],
    references: Sequence[Path],
    answers: Path,
    server_log: Path,
) -> dict[str, int]:
    """How many judgments each arm has, and the references; ``answers/<arm>.sqlite`` keeps what was answered.

    ``references`` are those that the judge is tried on, kept in ``<answers>.references.sqlite``. Judgments that cannot
    be read are counted by the stage that collects them, which is allowed only so many.

    Raises:
        tropism.endpoint.EndpointError: the server could not be started, or more requests failed than may be unparsed.
    """
    asked = asked_rubrics(settings, rubrics)
    counts = {}
    with server_of(settings, name, base, server_log) as server:
        for path in generations:
            with kept(answers / f"{path.stem}.sqlite") as known:
                judge = make_judge(settings, name, None, base, known, server)
                rows = read_jsonl(path, Generation)
                counts[path.stem] = len(judge_generations(rows, judge, asked, name=name, max_unparsed=1))
        if references:
            conversations = [row for path in references for row in read_jsonl(path, Conversation)]
            with kept(answers.with_name(f"{answers.name}.references.sqlite")) as known:
                judge = make_judge(settings, name, None, base, known, server)
                counts["references"] = len(judge_references(conversations, judge, asked, name=name, max_unparsed=1))
    return counts
