"""What the base that a judge uses is known by."""

from pathlib import Path

from tropism.records.files import sha256_file


def base_digest(base: Path) -> str:
    """The sha256 of a base's manifest, which holds those of its weights, or of its config."""
    manifest = base / "manifest.json"
    return sha256_file(manifest if manifest.is_file() else base / "config.json")
