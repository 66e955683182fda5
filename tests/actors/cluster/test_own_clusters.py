"""A process that starts and stops clusters of its own, one after the other, holds what it held before."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

STARTS = 100
WARM = 5
"""Starts after which everything that is made once has been made."""
SLACK = 5
"""Descriptors that libraries pool."""
PROGRAM = """
import json, os, sys, threading
import dyadnet as dn
from dyadnet.config import ClusterSpec

if __name__ == "__main__":
    for number in range(int(sys.argv[2])):
        dn.train(
            dn.RunConfig(
                network=dn.layered(64, [5], 10),
                data=dn.DataSpec(limit_train=60),
                learning=dn.Learning(epochs=1),
                cluster=ClusterSpec(actors=1, cpus_per_actor=0.2),
            ),
            f"{sys.argv[1]}/{number}",
            report=False,
        )
        held = {"threads": threading.active_count(), "native": len(os.listdir("/proc/self/task"))}
        files = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
        sockets = sum("socket:" in file for file in files)
        print(json.dumps(held | {"files": len(files) - sockets, "sockets": sockets}), flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="threads and descriptors are read from /proc")
def test_a_hundred_starts_and_stops_in_one_process(tmp_path: Path) -> None:
    (tmp_path / "starts.py").write_text(PROGRAM)
    command = [sys.executable, str(tmp_path / "starts.py"), str(tmp_path), str(STARTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    held = [json.loads(line) for line in done.stdout.splitlines()]
    before, after = held[WARM], held[-1]
    assert len(held) == STARTS
    assert after["threads"] == before["threads"]
    assert after["files"] <= before["files"] + SLACK
    # Ray leaves a thread of its own for every ``ray.init`` and ``ray.shutdown``, whatever is between them; on a busy
    # machine two sockets, too.
    assert after["sockets"] <= before["sockets"] + 2 * (STARTS - 1 - WARM) + SLACK
    assert after["native"] <= before["native"] + (STARTS - 1 - WARM) + SLACK
