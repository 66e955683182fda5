"""The block actors seen from the coordinator; implements `actors.engine.Workers` with Ray."""

from __future__ import annotations

import contextlib
import queue
import socket
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import GetTimeoutError, RayActorError, RayError, RayTaskError
from ray.util.placement_group import PlacementGroup, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from actors import tasks, wire
from actors.cores import assigned
from actors.costs import measured
from actors.failures import ActorLostError, FailedError, StalledError
from actors.fast import setup as fast
from actors.fast.transport import Desk
from actors.heart import Heart
from actors.inbox import Decision
from actors.placement import homes, reserve, to_be_measured
from actors.post import Home
from actors.standing import Absence, Told
from actors.transport import Report
from dyadnet.config import RunConfig
from dyadnet.errors import ConfigError, DyadnetError
from dyadnet.topology import Topology

START = 120.0
"""Seconds within which every actor must have come up."""
SOON = 0.1
"""Seconds within which most answers come together."""

KNOCK = 2.0
"""Seconds within which a machine that is not dead lets us in, and an actor that is not answers."""


@dataclass(frozen=True, slots=True)
class Casualties:
    """Who has to be started anew.

    Attributes
    ----------
    hosts
        Indices of actors.
    nodes
        Machines that are dead or out of reach.
    """

    hosts: frozenset[int]
    nodes: frozenset[str]


class RayAnswers:
    """Implements `actors.engine.Answers`: one reference an actor, by the host's index."""

    def __init__(self, labels: Mapping[int, str], references: list[Any]) -> None:
        self._labels = labels
        self._hosts = list(labels)
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
        host = self._hosts[self._references.index(reference)]
        label = self._labels[host]
        try:
            return ray.get(reference)
        except RayTaskError as problem:
            cause = problem.cause
            if isinstance(cause, DyadnetError):
                raise cause from None
            raise ActorLostError(f"actor {label} failed: {type(cause).__name__}: {cause}", [host]) from problem
        except RayActorError as problem:
            raise ActorLostError(f"actor {label} died: {_first_line(problem)}", [host]) from None


