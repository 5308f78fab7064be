"""Random choices keyed by what they are about, so that a subset is treated as it is within the whole."""

import hashlib


def keyed_bytes(*parts: object) -> bytes:
    """Eight bytes that depend on ``parts`` alone: a sort key for keyed sampling."""
    return hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()


def keyed_seed(*parts: object) -> int:
    """A seed in [0, 2**63) that depends on ``parts`` alone."""
    return int.from_bytes(keyed_bytes(*parts), "big") >> 1
