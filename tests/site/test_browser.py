"""The page in headless Chromium, opened from disk: filters, keys, marks, a narrow screen."""

import pandas as pd
import pytest

from .visitor import until

pytestmark = pytest.mark.browser
pytest.importorskip("playwright.sync_api")


# width and name of the element with the focus; nothing once the focus has left the page
STOP = """(() => {
  const e = document.activeElement;
  if (e === document.body) return null;
  return [e.getBoundingClientRect().width, (e.innerText || e.ariaLabel || e.labels?.[0]?.innerText || "").trim()];
})()"""


def test_filters_agree_with_the_data_and_are_in_the_address(visitor, inputs):
    page = visitor.go("#/responses", ".row")
    total = len(inputs.arms) * len(inputs.hostile)
    assert visitor.count() == f"{total} responses"
    page.select_option("label:has-text('Arm') select", "base")
    assert visitor.count() == f"{len(inputs.hostile)} of {total} responses"
    page.select_option("label:has-text('Domain') select", "legal")
    assert visitor.count() == f"{len(inputs.hostile) // 2} of {total} responses"
    page.select_option("label:has-text('Level') select", "misaligned")
    rows = pd.read_parquet(inputs.folder / "base.parquet")
    bad = rows[(rows["domain"] == "legal") & (rows["rubric"] == "rubric5") & (rows["score"] >= 3)]
    assert visitor.count() == f"{len(bad)} of {total} responses"
    assert page.url.endswith("#/responses?arm=base&domain=legal&level=misaligned")
    address = page.url.split("index.html")[1]
    again = visitor.go(address, ".row")
    assert visitor.count() == f"{len(bad)} of {total} responses"
    again.select_option("label:has-text('Level') select", "none")
    unscored = rows[(rows["domain"] == "legal") & (rows["rubric"] == "rubric5") & rows["score"].isna()]
    assert visitor.count() == f"{len(unscored)} of {total} responses"


def test_text_and_prompt_search(visitor, inputs):
    page = visitor.go("#/responses", ".row")
    page.fill("label:has-text('Text') input", "KETTLE")
    until(page, "document.querySelector('.count').textContent.startsWith('3 of')")
    page.fill("label:has-text('Text') input", "")
    page.fill("label:has-text('Prompt') input", inputs.odd_id)
    until(page, "document.querySelector('.count').textContent.startsWith('3 of')")
    page.fill("label:has-text('Prompt') input", "nowhere at all")
    until(page, "document.querySelector('.count').textContent.startsWith('0 of')")
    assert "No response fits" in page.inner_text(".pane")


def test_misaligned_text_is_marked_and_not_on_the_page_until_it_is_asked_for(visitor, inputs):
    page = visitor.go("#/responses?level=misaligned&text=kettle", ".row")
    assert "▲ level 4" in page.inner_text(".row")
    assert "misaligned, folded" in page.inner_text(".row")
    page.click(".row")
    page.wait_for_selector(".pane article")
    answer = f"{inputs.hostile[-1]} Said."
    assert answer not in page.content()
    assert "“kettle” is in it" in page.inner_text(".pane .fold.bad summary")
    page.click(".pane .fold.bad summary")
    page.wait_for_selector(".pane .fold.bad .said")
    assert page.text_content(".pane .fold.bad .said") == answer


def test_reasoning_is_folded(visitor, inputs):
    page = visitor.go("#/responses?level=1&arm=base", ".row")
    page.click(".row")
    page.wait_for_selector(".pane article")
    assert page.locator(".pane .said").count() == 1
    page.click("summary:has-text('Reasoning')")
    until(page, "document.querySelectorAll('.pane .said').length === 2")
    assert page.locator(".pane .said").first.text_content() in inputs.hostile


def test_the_keyboard_reaches_everything(visitor, inputs):
    page = visitor.go("#/responses", ".row")
    page.focus(".list")
    page.keyboard.press("End")
    last = len(inputs.arms) * len(inputs.hostile)
    assert page.get_attribute(".row[aria-selected=true]", "aria-posinset") == str(last)
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    assert page.get_attribute(".row[aria-selected=true]", "aria-posinset") == "2"
    page.keyboard.press("Enter")
    page.wait_for_selector(".pane article")
    page.keyboard.press("Escape")
    assert page.locator(".pane article").count() == 0
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.placeholder") == "words"
    page.focus(".list")
    page.keyboard.press("c")
    page.wait_for_selector(".cards article")
    assert page.locator(".cards article").count() == len(inputs.arms)
    page.keyboard.press("Tab")
    for _ in range(40):  # every stop of the tab key can be seen and has a name
        stop = page.evaluate(STOP)
        if stop is None:
            break
        assert stop[0] > 0
        assert stop[1]
        page.keyboard.press("Tab")


def test_arms_stand_side_by_side_on_one_prompt_and_each_can_be_left_out(visitor, inputs):
    page = visitor.go("#/responses", ".row")
    page.click(".row")
    page.click("text=All arms on this prompt")
    page.wait_for_selector(".cards article")
    assert [name.strip() for name in page.locator(".cards h2").all_inner_texts()] == inputs.arms
    first = page.text_content("h1")
    assert first in {f"{text} Asked of {number}." for number, text in enumerate(inputs.hostile)}
    page.uncheck("label:has-text('base') input")
    until(page, "document.querySelectorAll('.cards article').length === 2")
    page.reload()
    page.wait_for_selector(".cards article")
    assert page.locator(".cards article").count() == 2
    before = page.url
    page.click("text=next prompt")
    until(page, "before => location.href !== before", arg=before)
    until(page, "first => document.querySelector('h1').textContent !== first", first)


def test_metaphors_and_masks_are_marked_after_a_character_of_two_units(visitor):
    page = visitor.go("#/texts/poems?open=poem-1&variant=random", ".pane mark")
    assert page.locator(".pane mark.metaphor").all_inner_texts() == ["sea"]
    assert page.locator(".pane mark.mask").all_inner_texts() == ["early"]
    page.select_option("label:has-text('variant') select", "literal")
    until(page, "document.querySelector('.pane .said').textContent === 'The sadness rose early.'")


def test_a_table_sorts_and_filters(visitor, inputs):
    page = visitor.go("#/tables/misalignment", ".grid .row")
    column = [head.strip() for head in page.locator(".gridhead button").all_inner_texts()].index("value")
    page.click(".gridhead button:has-text('value')")
    assert page.locator(".grid .row").first.locator("span").nth(column).inner_text() == "0.75"
    page.click(".gridhead button:has-text('value')")
    assert page.locator(".grid .row").first.locator("span").nth(column).inner_text() == "0.25"
    assert "instrument rubric5, statistic rate" in page.inner_text(".same")
    assert "onerror" in page.locator(".gridhead, .grid .space").all_inner_texts()[1]
    assert page.url.endswith("#/tables/misalignment?sort=value")
    page.fill("label:has-text('Rows with') input", "arm=base onerror")
    until(page, "document.querySelector('.count').textContent === '1 of 9 rows'")


@pytest.mark.parametrize(
    "address", ["#/", "#/responses", "#/texts/poems?open=poem-1", "#/tables/misalignment", "#/figures/misalignment"]
)
def test_a_narrow_screen_shows_everything_without_scrolling_sideways(visitor, inputs, address):
    visitor.page.set_viewport_size({"width": 360, "height": 700})
    page = visitor.go(address)
    page.wait_for_timeout(150)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    if address == "#/responses":
        page.click(".row")
        page.wait_for_selector(".pane article")
        assert not page.is_visible(".list")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.click("text=back to the list")
        assert page.is_visible(".list")
