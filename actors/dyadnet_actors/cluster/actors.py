"""The Ray actors: thin wrappers around a host of blocks and around the coordinator.

The driver creates the coordinator, and the coordinator creates the block actors. Ray ends actors whose creator dies, so
nothing outlives the driver, except in a detached run. Packets and control calls run in concurrency groups of their own,
so that an actor answers while it computes. Calls that carry packets return nothing, not even a reference: virtual time
bounds how many can be in flight.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
from ray.actor import ActorHandle

from dyadnet.checkpoint.resume_point import ResumePoint
from dyadnet.config import RunConfig
from dyadnet.config.faults import Fault
from dyadnet.data import Dataset, DataShape
from dyadnet.program.sync.crossing import Home
from dyadnet.runs.folder import Recorder, RunFolder
from dyadnet.runs.summary import Summary
from dyadnet.telemetry.endpoint import exposed
from dyadnet.telemetry.snapshot import Snapshot
from dyadnet.telemetry.view import view
from dyadnet.training.api import load_data
from dyadnet.training.stop import Stop
from dyadnet_actors.cluster.connection import NAMESPACE
from dyadnet_actors.cluster.detached import Ending, lived
from dyadnet_actors.cluster.life import Life
from dyadnet_actors.cluster.pinning import pin, usable
from dyadnet_actors.cluster.recovering import Past, RecoveringRun
from dyadnet_actors.cluster.workers import RayWorkers
from dyadnet_actors.coordination.callbacks import RelayedHooks, Told
from dyadnet_actors.coordination.event_queue import EventQueue, Item
from dyadnet_actors.hosts.host import prepare
from dyadnet_actors.protocol import tasks
from dyadnet_actors.protocol.heartbeat import Pulse
from dyadnet_actors.protocol.host_status import HostStatus
from dyadnet_actors.protocol.stall_diagnosis import diagnose
from dyadnet_actors.transports.identity import Card

ANSWERED = 0.2
"""Seconds within which an actor answers a question about what it already knows."""
LOOK = 3.0
"""Seconds within which an actor that does not hang reports its status."""
UNHEARD = 1000
"""Number of news items that a run without a driver keeps for a later client, the newest ones."""
LINGER = 60.0
"""Seconds for which a coordinator without a driver waits after the end for a client to fetch the result."""


class BlockActor:
    """Some blocks of the network, with all their lanes, as one actor.

    Parameters
    ----------
    config, home
        The run, and the place of this actor in it.
    dataset
        Data set from the object store; None for actors whose blocks read no samples.
    """

    def __init__(
        self,
        config: RunConfig,
        home: Home,
        dataset: Dataset | None,
    ) -> None:
        self._config = config
        self._dataset = dataset
        self._home = home
        self._asked: str | None = None
        self._cores = usable()
        self._life = Life(config, home, dataset)
        # The objects that exist by now stay: the garbage collector need not scan them again.
        gc.freeze()

    def renew(self, incarnation: int) -> None:
        """Begin a new life in the same process, with the run's initial weights; call `stop` first."""
        before = self._life
        before.close()
        self._home = replace(self._home, incarnation=incarnation)
        self._life = Life(self._config, self._home, self._dataset)
        # After this time, the previous life has answered every question from other threads.
        time.sleep(ANSWERED)
        before.free()

    def meet(self, peers: Sequence[ActorHandle[Any]]) -> dict[str, Any]:
        """Receive the handles of all actors, by index; return where and how this actor runs."""
        self._life.meet(lambda host, packet: peers[host].deliver.remote(self._home.index, packet))
        context = ray.get_runtime_context()
        code = str(Path(__file__).parent)
        return {
            "node": context.get_node_id(),
            "address": ray.util.get_node_ip_address(),
            "pid": os.getpid(),
            "nice": os.nice(0),
            "code": code,
        }

    def cores(self) -> list[int]:
        """Return the cores of this machine that this process could use when it began."""
        return self._cores

    def pin(self, core: int) -> None:
        """Pin this process, with all its threads, to one core."""
        pin(core)

    def introduce(self, others: bool) -> Card:
        """Return the card by which this actor is reached without Ray; with `others`, from other machines too."""
        return self._life.introduce(ray.util.get_node_ip_address() if others else None)

    def know(self, cards: Sequence[Card]) -> None:
        """Receive the cards by which all endpoints are reached without Ray."""
        self._life.know(cards)

    def greet(self, timeout: float) -> None:
        """Connect to every other endpoint, and wait until each has been heard."""
        self._life.greet(timeout)

    def listen(self) -> Any:
        """Return where a user-defined transport reaches this actor."""
        return self._life.listen(ray.util.get_node_ip_address())

    def connect(self, addresses: Sequence[Any]) -> None:
        """Receive the addresses at which a user-defined transport reaches all actors."""
        self._life.connect(addresses)

    def serve(self, number: int) -> None:
        """Answer the coordinator's questions through shared memory, those after question `number`."""
        self._asked = "idle"
        try:
            self._life.serve(number)
        finally:
            self._asked = None

    def relax(self, number: int, task: bytes, faults: Sequence[Fault] = ()) -> Any:
        """Ask the host to relax; see `dyadnet_actors.protocol.tasks`."""
        relaxation, update, pace = tasks.unseal(task)
        return self.ask("relax", number, relaxation, update, faults, pace)

    def ask(self, method: str, *arguments: Any) -> Any:
        """Call a method of the host; calls run one after the other, in order."""
        self._asked = method.replace("_", " ")
        try:
            return self._life.ask(method, *arguments)
        finally:
            self._asked = None

    @ray.method(concurrency_group="mail", num_returns=0)
    def deliver(self, origin: int, packet: bytes) -> None:
        """Take a packet of another actor; an invalid packet is counted and dropped."""
        self._life.deliver(origin, packet)

    @ray.method(concurrency_group="control")
    def pulse(self) -> Pulse:
        """Return a sign of life, even while this actor computes."""
        return self._life.pulse()

    @ray.method(concurrency_group="control")
    def status(self) -> HostStatus:
        """Return what this actor is doing or waiting for, even while it computes."""
        standing = self._life.standing()
        asked = self._asked
        return standing if asked is None or standing.activity != "idle" else replace(standing, activity=asked)

    @ray.method(concurrency_group="control")
    def stop(self) -> None:
        """Interrupt what this actor is doing, which then raises `HostStoppedError`."""
        self._life.stop()


