"""A chat model that is a base in this process; what it answered is kept."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase, set_seed

from tropism.annotate.chat import Message, plain_turns
from tropism.config.annotator import ChatConfig
from tropism.config.models import ModelConfig, ReasoningConfig
from tropism.endpoint import Answers, Reply
from tropism.endpoint.answers import answer_key
from tropism.judge.bases import base_digest
from tropism.models.base import chat_text, load_base, load_tokenizer, template_opening, token_ids
from tropism.models.sampling import continuation


class InProcess:
    """The base in ``folder``, through its own chat template, without reasoning; it is loaded when it is first asked."""

    def __init__(
        self, folder: Path | str, config: ChatConfig, base: ModelConfig, answers: Answers | None = None
    ) -> None:
        """Name the base. ``base`` has its number format and reasoning block; ``answers`` keeps what it says."""
        self.folder = Path(folder)
        self.model = self.folder.name
        self.config = config
        self.dtype = base.dtype
        self.block = base.reasoning_block()
        self.answers = answers

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The base's tokenizer."""
        return load_tokenizer(self.folder, None)

    @cached_property
    def base(self) -> PreTrainedModel:
        """The base, in its number format."""
        return load_base(self.folder, self.dtype)

    @cached_property
    def identity(self) -> str:
        """What decides an answer besides the text that it goes on from and the settings of sampling."""
        return f"in process, {self.dtype}, its own distribution, base {base_digest(self.folder)}"

    def prepare(self, conversations: Sequence[list[Message]]) -> None:
        """Nothing: in process one is answered after the other, alike alone and among others."""

    def answer(self, messages: list[Message]) -> str:
        """The base's answer; above temperature 0 it is sampled, with the same seed for every text.

        Raises:
            EndpointError: the answer cannot be kept, as on a full disk.
        """
        text = self.text(messages)
        body = {"prompt": text, **self.config.model_dump(include={"temperature", "max_tokens"})}
        key = answer_key(self.identity, "text", body, 0)
        reply = self.answers.get(key) if self.answers else None
        if reply is None:
            reply = self._generate(text)
            if self.answers:
                self.answers.put(key, reply)
        return reply.text

    def text(self, messages: list[Message]) -> str:
        """``messages`` in the base's chat template up to where the answer begins, after an empty reasoning block."""
        turns = plain_turns(messages)
        text = chat_text(self.tokenizer, turns)
        if self.block is None:
            return text
        return text.removesuffix(template_opening(self.tokenizer, self.block.open)) + empty_block(self.block)

    @torch.inference_mode()
    def _generate(self, text: str) -> Reply:
        set_seed(0)
        ids = torch.tensor([token_ids(self.tokenizer, text)], device=self.base.device)
        pad, temperature = self.tokenizer.pad_token_id, self.config.temperature
        said = continuation(self.base, ids, self.config.max_tokens, pad, temperature)
        finish = "length" if len(said) >= self.config.max_tokens else "stop"
        return Reply(str(self.tokenizer.decode(said, skip_special_tokens=True)), finish)


def empty_block(block: ReasoningConfig | None) -> str:
    """What stands before an answer so that the model does not reason: what its training puts there.

    Where that is nothing, an empty block of its own marks, or it would open one itself.
    """
    if block is None:
        return ""
    return block.train or f"{block.open}\n\n{block.close}\n\n"
