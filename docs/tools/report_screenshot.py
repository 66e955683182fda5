"""Takes pictures of a report with headless Chromium: of its upper part, or of all of it at several widths.

dyadnet train --model sshm --engine local --set record.every=5 --out runs/digits-sshm
python -m docs.tools.report_screenshot runs/digits-sshm/report.html docs/images/report.png
python -m docs.tools.report_screenshot runs/digits-sshm/report.html build/report.png --widths 400,1000,1600
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docs.tools.page_screenshot import browser

# What is wider than the page, or cut off without a way to scroll to it.
TOO_WIDE = """
const cut = [...document.querySelectorAll("body *")].filter((element) => {
  const box = element.getBoundingClientRect();
  const within = element.closest(".scroll, svg");
  return box.width > 0 && box.right > innerWidth + 1 && !within;
});
return cut.map((element) => `${element.tagName.toLowerCase()}.${element.className} at ${innerWidth}`);
"""
# Texts of a picture of which one covers the other.
COVERED = """
const found = [];
for (const svg of document.querySelectorAll("svg")) {
  const seen = (text) => text.textContent.trim() && getComputedStyle(text).visibility === "visible";
  const texts = [...svg.querySelectorAll("text")].filter(seen);
  const boxes = texts.map((text) => text.getBoundingClientRect());
  boxes.forEach((one, index) => boxes.slice(index + 1).forEach((other, after) => {
    const across = Math.min(one.right, other.right) - Math.max(one.left, other.left);
    const down = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
    if (across > 2 && down > 4) found.push(`${texts[index].textContent} and ${texts[index + 1 + after].textContent}`);
  }));
}
return found;
"""


def collisions(driver: Any) -> list[str]:
    """What of the open page is cut off at the right, and which texts of its pictures cover each other."""
    return [*driver.execute_script(TOO_WIDE), *driver.execute_script(COVERED)]


def resized(driver: Any, width: int, height: int = 1000) -> None:
    """Give the open page another size, as a window has it."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    # Two frames later everything that follows the size has followed it.
    wait = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 50)))"
    driver.execute_async_script(wait)


def whole(report: Path, picture: Path, widths: list[int]) -> Iterator[str]:
    """Take a picture of all of a page at each width, light and dark; what collides, in words."""
    for dark in (False, True):
        with browser(dark=dark) as driver:
            driver.get(report.resolve().as_uri())
            for width in widths:
                resized(driver, width)
                resized(driver, width, driver.execute_script("return document.documentElement.scrollHeight"))
                name = f"{picture.stem}-{width}{'-dark' if dark else ''}{picture.suffix}"
                driver.save_screenshot(str(picture.with_name(name)))
                yield from (f"{name}: {text}" for text in collisions(driver))


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--height", type=int, default=1010)
    parser.add_argument("--widths", help="Pixels, such as 400,1000,1600: all of the page, light and dark, at each.")
    arguments = parser.parse_args()
    if arguments.widths:
        for text in whole(arguments.report, arguments.picture, [int(width) for width in arguments.widths.split(",")]):
            print(text)
        return
    with browser(height=arguments.height, dark=arguments.dark, scale=2) as driver:
        driver.get(arguments.report.resolve().as_uri())
        driver.save_screenshot(str(arguments.picture))
        for entry in driver.get_log("browser"):  # type: ignore[no-untyped-call]
            print(entry)


if __name__ == "__main__":
    main()
