"""What a page shows, drawn by its own scripts without a browser: text, links and tables, but neither layout nor events.

The Node that playwright brings runs them, so these tests need nothing that the others do not.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright._impl._driver import compute_driver_executable

DOM = Path(__file__).with_name("dom.js")


class Drawn:
    """An element of a view and what is in it."""

    def __init__(self, node: dict[str, Any]):
        self.tag: str = node["tag"]
        self.attributes: dict[str, str] = node["attributes"]
        self.children = [child if isinstance(child, str) else Drawn(child) for child in node["children"]]

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    def all(self, tag: str, name: str = "") -> "Iterator[Drawn]":
        """The elements of that tag, and of that class if one is named, in order."""
        for child in self.children:
            if isinstance(child, Drawn):
                if child.tag == tag and (not name or name in child.attributes.get("class", "").split()):
                    yield child
                yield from child.all(tag, name)

    def table(self, caption: str) -> list[dict[str, str]]:
        """The rows of the table with that caption: the text of each cell by the name of its column."""
        (found,) = [one for one in self.all("table") if next(one.all("caption")).text == caption]
        names = [head.text for head in found.all("th")]
        rows = [[cell.text for cell in row.all("td")] for row in found.all("tr")]
        return [dict(zip(names, row, strict=True)) for row in rows if row]


def view(folder: Path, address: str, *presses: str) -> Drawn:
    """The view that ``address``, such as ``#/tables``, shows of the page in ``folder``, once buttons are pressed."""
    node = compute_driver_executable()[0]
    done = subprocess.run([node, str(DOM), str(folder), address, *presses], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return Drawn(json.loads(done.stdout))
