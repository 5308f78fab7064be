"""How every room's command line ends."""

import sys

import typer

from tropism.config.base import ConfigError
from tropism.records.files import InputError


def run(app: typer.Typer) -> None:
    """Run a command; what a person has to mend is said without a traceback, and the status is 1."""
    try:
        app()
    except (InputError, ConfigError) as error:
        sys.exit(f"error: {error}")
