"""The page without its data, and with a hundred thousand responses."""

import json

import pytest

from .visitor import Visitor, until

pytestmark = pytest.mark.browser
pytest.importorskip("playwright.sync_api")


def test_without_its_data_the_page_says_what_to_do(browser, inputs, tmp_path):
    folder = inputs.build(tmp_path / "page")
    (folder / "data" / "responses" / "0.js").unlink()
    (folder / "data" / "tables" / "contrasts.js").unlink()
    visitor = Visitor(browser, folder)
    page = visitor.go("#/tables/contrasts", ".error")
    assert page.inner_text(".error") == "data/tables/contrasts.js is missing; build the page again"
    page = visitor.go("#/responses?level=1", ".row")
    until(page, "document.querySelector('.row .preview').textContent.includes('data/responses/0.js is missing')")
    page.close()


def test_a_hundred_thousand_responses_stay_usable(browser, inputs, large_site):
    visitor = Visitor(browser, large_site)
    page = visitor.go("#/responses", ".row .preview")
    assert visitor.count() == "100,000 responses"
    drawn = page.evaluate("performance.getEntriesByName('drawn')[0].startTime")
    assert drawn < 5000
    assert page.locator(".row").count() < 60
    jumps = [scroll_to(page, share) for share in (0.5, 0.25, 0.75, 0.1, 0.9)]
    assert max(jumps) < 3000
    page.focus(".list")
    page.keyboard.press("End")
    assert page.get_attribute(".row[aria-selected=true]", "aria-posinset") == "100000"
    page.keyboard.press("Enter")
    page.click(".pane .fold.bad summary")
    until(page, "document.querySelector('.pane .said').textContent.endsWith('number 99999.')")
    page.keyboard.press("Escape")
    before = page.evaluate("performance.now()")
    page.fill("label:has-text('Text') input", "number 50000.")
    until(page, "document.querySelector('.count').textContent === '1 of 100,000 responses'", seconds=60)
    searched = page.evaluate("performance.now()") - before
    page.fill("label:has-text('Text') input", "")
    until(page, "document.querySelector('.count').textContent === '100,000 responses'")
    before = page.evaluate("performance.now()")
    page.select_option("label:has-text('Arm') select", "base")
    filtered = page.evaluate("performance.now()") - before
    assert filtered < 1000
    assert visitor.errors == []
    told = {"drawn_ms": drawn, "scrolled_ms": sorted(jumps)[2], "searched_ms": searched, "filtered_ms": filtered}
    print(json.dumps({name: round(value) for name, value in told.items()}))
    page.close()


def scroll_to(page, share: float) -> float:
    """Milliseconds until the rows at ``share`` of the list's height stand there with the beginning of their answers."""
    before = page.evaluate(
        """(share) => {
          const list = document.querySelector('.list');
          list.scrollTop = share * list.scrollHeight;
          return performance.now();
        }""",
        share,
    )
    until(
        page,
        """(share) => [...document.querySelectorAll('.row')].some((row) =>
          Math.abs(row.getAttribute('aria-posinset') - share * 100000) < 30
          && /kettle|folded/.test(row.querySelector('.preview').textContent))""",
        share,
    )
    return page.evaluate("performance.now()") - before
