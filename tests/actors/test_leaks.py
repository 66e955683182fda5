"""What runs leave behind in their driver and on their cluster: nothing, and they do not grow."""

from __future__ import annotations

import gc
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

import dyadnet as dn
from dyadnet.config import RunConfig
from dyadnet.watcher import Silent
from tests.actors.clusters import descends, named
from tests.actors.test_lockstep import settings_of

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_session")]
STARTS = 200
WARM = 5
"""Runs after which everything that is made once has been made."""
MEBIBYTE = 2**20


def tiny(**values: Any) -> dict[str, Any]:
    """A run of a few minibatches."""
    layered = {"inputs": 64, "hidden": [6], "outputs": 10}
    return settings_of(
        engine="ray", network__layered=layered, probe={}, cluster={}, recovery={"heartbeat": 3.0}, **values
    )


def held() -> dict[str, Any]:
    """What this process and its cluster hold at the moment."""
    import ray

    kinds = [str(fd.readlink()) for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]
    return {
        "files": sum(not kind.startswith("socket:") for kind in kinds),
        "sockets": sum(kind.startswith("socket:") for kind in kinds),
        "actors": named("ray::BlockActor") + named("ray::CoordinatorActor"),
        "groups": [group for group in _groups() if group["state"] != "REMOVED"],
        "temporary files": sorted(path.name for path in Path(tempfile.gettempdir()).iterdir() if _ours(path)),
        "shared memory": sorted(path.name for path in Path("/dev/shm").iterdir() if _ours(path)),
        "object store": ray.available_resources().get("object_store_memory"),
        "cpus": ray.available_resources().get("CPU"),
    }


def _groups() -> list[dict[str, Any]]:
    from ray.util import placement_group_table

    return list(placement_group_table().values())


def _ours(path: Path) -> bool:
    """Whether a file may be of this test: other programs of this machine write there too."""
    try:
        recent = path.stat().st_ctime > STARTED
    except OSError:
        return False
    return recent and any(word in path.name for word in ("dyadnet", "psm_", "plasma", "tmp"))


STARTED = time.time()


def settled(expected: dict[str, Any], seconds: float = 60.0) -> dict[str, Any]:
    """What is held once it is what is expected, or in the end: processes take a moment to go."""
    deadline = time.monotonic() + seconds
    while True:
        gc.collect()
        found = held()
        if found == expected or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def test_starts_and_stops_leave_nothing_behind(tmp_path: Path) -> None:
    before: dict[str, Any] = {}
    for count in range(STARTS):
        if count == WARM:
            before = settled({}, 10.0)
        fault = ["kill:block=h1,minibatch=2,tick=2"] if count % 10 == 3 else []
        dn.train(RunConfig.read(tiny(faults=fault)), tmp_path / f"run-{count}", Silent())
    assert settled(before) == before
    assert before["actors"] == []


def resident() -> dict[str, float]:
    """MiB of memory of the driver, the coordinator and the block actors."""
    import ray

    assert ray.is_initialized()
    processes = {"driver": os.getpid()}
    for kind in ("CoordinatorActor", "BlockActor"):
        processes |= {f"{kind} {index}": pid for index, pid in enumerate(named(f"ray::{kind}"))}
    page = os.sysconf("SC_PAGE_SIZE")
    return {
        name: int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page / MEBIBYTE
        for name, pid in processes.items()
        if descends(pid, os.getpid())
    }


class Scale(Silent):
    """Weighs all processes after some numbers of minibatches."""

    def __init__(self, moments: list[int], minibatches: int) -> None:
        self.weights: list[dict[str, float]] = []
        self._moments = moments
        self._minibatches = minibatches

    def minibatch(self, epoch: int, index: int, loss: float, accuracy: float, sweeps: float) -> None:
        """See `Watcher`."""
        if self._moments and epoch * self._minibatches + index + 1 >= self._moments[0]:
            self._moments.pop(0)
            self.weights.append(resident())


def test_memory_is_flat_over_many_minibatches(tmp_path: Path) -> None:
    total, of_epoch = 20_000, 1000
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
    assert len(early) == 4
    for name, weight in early.items():
        assert late[name] < weight + 8, f"{name} grew from {weight:.0f} to {late[name]:.0f} MiB"
