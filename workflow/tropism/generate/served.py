"""Arms behind a server: prompts go as plain completions, so that template and prefill are ours, as in process.

What is sampled is the base's own distribution: the defaults that servers read from a model's files (top-k, penalties)
are switched off. Random numbers are the server's, seeded by request; see docs/serving.md for what that promises.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from transformers import PreTrainedTokenizerBase

from tropism.config.evaluate import EvaluateConfig
from tropism.config.serving import ServingConfig
from tropism.endpoint import Answers, EndpointError, Reply, Server, complete, forget_replies
from tropism.endpoint.launch import launched
from tropism.generate.requests import Finish, Request
from tropism.models.base import token_ids
from tropism.records.files import InputError, sha256_file
from tropism.records.keyed import keyed_seed

log = logging.getLogger(__name__)
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Adapter ranks that vLLM can be started for."""


class ServedBase:
    """A running server of one base; ``arm`` gives what answers as that arm."""

    def __init__(self, url: str | None, base: Path, settings: ServingConfig) -> None:
        """Nothing is sent yet. A server that was started here, at ``url``, is given no key."""
        self.base, self.settings = base, settings
        limits = {name: getattr(settings, name) for name in ("concurrency", "timeout_s", "retries")}
        name = settings.served or str(base)
        self.server = Server.from_environment(None, name, **limits) if url is None else Server(url, name, **limits)

    @contextlib.contextmanager
    def arm(self, name: str, adapter: Path | None, folder: Path) -> Iterator[str]:
        """The name under which the server knows this arm while the block lasts. ``folder`` is for files of its own."""
        if self.settings.dialect == "transformers":
            model = str(self.base.resolve()) if adapter is None else str(arm_folder(self.base, adapter, folder))
            try:
                yield model
            finally:
                asyncio.run(self._post("../reset", {}))
        elif adapter is None:
            yield self.server.model
        else:
            # named by content: an adapter of the same name that was loaded before is not taken for this one
            known_as = f"{name}-{sha256_file(adapter / 'adapter_model.safetensors')[:12]}"
            answer = asyncio.run(
                self._post("load_lora_adapter", {"lora_name": known_as, "lora_path": str(adapter.resolve())})
            )
            if answer.status_code != 200 and "already" not in answer.text:
                raise EndpointError(
                    f"arm {name}: the server did not load the adapter (status {answer.status_code}:"
                    f" {' '.join(answer.text.split())[:200]}); was it started with `--enable-lora` and a large enough"
                    " `--max-lora-rank`, and with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True?"
                )
            try:
                yield known_as
            finally:
                asyncio.run(self._post("unload_lora_adapter", {"lora_name": known_as}))

    async def _post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        url = httpx.URL(self.server.url.rstrip("/") + "/").join(path)
        try:
            async with httpx.AsyncClient(timeout=self.settings.timeout_s, trust_env=False) as client:
                return await client.post(url, json=body, headers={"Authorization": f"Bearer {self.server.key}"})
        except httpx.HTTPError as error:
            raise EndpointError(f"{url.host}{url.path}: no answer ({type(error).__name__})") from None

    def answer(
        self,
        identity: str,
        known_as: str,
        requests: Sequence[Request],
        tokenizer: PreTrainedTokenizerBase,
        ends: set[int],
        settings: EvaluateConfig,
        answers: Answers,
        label: str,
    ) -> list[Reply]:
        """The arm's replies to ``requests``, in order; ``answers`` keeps each as it comes, unless it is no response.

        ``identity`` says what answers: the weights, not the address, which is another in each job.
        """
        make = vllm_body if self.settings.dialect == "vllm" else transformers_body
        bodies = [make(known_as, request, tokenizer, ends, settings) for request in requests]
        server = replace(self.server, identity=identity)
        replies = asyncio.run(complete(server, bodies, answers=answers, label=label))
        # the address is not in their keys, so a mended server would never be asked for these again
        forget_replies(server, bodies, [not _is_whole(reply) for reply in replies], answers, kind="text")
        return replies


