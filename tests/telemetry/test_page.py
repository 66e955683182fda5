"""The live page in a real browser, while a run goes on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dyadnet.config import RunConfig
from dyadnet.config.metrics import MetricsSpec
from dyadnet.config.overrides import merged
from dyadnet.telemetry.endpoint import Endpoint
from dyadnet.telemetry.page import page
from dyadnet.telemetry.snapshot import Snapshot
from tests.browser import errors
from tests.telemetry.runs import settings, until

CYCLIC = {
    "network": {
        "inputs": 64,
        "populations": [
            {"name": "a", "size": 12},
            {"name": "b", "size": 10, "blocks": 2},
            {"name": "c", "size": 6},
            {"name": "out", "size": 10},
        ],
        "projections": [
            {"pre": "input", "post": "a"},
            {"pre": "a", "post": "b", "lam": 0.5},
            {"pre": "b", "post": "c", "lam": 0.5},
            {"pre": "c", "post": "a", "lam": 0.5, "gain": 0.3},
            {"pre": "b", "post": "b", "lam": 0.5, "gain": 0.3},
            {"pre": "b", "post": "out", "lam": 0.0},
        ],
    }
}


def test_the_page_brings_everything_with_it_and_lets_nothing_else_in() -> None:
    answer = page()
    text = answer.body.decode()
    assert not re.search(r"(src|href)=\"(?!data:,\"|/metrics\"|/healthz\"|/state\.json\")", text)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    assert not re.search(r"\son\w+=|\sstyle=|@import|url\(", text)
    assert answer.headers is not None
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


@pytest.fixture(params=["chain", "cyclic", "images", "numbers"])
def run(request: pytest.FixtureRequest, chromium: Any, tmp_path: Path) -> Iterator[Snapshot]:
    """A run that goes on until the test is over, and the page that shows it."""
    from docs.tools.page_screenshot import training

    values = settings(learning={"epochs": 2000, "learning_rate": 1e-5})
    if request.param == "cyclic":
        del values["network"]
        values = merged(values, CYCLIC)
    if request.param == "images":
        values["network"] = {"layers": ["conv 6 3x3", "pool 2", "dense 10"], "inputs": [1, 8, 8], "lam": 0.0}
    if request.param == "numbers":
        x = np.random.default_rng(0).uniform(0, 1, (300, 64))
        np.savez(tmp_path / "numbers.npz", x=x, y=x[:, :2] - 0.5)
        outputs = {"outputs": 2, "output_activation": "linear"}
        values = merged(values, {"network": {"layered": outputs}, "data": {"name": str(tmp_path / "numbers.npz")}})
    with (
        Endpoint(MetricsSpec(port=0)) as endpoint,
        training(endpoint, RunConfig.read(values), request.param) as snapshot,
    ):
        until(lambda: snapshot.epochs >= 1)
        chromium.get(f"http://{endpoint.address}/")
        until(lambda: chromium.find_element("id", "run").text == request.param)
        yield snapshot
        chromium.get("about:blank")


def test_the_page_shows_every_block_and_a_value_that_changes(run: Snapshot, chromium: Any) -> None:
    def texts(selector: str) -> list[str]:
        # In one step: the page draws itself anew once a second.
        script = "return [...document.querySelectorAll(arguments[0])].map((element) => element.textContent)"
        return list(chromium.execute_script(script, selector))

    blocks = list(run.topology.blocks)
    drawn = [group.get_attribute("data-block") for group in chromium.find_elements("css selector", "g.block")]
    assert sorted(drawn) == sorted(blocks)
    assert texts("#blocks td:first-child") == blocks
    sizes = ["×".join(map(str, spec.population.shape or [spec.size])) for spec in run.topology.blocks.values()]
    assert texts("g.block .size") == texts("#blocks td:nth-child(2)") == sizes
    assert len(chromium.find_elements("css selector", ".channel")) >= len(run.topology.links)
    values = texts("g.block .value")
    assert all(re.fullmatch(r"[\d.e-]+", shown) for shown in values)
    until(lambda: texts("g.block .value") != values)
    assert texts("#state span")[0] in ("training", "evaluating")
    for name, pattern in (("saturation", r"[\d.]+%"), ("age", r"\d+ ticks?")):
        chromium.find_element("css selector", f"[data-by={name}]").click()
        assert all(re.fullmatch(pattern, shown) for shown in texts("g.block .value"))
    assert len(texts(".chart")) == len(texts(".chart:has(path.curve)")) == 4
    assert any("R²" in text for text in texts("#figures, .chart")) == ("r2" in run.scores)
    assert errors(chromium) == []


def test_figures_say_of_which_epoch_they_are(run: Snapshot, chromium: Any) -> None:
    def shown() -> list[str]:
        script = "return [...document.querySelectorAll('#figures dd')].map((element) => element.textContent)"
        return list(chromium.execute_script(script))

    def epochs() -> list[int]:
        return [int(found[1]) for found in (re.search(r"epoch (\d+)", text) for text in shown()) if found]

    # Of numbers the mean absolute error, too.
    until(lambda: len(epochs()) == 3 + ("r2" in run.scores))
    *ended, training = epochs()
    test = ended[0]
    assert set(ended) == {test}
    # What is trained is the next epoch, or still the one that was evaluated last.
    assert training in (test, test + 1)
