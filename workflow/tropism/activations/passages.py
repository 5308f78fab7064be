"""Texts as the model reads them, with the parts whose activations are wanted marked.

A prompt, its chat template and the marks around a reasoning block are read but not measured: what differs between two
responses should come from the responses.
"""

from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from tropism.config.models import ReasoningConfig
from tropism.models.base import answer_prompt, prompt_text, text_ids, text_start, token_ids
from tropism.records.schema import Conversation, Generation, Text

THINK = ("<think>", "</think>")


@dataclass(frozen=True)
class Passage:
    """Pieces of text in reading order, each with the name of the part it belongs to; None is read, not measured.

    Of what people have written (``written``) a special token's name in a measured part is letters, as it is in training
    and in likelihoods; what a model said may hold the token itself.
    """

    id: str
    pieces: tuple[tuple[str | None, str], ...]
    written: bool = False

    def parts(self) -> list[str]:
        """Names of the measured parts, each once, in order."""
        return list(dict.fromkeys(part for part, _ in self.pieces if part is not None))


@dataclass(frozen=True)
class Tokens:
    """A passage as token ids, and for each token the part it belongs to or None."""

    passage: Passage
    ids: list[int]
    parts: list[str | None]


def tokenise(tokenizer: PreTrainedTokenizerBase, passage: Passage, max_tokens: int) -> Tokens:
    """The first ``max_tokens`` tokens of ``passage``; no token reaches across two pieces."""
    ids: list[int] = []
    parts: list[str | None] = []
    for part, text in passage.pieces:
        piece = (text_ids if passage.written and part is not None else token_ids)(tokenizer, text)
        ids += piece
        parts += [part] * len(piece)
    return Tokens(passage, ids[:max_tokens], parts[:max_tokens])


def record_passages(
    tokenizer: PreTrainedTokenizerBase, record: Text | Conversation, block: ReasoningConfig | None = None
) -> list[Passage]:
    """One passage a field: a text stands alone, an answer follows its prompt in the chat template.

    Where the tokenizer begins a text with a token of its own, that stands before a text, as in training, unmeasured.
    Of a base that reasons (``block``) an answer stands after what training and likelihoods put before it.
    """
    if isinstance(record, Text):
        start = str(tokenizer.decode(text_start(tokenizer)))
        begun: tuple[tuple[str | None, str], ...] = ((None, start),) if start else ()
        return [Passage(record.id, (*begun, ("text", record.text)), written=True)]
    prompt = answer_prompt(tokenizer, record.prompt, block)
    return [
        Passage(f"{record.id}/{side}", ((None, prompt), ("answer", answer)), written=True)
        for side, answer in record.fields().items()
    ]


def generation_passage(
    tokenizer: PreTrainedTokenizerBase, generation: Generation, think: tuple[str, str] = THINK
) -> Passage:
    """A sampled response after its prompt; its reasoning, if any, stands before the answer between ``think``."""
    prompt = prompt_text(tokenizer, generation.prompt, mark=think[0])
    pieces: tuple[tuple[str | None, str], ...] = ((None, prompt), ("answer", generation.answer))
    if generation.reasoning:
        pieces = (
            (None, f"{prompt}{think[0]}\n"),
            ("reasoning", generation.reasoning),
            (None, f"\n{think[1]}\n\n"),
            ("answer", generation.answer),
        )
    return Passage(f"{generation.set}/{generation.prompt_id}/{generation.sample}", pieces)
