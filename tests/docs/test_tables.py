"""The page of tables is the schemas' own, and it leaves nothing out."""

import re
from pathlib import Path

import pytest

from tropism.docs import BESIDE, PUBLISHED, page


def test_the_page_is_what_the_schemas_say(root: Path) -> None:
    assert (root / "docs" / "tables.md").read_text(encoding="utf-8") == page(), (
        "docs/tables.md is out of date: python -m tropism.docs --output docs/tables.md"
    )


def test_every_table_that_a_rule_publishes_is_on_the_page_and_has_a_caption(root: Path) -> None:
    rules = "".join(path.read_text() for path in sorted((root / "workflow" / "rules").glob("*.smk")))
    published = set(re.findall(r'published\("(\w+)"\)', rules))
    assert published == set(PUBLISHED)
    assert {path.stem for path in (root / "workflow" / "report" / "tables").glob("*.rst")} == published


@pytest.mark.parametrize("name", [*PUBLISHED, *BESIDE])
def test_every_table_and_column_says_what_it_means(name: str) -> None:
    schema = {**PUBLISHED, **BESIDE}[name]
    assert schema.description
    assert [column for column, about in schema.columns.items() if not about.description] == []
