"""The models of arms whose files are not there yet, one after another on one loaded base."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

from transformers import PreTrainedModel

from tropism.models.adapters import SharedBase
from tropism.models.base import load_base
from tropism.records.kept import Kept

log = logging.getLogger(__name__)


def missing_arms(
    wanted: Mapping[str, Kept], adapters: Mapping[str, Path | None], base: Path, dtype: str
) -> Iterator[tuple[str, Path, PreTrainedModel]]:
    """Each arm whose file is not there: its name, the file to write before the next is taken, and its model.

    The base is loaded once, and not at all where nothing is missing. A file is noted when the next arm is asked for.

    Args:
        wanted: the file of each arm.
        adapters: folder of each arm's adapter; None for the base itself.
        base: folder of the model that all adapters belong to.
        dtype: what its weights are loaded as.
    """
    missing = {arm: file for arm, file in wanted.items() if not file.is_there()}
    log.info("%d of %d arms to read", len(missing), len(wanted))
    if not missing:
        return
    shared = SharedBase(load_base(base, dtype))
    for arm, file in missing.items():
        file.path.parent.mkdir(parents=True, exist_ok=True)
        yield arm, file.path, shared.wear(adapters[arm])
        file.noted()
