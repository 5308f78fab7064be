"""Response features on disk and in memory: sparse, and keyed by the dictionary that they belong to.

An index alone means nothing: feature 13504 of one dictionary is unrelated to 13504 of another, or of the same one
trained again. So every file carries release, id and the weights' sha256, and files are joined only where they agree.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors import safe_open
from safetensors.numpy import save_file
from scipy.sparse import csr_matrix, vstack

from tropism.records.files import InputError, replacing
from tropism.records.kept import listed

MEASURES = ("max", "mean", "density")
HEADER = "tropism"


@dataclass(frozen=True)
class DictionaryKey:
    """Which dictionary a feature index belongs to: release, id within it, and the sha256 of its weights."""

    release: str
    sae_id: str
    revision: str
    layer: int
    d_sae: int


@dataclass(frozen=True)
class PartFeatures:
    """Features of one part (answer or reasoning) of each response, (responses, d_sae) each, and its token counts.

    ``state`` is the mean residual state that the dictionary read, (responses, d_in) float32.

    ``max`` and ``mean`` are activations over the part's tokens, ``density`` the share of them on which the feature is
    active; a feature that is active nowhere is not stored.
    """

    max: csr_matrix
    mean: csr_matrix
    density: csr_matrix
    state: np.ndarray
    tokens: np.ndarray

    def measure(self, name: str) -> csr_matrix:
        """``max``, ``mean`` or ``density``."""
        matrix: csr_matrix = getattr(self, name)
        return matrix

    def take(self, chosen: np.ndarray) -> "PartFeatures":
        """The responses at the indices ``chosen``, in that order."""
        return PartFeatures(
            self.max[chosen], self.mean[chosen], self.density[chosen], self.state[chosen], self.tokens[chosen]
        )


@dataclass(frozen=True)
class Features:
    """Features of an arm's responses, or of reference answers, with one row of ``rows`` for each."""

    arm: str
    key: DictionaryKey
    rows: pd.DataFrame
    parts: dict[str, PartFeatures]


def write_features(path: Path | str, features: Features) -> None:
    """Write tensors ``indptr``, ``indices``, ``max``, ``mean``, ``density``, ``state``, ``tokens``; JSON in the header.

    The answer's tensors have these names, another part's have its name and a dot before them. The JSON stands under
    one header key, because safetensors does not keep the order of several.
    """
    tensors = {}
    for part, values in features.parts.items():
        prefix = "" if part == "answer" else f"{part}."
        tensors[f"{prefix}indptr"] = values.max.indptr.astype(np.int64)
        tensors[f"{prefix}indices"] = values.max.indices.astype(np.int32)
        tensors[f"{prefix}state"] = values.state.astype(np.float32)
        tensors[f"{prefix}tokens"] = values.tokens.astype(np.int32)
        for name in MEASURES:
            tensors[f"{prefix}{name}"] = values.measure(name).data.astype(np.float32)
    header = {
        "arm": features.arm,
        **vars(features.key),
        "columns": list(features.rows.columns),
        "rows": features.rows.to_numpy().tolist(),
    }
    with replacing(path) as temporary:
        save_file(tensors, temporary, {HEADER: json.dumps(header, ensure_ascii=False, sort_keys=True)})


def read_features(path: Path | str) -> Features:
    """The features in a file of :func:`write_features`.

    Raises:
        InputError: the file is missing or another kind of safetensors file.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    with safe_open(str(path), framework="numpy") as file:
        metadata = file.metadata() or {}
        if HEADER not in metadata:
            raise InputError(f"{path}: not a file of response features; make it with `python -m tropism.sae encode`")
        header = json.loads(metadata[HEADER])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    key = DictionaryKey(**{name: header[name] for name in DictionaryKey.__dataclass_fields__})
    rows = pd.DataFrame(header["rows"], columns=header["columns"])
    prefixes = {name.removesuffix("indptr") for name in tensors if name.endswith("indptr")}
    parts = {}
    for prefix in sorted(prefixes):
        shape = (len(rows), key.d_sae)
        indices, indptr = tensors[f"{prefix}indices"], tensors[f"{prefix}indptr"]
        matrices = {name: csr_matrix((tensors[f"{prefix}{name}"], indices, indptr), shape=shape) for name in MEASURES}
        parts[prefix.removesuffix(".") or "answer"] = PartFeatures(
            **matrices, state=tensors[f"{prefix}state"], tokens=tensors[f"{prefix}tokens"]
        )
    return Features(header["arm"], key, rows, parts)


def read_arms(paths: Sequence[Path]) -> list[Features]:
    """The features of arms: of feature files, and of lists (JSON) that ``tropism.sae encode`` wrote beside them.

    Raises:
        InputError: a file is missing, or is not the one that the list tells of.
    """
    found = []
    for path in paths:
        if path.suffix != ".json":
            found.append(read_features(path))
            continue
        found += [read_features(file) for file in listed(path, "features").values()]
    return found


def concatenate(files: Sequence[Features], part: str = "answer") -> tuple[pd.DataFrame, PartFeatures, DictionaryKey]:
    """Rows of several arms under one another, with a column ``arm``, and the features of one part.

    Raises:
        InputError: the files' features belong to different dictionaries.
    """
    first = files[0]
    for other in files[1:]:
        if other.key != first.key:
            raise InputError(
                f"features of {first.arm} are of dictionary {first.key.sae_id} ({first.key.revision[:12]}), those of "
                f"{other.arm} of {other.key.sae_id} ({other.key.revision[:12]}); encode both with the same one"
            )
    rows = pd.concat([file.rows.assign(arm=file.arm) for file in files], ignore_index=True)
    selected = [file.parts[part] for file in files]
    matrices = {name: vstack([values.measure(name) for values in selected], format="csr") for name in MEASURES}
    state = np.concatenate([values.state for values in selected])
    tokens = np.concatenate([values.tokens for values in selected])
    return rows, PartFeatures(**matrices, state=state, tokens=tokens), first.key