class RayInquiry:
    """Implements `actors.engine.Inquiry`: one reference an actor.

    Parameters
    ----------
    silence
        Seconds since the last sign of life of each actor, at the time of asking.
    """

    def __init__(self, references: list[Any], silence: list[float]) -> None:
        self._references = references
        self._silence = silence
        self._asked = time.monotonic()

    def complete(self, timeout: float = 0.0) -> bool:
        """Whether all have answered, which is waited for."""
        ready, _ = ray.wait(self._references, num_returns=len(self._references), timeout=timeout, fetch_local=False)
        return len(ready) == len(self._references)

    def answers(self) -> list[Told]:
        """What each has said by now."""
        return [
            self._answer(reference, silence) for reference, silence in zip(self._references, self._silence, strict=True)
        ]

    def _answer(self, reference: Any, silence: float) -> Told:
        try:
            told: Told = ray.get(reference, timeout=SOON)
        except GetTimeoutError:
            return Absence(silence + time.monotonic() - self._asked)
        except RayError as problem:
            return Absence(silence, _first_line(problem))
        return told


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

    Attributes
    ----------
    costs
        Of each block in seconds a relaxation, where they were measured to share out the blocks.
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
        self.costs = measured(config) if config.cluster.pin or to_be_measured(config) else {}
        self.homes = homes(config, self.costs or None)
        self._name = ray.get_runtime_context().get_actor_name() or ""
        self._handles: list[ActorHandle[Any]] = []
        self._group: PlacementGroup | None = None
        self._desk: Desk | None = None
        hosts = range(max(self.homes.values()) + 1)
        self.labels = [Home(index, self.homes).label(index) for index in hosts]
        self.round = 0
        self._cpus = 0.0
        self._complete = False
        self._places: list[dict[str, Any]] = []
        self._lost_nodes: set[str] = set()
        self._heart = Heart(self.labels, config.recovery.heartbeat)
        self._pulses: dict[int, Any] = {}
        self._next_look = 0.0

    def start(self, warn: Callable[[str], None]) -> dict[str, dict[str, Any]]:
        """Place and create the actors, and introduce them to each other; returns where each one runs.

        Raises
        ------
        ConfigError
            If they cannot be placed.
        FailedError
            If one does not come up, or is not heard by the others; `revive` begins all over then.
        """
        places = self._start(0)
        niceness = max(place["nice"] for place in self._places)
        if niceness > 0:
            warn(
                f"actors run at nice {niceness}, behind everything else on their machines; "
                "start the cluster's nodes with RAY_worker_niceness=0"
            )
        return places

    def casualties(self, problem: FailedError) -> Casualties:
        """Who is dead or does not answer, beside those that a failure names, and which of their machines are.

        All are, where nobody knows whose fault a standstill is, or where not all had come up: some of them wait for
        others that will never come, and nobody knows which life each of them is in.
        """
        everyone = range(len(self._handles))
        hopeless = isinstance(problem, StalledError) or not self._complete
        known = set(everyone) if hopeless else set(problem.hosts)
        asked = {host: self._handles[host].pulse.remote() for host in everyone if host not in known}
        well: set[int] = set()
        if asked:
            ready, _ = ray.wait(list(asked.values()), num_returns=len(asked), timeout=KNOCK, fetch_local=False)
            well = {host for host, reference in asked.items() if reference in ready and not _failed(reference)}
        hosts = frozenset(everyone) - well
        places = dict(enumerate(self._places))
        sound = {places[host]["node"] for host in well if host in places}
        suspects = {places[host]["node"] for host in hosts if host in places} - sound
        return Casualties(hosts, frozenset(node for node in suspects if _unreachable(node)))

    def revive(self, casualties: Casualties, incarnation: int, number: int) -> dict[str, dict[str, Any]]:
        """Begin a new life of all hosts: the dead in new processes; returns where each one runs.

        Parameters
        ----------
        incarnation
            Which life; messages of earlier ones are refused.
        number
            The last round of the life before.

        Raises
        ------
        FailedError
            If another one fails meanwhile.
        ConfigError
            If what is left of the cluster has no room.
        """
        self.round = number
        self._pulses = {}
        complete, self._complete = self._complete, False
        if casualties.nodes or not complete:
            # What was booked may be on a machine that is gone: all of it is given back, and booked elsewhere.
            self._lost_nodes |= casualties.nodes
            self.close()
            return self._start(incarnation)
        for host in casualties.hosts:
            _kill(self._handles[host])
            self._handles[host] = self._create(host, incarnation)
        rest = [host for host in range(len(self._handles)) if host not in casualties.hosts]
        labels = {host: self.labels[host] for host in rest}
        for method, arguments in (("stop", ()), ("renew", (incarnation, number))):
            # One after the other: they run in different groups, whose order nobody keeps.
            references = [getattr(self._handles[host], method).remote(*arguments) for host in rest]
            _within(RayAnswers(labels, references), rest, START)
        return self._meet()

    def _start(self, incarnation: int) -> dict[str, dict[str, Any]]:
        """Book room, and create all actors."""
        reservation = reserve(self._config.cluster, len(self.labels), self._name, self._lost_nodes)
        self._group, self._cpus = reservation.group, reservation.cpus
        # Until they tell it themselves: some of them may never do.
        self._places = [{"node": node} for node in reservation.nodes]
        self._handles = [self._create(index, incarnation) for index in range(len(self.labels))]
        return self._meet()

    def _create(self, index: int, incarnation: int) -> ActorHandle[Any]:
        remote = ray.remote(concurrency_groups={"mail": 1, "control": 1})(self._actor)
        home = Home(index, self.homes, incarnation)
        strategy = PlacementGroupSchedulingStrategy(self._group, placement_group_bundle_index=index)
        options = {"num_cpus": self._cpus, "scheduling_strategy": strategy, "max_restarts": 0}
        dataset = self._dataset if _readers(self._config) & set(home.blocks) else None
        arguments = (self._config, home, dataset, self._coordinator, self.round)
        handle: ActorHandle[Any] = remote.options(name=None, **options).remote(*arguments)
        return handle

    def _meet(self) -> dict[str, dict[str, Any]]:
        """Introduce the actors to each other; returns where each one runs."""
        answers = RayAnswers(
            dict(enumerate(self.labels)), [handle.meet.remote(self._handles) for handle in self._handles]
        )
        self._places = _within(answers, range(len(self.labels)), START)
        if self._config.cluster.transport == "fast":
            if self._desk is not None:
                self._desk.close()
            self._desk = fast.desk(self._config, len(self._handles))
            fast.acquaint(self._desk, self._call, ray.util.get_node_ip_address(), self._config)
        if self._config.cluster.pin:
            self._pin()
        self._heart = Heart(self.labels, self._config.recovery.heartbeat)
        self._complete = True
        return dict(zip(self.labels, self._places, strict=True))

    def _pin(self) -> None:
        """Keep every actor on one core.

        Raises
        ------
        ConfigError
            If a machine cannot.
        """
        nodes = [place["node"] for place in self._places]
        available = dict(zip(nodes, self._call("cores"), strict=True))
        if not all(available.values()):
            raise ConfigError("cluster.pin", True, "Linux on every node of the cluster, or leave it out")
        loads = [0.0] * len(self.labels)
        for name, host in self.homes.items():
            loads[host] += self.costs[name]
        chosen = assigned(nodes, loads, available)
        references = [handle.pin.remote(core) for handle, core in zip(self._handles, chosen, strict=True)]
        _within(RayAnswers(dict(enumerate(self.labels)), references), range(len(self.labels)), START)
        self._places = [place | {"core": core} for place, core in zip(self._places, chosen, strict=True)]

    def look(self) -> None:
        """See `Workers.look`; asks those for a pulse that have not reported lately."""
        now = time.monotonic()
        if now < self._next_look:
            return
        interval = min(1.0, self._config.recovery.heartbeat / 6)
        self._next_look = now + interval
        self._heart.tick(now)
        if self._pulses:
            pending = list(self._pulses.values())
            ready = set(ray.wait(pending, num_returns=len(pending), timeout=0, fetch_local=False)[0])
            answered = {host: reference for host, reference in self._pulses.items() if reference in ready}
            for host, reference in answered.items():
                del self._pulses[host]
                try:
                    self._heart.hear(host, ray.get(reference))
                except RayError as problem:
                    label = self.labels[host]
                    raise ActorLostError(f"actor {label} died: {_first_line(problem)}", [host]) from None
        for host in self._heart.silent(interval):
            if host not in self._pulses:
                self._pulses[host] = self._handles[host].pulse.remote()
        symptom = self._heart.judge()
        if symptom is not None:
            raise symptom

    def _call(self, method: str, *arguments: Any) -> list[Any]:
        """Call a method of every actor itself; the answers."""
        references = [getattr(handle, method).remote(*arguments) for handle in self._handles]
        return _within(RayAnswers(dict(enumerate(self.labels)), references), range(len(self.labels)), START)

    def ask(self, method: str, *arguments: Any) -> RayAnswers:
        """Call a method on every host; see `Workers.ask`."""
        if method == "relax":
            number, relaxation, update, *faults = arguments
            task = tasks.seal(relaxation, update)
            references = [handle.relax.remote(number, task, *faults) for handle in self._handles]
            return RayAnswers(dict(enumerate(self.labels)), references)
        return RayAnswers(
            dict(enumerate(self.labels)), [handle.ask.remote(method, *arguments) for handle in self._handles]
        )

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
        report = self._reports.get(timeout=timeout) if self._desk is None else self._desk.get(timeout)
        if report.round > self.round:
            self._heart.hear(report.host)
        return report

    def inquire(self) -> RayInquiry:
        """See `Workers.inquire`."""
        handles = list(self._handles)
        silence = [self._heart.silence(host) for host in range(len(handles))]
        return RayInquiry([handle.status.remote() for handle in handles], silence)

    def close(self) -> None:
        """End all actors and give back what they booked."""
        handles, self._handles = self._handles, []
        for handle in handles:
            _kill(handle)
        # Whoever still listens at it, in another thread, is told by the actors' end.
        self._desk = None
        self._pulses = {}
        group, self._group = self._group, None
        if group is not None:
            remove_placement_group(group)


