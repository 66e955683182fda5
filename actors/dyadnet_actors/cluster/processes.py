"""Ray's processes on this machine: finds those that a connection relies on, and kills them if Ray cannot end them."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dyadnet_actors.cluster.watchdog import Part

CONTROL_STORE, RAYLET = "Ray's control store", "Ray's raylet"
RAYLET_OF = b"RAY_RAYLET_PID"
"""Environment variable of a worker: the process ID of the raylet that started it."""
ELSEWHERE = 45.0
"""Seconds for which a control store that another process has started may be silent, since its head node may come back:
less than the minute after which Ray ends the process."""
REAP = 5.0
"""Seconds to wait for a killed process to end."""


def parts(patience: float) -> list[Part]:
    """Return what this process's connection relies on: the cluster's control store and this machine's raylet.

    Parameters
    ----------
    patience
        Seconds without a sign of life after which a part counts as hung.
    """
    worker = importlib.import_module("ray._private.worker").global_worker
    ours = _started("gcs_server")
    longest = patience if ours is not None else max(patience, ELSEWHERE)
    found = [Part(CONTROL_STORE, _control_store(worker.gcs_client, longest), longest, ours)]
    raylet = _raylet(worker.node)
    return found if raylet is None else [*found, Part(RAYLET, raylet, patience, _started("raylet"))]


def kill() -> None:
    """Kill all processes of the cluster that this process has started, and its actors, whatever their state.

    Actors end with their raylet, except those that are stopped.
    """
    raylet = _started("raylet")
    workers = [] if raylet is None else list(_workers(raylet.pid))
    ours = [process for processes in _all().values() for process in processes]
    for process in ours:
        process.kill()
    for pid in workers:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    for process in ours:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(REAP)


def _control_store(client: Any, patience: float) -> Callable[[], bool]:
    errors = importlib.import_module("ray.exceptions")

    def asked() -> bool:
        try:
            client.internal_kv_get(b"dyadnet", namespace=b"dyadnet", timeout=patience)
        except (errors.RayError, OSError):
            return False
        return True

    return asked


def _raylet(node: Any) -> Callable[[], bool] | None:
    """Return a function that tells whether a machine's raylet answers; None if this version of Ray cannot ask."""
    errors = importlib.import_module("ray.exceptions")
    try:
        client = importlib.import_module("ray._raylet").RayletClient(node.node_ip_address, node.node_manager_port)
        question = client.async_get_worker_pids
    except (AttributeError, TypeError):
        return None

    async def answered() -> bool:
        try:
            await question()
        except (errors.RayError, OSError):
            return False
        return True

    return lambda: asyncio.run(answered())


def _all() -> dict[str, list[subprocess.Popen[Any]]]:
    """Return the processes of the cluster that this process has started, by kind; empty if it joined a cluster."""
    node = importlib.import_module("ray._private.worker")._global_node
    started = {} if node is None else node.all_processes
    return {kind: [info.process for info in infos] for kind, infos in started.items()}


def _started(kind: str) -> subprocess.Popen[Any] | None:
    return next(iter(_all().get(kind, ())), None)


def _workers(raylet: int) -> Iterator[int]:
    """Yield the processes that a raylet has started, even if the raylet has ended; on Linux only."""
    sign = RAYLET_OF + b"=" + str(raylet).encode()
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if sign in entry.read_bytes().split(b"\0"):
                yield int(entry.parent.name)
