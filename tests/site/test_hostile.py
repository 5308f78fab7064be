"""Whatever a model said, nothing of it runs in the page, and nothing is asked of another place."""

from urllib.parse import quote

import pytest

from .visitor import until

pytestmark = pytest.mark.browser
pytest.importorskip("playwright.sync_api")

EVERY_VIEW = [
    "#/",
    "#/responses",
    "#/responses?text=pwned",
    "#/texts/poems?open=poem-1&variant=random",
    "#/texts/medical",
    "#/tables",
    "#/tables/misalignment?sort=domain",
    "#/tables/contrasts?filter=onerror",
    "#/figures",
    "#/figures/misalignment",
    "#/%3Cscript%3Ewindow.pwned=1%3C/script%3E",
    "#/tables/%3Cimg%20src=x%20onerror=window.pwned=1%3E",
    "#/prompt/medical/%3Cimg%20src=x%20onerror=window.pwned=1%3E?arms=%3Cscript%3E",
    "#/responses?arm=%22%3E%3Cimg%20src=x%20onerror=window.pwned=1%3E&text=%E0%A4%A",
    "#/%E0%A4%A",
]


@pytest.mark.parametrize("address", EVERY_VIEW)
def test_nothing_runs_in_any_view_and_no_other_place_is_asked(visitor, inputs, address):
    page = visitor.go(address)
    page.wait_for_timeout(150)
    for part in page.query_selector_all("summary"):
        part.click()
    assert "[object" not in page.inner_text("main")
    assert page.evaluate("window.pwned") is None
    assert visitor.errors == []
    assert all(url.startswith((visitor.folder.as_uri(), "about:")) for url in visitor.asked)
    assert page.query_selector_all("main script, main iframe, main base, main object, main svg svg") == []


def test_every_hostile_answer_is_shown_as_the_text_that_it_is(visitor, inputs):
    seen = set()
    for number in range(len(inputs.hostile)):
        dataset = "medical" if number % 2 == 0 else "legal"
        name = inputs.odd_id if number == 0 else f"{dataset}-{number:05d}"
        page = visitor.go(f"#/prompt/{dataset}/{quote(name, safe='')}", ".cards article")
        for part in page.query_selector_all("details.fold > summary"):
            part.click()
        # each arm's answer, and its reasoning, which is the bare string
        until(page, "n => document.querySelectorAll('.said').length === n", arg=2 * len(inputs.arms))
        shown = page.locator(".said").evaluate_all("all => all.map((one) => one.textContent)")
        assert set(shown) == {inputs.hostile[number], f"{inputs.hostile[number]} Said."}
        seen.add(name)
    assert len(seen) == len(inputs.hostile)
    assert page.evaluate("window.pwned") is None
    assert visitor.errors == []


def test_inline_code_is_refused_even_if_it_got_onto_the_page(visitor):
    """The second lock: should text ever become markup, the policy of the page refuses to run it."""
    page = visitor.go("#/")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.pwned = 1\">')")
    page.evaluate(
        "s => { const e = document.createElement('script'); e.textContent = s; document.body.append(e); }",
        "window.pwned = 1",
    )
    page.wait_for_timeout(200)
    assert page.evaluate("window.pwned") is None
    assert any("Content Security Policy" in error for error in visitor.errors)
