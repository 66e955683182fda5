"""Makes the pictures that a change of pages has to be looked at in: reports at three widths, light and dark, and more.

Needs Chromium and its driver; trains for a minute::

    python -m docs.tools.pictures build/pictures
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import dyadnet as dn
from docs.tools.report_screenshot import whole
from dyadnet.config.overrides import merged
from dyadnet.config.presets import preset
from dyadnet.reporting import write
from dyadnet.reporting.page import REPORT

WIDTHS = [400, 1000, 1600]
PROBES = {"probe": {"neurons": {"h1": [0, 3, 5], "out": [0, 1]}, "every": 60}}
OTHERS = (
    ("graph_screenshot", "graph.png"),
    ("page_screenshot", "live-page.png"),
    ("top_screenshot", "top.png"),
    ("top_screenshot", "top-80.png", "--columns", "80"),
)
"""Scripts beside this one, the picture that each makes, and their options."""


def trained(folder: Path, seed: int, model: str) -> Path:
    """A short run on the digits, with probes."""
    values = merged(preset("digits", model), PROBES | {"engine": "local", "seed": seed, "learning": {"epochs": 6}})
    return dn.train(dn.RunConfig.read(values), folder / f"{model}-{seed}").path


def main() -> None:
    """Make them; what collides on a page is said."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    runs = [trained(out / "runs", seed, model) for model in ("ffm", "sshm") for seed in range(3)]
    write(runs, out / "compared.html")
    for page, name in ((runs[-1] / REPORT, "report.png"), (out / "compared.html", "compared.png")):
        for text in whole(page, out / name, WIDTHS):
            print(text)
    for script, picture, *options in OTHERS:
        subprocess.run([sys.executable, "-m", f"docs.tools.{script}", str(out / picture), *options], check=True)
    print(f"{len(list(out.glob('*.png')))} pictures in {out}")


if __name__ == "__main__":
    main()
