"""What outlives a killed training: checkpoints while it runs, and its result until nobody can lose that any more.

A job may be killed after its last step: while it writes, or in the seconds (on a slow shared disk, minutes) in which
Snakemake still looks for its outputs. Snakemake then deletes these, and the next job must not begin at step 0. So the
result is kept beside the checkpoints, as hard links, which take no space as long as the output is there.
"""

import json
import logging
import os
import shutil
from pathlib import Path

from safetensors import SafetensorError, safe_open

from tropism.records.files import replacing, sha256_file

log = logging.getLogger(__name__)
FINISHED = "finished"


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that is whole; the one before it is kept as well, and is used where the newest is not."""
    for checkpoint in sorted(folder.glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1]), reverse=True):
        if _can_be_read(checkpoint):
            return checkpoint
    return None


def _can_be_read(checkpoint: Path) -> bool:
    """Whether it was written to its end (Trainer writes ``trainer_state.json`` last) and no file of it is cut off.

    A process that dies leaves what it wrote; a node that is lost may leave names without contents.
    """
    return (
        (checkpoint / "trainer_state.json").is_file()
        and all(_is_json(path.read_text()) for path in checkpoint.glob("*.json"))
        and all(_is_safetensors(path) for path in checkpoint.glob("*.safetensors"))
    )


def _is_safetensors(path: Path) -> bool:
    """Whether the file is as long as its head says."""
    try:
        with safe_open(path, "pt"):
            return True
    except SafetensorError:
        return False


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return False
    return True


def claim_checkpoints(folder: Path, key: str) -> None:
    """Empty ``folder`` unless what it holds is of the same training (``key``: settings, data, parent, code)."""
    if folder.exists():
        if (folder / "key").is_file() and (folder / "key").read_text() == key:
            return  # not written again: on a full disk that would lose it, and with it the checkpoints
        log.info("checkpoints in %s are of another training, starting anew", folder)
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "key").write_text(key)


def publish_kept(checkpoints: Path, output: Path) -> bool:
    """Put the kept result of this very training at ``output``, if it ended before; whether it had.

    One whose files are no longer what its manifest says is dropped: hard links share what is written into them.
    """
    kept = checkpoints / FINISHED
    if not kept.is_dir():
        return False
    if not _is_whole(kept):
        log.warning("%s was changed after it was made: training anew", kept)
        shutil.rmtree(kept)
        return False
    log.info("this training had ended before: its result is taken from %s (remove that to train again)", kept)
    publish_finished(checkpoints, output)
    return True


def _is_whole(kept: Path) -> bool:
    """Whether the files are those of the manifest. A node that is lost may leave empty ones, that one among them."""
    for name in ("manifest.json", "speed.json"):  # the manifest lists neither
        if not (kept / name).is_file() or not _is_json((kept / name).read_text()):
            return False
    files = json.loads((kept / "manifest.json").read_text())["files"]
    return all((kept / name).is_file() and sha256_file(kept / name) == file["sha256"] for name, file in files.items())


def publish_finished(checkpoints: Path, output: Path) -> None:
    """Put the result of a training that has ended at ``output``, keep it, and drop the checkpoints that led to it."""
    with replacing(output) as folder:
        shutil.copytree(checkpoints / FINISHED, folder, copy_function=_link)
        for path in folder.rglob("*"):
            os.utime(path)  # newer than the inputs, as a result has to be
    for path in checkpoints.iterdir():
        if path.name not in (FINISHED, "key"):
            shutil.rmtree(path)


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links between folders
        shutil.copy2(source, target)
    return target
