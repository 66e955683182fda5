"""Trains a network in this process and draws ``dyadnet top``'s picture of it as SVG, and as PNG where Chromium is::

python docs/tools/top_screenshot.py docs/images/top.svg
"""

from __future__ import annotations

import argparse
import math
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from dyadnet.config import ClusterSpec, RunConfig
from dyadnet.config.overrides import merged
from dyadnet.config.presets import preset
from dyadnet.runs.folder import RunFolder
from dyadnet.runs.watcher import Silent
from dyadnet.training.api import load_data
from dyadnet_actors.cli.screen import board, rates
from dyadnet_actors.cluster.connection import connected
from dyadnet_actors.cluster.discovery import glance, runs
from dyadnet_actors.cluster.launch import launch

CHROMIUM = shutil.which("chromium")
AFTER = 30
"""Minibatches before the first look."""


class Photographer(Silent):
    """Looks twice at the run it watches, draws what happened between, and then ends the run."""

    def __init__(self, out: Path, columns: int) -> None:
        self._out = out
        self._columns = columns
        self._seen = 0
        self._first: dict[str, Any] | None = None

    def minibatch(self, epoch: int, index: int, loss: float, accuracy: float, sweeps: float) -> None:
        """See `ProgressCallback`."""
        self._seen += 1
        if self._seen < AFTER:
            return
        found = glance(runs()[0].coordinator)
        assert found
        if self._first is None:
            self._first = found
            time.sleep(2.0)
        elif found["epochs"] >= 2 and found["now"] - self._first["now"] > 2.0:
            console = Console(record=True, width=self._columns, file=Path("/dev/null").open("w"))  # noqa: SIM115
            console.print(board(found, rates(found, self._first), console.width))
            console.save_svg(str(self._out), title=f"dyadnet top {found['run']}")
            raise KeyboardInterrupt


def main() -> None:
    """Take the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--columns", type=int, default=112, help="Width of the terminal.")
    arguments = parser.parse_args()
    out = arguments.out
    values = merged(
        preset("digits", "sshm"), {"learning": {"epochs": 100}, "network": {"layered": {"hidden": [200, 200, 200]}}}
    )
    config = RunConfig.read(values)
    with tempfile.TemporaryDirectory() as folder:
        drawing = Path(folder) / "top.svg"
        with connected(ClusterSpec()):
            try:
                watcher = Photographer(drawing, arguments.columns)
                launch(config, load_data(config), RunFolder(Path(folder) / "digits-sshm", config), watcher)
            except KeyboardInterrupt:
                print(f"writing {out}")
        if out.suffix == ".svg":
            shutil.copy(drawing, out)
        else:
            photograph(drawing, out)


def photograph(drawing: Path, out: Path) -> None:
    """An SVG as PNG, by headless Chromium."""
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawing.read_text(encoding="utf-8"))
    assert size
    window = f"--window-size={math.ceil(float(size[1]))},{math.ceil(float(size[2]))}"
    flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", window)
    command = [CHROMIUM or "chromium", *flags, f"--screenshot={out.resolve()}", drawing.as_uri()]
    subprocess.run(command, check=True, timeout=120, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
