"""Finds the runs on a cluster by the names of their coordinators, and reports the status of each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dyadnet.errors import UsageError, guessed
from dyadnet_actors.cluster.connection import NAMESPACE

COORDINATOR = "coordinator-"
ANSWER = 5.0
"""Seconds within which a coordinator reports its status."""


@dataclass(frozen=True, slots=True)
class ClusterRun:
    """One run on a cluster.

    Attributes
    ----------
    coordinator
        Name of its coordinator's actor.
    glance
        Status of the run; empty if its coordinator does not answer.
    """

    coordinator: str
    glance: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of the run's folder, or of its coordinator if the folder is not known."""
        return str(self.glance.get("run", self.coordinator))

    @property
    def age(self) -> float:
        """Seconds since the run began."""
        return float(self.glance["now"] - self.glance["started"])


def runs() -> list[ClusterRun]:
    """List every run on the connected cluster, oldest first; runs that do not answer come last."""
    import ray
    from ray.exceptions import RayError

    handles = {}
    for actor in ray.util.list_named_actors(all_namespaces=True):
        if actor["namespace"] == NAMESPACE and actor["name"].startswith(COORDINATOR):
            try:
                handles[actor["name"]] = ray.get_actor(actor["name"], namespace=NAMESPACE)
            except ValueError:
                # The run has ended since it was listed.
                continue
    asked = {name: handle.glance.remote() for name, handle in handles.items()}
    deadline = time.monotonic() + ANSWER
    found = []
    for name, reference in asked.items():
        try:
            glance = ray.get(reference, timeout=max(0.0, deadline - time.monotonic()))
        except RayError:
            glance = {}
        found.append(ClusterRun(name, glance))
    return sorted(found, key=lambda run: run.glance.get("started", float("inf")))


def glance(coordinator: str) -> dict[str, Any] | None:
    """Return the present status of a run; None if it is over, empty if its coordinator does not answer."""
    import ray
    from ray.exceptions import GetTimeoutError, RayError

    try:
        handle = ray.get_actor(coordinator, namespace=NAMESPACE)
        found: dict[str, Any] = ray.get(handle.glance.remote(), timeout=ANSWER)
    except GetTimeoutError:
        return {}
    except (ValueError, RayError):
        return None
    return found


def standing(coordinator: str) -> dict[str, Any]:
    """Return what every actor of a run is doing or waiting for, by name, and who waits for whom, if known.

    See `dyadnet_actors.protocol.stall_diagnosis`.
    It takes seconds to tell actors that hang from busy ones.
    """
    import ray
    from ray.exceptions import RayError

    try:
        handle = ray.get_actor(coordinator, namespace=NAMESPACE)
        found: dict[str, Any] = ray.get(handle.status.remote(), timeout=3 * ANSWER)
    except (ValueError, RayError) as problem:
        return {"actors": {"coordinator": f"does not answer ({type(problem).__name__})"}, "waiting": None}
    return found


def chosen(found: Sequence[ClusterRun], wanted: str | None) -> ClusterRun:
    """Return the run that a user means: by the name of its folder or coordinator, or by a unique prefix of a name.

    Raises
    ------
    UsageError
        If no run or more than one run matches; the message lists the runs.
    """
    listed = ", ".join(run.name for run in found) or "nothing"
    if wanted is None:
        if len(found) == 1:
            return found[0]
        raise UsageError("no run is on this cluster" if not found else f"name a run; there are: {listed}")
    for matches in (_exact, _begins):
        fitting = [run for run in found if matches(run, wanted)]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            several = ", ".join(f"{run.name} ({run.coordinator})" for run in fitting)
            raise UsageError(f"run {wanted!r} is ambiguous: {several}")
    raise UsageError(
        f"no run {wanted!r} on this cluster; there is: {listed}{guessed(wanted, [run.name for run in found])}"
    )


def _names(run: ClusterRun) -> tuple[str, str, str]:
    return run.name, run.coordinator, run.coordinator.removeprefix(COORDINATOR)


def _exact(run: ClusterRun, wanted: str) -> bool:
    return wanted in _names(run)


def _begins(run: ClusterRun, wanted: str) -> bool:
    return any(name.startswith(wanted) for name in _names(run))
