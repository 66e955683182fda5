"""The coordinator's view of the block actors; implements `dyadnet_actors.coordination.engine.Workers` with Ray."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError
from ray.util.placement_group import PlacementGroup, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from dyadnet.config import RunConfig
from dyadnet.dynamics.outcome import Layout
from dyadnet.errors import ConfigError
from dyadnet.network.topology import Topology, colours
from dyadnet.program.sync.crossing import Home, by_host
from dyadnet_actors.cluster.answers import BoxAnswers, RayAnswers, RayInquiry
from dyadnet_actors.cluster.pinning import assigned
from dyadnet_actors.cluster.placement import homes, reserve, to_be_measured
from dyadnet_actors.hosts import orders
from dyadnet_actors.hosts.block_cost import measured
from dyadnet_actors.hosts.shared_memory import DeskSegments
from dyadnet_actors.protocol import tasks
from dyadnet_actors.protocol.failures import ActorLostError, FailedError, StalledError, cause_of
from dyadnet_actors.protocol.heartbeat import HeartbeatMonitor
from dyadnet_actors.transports import setup as fast
from dyadnet_actors.transports.connection import CoordinatorTransport

START = 120.0
"""Seconds within which every actor must be up."""
KNOCK = 2.0
"""Seconds within which a live machine accepts a connection, and a live actor answers."""


@dataclass(frozen=True, slots=True)
class Casualties:
    """Actors and machines that are lost.

    Attributes
    ----------
    hosts
        Indices of the actors that must be restarted.
    nodes
        Machines that are dead or unreachable.
    """

    hosts: frozenset[int]
    nodes: frozenset[str]


class RayWorkers:
    """All block actors of a run.

    Parameters
    ----------
    config
        The run.
    dataset
        Reference into the object store.
    actor
        The class of a block actor.

    Attributes
    ----------
    costs
        Cost of each block in seconds per relaxation, if measured to distribute the blocks; else empty.
    """

    def __init__(
        self,
        config: RunConfig,
        dataset: Any,
        actor: type,
    ) -> None:
        self._config = config
        self._dataset = dataset
        self._actor = actor
        self.costs = measured(config) if config.cluster.pin or to_be_measured(config) else {}
        self.homes = homes(config, self.costs or None)
        self._name = ray.get_runtime_context().get_actor_name() or ""
        self._handles: list[ActorHandle[Any]] = []
        self._group: PlacementGroup | None = None
        self._desk: CoordinatorTransport | None = None
        self._retired: CoordinatorTransport | None = None
        self._serving: RayAnswers | None = None
        self._questions = 0
        blocks = by_host(self.homes)
        self._layouts = [Layout(Topology(config.network), names, config.imperfections.counters) for names in blocks]
        hosts = range(max(self.homes.values()) + 1)
        self.labels = [Home(index, self.homes).label(index) for index in hosts]
        self.round = 0
        self._cpus = 0.0
        self._complete = False
        self._places: list[dict[str, Any]] = []
        self._lost_nodes: set[str] = set()
        self._heart = HeartbeatMonitor(self.labels, config.recovery.heartbeat)
        self._pulses: dict[int, Any] = {}
        self._next_look = 0.0
        self._come: list[int] = []

    def start(self, warn: Callable[[str], None]) -> dict[str, dict[str, Any]]:
        """Place and create the actors, and introduce them to each other; return where each one runs.

        Raises
        ------
        ConfigError
            If they cannot be placed.
        FailedError
            If an actor does not come up, or if the others do not hear it; `revive` then starts all over.
        """
        places = self._start(0)
        niceness = max(place["nice"] for place in self._places)
        # In a cluster of our own, actors are as nice as the user wanted, and the user starts no nodes.
        if niceness > 0 and self._config.cluster.address is not None:
            warn(
                f"actors run at nice {niceness}, behind everything else on their machines; "
                "start the cluster's nodes with RAY_worker_niceness=0"
            )
        return places

    def casualties(self, problem: FailedError) -> Casualties:
        """Find the actors that are dead, do not answer or are named by a failure, and their lost machines.

        All actors count as lost if it is unknown which one caused a standstill, or if not all had come up: some then
        wait for others that will never come, and it is unknown in which life each of them is.
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
        """Begin a new life of all hosts, the dead ones in new processes; return where each one runs.

        Parameters
        ----------
        incarnation
            Number of the new life; messages of earlier lives are refused.
        number
            The last round of the previous life.

        Raises
        ------
        FailedError
            If another actor fails meanwhile.
        ConfigError
            If the rest of the cluster has no room.
        """
        self.round = number
        self._pulses = {}
        self._serving = None
        complete, self._complete = self._complete, False
        if casualties.nodes or not complete:
            # The reservation may include a lost machine: release all of it, and reserve elsewhere.
            self._lost_nodes |= casualties.nodes
            self.close()
            return self._start(incarnation)
        for host in casualties.hosts:
            _kill(self._handles[host])
            self._handles[host] = self._create(host, incarnation)
        rest = [host for host in range(len(self._handles)) if host not in casualties.hosts]
        labels = {host: self.labels[host] for host in rest}
        for method, arguments in (("stop", ()), ("renew", (incarnation,))):
            # One after the other, because different concurrency groups keep no common order.
            references = [getattr(self._handles[host], method).remote(*arguments) for host in rest]
            _within(RayAnswers(labels, references), rest, START)
        return self._meet()

    def _start(self, incarnation: int) -> dict[str, dict[str, Any]]:
        """Reserve room and create all actors."""
        reservation = reserve(self._config.cluster, len(self.labels), self._name, self._lost_nodes)
        self._group, self._cpus = reservation.group, reservation.cpus
        # Provisional, until the actors report it themselves; some may never do so.
        self._places = [{"node": node} for node in reservation.nodes]
        self._handles = [self._create(index, incarnation) for index in range(len(self.labels))]
        return self._meet()

    def _create(self, index: int, incarnation: int) -> ActorHandle[Any]:
        remote = ray.remote(concurrency_groups={"mail": 1, "control": 1})(self._actor)
        home = Home(index, self.homes, incarnation)
        strategy = PlacementGroupSchedulingStrategy(self._group, placement_group_bundle_index=index)
        options = {"num_cpus": self._cpus, "scheduling_strategy": strategy, "max_restarts": 0}
        dataset = self._dataset if _readers(self._config) & set(home.blocks) else None
        handle: ActorHandle[Any] = remote.options(name=None, **options).remote(self._config, home, dataset)
        return handle

    def _meet(self) -> dict[str, dict[str, Any]]:
        """Introduce the actors to each other; return where each one runs."""
        answers = RayAnswers(
            dict(enumerate(self.labels)), [handle.meet.remote(self._handles) for handle in self._handles]
        )
        self._places = _within(answers, range(len(self.labels)), START)
        transport = self._config.cluster.transport
        if transport == "fast":
            for earlier in (self._desk, self._retired):
                if earlier is not None:
                    earlier.close()
            self._retired = None
            self._desk = fast.desk(self._config, self.homes)
            self._questions = 0
            fast.acquaint(self._desk, self._call, ray.util.get_node_ip_address(), self._config)
        elif transport != "ray":
            self._call("connect", self._call("listen"))
        if self._config.cluster.pin:
            self._pin()
        self._heart = HeartbeatMonitor(self.labels, self._config.recovery.heartbeat)
        self._complete = True
        return dict(zip(self.labels, self._places, strict=True))

    def _pin(self) -> None:
        """Pin every actor to one core.

        Raises
        ------
        ConfigError
            If a machine cannot pin processes.
        """
        nodes = [place["node"] for place in self._places]
        available = dict(zip(nodes, self._call("cores"), strict=True))
        if not all(available.values()):
            raise ConfigError("cluster.pin", True, "Linux on every node of the cluster, or leave it out")
        loads = [0.0] * len(self.labels)
        for name, host in self.homes.items():
            loads[host] += self.costs[name]
        chosen = assigned(nodes, loads, available, self._colours())
        references = [handle.pin.remote(core) for handle, core in zip(self._handles, chosen, strict=True)]
        _within(RayAnswers(dict(enumerate(self.labels)), references), range(len(self.labels)), START)
        self._places = [place | {"core": core} for place, core in zip(self._places, chosen, strict=True)]

    def _colours(self) -> list[int | None]:
        """Return the colour of each actor's blocks; None if they have several, or if the graph has no two-colouring."""
        network = self._config.network
        of = colours(network) or {}
        blocks = Topology(network).blocks
        found: list[set[int | None]] = [set() for _ in self.labels]
        for name, host in self.homes.items():
            found[host].add(of.get(blocks[name].population.name))
        return [next(iter(some)) if len(some) == 1 else None for some in found]

    def look(self) -> None:
        """See `Workers.look`; ask actors that have not reported lately for a pulse."""
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
                    raise ActorLostError(f"actor {label} died: {cause_of(problem)}", [host]) from None
        come = self.come()
        for host, before in enumerate(self._come):
            # An actor that moves is alive.
            if come and come[host] != before:
                self._heart.hear(host)
        self._come = come
        for host in self._heart.silent(interval):
            if host not in self._pulses:
                self._pulses[host] = self._handles[host].pulse.remote()
        symptom = self._heart.judge()
        if symptom is not None:
            raise symptom

    def _call(self, method: str, *arguments: Any) -> list[Any]:
        """Call a method of every actor itself; return the answers."""
        references = [getattr(handle, method).remote(*arguments) for handle in self._handles]
        return _within(RayAnswers(dict(enumerate(self.labels)), references), range(len(self.labels)), START)

    def ask(self, method: str, *arguments: Any) -> RayAnswers | BoxAnswers:
        """Call a method on every host; see `Workers.ask`."""
        shared = self._shared()
        if shared is not None and method in orders.SERVED:
            message = orders.order(method, arguments)
            # A relaxation with faults, or one to be traced, needs a Ray call.
            called = method == "relax" and (arguments[3] or self._config.record.trace is not None)
            if shared.orders.fits(message) and not called:
                return self._questioned(shared, method, message)
        self._leave()
        if method == "relax":
            number, relaxation, update, faults, pace = arguments
            task = tasks.seal(relaxation, update, pace)
            references = [handle.relax.remote(number, task, faults) for handle in self._handles]
            return RayAnswers(dict(enumerate(self.labels)), references)
        return RayAnswers(
            dict(enumerate(self.labels)), [handle.ask.remote(method, *arguments) for handle in self._handles]
        )

    def _shared(self) -> DeskSegments | None:
        """Return the memory that the coordinator shares with all hosts, if any."""
        return None if self._desk is None else self._desk.segments

    def _questioned(self, shared: DeskSegments, method: str, message: bytes) -> BoxAnswers:
        """Ask through shared memory."""
        if self._serving is None:
            references = [handle.serve.remote(self._questions) for handle in self._handles]
            self._serving = RayAnswers(dict(enumerate(self.labels)), references)
        self._questions += 1
        shared.orders.put(self._questions, message)
        return BoxAnswers(shared, self._questions, method, self._layouts, self._serving)

    def _leave(self) -> None:
        """Make the hosts listen to Ray calls again."""
        shared, serving = self._shared(), self._serving
        if shared is not None and serving is not None:
            self._serving = None
            self._questions += 1
            shared.orders.put(self._questions, orders.order(orders.LEAVE, ()))

    def come(self) -> list[int]:
        """See `Workers.come`."""
        shared = self._shared()
        return [] if shared is None else shared.come()

    def inquire(self) -> RayInquiry:
        """See `Workers.inquire`."""
        handles = list(self._handles)
        silence = [self._heart.silence(host) for host in range(len(handles))]
        return RayInquiry([handle.status.remote() for handle in handles], silence)

    def close(self) -> None:
        """End all actors and release their reservation."""
        handles, self._handles = self._handles, []
        for handle in handles:
            _kill(handle)
        # A thread that still waits for answers notices the end of the actors. Until then its memory stays mapped.
        self._retired, self._desk = self._desk or self._retired, None
        self._serving = None
        self._pulses = {}
        group, self._group = self._group, None
        if group is not None:
            remove_placement_group(group)


def _within(answers: RayAnswers, hosts: Collection[int], seconds: float) -> list[Any]:
    """Return the answers of some hosts; if one is late, all these hosts count as lost."""
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
    """Return whether a machine of the cluster is dead or refuses connections."""
    for known in ray.nodes():
        if known["NodeID"] == node and known["Alive"]:
            try:
                socket.create_connection((known["NodeManagerAddress"], known["NodeManagerPort"]), KNOCK).close()
            except OSError:
                return True
            return False
    return True


def _readers(config: RunConfig) -> set[str]:
    """Return the blocks that read samples: those with an input projection, and those of the output."""
    topology = Topology(config.network)
    names = {name for name in topology.blocks if topology.input_projection(name) is not None}
    return names | {spec.name for spec in topology.of_population[config.network.output]}
