"""A judge that is a base in this process; it gets the same requests as a served one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from tropism.config.judges import JudgeConfig
from tropism.endpoint import Reply
from tropism.judge.bases import base_digest
from tropism.judge.chat import read_reply, requests, score_table
from tropism.judge.judgments import Item
from tropism.judge.rubric import Message, Rubric
from tropism.models.base import chat_text, load_base, load_tokenizer, token_ids
from tropism.models.sampling import continuation
from tropism.records.keyed import keyed_bytes


class LocalJudge:
    """A base in this process, decoding greedily, one request at a time: in a batch its neighbours would weigh in."""

    def __init__(self, config: JudgeConfig, base: Path) -> None:
        """Load the base."""
        self.max_new_tokens = config.max_new_tokens
        self.stack = keyed_bytes("local", base_digest(base), config.dtype, config.max_new_tokens).hex()
        self.tokenizer = load_tokenizer(base, None)
        self.model: Any = load_base(base, config.dtype)

    def scores(self, items: Sequence[Item], rubrics: Sequence[Rubric]) -> np.ndarray:
        """Scores (items, rubrics), NaN where unread. See :class:`tropism.judge.judgments.Judge`."""
        asked = requests(items, rubrics)
        replies = [self._reply(messages) for messages in tqdm(asked, desc="judging", mininterval=2)]
        return score_table(replies, items, rubrics, read_reply)

    @torch.inference_mode()
    def _reply(self, messages: list[Message]) -> Reply:
        ids = torch.tensor([token_ids(self.tokenizer, chat_text(self.tokenizer, messages))], device=self.model.device)
        given = continuation(self.model, ids, self.max_new_tokens, self.tokenizer.pad_token_id)
        said = str(self.tokenizer.decode(given, skip_special_tokens=True))
        return Reply(said, "length" if len(given) >= self.max_new_tokens else "stop")
