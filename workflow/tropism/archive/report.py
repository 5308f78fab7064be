"""Snakemake's report of a finished experiment, as a step like any other, so that an archive never lacks it."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from tropism.records.files import InputError, replacing

TARGET = "all"


def write_report(project: Path, settings: str, output: Path) -> None:
    """Write the report of ``all`` with these ``settings`` (the whole effective config as JSON) to ``output``.

    Raises:
        InputError: Snakemake could not make it; with the end of what it printed.
    """
    with tempfile.TemporaryDirectory(prefix="tropism-report-") as scratch, replacing(output) as temporary:
        overlay = Path(scratch) / "experiment.yaml"
        overlay.write_text(yaml.safe_dump(json.loads(settings), sort_keys=False, allow_unicode=True), encoding="utf-8")
        made = Path(scratch) / "report.html"
        run_snakemake(project, overlay, "--report", str(made), "--", TARGET)
        temporary.write_bytes(made.read_bytes())


def run_snakemake(project: Path, settings: Path, *arguments: str) -> str:
    """Run the workflow in ``project`` with the settings of the file ``settings``; what it printed.

    Raises:
        InputError: with the end of what it printed.
    """
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--nolock", "--configfile", "config.yaml"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        [*command, str(settings), *arguments], cwd=project, capture_output=True, text=True, env=environment
    )
    printed = done.stdout + done.stderr
    if done.returncode != 0:
        raise InputError(f"snakemake failed in {project.resolve()}:\n{printed[-3000:]}")
    return printed
