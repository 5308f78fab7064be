"""How every room's command line ends."""

import gc
import sys

import typer

from tropism.config.base import ConfigError
from tropism.records.files import InputError

COLLECT_EVERY = 50_000
"""New objects between two passes of the garbage collector, which by default comes after 700: importing torch and
transformers makes a million that stay, and the passes over them take a tenth of the start of a small job."""


def run(app: typer.Typer) -> None:
    """Run a command; what a person has to mend is said without a traceback, and the status is 1."""
    gc.set_threshold(COLLECT_EVERY)
    try:
        app()
    except (InputError, ConfigError) as error:
        sys.exit(f"error: {error}")
