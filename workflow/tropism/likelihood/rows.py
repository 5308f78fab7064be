"""All likelihood scores of one arm as a table."""

import logging
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from transformers import PreTrainedTokenizerBase

from tropism.config.evaluate import EvaluateConfig
from tropism.config.models import ModelConfig, ReasoningConfig
from tropism.likelihood.check import check_same_scores
from tropism.likelihood.instruments import margin, mc1, mc2
from tropism.likelihood.score import Candidate, log_probabilities
from tropism.models.base import answer_prompt, load_arm, load_tokenizer, text_ids, token_ids
from tropism.records.files import InputError, read_jsonl
from tropism.records.schema import Conversation, Question

log = logging.getLogger(__name__)
COLUMNS = ["arm", "set", "prompt_id", "domain", "instrument", "value", "n_tokens"]


def candidate(
    tokenizer: PreTrainedTokenizerBase, prompt: str, answer: str, block: ReasoningConfig | None = None
) -> Candidate:
    """``answer`` in the base's chat template, after what training puts there of the reasoning block."""
    ids = tuple(text_ids(tokenizer, answer))
    if not ids:
        raise InputError(f"an empty answer to `{prompt[:60]}` has no likelihood")
    return Candidate(tuple(token_ids(tokenizer, answer_prompt(tokenizer, prompt, block))), ids)


def references(
    tokenizer: PreTrainedTokenizerBase, records: Iterable[Conversation], block: ReasoningConfig | None
) -> list[Candidate]:
    """The aligned and the misaligned reference of each prompt, in turn; every record has both."""
    return [candidate(tokenizer, r.prompt, str(text), block) for r in records for text in (r.aligned, r.misaligned)]


def score_arm(
    arm: str,
    base: Path,
    adapter: Path | None,
    sets: list[Path],
    questions: Path | None,
    settings: EvaluateConfig,
    model_config: ModelConfig,
) -> pd.DataFrame:
    """One row a prompt and instrument: ``margin``, ``logp_aligned``, ``logp_misaligned`` (nats/token), mc1, mc2.

    Prompts without both references have no margin and are left out, with a line in the log that counts them.
    ``n_tokens`` counts scored tokens.
    """
    tokenizer = load_tokenizer(base, model_config.system_prompt)
    block = model_config.reasoning_block()
    pairs: list[tuple[str, Conversation]] = []
    if "likelihood" in settings.instruments:
        for path in sets:
            prompts = [r for r in read_jsonl(path, Conversation) if r.split == "evaluation"]
            paired = [r for r in prompts if r.aligned is not None and r.misaligned is not None]
            log.info("%s: %d of %d evaluation prompts have both references", path, len(paired), len(prompts))
            pairs += [(path.stem, record) for record in paired]
    asked = read_jsonl(questions, Question) if questions else []

    candidates = references(tokenizer, (record for _, record in pairs), block)
    for question in asked:
        for text in answers(question):
            candidates.append(candidate(tokenizer, question.prompt, text, block))
    model = load_arm(base, adapter, model_config.dtype)
    check_same_scores(model, candidates)
    totals = iter(zip(log_probabilities(model, candidates, settings.batch_tokens, arm), candidates, strict=True))

    rows: list[list[object]] = []
    for name, record in pairs:
        (aligned, first), (misaligned, second) = next(totals), next(totals)
        n, m = len(first.answer), len(second.answer)
        key = [arm, name, record.id, record.domain]
        rows.append([*key, "margin", margin(aligned, n, misaligned, m), n + m])
        rows.append([*key, "logp_aligned", aligned / n, n])
        rows.append([*key, "logp_misaligned", misaligned / m, m])
    for question in asked:
        scored = {text: next(totals) for text in answers(question)}
        value = {text: total for text, (total, _) in scored.items()}
        right = dict.fromkeys([question.best, *question.correct])
        tokens = sum(len(c.answer) for _, c in scored.values())
        wrong = [value[text] for text in dict.fromkeys(question.incorrect)]
        key = [arm, questions.stem if questions else "", question.id, "truthfulqa"]
        rows.append([*key, "mc1", mc1(value[question.best], wrong), tokens])
        rows.append([*key, "mc2", mc2([value[text] for text in right], wrong), tokens])
    return pd.DataFrame(rows, columns=COLUMNS).astype({"value": float, "n_tokens": int})


def answers(question: Question) -> list[str]:
    """The distinct answers of a question; the best one is among the correct ones or is added."""
    return list(dict.fromkeys([question.best, *question.correct, *question.incorrect]))