@contextlib.contextmanager
def served_base(
    base: Path, adapters: Sequence[Path], settings: ServingConfig, server_log: Path
) -> Iterator[ServedBase]:
    """The base behind a server: started here and stopped at the end, or the one at ``OPENAI_BASE_URL``."""
    if settings.serve is None:
        yield ServedBase(None, base, settings)
        return
    values = {"model": base, "rank": served_rank(adapters)}
    with launched(settings.serve, values, log=server_log, ready_s=settings.ready_s) as url:
        log.info("%s is ready; its log is %s", settings.serve.split()[0], server_log)
        yield ServedBase(url, base, settings)


def served_rank(adapters: Sequence[Path]) -> int:
    """The least rank that vLLM can be started for and that holds every adapter's.

    Raises:
        InputError: an adapter's is above all of them.
    """
    ranks = [json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))["r"] for folder in adapters]
    largest = max(ranks, default=RANKS[0])
    if largest > RANKS[-1]:
        raise InputError(f"an adapter has rank {largest}, and vLLM takes {RANKS[-1]} at most; use `way: shared`")
    return next(rank for rank in RANKS if rank >= largest)


def vllm_body(
    model: str, request: Request, tokenizer: PreTrainedTokenizerBase, ends: set[int], settings: EvaluateConfig
) -> dict[str, Any]:
    """A completion of the prompt's own token ids, with vLLM's model-specific defaults off."""
    return {
        "model": model,
        "prompt": list(request.ids),
        "max_tokens": settings.max_new_tokens,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "seed": keyed_seed(settings.seed, *request.key()),
        "extra_body": {
            "top_k": -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "stop_token_ids": sorted(ends),
            "skip_special_tokens": False,
            "spaces_between_special_tokens": False,
        },
    }


def transformers_body(
    model: str, request: Request, tokenizer: PreTrainedTokenizerBase, ends: set[int], settings: EvaluateConfig
) -> dict[str, Any]:
    """A completion of the prompt as text, which is all that ``transformers serve`` takes.

    Raises:
        InputError: the tokenizer would make other tokens of the text than were meant, such as a second first token.
    """
    text = str(tokenizer.decode(list(request.ids), skip_special_tokens=False))
    if list(tokenizer(text)["input_ids"]) != list(request.ids) or token_ids(tokenizer, text) != list(request.ids):
        raise InputError(
            f"prompt `{request.record.id}`: this base's tokenizer adds tokens to a plain text, so `transformers serve`"
            " would not read the prompt as it is meant; use `dialect: vllm` or `way: shared`"
        )
    sampling: dict[str, Any] = {"do_sample": settings.temperature > 0}
    if settings.temperature > 0:
        sampling |= {"temperature": settings.temperature, "top_p": settings.top_p, "top_k": 0}
    sampling |= {"eos_token_id": sorted(ends), "pad_token_id": tokenizer.pad_token_id}
    return {
        "model": model,
        "prompt": text,
        "max_tokens": settings.max_new_tokens,
        "seed": keyed_seed(settings.seed, *request.key()) % 2**32,
        "extra_body": {"generation_config": json.dumps(sampling | {"max_new_tokens": settings.max_new_tokens})},
    }


def arm_folder(base: Path, adapter: Path, folder: Path) -> Path:
    """A folder that plain transformers loads as the arm: links to the base's files and the adapter beside them."""
    folder = folder.resolve() / "model"
    folder.mkdir(parents=True, exist_ok=True)
    for file in [*filter(Path.is_file, base.iterdir()), adapter / "adapter_model.safetensors"]:
        link = folder / file.name
        link.unlink(missing_ok=True)
        link.symlink_to(file.resolve())
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = str(base.resolve())
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def _is_whole(reply: Reply) -> bool:
    return reply.finish in ("stop", "length") and reply.completion_tokens > 0


def whole(reply: Reply) -> tuple[Finish, int]:
    """Why a reply ended, in our terms, and its number of tokens.

    Raises:
        EndpointError: the server gives another reason, or does not count tokens.
    """
    if not _is_whole(reply):
        raise EndpointError(
            f"the server's reply stopped for `{reply.finish}` after {reply.completion_tokens} counted tokens; expected"
            " `stop` or `length` and a count (`usage`)"
        )
    return ("stop" if reply.finish == "stop" else "length"), reply.completion_tokens
