"""The block actors seen from the coordinator; implements `actors.engine.Workers` with Ray."""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Callable
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import GetTimeoutError, RayActorError, RayError, RayTaskError
from ray.util.placement_group import PlacementGroup, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from actors import tasks, wire
from actors.fast import setup as fast
from actors.fast.transport import Desk
from actors.inbox import Decision
from actors.placement import homes, reserve
from actors.post import Home
from actors.transport import Report
from dyadnet.config import RunConfig
from dyadnet.errors import DyadnetError
from dyadnet.topology import Topology

START = 120.0
"""Seconds within which every actor must have come up."""
SOON = 0.1
"""Seconds within which most answers come together."""
LOOK = 5.0
"""Seconds within which an actor that is not hung tells its status."""


class ActorLostError(DyadnetError):
    """An actor died, or failed with something that is no user's mistake; names it and its blocks."""


class RayAnswers:
    """Implements `actors.engine.Answers`: one reference an actor."""

    def __init__(self, labels: list[str], references: list[Any]) -> None:
        self._labels = labels
        self._references = references

    def check(self) -> None:
        """Raise what any of them raised, or that it died."""
        ready, _ = ray.wait(self._references, num_returns=len(self._references), timeout=0, fetch_local=False)
        for reference in ready:
            self._get(reference)

    def result(self, timeout: float) -> list[Any]:
        """The answers in actor order."""
        deadline = time.monotonic() + timeout
        # Most come at once, and one look at all of them is cheaper than one at each.
        ready, waiting = ray.wait(self._references, num_returns=len(self._references), timeout=SOON, fetch_local=False)
        if not waiting:
            with contextlib.suppress(RayError):
                return list(ray.get(self._references))
        for reference in ready:
            self._get(reference)
        while waiting:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError
            # One that failed must be heard of even while another waits for it.
            ready, waiting = ray.wait(waiting, num_returns=1, timeout=remaining, fetch_local=False)
            for reference in ready:
                self._get(reference)
        return [self._get(reference) for reference in self._references]

    def _get(self, reference: Any) -> Any:
        try:
            return ray.get(reference)
        except RayTaskError as problem:
            cause = problem.cause
            if isinstance(cause, DyadnetError):
                raise cause from None
            label = self._labels[self._references.index(reference)]
            raise ActorLostError(f"actor {label} failed: {type(cause).__name__}: {cause}") from problem
        except RayActorError as problem:
            label = self._labels[self._references.index(reference)]
            raise ActorLostError(f"actor {label} died: {_first_line(problem)}") from None


class RayWorkers:
    """All block actors of a run.

    Parameters
    ----------
    config
        The run.
    dataset
        Reference into the object store.
    coordinator
        The actor that hears reports.
    reports
        Where it puts them.
    actor
        The class of a block actor.
    """

    def __init__(
        self,
        config: RunConfig,
        dataset: Any,
        coordinator: ActorHandle[Any],
        reports: queue.SimpleQueue[Report],
        actor: type,
    ) -> None:
        self._config = config
        self._dataset = dataset
        self._coordinator = coordinator
        self._reports = reports
        self._actor = actor
        self._homes = homes(config)
        self._handles: list[ActorHandle[Any]] = []
        self._group: PlacementGroup | None = None
        self._desk: Desk | None = None
        hosts = range(max(self._homes.values()) + 1)
        self.labels = [Home(index, self._homes).label(index) for index in hosts]

    def start(self, warn: Callable[[str], None]) -> dict[str, dict[str, Any]]:
        """Place and create the actors, and introduce them to each other; returns where each one runs.

        Raises
        ------
        ConfigError
            If they cannot be placed.
        ActorLostError
            If one does not come up.
        """
        reservation = reserve(self._config.cluster, len(self.labels))
        self._group = reservation.group
        remote = ray.remote(concurrency_groups={"mail": 1, "control": 1})(self._actor)
        readers = _readers(self._config)
        for index in range(len(self.labels)):
            home = Home(index, self._homes)
            strategy = PlacementGroupSchedulingStrategy(self._group, placement_group_bundle_index=index)
            options = {"num_cpus": reservation.cpus, "scheduling_strategy": strategy, "max_restarts": 0}
            dataset = self._dataset if readers & set(home.blocks) else None
            handle = remote.options(name=None, **options).remote(self._config, home, dataset, self._coordinator)
            self._handles.append(handle)
        answers = RayAnswers(self.labels, [handle.meet.remote(self._handles) for handle in self._handles])
        try:
            found = answers.result(START)
        except TimeoutError:
            raise ActorLostError(f"not all of the {len(self.labels)} actors came up within {START:g} s") from None
        if self._config.cluster.transport == "fast":
            self._desk = fast.desk(self._config, len(self._handles))
            fast.acquaint(self._desk, self._call, ray.util.get_node_ip_address(), self._config)
        niceness = max(place["nice"] for place in found)
        if niceness > 0:
            warn(
                f"actors run at nice {niceness}, behind everything else on their machines; "
                "start the cluster's nodes with RAY_worker_niceness=0"
            )
        return dict(zip(self.labels, found, strict=True))

    def _call(self, method: str, *arguments: Any) -> list[Any]:
        """Call a method of every actor itself; the answers."""
        return RayAnswers(self.labels, [getattr(handle, method).remote(*arguments) for handle in self._handles]).result(
            START
        )

    def ask(self, method: str, *arguments: Any) -> RayAnswers:
        """Call a method on every host; see `Workers.ask`."""
        if method == "relax":
            number, relaxation, update = arguments
            task = tasks.seal(relaxation, update)
            return RayAnswers(self.labels, [handle.relax.remote(number, task) for handle in self._handles])
        return RayAnswers(self.labels, [handle.ask.remote(method, *arguments) for handle in self._handles])

    def decide(self, decision: Decision) -> None:
        """Tell every host a decision."""
        if self._desk is not None:
            self._desk.decide(decision)
            return
        blob = wire.seal_decision(decision)
        for handle in self._handles:
            handle.decide.remote(blob)

    def report(self, timeout: float) -> Report:
        """The next report of any host; see `Workers.report`."""
        if self._desk is not None:
            return self._desk.get(timeout)
        return self._reports.get(timeout=timeout)

    def describe(self) -> list[str]:
        """What each actor is doing or waiting for; one that does not answer is named as hung or dead."""
        references = [handle.status.remote() for handle in self._handles]
        ray.wait(references, num_returns=len(references), timeout=LOOK)
        return [_status(reference) for reference in references]

    def close(self) -> None:
        """End all actors and give back what they booked."""
        handles, self._handles = self._handles, []
        for handle in handles:
            ray.kill(handle)
        # Whoever still listens at it, in another thread, is told by the actors' end.
        self._desk = None
        group, self._group = self._group, None
        if group is not None:
            remove_placement_group(group)


def _status(reference: Any) -> str:
    try:
        return str(ray.get(reference, timeout=0.1))
    except GetTimeoutError:
        return f"does not answer within {LOOK:g} s: hung"
    except RayError as problem:
        return f"dead ({_first_line(problem)})"


def _readers(config: RunConfig) -> set[str]:
    """Blocks that read samples: those with an input projection, and the output."""
    topology = Topology(config.network)
    names = {name for name in topology.blocks if topology.input_projection(name) is not None}
    return names | {spec.name for spec in topology.of_population[config.network.output]}


def _first_line(problem: Exception) -> str:
    lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
    return lines[0] if lines else type(problem).__name__
