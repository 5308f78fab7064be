"""Figures for the page: each with its caption, what it shows in this run, and its files to save."""

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from docutils import nodes
from docutils.core import publish_doctree
from jinja2 import Environment, StrictUndefined

from tropism.figures.catalogue import CATALOGUE

FILES = ("svg", "pdf", "png", "csv")
STYLES = {"strong": "b", "emphasis": "i", "literal": "code"}
Paragraph = list[tuple[str, str]]
"""Pieces of text, each with its style: ``b``, ``i``, ``code`` or none."""


def write_figures(
    folder: Path, paths: Sequence[Path], captions: Path | None, config: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Copy each figure and its files to ``folder``/figures; name, title, caption, findings and files of each.

    ``captions`` is the template that the report takes its captions from, ``config`` the settings that these
    name. A file that does not lie beside the SVG is not offered, nor are findings.
    """
    listed = []
    for path in paths:
        (folder / "figures").mkdir(exist_ok=True)
        found = [ending for ending in FILES if path.with_suffix(f".{ending}").is_file()]
        for ending in found:
            shutil.copyfile(path.with_suffix(f".{ending}"), folder / "figures" / f"{path.stem}.{ending}")
        entry = CATALOGUE[path.stem]
        listed.append(
            {
                "name": path.stem,
                "title": entry.title,
                "section": entry.section,
                "caption": read_caption(captions, path.stem, config) if captions else [],
                "findings": read_findings(path.with_suffix(".rst")),
                "files": found,
            }
        )
    return listed


def read_caption(template: Path, figure: str, config: Mapping[str, Any]) -> list[Paragraph]:
    """The caption of ``figure`` that the report shows, without the findings that it includes there."""
    told = SimpleNamespace(
        wildcards=SimpleNamespace(figure=figure),
        output=SimpleNamespace(findings=""),
        config=config,
    )
    text = Environment(undefined=StrictUndefined).from_string(template.read_text(encoding="utf-8"))
    markup = text.render(snakemake=told).partition(".. include::")[0]
    # markup that is not understood stops the build, rather than stand on the page as it is
    strict = {"halt_level": 2, "report_level": 5, "file_insertion_enabled": False, "_disable_config": True}
    tree = publish_doctree(markup, settings_overrides=strict)
    return [
        [(STYLES.get(piece.tagname, ""), piece.astext().replace("\n", " ")) for piece in paragraph.children]
        for paragraph in tree.findall(nodes.paragraph)
    ]


def read_findings(path: Path) -> list[str]:
    """The sentences that stand beside a figure for its caption, without the escapes of reStructuredText."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [re.sub(r"\\(.)", r"\1", line.removeprefix("- ")) for line in lines if line.startswith("- ")]
