"""Secrets never enter: every file is searched for keys before it is packed, and a find names the place, not the key."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from tropism.records.files import InputError

SECRET_NAMES = re.compile(r"(?:^|_)(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|PAT)(?:$|_)", re.IGNORECASE)
SHORTEST = 12
"""Characters from which the value of such a variable is looked for; shorter ones are found everywhere by chance."""
PATTERNS = {
    "an OpenAI or Anthropic key": rb"\bsk-(?:proj-|ant-|svcacct-|or-)?[A-Za-z0-9_-]{20,}",
    "a Hugging Face token": rb"\bhf_[A-Za-z0-9]{30,}\b",
    "a GitHub token": rb"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,})",
    "a GitLab token": rb"\bglpat-[A-Za-z0-9_-]{20,}",
    "an AWS key": rb"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "a Google key": rb"\bAIza[A-Za-z0-9_-]{35}\b",
    "a Slack token": rb"\bxox[abprs]-[A-Za-z0-9-]{10,}",
    "a private key": rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----",
    "an authorisation header": rb"(?i)\bauthorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic)\s+[A-Za-z0-9._~+/-]{16,}",
}
FILE_NAMES = re.compile(
    r"(?:^|/)(?:\.env(?:\..+)?|\.netrc|\.pypirc|id_(?:rsa|dsa|ecdsa|ed25519)|.+\.(?:pem|key|p12|pfx))$"
)
_COMPILED = {what: re.compile(pattern) for what, pattern in PATTERNS.items()}


def own_secrets(environment: dict[str, str] | None = None) -> dict[str, bytes]:
    """Values of this process's environment variables that are named as secrets are, by name."""
    variables = os.environ if environment is None else environment
    return {
        name: value.encode(errors="surrogateescape")
        for name, value in variables.items()
        if SECRET_NAMES.search(name) and len(value) >= SHORTEST and not _is_path(value)
    }


def _is_path(value: str) -> bool:
    try:
        return Path(value).exists()
    except OSError:  # longer than a name may be, as signed tokens are
        return False


def find_secrets(data: bytes, own: dict[str, bytes]) -> Iterable[tuple[int, str]]:
    """Line (from 1) and kind of every secret in ``data``."""
    places = [(match.start(), what) for what, pattern in _COMPILED.items() for match in pattern.finditer(data)]
    places += [(at, f"the value of ${name}") for name, value in own.items() if (at := data.find(value)) >= 0]
    for at, what in sorted(places):
        yield data.count(b"\n", 0, at) + 1, what


def refuse_secrets(files: dict[str, Path]) -> None:
    """Search ``files``, by their names in the archive.

    Raises:
        InputError: naming file, line and kind of each find.
    """
    own = own_secrets()
    finds = [f"{name}: a file of this name holds secrets" for name in files if FILE_NAMES.search(name)]
    for name, path in files.items():
        finds += [f"{name}, line {line}: {what}" for line, what in find_secrets(path.read_bytes(), own)]
    if finds:
        raise InputError("the archive would hold secrets; take them out, then archive again:\n  " + "\n  ".join(finds))
