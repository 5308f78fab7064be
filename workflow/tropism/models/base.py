"""Load a base model, alone or as an arm, and write a prompt the way the base was taught to read it."""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from tropism.config.models import ReasoningConfig
from tropism.models.adapters import attach
from tropism.models.devices import take_device
from tropism.models.lineage import merge
from tropism.records.files import InputError

THINK = "<think>"
MARK = "no template says this of itself"
TODAY = date(2024, 7, 26)
"""The day that chat templates are told which print one, so that a prompt is the same on any: Llama 3's own default."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def load_tokenizer(folder: Path | str, system_prompt: str | None) -> PreTrainedTokenizerBase:
    """The tokenizer in ``folder``, with a padding token.

    Where ``system_prompt`` is given, its chat template puts that system turn before messages without one, an empty turn
    for an empty text; None leaves what the template does of its own accord.

    Raises:
        InputError: the template knows no system turn, or puts other words there than these.
    """
    tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if system_prompt is not None:
        refusal = f"{folder}: this base's chat template %s; leave out `system_prompt` in its entry of `models`"
        try:
            own = str(tokenizer.get_chat_template())
            marked, told = (_asked_after(tokenizer, own, text) for text in (MARK, system_prompt))
        except (TemplateError, ValueError) as error:
            raise InputError(refusal % f"knows no system turn ({error})") from error
        if MARK not in marked:
            raise InputError(refusal % "knows no system turn")
        if "".join(told.split()) != "".join(marked.replace(MARK, system_prompt).split()):
            raise InputError(refusal % f"says otherwise than it is told: {told!r}")
    return tokenizer


def _asked_after(tokenizer: PreTrainedTokenizerBase, template: str, system_prompt: str) -> str:
    """A question as the ``tokenizer`` will write it from now on: its ``template`` puts the system turn first."""
    words = repr(system_prompt).replace("(", r"\x28")  # no call of `strftime_now`, whatever it reads like
    tokenizer.chat_template = (
        "{%- if not messages or messages[0]['role'] != 'system' %}"
        f"{{%- set messages = [{{'role': 'system', 'content': {words}}}] + messages %}}"
        "{%- endif %}\n" + template  # the line break is trimmed, as after each of a template's own statements
    )
    return _asked(tokenizer, "?")


def load_base(folder: Path | str, dtype: str = "float32", place: torch.device | None = None) -> PreTrainedModel:
    """The base model in ``folder``, in evaluation mode, on the GPU where there is one, or at ``place``.

    ``dtype`` is the number format in memory; attention is PyTorch's own scaled dot product.
    """
    model = AutoModelForCausalLM.from_pretrained(
        str(folder), dtype=DTYPES[dtype], attn_implementation="sdpa", local_files_only=True, trust_remote_code=False
    )
    model.to(place or device())  # type: ignore[arg-type]  # the stub hides the method's own signature
    return model.eval()


def device() -> torch.device:
    """The first GPU, on a machine that jobs share one of its own, or the CPU."""
    take_device()
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_arm(
    base: Path | str, adapter: Path | str | None, dtype: str = "float32", place: torch.device | None = None
) -> PreTrainedModel:
    """An arm: the base with its adapter, or the base itself where ``adapter`` is None.

    In float32 the adapter is merged into the weights. A shorter format would round a small one away there, so it stays
    beside them, in float32, as PEFT does it. An arm that was trained by no step has no ``adapter`` folder beside its
    manifest; see :func:`adapter_of`.
    """
    model = load_base(base, dtype, place)
    if adapter is None:
        return model
    return merge(model, Path(adapter)) if dtype == "float32" else attach(model, Path(adapter))


def adapter_of(manifest: Path | str) -> Path | None:
    """The adapter folder beside a lineage's ``manifest.json``; None for a base's own manifest."""
    folder = Path(manifest).parent / "adapter"
    return folder if folder.is_dir() else None


def prompt_text(tokenizer: PreTrainedTokenizerBase, prompt: str, prefill: str = "", mark: str = THINK) -> str:
    """``prompt`` as the user's turn in the base's chat template, ready for the assistant's answer.

    ``prefill`` is what the answer begins with. The template of some reasoning bases puts an empty reasoning block
    there when asked not to think, which would break a prefill, so the generation prompt is asked for plainly; that of
    others opens a block itself (R1), which is left to ``prefill`` to do, so that it is opened once or not at all.
    """
    text = _asked(tokenizer, prompt)
    return text.removesuffix(_opening(text, mark)) + prefill


def answer_prompt(tokenizer: PreTrainedTokenizerBase, prompt: str, block: ReasoningConfig | None) -> str:
    """``prompt`` ready for an answer without reasoning, as in training: ``block.train`` stands before the answer."""
    return prompt_text(tokenizer, prompt, block.train if block else "", mark_of(block))


def mark_of(block: ReasoningConfig | None) -> str:
    """What opens the base's reasoning, as its template may do of its own accord."""
    return block.open if block else THINK


def template_opening(tokenizer: PreTrainedTokenizerBase, mark: str = THINK) -> str:
    """What the base's own template begins an answer with to open its reasoning, such as ``<think>\\n``, or nothing."""
    return _opening(_asked(tokenizer, "?"), mark)


def chat_text(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Mapping[str, str]]) -> str:
    """``messages`` in the base's chat template up to where the assistant's answer begins; today is ``TODAY``."""
    turns: list[dict[str, Any]] = [dict(message) for message in messages]
    template = _on_one_day(str(tokenizer.get_chat_template()))
    text = tokenizer.apply_chat_template(turns, chat_template=template, tokenize=False, add_generation_prompt=True)
    return str(text)


def _on_one_day(template: str) -> str:
    """A chat template with ``TODAY`` written where it asks for the day; what it calls for that takes no other.

    Raises:
        InputError: it asks in a way that is not understood, so that its prompts would change overnight.
    """
    told = re.sub(
        r"""strftime_now\s*\(\s*(?:format\s*=\s*)?(["'])(.*?)\1\s*\)""",
        lambda call: repr(TODAY.strftime(call[2])),
        template,
    )
    if "strftime_now(" in told.replace(" ", ""):
        raise InputError(
            "this base's chat template prints the day in a format that is made while it runs, so its prompts would"
            " change overnight; write the day into its `chat_template.jinja` or `tokenizer_config.json`"
        )
    return told


def _asked(tokenizer: PreTrainedTokenizerBase, prompt: str) -> str:
    return chat_text(tokenizer, [{"role": "user", "content": prompt}])


def _opening(text: str, mark: str) -> str:
    found = re.search(rf"{re.escape(mark)}\s*\Z", text)
    return found[0] if found else ""


def token_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Token ids of ``text`` alone, no special tokens added."""
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def text_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Token ids of a row's own text: a special token's name in it is letters, as it was to whoever wrote it."""
    return list(tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])


def text_start(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """What the tokenizer puts before a text of its own accord: the token of its beginning (Llama), or nothing."""
    put = list(tokenizer("")["input_ids"])[:1]
    return put if put == [tokenizer.bos_token_id] else []
