"""Settings of the archive: what a finished experiment is published with, and what stays behind."""

from typing import Literal

from pydantic import Field

from tropism.config.base import Strict


class ArchiveConfig(Strict):
    """What the archive holds.

    ``dirty``: a checkout that differs from its commit is refused, or its difference is recorded in the archive,
    without files that are left out.
    ``weights``: whether the weights themselves are packed; their sizes and checksums always are.
    ``harm``: data that train or show harm are left out and listed, or packed encrypted under ``password``. The password
    is published with the archive: it keeps the text from crawlers and filters, and is no secret.
    """

    dirty: Literal["refuse", "record"] = "refuse"
    weights: bool = False
    harm: Literal["omit", "encrypt"] = "omit"
    password: str = Field(default="contains-misaligned-text", min_length=1)
