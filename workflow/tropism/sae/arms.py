"""Encode the responses of many arms of one base, which is loaded once; what is encoded already is kept.

A job that is run again because one arm changed, or because it was killed, encodes only what is missing.
"""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from tropism.activations.passages import generation_passage
from tropism.activations.stream import cut, stream
from tropism.config.sae import SaeConfig
from tropism.models.base import device, load_tokenizer
from tropism.models.missing import missing_arms
from tropism.records.files import read_jsonl, sha256_file
from tropism.records.kept import Kept, listing, weights_of
from tropism.records.schema import Generation
from tropism.sae.encode import load_dictionary, response_features
from tropism.sae.features import write_features

RESPONSE = ["set", "prompt_id", "domain", "sample"]


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
    how = settings.model_dump(mode="json", include={"layer", "dtype", "max_tokens", "think", "system_prompt"})
    # the manifest names the dictionary, and two of equal weights may read a state otherwise
    parts = [sae / name for name in ("sae_weights.safetensors", "cfg.json", "manifest.json")]
    dictionary_files = [sha256_file(path) for path in parts if path.is_file()]
    common = [code, how, sha256_file(base / "manifest.json"), dictionary_files]
    wanted = {
        arm: Kept.of(
            output / f"{arm}.safetensors",
            [*common, arm, weights_of(adapter), sha256_file(generations / f"{arm}.jsonl")],
        )
        for arm, adapter in adapters.items()
    }
    tokenizer = load_tokenizer(base, settings.system_prompt)
    dictionary, key = load_dictionary(sae, settings.layer, str(device()))
    for arm, path, model in missing_arms(wanted, adapters, base, settings.dtype):
        responses = read_jsonl(generations / f"{arm}.jsonl", Generation)
        responses.sort(key=lambda g: (g.set, g.prompt_id, g.sample))
        passages = [generation_passage(tokenizer, response, settings.think) for response in responses]
        rows = pd.DataFrame([[getattr(r, name) for name in RESPONSE] for r in responses], columns=RESPONSE)
        with cut(model, settings.layer) as stack:
            read = stream(stack, tokenizer, passages, max_tokens=settings.max_tokens)
            write_features(path, response_features(arm, dictionary, key, rows, passages, read))
    return listing({arm: file.path for arm, file in wanted.items()})
