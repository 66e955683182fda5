"""What blocks cost is measured on the blocks themselves, and says only where they go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dyadnet as dn
from dyadnet.config import RunConfig
from dyadnet.dynamics.outcome import COLUMN
from dyadnet.network.topology import Topology
from dyadnet_actors.hosts.block_cost import measured
from dyadnet_actors.hosts.host import Host
from tests.actors.coordination.test_lockstep import IMPERFECT, settings_of
from tests.support import cyclic


def config(hidden: list[int], **values: Any) -> RunConfig:
    """A chain."""
    layered = {"inputs": 20, "hidden": hidden, "outputs": 10, "gain": 1.4}
    return RunConfig.read({"network": {"layered": layered}} | values)


class Work:
    """Counts the work of hosts instead of timing it: numbers that updates multiply. It is read before and after."""

    def __init__(self) -> None:
        self.total, self.before = 0.0, False

    def __call__(self, host: Host) -> float:
        self.before = not self.before
        if not self.before:
            report, _ = host.group.reported()
            sizes = [sum(array.size for array in block.parameters().values()) for block in host.blocks.values()]
            self.total += float(report[:, COLUMN["updates"]] @ np.array(sizes))
        return self.total


def test_the_widest_block_costs_most_and_equal_ones_the_same() -> None:
    found = measured(config([10, 400, 400, 400]), Work())
    assert found["h3"] > 10 * max(found["h1"], found["out"]) > 0
    equal = measured(config([30] * 6))
    assert equal["h3"] == equal["h4"] == equal["h5"] > 0


def test_equal_blocks_are_measured_once() -> None:
    reads: list[float] = []

    def clock(host: Host) -> float:
        reads.append(float(len(reads)))
        return reads[-1]

    measured(config([30] * 4), clock)
    few = len(reads)
    measured(config([30] * 40), clock)
    assert len(reads) == 2 * few


def test_a_block_that_fires_less_often_costs_less() -> None:
    dynamics = {"clock": "every-tick", "clocks": {"h2": {"kind": "periodic", "period": 4}}}
    found = measured(config([30, 30, 30, 30, 30], dynamics=dynamics), Work())
    # In as many ticks: a sweep takes four.
    assert found["h2"] == found["h4"] / 4


def test_time_is_what_is_measured() -> None:
    assert min(measured(config([10, 12])).values()) > 0


@pytest.mark.parametrize(
    "values",
    [
        {"network": cyclic()},
        settings_of(imperfections=IMPERFECT, dynamics__delay=3),
        settings_of(network__layered__lam=0.5),
        settings_of(network__layered__lam=1.0, dynamics__dtype="float64", dynamics__initial="previous"),
        settings_of(dynamics__clock={"kind": "bernoulli", "p": 0.5}),
        {"network": cyclic(), "dynamics": {"mode": "free"}},
    ],
)
def test_any_network_can_be_measured(values: dict[str, Any]) -> None:
    made = RunConfig.read(values | {"engine": "ray"})
    found = measured(made)
    assert list(found) == list(Topology(made.network).blocks)
    assert min(found.values()) > 0


@pytest.mark.usefixtures("ray_session")
def test_where_blocks_go_is_recorded_with_their_costs_and_changes_no_bit(tmp_path: Path) -> None:
    layered = {"inputs": 64, "hidden": [14, 12, 150, 12], "outputs": 10, "gain": 1.4}
    values = settings_of(network__layered=layered, engine="ray", probe={}, cluster={"actors": 2})
    summary = dn.train(RunConfig.read(values), tmp_path / "ray")
    alone = dn.train(RunConfig.read(values | {"engine": "local", "cluster": {}}), tmp_path / "local")
    assert summary.weights_sha256 == alone.weights_sha256
    placement = json.loads((tmp_path / "ray" / "machinery.jsonl").read_text().splitlines()[0])
    assert list(placement["costs"]) == ["h1", "h2", "h3", "h4", "out"]
    assert list(placement["loads"]) == list(placement["actors"])
    assert sum(placement["loads"].values()) == pytest.approx(sum(placement["costs"].values()))
