"""A page in headless Chromium and what goes wrong in it."""

import time
from pathlib import Path


def until(page, script: str, arg=None, seconds: float = 20) -> None:
    """Wait for ``script`` to be true. Playwright's own wait needs eval in the page, which the page's policy forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(script, arg):
        assert time.monotonic() < end, f"still not true after {seconds} s: {script}"
        page.wait_for_timeout(20)


class Visitor:
    """A page, what it asked of the network, and what went wrong in it."""

    def __init__(self, browser, folder: Path, **options):
        self.folder = folder
        self.page = browser.new_page(viewport={"width": 1280, "height": 800}, **options)
        self.page.set_default_timeout(20_000)
        self.errors: list[str] = []
        self.asked: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.on("dialog", lambda dialog: self.errors.append(dialog.message))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def go(self, address: str, wait: str = "h1"):
        self.page.goto("about:blank")
        self.page.goto(f"{self.folder.as_uri()}/index.html{address}")
        self.page.wait_for_selector(wait)
        return self.page

    def count(self) -> str:
        return self.page.inner_text(".count")
