"""Milliseconds until a site's first view is drawn, and until its list of responses is, each in a browser of its own.

The page is opened from disk in headless Chromium, which is started anew each time, so nothing is kept from one time to
the next; the page itself marks when a view is drawn. Medians, least and most of ``--opens``.

    python benchmarks/first_view.py results/demo/site
"""

import argparse
import json
import shutil
import statistics
from pathlib import Path

VIEWS = {"overview": "", "responses": "#/responses"}
DRAWN = "performance.getEntriesByName('drawn')[0]?.startTime ?? null"


def drawn(site: Path, address: str, executable: str) -> float:
    """Milliseconds from the start of the navigation until the page says that its view is drawn."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"{(site / 'index.html').resolve().as_uri()}{address}")
        while (found := page.evaluate(DRAWN)) is None:
            page.wait_for_timeout(20)
        browser.close()
    return float(found)


def main() -> None:
    """Print the times as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("--opens", type=int, default=7)
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome"))
    options = parser.parse_args()
    if options.chromium is None:
        parser.error("no Chromium: apt-get install chromium, or --chromium PATH")
    result = {}
    for view, address in VIEWS.items():
        times = [drawn(options.site, address, options.chromium) for _ in range(options.opens)]
        result[view] = {
            "median_ms": round(statistics.median(times)),
            "least": round(min(times)),
            "most": round(max(times)),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
