"""Takes a picture of the upper part of a report with headless Chromium.

dyadnet train --model sshm --engine local --set record.every=5 --out runs/digits-sshm
python -m docs.tools.report_screenshot runs/digits-sshm/report.html docs/images/report.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

from docs.tools.page_screenshot import browser


def main() -> None:
    """Take the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--height", type=int, default=1010)
    arguments = parser.parse_args()
    with browser(height=arguments.height, dark=arguments.dark, scale=2) as driver:
        driver.get(arguments.report.resolve().as_uri())
        driver.save_screenshot(str(arguments.picture))
        for entry in driver.get_log("browser"):
            print(entry)


if __name__ == "__main__":
    main()