@dataclass(frozen=True, slots=True)
class Driven:
    """What a driver gives its coordinator.

    Attributes
    ----------
    dataset
        Reference into the object store; the coordinator itself never reads the data.
    events
        Earlier events of the run: faults that fired, and failures that it survived.
    beginning
        Where the checkpoints go, and the checkpoint from which the run resumes.
    hooked
        Names of the hooks that the driver's callbacks override; None if there are no callbacks.
    """

    dataset: Any
    events: Sequence[Mapping[str, Any]] = ()
    beginning: ResumePoint | None = None
    hooked: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Detached:
    """Marks a coordinator without a driver, which starts the run, keeps its folder and reads the data by itself.

    Attributes
    ----------
    resumed
        Whether the run resumes from a checkpoint.
    """

    resumed: bool


class CoordinatorActor:
    """The coordinator of `dyadnet.training.coordinator` as an actor, which creates the block actors.

    Parameters
    ----------
    config
        The run.
    shape
        Sizes of the data set.
    out
        Name by which a user finds the record.
    owner
        What begins the run and keeps its folder: a driver, or the coordinator itself.
    """

    def __init__(self, config: RunConfig, shape: DataShape, out: str, owner: Driven | Detached) -> None:
        self._config = config
        self._shape = shape
        self._owner = owner
        start = hooked = None
        if isinstance(owner, Driven):
            hooked = owner.hooked
            start = None if owner.beginning is None else owner.beginning.start
        unheard = UNHEARD if isinstance(owner, Detached) else None
        self._news = EventQueue(out, None if start is None else start.lengths, unheard)
        self._hooks = None if hooked is None else RelayedHooks(hooked, self._news.hook)
        self._stop = Stop()
        self._workers: RayWorkers | None = None
        self._attempts: RecoveringRun | None = None
        self._snapshot = Snapshot(config, Path(out).name or "run", measuring=False)
        self._ending: Ending | None = None
        self._told = threading.Event()
        if isinstance(owner, Detached):
            reborn = bool(ray.get_runtime_context().was_current_actor_reconstructed)
            threading.Thread(target=self._live, args=(owner.resumed, reborn), name="run", daemon=True).start()

    def run(self) -> Summary:
        """Create the block actors and train."""
        owner, me = self._owner, ray.get_runtime_context().current_actor
        assert isinstance(owner, Driven)
        return self._train(me, owner.dataset, self._news, Past(owner.events, owner.beginning, self._hooks))

    def _live(self, resumed: bool, reborn: bool) -> None:
        """Train without a driver, wait a while for a client to fetch the result, and end this actor."""
        me = ray.get_actor(str(ray.get_runtime_context().get_actor_name()), namespace=NAMESPACE)

        def train(folder: RunFolder) -> Summary:
            prepare(self._config)
            dataset = ray.put(load_data(self._config))
            return self._train(me, dataset, folder, Past(folder.events(), folder.beginning, self._hooks))

        out = Path(self._news.name)
        self._ending = lived(self._config, out, self._news, train, resumed=resumed, reborn=reborn)
        self._told.wait(LINGER)
        ray.kill(me)

    def _train(self, me: ActorHandle[Any], dataset: Any, recorder: Recorder, past: Past) -> Summary:
        self._workers = RayWorkers(self._config, dataset, BlockActor)
        with exposed(self._config, self._news.name, self._news.note, recorder.machinery) as observer:
            if isinstance(observer, Snapshot):
                self._snapshot = observer
            try:
                self._attempts = RecoveringRun(
                    self._config,
                    self._shape,
                    self._workers,
                    recorder,
                    self._news,
                    self._snapshot,
                    past,
                    self._stop,
                )
                summary = self._attempts.run()
                # Before the metrics endpoint lingers.
                recorder.ended(summary)
                return summary
            finally:
                self._workers.close()

    @ray.method(concurrency_group="control")
    def news(self, timeout: float) -> list[Item]:
        """Return the news since the last call; wait up to `timeout` seconds if there are none yet."""
        return self._news.take(timeout)

    @ray.method(concurrency_group="control", num_returns=0)
    def answer(self, number: int, told: Told) -> None:
        """Take the answer of the driver's callbacks to a question."""
        if self._hooks is not None:
            self._hooks.answer(number, told)

    @ray.method(concurrency_group="control")
    def introduction(self) -> Item | None:
        """Return the news of the run's beginning, for a client that comes later."""
        return self._news.introduction

    @ray.method(concurrency_group="control")
    def ending(self) -> Ending | None:
        """Return how a run without a driver has ended; None if it has not."""
        return self._ending

    @ray.method(concurrency_group="control")
    def dismiss(self) -> None:
        """Let this actor end, because a client knows how the run has ended."""
        self._told.set()

    @ray.method(concurrency_group="control")
    def glance(self) -> dict[str, Any]:
        """Return the status of the run as plain values, without asking any actor."""
        places = {name: dict(place) for name, place in self._snapshot.places.items()}
        return view(self._snapshot) | {
            "out": self._news.name,
            "places": places,
            "detached": isinstance(self._owner, Detached),
        }

    @ray.method(concurrency_group="control")
    def status(self) -> dict[str, Any]:
        """Return what every actor is doing or waiting for, in words, and who waits for whom."""
        workers = self._workers
        if workers is None:
            return {"actors": {}, "waiting": None}
        inquiry = workers.inquire()
        inquiry.complete(LOOK)
        told = inquiry.answers()
        actors = dict(zip(workers.labels, map(str, told), strict=False))
        return {"actors": actors, "waiting": diagnose(workers.homes, workers.labels, told).plain()}

    @ray.method(concurrency_group="control")
    def halt(self) -> None:
        """End after the present minibatch, once a checkpoint is written; `run` then raises `StoppedError`."""
        self._stop.request()

    @ray.method(concurrency_group="control")
    def stop(self) -> None:
        """End all block actors; `run` then raises an error."""
        if self._attempts is not None:
            self._attempts.stop()
