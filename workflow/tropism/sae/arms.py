"""Encode the responses of many arms of one base, which is loaded once; what is encoded already is kept.

Beside an arm's features stands a note of what they were made from, so that a job which is run again because one arm
changed, or because it was killed, encodes only what is missing.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pandas as pd

from tropism.activations.passages import generation_passage
from tropism.activations.stream import cut, stream
from tropism.config.sae import SaeConfig
from tropism.models.adapters import SharedBase
from tropism.models.base import device, load_base, load_tokenizer
from tropism.records.files import read_jsonl, sha256_file, write_json
from tropism.records.schema import Generation
from tropism.sae.encode import load_dictionary, response_features
from tropism.sae.features import ARMS, write_features

log = logging.getLogger(__name__)
RESPONSE = ["set", "prompt_id", "domain", "sample"]


@dataclass(frozen=True)
class Encoded:
    """An arm's files in a folder: its features, and a note of what they are made from."""

    folder: Path
    arm: str
    made_from: str

    @property
    def features(self) -> Path:
        """The feature file."""
        return self.folder / f"{self.arm}.safetensors"

    @property
    def note(self) -> Path:
        """JSON: ``made_from``, and the ``sha256`` of the feature file."""
        return self.folder / f"{self.arm}.json"

    def is_there(self) -> bool:
        """Whether the features are there, whole, and made from the same."""
        if not (self.features.is_file() and self.note.is_file()):
            return False
        return bool(json.loads(self.note.read_text(encoding="utf-8")) == self._facts())

    def noted(self) -> None:
        """Write the note, after the features."""
        write_json(self.note, self._facts())

    def _facts(self) -> dict[str, str]:
        return {"made_from": self.made_from, "sha256": sha256_file(self.features)}


def encode_arms(
    adapters: Mapping[str, Path | None],
    base: Path,
    sae: Path,
    generations: Path,
    output: Path,
    settings: SaeConfig,
    code: str = "",
) -> dict[str, list[dict[str, str]]]:
    """Write ``<arm>.safetensors`` of each arm into ``output``; gives a list of them, each with its sha256.

    What reads them reads them by this list (:func:`tropism.sae.features.read_arms`), since these files belong to
    whichever job wrote last.

    Args:
        adapters: folder of each arm's adapter; None for the base itself.
        base: folder of the model that all adapters belong to.
        sae: folder of the dictionary.
        generations: folder of ``<arm>.jsonl`` files.
        output: folder of the features. Those of the same inputs that are there are kept.
        settings: what decides how responses are read.
        code: fingerprint of the code; features that other code made are made again.
    """
    how = settings.model_dump(mode="json", include={"layer", "dtype", "max_tokens", "think"})
    # the manifest names the dictionary, and two of equal weights may read a state otherwise
    parts = [sae / name for name in ("sae_weights.safetensors", "cfg.json", "manifest.json")]
    dictionary_files = [sha256_file(path) for path in parts if path.is_file()]
    common = [code, how, sha256_file(base / "manifest.json"), dictionary_files]
    wanted = []
    for arm, adapter in adapters.items():
        weights = sha256_file(adapter / "adapter_model.safetensors") if adapter else "base"
        facts = [*common, arm, weights, sha256_file(generations / f"{arm}.jsonl")]
        wanted.append(Encoded(output, arm, sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()))
    missing = [encoded for encoded in wanted if not encoded.is_there()]
    log.info("%d of %d arms to encode", len(missing), len(wanted))
    if missing:
        output.mkdir(parents=True, exist_ok=True)
        tokenizer, shared = load_tokenizer(base), SharedBase(load_base(base, settings.dtype))
        dictionary, key = load_dictionary(sae, settings.layer, str(device()))
        for encoded in missing:
            responses = read_jsonl(generations / f"{encoded.arm}.jsonl", Generation)
            responses.sort(key=lambda g: (g.set, g.prompt_id, g.sample))
            passages = [generation_passage(tokenizer, response, settings.think) for response in responses]
            rows = pd.DataFrame([[getattr(r, name) for name in RESPONSE] for r in responses], columns=RESPONSE)
            with cut(shared.wear(adapters[encoded.arm]), settings.layer) as stack:
                read = stream(stack, tokenizer, passages, max_tokens=settings.max_tokens)
                write_features(encoded.features, response_features(encoded.arm, dictionary, key, rows, passages, read))
            encoded.noted()
    return {ARMS: [{"arm": encoded.arm, "sha256": sha256_file(encoded.features)} for encoded in wanted]}
