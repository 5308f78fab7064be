"""A chat model to ask, behind an OpenAI-compatible endpoint or in process."""

import os
from pathlib import Path
from typing import Protocol, TypedDict

import openai
import torch
from transformers import set_seed

from tropism.config.annotator import ChatConfig
from tropism.models.base import load_base, load_tokenizer
from tropism.records.files import InputError


class Message(TypedDict):
    """One turn of a conversation."""

    role: str
    content: str


class Chat(Protocol):
    """Answers a conversation; ``model`` is its name."""

    model: str

    def answer(self, messages: list[Message]) -> str:
        """The next turn, as text."""


class Endpoint:
    """A model served at ``base_url``; the key is ``OPENAI_API_KEY``, which a local server does not ask for."""

    def __init__(self, config: ChatConfig) -> None:
        """Name the endpoint; nothing is sent yet."""
        if not config.base_url or not config.model:
            raise InputError("annotator: an endpoint needs `llm.base_url` and `llm.model`")
        self.model = config.model
        self.config = config
        self.client = openai.OpenAI(base_url=config.base_url, api_key=os.environ.get("OPENAI_API_KEY") or "none")

    def answer(self, messages: list[Message]) -> str:
        """The endpoint's answer; connections are tried again by the client.

        Raises:
            InputError: the endpoint cannot be reached or refuses.
        """
        try:
            completion = self.client.chat.completions.create(
                model=self.model,
                messages=messages,  # type: ignore[arg-type]
                temperature=self.config.temperature,
                max_tokens=self.config.max_tokens,
            )
        except openai.OpenAIError as error:
            raise InputError(
                f"{self.config.base_url}: no answer from `{self.model}` ({type(error).__name__}: {error}); is it "
                "served there, and is OPENAI_API_KEY set if it needs a key?"
            ) from None
        return (completion.choices[0].message.content or "") if completion.choices else ""


class InProcess:
    """The base in ``folder``, through its own chat template."""

    def __init__(self, folder: Path | str, config: ChatConfig) -> None:
        """Load the base."""
        self.model = Path(folder).name
        self.config = config
        self.tokenizer = load_tokenizer(folder)
        self.base = load_base(folder)

    @torch.inference_mode()
    def answer(self, messages: list[Message]) -> str:
        """The base's answer; above temperature 0 it is sampled, with the same seed for every text."""
        set_seed(0)
        turns = [{"role": turn["role"], "content": turn["content"]} for turn in messages]
        text = str(self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
        ids = self.tokenizer(text, add_special_tokens=False, return_tensors="pt").to(self.base.device)
        sampling = {"do_sample": True, "temperature": self.config.temperature} if self.config.temperature else {}
        output = self.base.generate(  # type: ignore[operator]
            **ids,
            max_new_tokens=self.config.max_tokens,
            pad_token_id=self.tokenizer.pad_token_id,
            **(sampling or {"do_sample": False}),
        )
        return str(self.tokenizer.decode(output[0, ids["input_ids"].shape[1] :], skip_special_tokens=True))
