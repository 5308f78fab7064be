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
    print(json.dumps({"drawn_ms": round(drawn), "searched_ms": round(searched), "filtered_ms": round(filtered)}))
    page.close()
