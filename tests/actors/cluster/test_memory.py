"""What an actor takes, and that it takes no more after thousands of minibatches."""

from __future__ import annotations

from pathlib import Path

import pytest
import ray

from dyadnet.config import RunConfig
from dyadnet.config.presets import preset
from dyadnet.runs.watcher import Silent
from dyadnet.training.api import train
from tests.actors.clusters import named

pytestmark = pytest.mark.usefixtures("ray_session")
MEGABYTE = 1e6


def resident(pid: int) -> float:
    """Memory of a process in megabytes: its own and what it maps of files, without the object store."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    sizes = {line.split(":")[0]: line.split()[1] for line in status if line.startswith("Rss")}
    return sum(int(sizes[name]) for name in ("RssAnon", "RssFile")) * 1024 / MEGABYTE


class Empty:
    """An actor that does nothing."""

    def pid(self) -> int:
        """Its process."""
        import os

        return os.getpid()


def empty_actor() -> float:
    """Megabytes of an actor that imports nothing of ours."""
    actor = ray.remote(Empty).options(num_cpus=0).remote()
    size = resident(ray.get(actor.pid.remote()))
    ray.kill(actor)
    return size


class Scales(Silent):
    """Weighs every block actor at chosen minibatches of the run."""

    def __init__(self, *at: int) -> None:
        self._at = set(at)
        self._seen = 0
        self._per_epoch = 0
        self.sizes: list[list[float]] = []

    def started(self, config: RunConfig, minibatches: int) -> None:
        """See `ProgressCallback`."""
        self._per_epoch = minibatches

    def minibatch(self, epoch: int, index: int, loss: float, accuracy: float, sweeps: float) -> None:
        """See `ProgressCallback`; told of the newest minibatch only, so some numbers are never seen."""
        now = epoch * self._per_epoch + index + 1
        due = {mark for mark in self._at if mark <= now}
        if due:
            self._at -= due
            self.sizes.append([resident(pid) for pid in named("ray::BlockActor")])


def test_a_layer_actor_takes_little_more_than_an_empty_one(tmp_path: Path) -> None:
    values = preset("digits", "sshm")
    values["network"]["layered"]["hidden"] = [500, 500]
    values["learning"]["epochs"] = 1
    scales = Scales(30)
    train(RunConfig.read(values), tmp_path / "run", scales)
    ((*sizes,),) = scales.sizes
    assert len(sizes) == 3
    assert max(sizes) - empty_actor() < 150


@pytest.mark.slow
def test_ten_thousand_minibatches_leave_memory_flat(tmp_path: Path) -> None:
    values = preset("digits", "ffm")
    values["network"]["layered"]["hidden"] = [30, 30]
    values["data"]["limit_train"] = 1112
    values["learning"] |= {"epochs": 100, "minibatch": 10}
    scales = Scales(1000, 10_000)
    train(RunConfig.read(values), tmp_path / "run", scales)
    early, late = scales.sizes
    assert max(after - before for before, after in zip(early, late, strict=True)) < 5
