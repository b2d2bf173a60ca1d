"""Takes the README's picture, the top of a report: python docs/screenshot.py report.html docs/report-current.png"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

WIDTH = 1200
END = "document.querySelector('section[aria-labelledby=components]').getBoundingClientRect().bottom"


def main(report: Path, picture: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 1200}, color_scheme="light")
        page.goto(report.resolve().as_uri())
        page.screenshot(path=picture, clip={"x": 0, "y": 0, "width": WIDTH, "height": page.evaluate(END) + 28})
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
