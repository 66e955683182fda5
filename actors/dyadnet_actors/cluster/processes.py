"""Ray's processes on this machine: which a connection relies on, and their end where Ray cannot end them itself."""

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
"""Variable in the environment of a worker: the raylet that started it."""
ELSEWHERE = 45.0
"""Seconds for which a control store that somebody else has started may be silent, since its head may come back: less
than the minute after which Ray ends the process."""
REAP = 5.0
"""Seconds within which a process that was killed has ended."""


def parts(patience: float) -> list[Part]:
    """What the connection of this process relies on: the cluster's control store, and its own machine's raylet.

    Parameters
    ----------
    patience
        Seconds without a sign of life after which one counts as hung.
    """
    worker = importlib.import_module("ray._private.worker").global_worker
    ours = _started("gcs_server")
    longest = patience if ours is not None else max(patience, ELSEWHERE)
    found = [Part(CONTROL_STORE, _control_store(worker.gcs_client, longest), longest, ours)]
    raylet = _raylet(worker.node)
    return found if raylet is None else [*found, Part(RAYLET, raylet, patience, _started("raylet"))]


def kill() -> None:
    """End all processes of the cluster that this process has started, and its actors, whatever state they are in.

    Actors end with their raylet, but for those that are stopped.
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
    """Whether a machine's raylet answers; None where this version of Ray has no way to ask."""
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
    """The processes of the cluster that this process has started, by what they are; none if it joined one."""
    node = importlib.import_module("ray._private.worker")._global_node
    started = {} if node is None else node.all_processes
    return {kind: [info.process for info in infos] for kind, infos in started.items()}


def _started(kind: str) -> subprocess.Popen[Any] | None:
    return next(iter(_all().get(kind, ())), None)


def _workers(raylet: int) -> Iterator[int]:
    """Processes that a raylet has started, though it may have ended; on Linux only."""
    sign = RAYLET_OF + b"=" + str(raylet).encode()
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if sign in entry.read_bytes().split(b"\0"):
                yield int(entry.parent.name)
