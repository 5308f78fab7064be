"""An annotator that asks a chat model to follow MIPVU and believes only what it can find in the text.

A unit that does not stand in the text as whole words is dropped and counted, never matched to something like it. An
answer that does not parse is counted and asked for again. A text that has none when the tries are used up gets no
spans; it is named and counted, and more than a stated share of such texts is an error, since an empty annotation
passes for a text without metaphors.
"""

import json
import logging
import math
from collections import Counter
from collections.abc import Iterator, Sequence

from tqdm import tqdm

from tropism.annotate.chat import IN_MEMORY, Chat, Message
from tropism.annotate.mipvu import AGAIN, INSTRUCTIONS, Found, parse_answer, place
from tropism.annotate.passages import Passage
from tropism.records.files import InputError
from tropism.records.schema import Annotation, Metaphor, Unit
from tropism.records.words import words

log = logging.getLogger(__name__)
NO_POS = "X"
COUNTED = ("texts", "units", "metaphors", "dropped_absent", "dropped_overlapping", "unparsable", "texts_unparsed")


class Instructed:
    """Annotates by asking ``chat``; ``counts`` holds what was kept and dropped.

    Of ``unparsable`` answers each is counted, of ``texts_unparsed`` each text whose tries are used up: it has no spans.
    """

    def __init__(self, chat: Chat, retries: int, max_unparsed: float = 0.02) -> None:
        """``max_unparsed`` is the share of the texts that may stay without an answer; see :func:`allowed`."""
        self.chat = chat
        self.retries = retries
        self.max_unparsed = max_unparsed
        self.name = f"llm {chat.model}"
        self.counts: Counter[str] = Counter(dict.fromkeys(COUNTED, 0))

    def annotate(self, passages: Sequence[Passage]) -> Iterator[Annotation]:
        """One annotation for each passage, in order. Scores are 1, parts of speech are not given (``X``).

        Raises:
            InputError: more texts than are allowed got no answer that parses, or the endpoint cannot be used.
        """
        units_of = [words(passage.text) for passage in passages]
        n_asked = sum(map(bool, units_of))
        most = allowed(n_asked, self.max_unparsed)
        unparsed: list[str] = []
        self.chat.prepare([first_turns(p) for p, units in zip(passages, units_of, strict=True) if units])
        for passage, units in zip(tqdm(passages, desc="annotating", unit="text", mininterval=2), units_of, strict=True):
            found = self._ask(passage) if units else []
            if found is None:
                unparsed.append(f"`{passage.id}`, {passage.field}")
                self.counts["texts_unparsed"] += 1
                if len(unparsed) > most:
                    raise InputError(self._too_many(unparsed, n_asked, most))
            metaphors = self._locate(found or [], passage, units)
            self.counts.update(texts=1, units=len(units), metaphors=len(metaphors))
            yield Annotation(
                id=passage.id,
                field=passage.field,
                units=[Unit(start=start, end=end, pos=NO_POS) for start, end in units],
                metaphors=metaphors,
                annotator=self.name,
            )
        if unparsed:
            log.warning("%d of %d texts have no spans, unparsed: %s", len(unparsed), n_asked, "; ".join(unparsed))

    def _ask(self, passage: Passage) -> list[Found] | None:
        """What the model found; None where no try brought an answer that parses."""
        messages = asked = first_turns(passage)
        for number in range(1, self.retries + 2):
            answer = self.chat.answer(messages)
            try:
                return parse_answer(answer)
            except ValueError as error:
                self.counts["unparsable"] += 1
                problem = str(error).splitlines()[0][:200]
                start = answer[:120]
                log.warning("%s, %s: unparsable answer %r: %s", passage.id, passage.field, start, problem)
                again = AGAIN.format(number=number + 1, problem=problem)
                messages = [*asked, {"role": "assistant", "content": answer}, {"role": "user", "content": again}]
        log.warning("%s, %s: no answer that parses in %d tries, no spans", passage.id, passage.field, self.retries + 1)
        return None

    def _too_many(self, unparsed: Sequence[str], n_asked: int, most: int) -> str:
        return (
            f"{len(unparsed)} of {n_asked} texts, {most} allowed by `max_unparsed: {self.max_unparsed:g}`, got no JSON"
            f" of metaphors from {self.chat.model} in {self.retries + 1} tries: {'; '.join(unparsed[-5:])}. Nothing was"
            f" written; what was answered is kept{self._kept_in()}. The log shows how the answers began: raise"
            " `max_tokens` if they were cut off, raise `retries` or `max_unparsed`, or take a model that follows"
            " instructions; if its server was at fault, mend that and remove what is kept, or the same answers are read"
            " again"
        )

    def _kept_in(self) -> str:
        answers = self.chat.answers
        return f" in {answers.path}" if answers is not None and answers.path.name != IN_MEMORY else ""

    def _locate(self, found: list[Found], passage: Passage, units: list[tuple[int, int]]) -> list[Metaphor]:
        metaphors: list[Metaphor] = []
        for item in found:
            span = place(item, passage.text, units)
            if span is None:
                self.counts["dropped_absent"] += 1
                log.warning("%s, %s: %r is not in the text, dropped", passage.id, passage.field, item.unit)
            elif any(span[0] < other.end and other.start < span[1] for other in metaphors):
                self.counts["dropped_overlapping"] += 1
            else:
                metaphors.append(Metaphor(start=span[0], end=span[1], pos=NO_POS, score=1.0, basic=item.basic or None))
        return sorted(metaphors, key=lambda metaphor: metaphor.start)


def first_turns(passage: Passage) -> list[Message]:
    """What a text is first asked with."""
    content = json.dumps({"text": passage.text}, ensure_ascii=False)
    return [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": content}]


def allowed(n_asked: int, share: float) -> int:
    """How many of ``n_asked`` texts may stay unparsed: ``share`` of them, rounded down, and never all of them.

    Unless ``share`` is 0 one may, or a small dataset would fail by a single answer.
    """
    if share == 0:
        return 0
    return min(max(1, math.floor(round(share * n_asked, 9))), max(0, n_asked - 1))
