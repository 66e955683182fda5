"""The HTTP endpoint of a run, or of a study with many runs: one server, one collector, and the exposed runs."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dyadnet.config import RunConfig
from dyadnet.config.metrics import MetricsSpec
from dyadnet.errors import DivergedError, StoppedError, UsageError
from dyadnet.runs.observer import MetricsCallback, Unobserved
from dyadnet.telemetry.collector import RunsCollector
from dyadnet.telemetry.discovery import listed
from dyadnet.telemetry.page import page
from dyadnet.telemetry.server import Answer, MetricsServer, as_json, exposition
from dyadnet.telemetry.snapshot import Snapshot
from dyadnet.telemetry.view import view

WILD = ("", "0.0.0.0", "::")


class Endpoint:
    """Serves all runs that were added. For one run see `exposed`; for many runs, add each under its own name.

    Parameters
    ----------
    settings
        Settings of the endpoint; they must have a port.

    Raises
    ------
    ConfigError
        If the server cannot listen at this address.
    """

    def __init__(self, settings: MetricsSpec) -> None:
        assert settings.port is not None
        self._runs: dict[str, Snapshot] = {}
        self._lock = threading.Lock()
        host = node_address() if settings.host == "node" else settings.host
        self._server = MetricsServer(
            host,
            settings.port,
            {
                "/": lambda query, accept: page(),
                "/metrics": exposition(RunsCollector(self.runs).registry()),
                "/healthz": self._health,
                "/state.json": self._state,
            },
        )
        shown = node_address() if host in WILD else host
        self.address = f"[{shown}]:{self._server.port}" if ":" in shown else f"{shown}:{self._server.port}"
        """Host and port under which other machines reach the endpoint."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, config: RunConfig, name: str) -> Snapshot:
        """Add a run. Return its snapshot, which is the run's observer."""
        snapshot = Snapshot(config, name)
        with self._lock:
            self._runs[name] = snapshot
        return snapshot

    def remove(self, name: str) -> None:
        """Remove a run."""
        with self._lock:
            self._runs.pop(name, None)

    def runs(self) -> list[Snapshot]:
        """Return the exposed runs, in the order in which they were added."""
        with self._lock:
            return list(self._runs.values())

    def close(self) -> None:
        """Stop serving."""
        self._server.close()

    def _health(self, query: Mapping[str, str], accept: str) -> Answer:
        found = [snapshot.health() for snapshot in self.runs()]
        healthy = all(run["healthy"] for run in found)
        return as_json({"healthy": healthy, "runs": found}, 200 if healthy else 503)

    def _state(self, query: Mapping[str, str], accept: str) -> Answer:
        runs = {snapshot.run: snapshot for snapshot in self.runs()}
        if not runs:
            return as_json({"runs": []})
        name = query.get("run", next(reversed(runs)))
        if name not in runs:
            return as_json({"runs": list(runs), "error": f"no run {name}"}, 404)
        return as_json({"runs": list(runs), **view(runs[name])})


@contextlib.contextmanager
def exposed(
    config: RunConfig, out: str, tell: Callable[[str], None], record: Callable[[dict[str, Any]], None]
) -> Iterator[MetricsCallback]:
    """Expose one run while the context lasts, and for `metrics.linger` seconds after; yield its observer.

    Parameters
    ----------
    out
        The run's folder, which gives the run its name.
    tell
        Receives a message for the user with the endpoint's addresses.
    record
        Receives a line of the performance record.

    Raises
    ------
    ConfigError
        If the server cannot listen at the address, or the discovery file cannot be written.
    """
    settings = config.metrics
    if settings.port is None:
        yield Unobserved()
        return
    with Endpoint(settings) as endpoint, listed(settings.file_sd, endpoint.address):
        snapshot = endpoint.add(config, Path(out).name or "run")
        tell(f"live page http://{endpoint.address}/ · metrics http://{endpoint.address}/metrics")
        record({"kind": "metrics", "address": endpoint.address})
        try:
            yield snapshot
        except (UsageError, StoppedError, KeyboardInterrupt, SystemExit) as problem:
            snapshot.end("stopped", str(problem))
            raise
        except BaseException as problem:
            if isinstance(problem, DivergedError) and not snapshot.over:
                snapshot.diverged(problem)
            snapshot.end("failed", f"{type(problem).__name__}: {problem}")
            _linger(settings.linger)
            raise
        snapshot.end("finished")
        _linger(settings.linger)


def node_address() -> str:
    """Return the address by which other machines reach this one, as far as it is known. Nothing is sent."""
    # These addresses are reserved for documentation: IPv4, and IPv6 for machines without IPv4.
    for family, far in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((far, 9))
            return str(probe.getsockname()[0])
    try:
        return socket.gethostbyname(socket.gethostname())
    except OSError:
        return "127.0.0.1"


def _linger(seconds: float) -> None:
    # The user may interrupt the wait, because the run itself is over.
    with contextlib.suppress(KeyboardInterrupt):
        time.sleep(seconds)
