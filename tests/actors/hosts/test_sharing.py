"""Runs of one process share Ray: the last of them ends it, and one that wants another cluster is refused in a line."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from dyadnet.config import ClusterSpec
from dyadnet.errors import ConfigError
from dyadnet_actors.cluster import connection as cluster
from dyadnet_actors.cluster.connection import connected
from dyadnet_actors.cluster.watchdog import Watchdog

TWO = """
import sys, threading
import ray
import dyadnet as dn
from dyadnet.config import ClusterSpec

def run(name, epochs):
    spec = ClusterSpec(actors=1, cpus_per_actor=0.2)
    data, learning = dn.DataSpec(limit_train=60), dn.Learning(epochs=epochs)
    config = dn.RunConfig(network=dn.layered(64, [5], 10), data=data, learning=learning, cluster=spec)
    print(name, dn.train(config, f"{sys.argv[1]}/{name}").best_epoch > 0, ray.is_initialized(), flush=True)

if __name__ == "__main__":
    both = [threading.Thread(target=run, args=("short", 1)), threading.Thread(target=run, args=("long", 60))]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    print(ray.is_initialized())
"""


def test_the_first_to_end_leaves_ray_to_the_other(tmp_path: Path) -> None:
    (tmp_path / "two.py").write_text(TWO)
    command = [sys.executable, str(tmp_path / "two.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.stdout.splitlines() == ["short True True", "long True False", "False"], done.stderr


@pytest.mark.parametrize("other", [{"address": "127.0.0.1:6379"}, {"ship_code": True}])
def test_another_cluster_at_the_same_time_is_refused(other: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    held = cluster._Held(ClusterSpec(), contextlib.ExitStack(), Watchdog([]))
    monkeypatch.setattr(cluster, "_held", [held])
    with pytest.raises(ConfigError, match=r"another run of this process is on a cluster of its own.*two processes"):
        connected(ClusterSpec.model_validate(other)).__enter__()
    assert held.runs == 0


def test_auto_is_the_cluster_that_this_process_has_already(monkeypatch: pytest.MonkeyPatch) -> None:
    held = cluster._Held(ClusterSpec(), contextlib.ExitStack(), Watchdog([]))
    held.runs = 1
    monkeypatch.setattr(cluster, "_held", [held])
    with connected(ClusterSpec(address="auto")):
        assert held.runs == 2
    assert held.runs == 1
