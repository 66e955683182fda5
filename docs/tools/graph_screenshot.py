"""Trains a network with skip and recurrent projections for a moment and takes a picture of its drawing in a report.

Needs Chromium and its driver::

    python -m docs.tools.graph_screenshot docs/images/graph.png
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import dyadnet as dn
from docs.tools.page_screenshot import browser
from dyadnet.reporting.page import REPORT

POPULATIONS = (
    dn.Population("a", 60),
    dn.Population("b", 40, blocks=2),
    dn.Population("context", 30),
    dn.Population("c", 30),
    dn.Population("d", 20),
    dn.Population("out", 10),
)
PROJECTIONS = (
    dn.Projection("input", "a"),
    dn.Projection("a", "b", lam=0.3),
    dn.Projection("b", "c", lam=0.2),
    dn.Projection("c", "d", lam=0.1),
    dn.Projection("d", "out", lam=0.0),
    dn.Projection("input", "c"),
    dn.Projection("a", "d", lam=0.4),
    dn.Projection("a", "context", lam=0.5, gain=0.3),
    dn.Projection("context", "context", lam=0.5, gain=0.2),
    dn.Projection("context", "c", lam=0.5, gain=0.3),
    dn.Projection("c", "a", lam=0.5, gain=0.3),
)
GRAPH = dn.Network(inputs=64, populations=POPULATIONS, projections=PROJECTIONS)


def main() -> None:
    """Take the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", type=Path)
    parser.add_argument("--dark", action="store_true")
    arguments = parser.parse_args()
    config = dn.RunConfig(
        network=GRAPH,
        data=dn.DataSpec(name="digits", limit_train=200, limit_test=60),
        learning=dn.Learning(epochs=1),
        engine="local",
    )
    with tempfile.TemporaryDirectory() as folder:
        run = dn.train(config, Path(folder) / "graph")
        with browser(dark=arguments.dark, scale=2) as driver:
            driver.get((run.path / REPORT).resolve().as_uri())
            driver.find_element("css selector", ".panel:has(svg.network)").screenshot(str(arguments.picture))


if __name__ == "__main__":
    main()