def _within(answers: RayAnswers, hosts: Collection[int], seconds: float) -> list[Any]:
    """Answers of some hosts, which count as lost if one does not come in time."""
    try:
        return answers.result(seconds)
    except TimeoutError:
        raise ActorLostError(f"not all of the {len(hosts)} actors came up within {seconds:g} s", list(hosts)) from None


def _kill(handle: ActorHandle[Any]) -> None:
    with contextlib.suppress(RayError):
        ray.kill(handle)


def _failed(reference: Any) -> bool:
    try:
        ray.get(reference)
    except RayError:
        return True
    return False


def _unreachable(node: str) -> bool:
    """Whether a machine of the cluster is dead or lets nobody in."""
    for known in ray.nodes():
        if known["NodeID"] == node and known["Alive"]:
            try:
                socket.create_connection((known["NodeManagerAddress"], known["NodeManagerPort"]), KNOCK).close()
            except OSError:
                return True
            return False
    return True


def _readers(config: RunConfig) -> set[str]:
    """Blocks that read samples: those with an input projection, and the output."""
    topology = Topology(config.network)
    names = {name for name in topology.blocks if topology.input_projection(name) is not None}
    return names | {spec.name for spec in topology.of_population[config.network.output]}


def _first_line(problem: Exception) -> str:
    lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
    return lines[0] if lines else type(problem).__name__
