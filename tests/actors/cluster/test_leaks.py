"""What runs leave behind in their driver and on their cluster: nothing, and they do not grow."""

from __future__ import annotations

import contextlib
import gc
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import dyadnet as dn
from dyadnet.config import RunConfig
from dyadnet.runs.watcher import Silent
from dyadnet_actors.chaos.victims import below
from tests.actors.clusters import named
from tests.actors.coordination.test_lockstep import settings_of

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_session")]
STARTED = time.time()
STARTS = 200
WARM = 5
"""Runs after which everything that is made once has been made."""
GOING = 10.0
"""Seconds after which the processes of a run have certainly gone."""
MEBIBYTE = 2**20
RAYS = ("gcs_server", "raylet")


def tiny(**values: Any) -> dict[str, Any]:
    """A run of a few minibatches."""
    layered = {"inputs": 64, "hidden": [6], "outputs": 10}
    return settings_of(
        engine="ray", network__layered=layered, probe={}, cluster={}, recovery={"heartbeat": 3.0}, **values
    )


def held() -> dict[str, Any]:
    """What this process and its cluster hold at the moment."""
    import ray

    kinds = list(_descriptors())
    free = ray.available_resources()
    return {
        "files": sum(not kind.startswith("socket:") for kind in kinds),
        "sockets": sum(kind.startswith("socket:") for kind in kinds),
        "temporary files": sum(path.name.startswith(("tmp", "dyadnet")) for path in _recent(tempfile.gettempdir())),
        "actors": named("ray::BlockActor") + named("ray::CoordinatorActor"),
        "groups": [number for number, group in _groups().items() if group["state"] != "REMOVED"],
        "shared memory": [path.name for path in _recent("/dev/shm") if path.name.startswith(("psm_", "plasma"))],
        "taken store": -free.get("object_store_memory", 0.0),
        "taken cpus": -free.get("CPU", 0.0),
    }


SLACK = {"files": 5, "sockets": 5, "temporary files": 5, "taken store": 1.0, "taken cpus": 1e-3}
"""How much more may be held at the end: what libraries pool, and what other programs of this machine leave in the same
folders, is of that size; what every run or every kill left behind would be more."""


def surplus(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """What is held beyond what was."""
    found: dict[str, Any] = {}
    for name, value in after.items():
        if isinstance(value, list):
            more = sorted(set(value) - set(before[name]))
            if more:
                found[name] = more
        elif value > before[name] + SLACK[name]:
            found[name] = (before[name], value)
    return found


def _descriptors() -> Iterator[str]:
    """What each open file of this process is; other threads open and close some meanwhile."""
    for fd in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            yield str(fd.readlink())


def _groups() -> dict[str, dict[str, Any]]:
    from ray.util import placement_group_table

    return dict(placement_group_table())


def _recent(folder: str) -> list[Path]:
    """What is in a folder since this test began."""
    found = []
    for path in Path(folder).iterdir():
        with contextlib.suppress(OSError):
            if path.stat().st_ctime > STARTED:
                found.append(path)
    return found


def settled(before: dict[str, Any], seconds: float = 60.0) -> dict[str, Any]:
    """What is left over in the end: processes and connections take a moment to go."""
    deadline = time.monotonic() + seconds
    while True:
        gc.collect()
        found = surplus(before, held())
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def test_starts_and_stops_leave_nothing_behind(tmp_path: Path) -> None:
    before: dict[str, Any] = {}
    for count in range(STARTS):
        if count == WARM:
            time.sleep(GOING)
            before = held()
            assert before["actors"] == before["groups"] == []
        fault = ["kill:block=h1,minibatch=2,tick=2"] if count % 10 == 3 else []
        dn.train(RunConfig.read(tiny(faults=fault)), tmp_path / f"run-{count}", Silent())
    assert settled(before) == {}


def resident() -> dict[str, float]:
    """MiB of memory of the driver, the coordinator, the block actors, and Ray's control store and raylet."""
    import ray

    assert ray.is_initialized()
    processes = {"driver": os.getpid()}
    for kind in ("CoordinatorActor", "BlockActor"):
        processes |= {f"{kind} {index}": pid for index, pid in enumerate(named(f"ray::{kind}"))}
    for number, name in below(os.getpid()).items():
        if name in RAYS:
            processes[name] = number
    page = os.sysconf("SC_PAGE_SIZE")
    return {
        name: int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page / MEBIBYTE
        for name, pid in processes.items()
    }


class Scale(Silent):
    """Weighs all processes after some numbers of minibatches."""

    def __init__(self, moments: list[int], minibatches: int) -> None:
        self.weights: list[dict[str, float]] = []
        self._moments = moments
        self._minibatches = minibatches

    def minibatch(self, epoch: int, index: int, loss: float, accuracy: float, sweeps: float) -> None:
        """See `ProgressCallback`."""
        if self._moments and epoch * self._minibatches + index + 1 >= self._moments[0]:
            self._moments.pop(0)
            self.weights.append(resident())


@pytest.mark.parametrize("total", [20_000, 50_000])
def test_memory_is_flat_over_many_minibatches(total: int, tmp_path: Path) -> None:
    of_epoch = 1000
    values = tiny(
        dynamics={"sweeps": 2, "fixed": True, "clock": "every-tick", "step": 0.5},
        data={"limit_train": 1112, "limit_test": 20},
        learning={"epochs": total // of_epoch, "minibatch": 1, "evaluation_batch": 200},
        record={"every": 500},
    )
    scale = Scale([total // 4, total - of_epoch // 2], of_epoch)
    dn.train(RunConfig.read(values), tmp_path / "run", scale)
    early, late = scale.weights
    assert early.keys() == late.keys()
    assert len(early) == 6
    for name, weight in early.items():
        assert late[name] < weight + 8, f"{name} grew from {weight:.0f} to {late[name]:.0f} MiB"
