"""The Ray actors: thin shells around a host of blocks and around the coordinator.

The driver creates the coordinator, the coordinator creates the blocks; Ray ends actors whose creator dies, so
nothing outlives the driver. Letters and control calls run in concurrency groups of their own, so that an actor
answers while it computes. Calls that carry letters return nothing, not even a reference: virtual time bounds how many
can be under way.
"""

from __future__ import annotations

import gc
import os
import queue
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from ray.actor import ActorHandle

from actors import tasks, wire
from actors.cluster import NAMESPACE
from actors.cores import pin, usable
from actors.detached import Ending, lived
from actors.fast import setup as fast
from actors.fast.keys import Card
from actors.fast.transport import FastTransport
from actors.heart import Pulse
from actors.host import Host
from actors.inbox import Envelope, Inbox
from actors.judges import LockstepJudge
from actors.news import Item, News
from actors.post import Home
from actors.recovering import Attempts
from actors.stall import diagnose
from actors.standing import Standing
from actors.transport import Report
from actors.workers import RayWorkers
from dyadnet.checkpoint.keeper import Beginning
from dyadnet.checkpoint.stop import Stop
from dyadnet.config import RunConfig
from dyadnet.coordinator import Summary
from dyadnet.data import Dataset, DataShape
from dyadnet.faults import Fault
from dyadnet.messages import MessageError
from dyadnet.metrics.endpoint import exposed
from dyadnet.metrics.snapshot import Snapshot
from dyadnet.metrics.view import view
from dyadnet.record import Recorder, RunFolder
from dyadnet.reports import Share
from dyadnet.train import load_data

LOOK = 3.0
"""Seconds within which an actor that is not hung tells its status."""
UNHEARD = 1000
"""Of what a run without a driver tells, so many of the newest are kept for whoever comes."""
LINGER = 60.0
"""Seconds for which a coordinator without a driver waits after the end, for somebody to hear of it."""


class RayTransport:
    """Letters as calls of the receiving actor; implements `actors.transport.Transport`."""

    def __init__(self, coordinator: ActorHandle[Any]) -> None:
        self._coordinator = coordinator
        self.peers: Sequence[ActorHandle[Any]] = ()

    def send(self, host: int, envelope: Envelope) -> int:
        """See `Transport`."""
        blob = wire.seal(envelope)
        self.peers[host].deliver.remote(blob)
        return len(blob)

    def report(self, report: Report) -> None:
        """See `Transport`."""
        self._coordinator.report.remote(wire.seal_report(report))

    def flush(self) -> None:
        """See `Transport`."""

    def convene(self, judge: LockstepJudge | None) -> None:
        """See `Transport`: the coordinator judges."""

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """See `Transport`: letters are copied anyway."""
        return np.empty(shape, dtype)


class BlockActor:
    """Some blocks of the network, and all their lanes, as one actor.

    Parameters
    ----------
    config, home
        The run, and where this actor stands in it.
    dataset
        From the object store, for actors whose blocks read samples.
    coordinator
        Who is told how far the blocks have come.
    after
        The last round of the life before.
    """

    def __init__(
        self,
        config: RunConfig,
        home: Home,
        dataset: Dataset | None,
        coordinator: ActorHandle[Any],
        after: int = 0,
    ) -> None:
        self._config = config
        self._dataset = dataset
        self._ray = RayTransport(coordinator)
        self._fast: FastTransport | None = None
        self._asked: str | None = None
        self._cores = usable()
        self._live(home, after)
        # What is there by now stays: no collection looks at all of it again.
        gc.freeze()

    def _live(self, home: Home, after: int) -> None:
        if self._config.cluster.transport == "fast":
            if self._fast is not None:
                self._fast.close()
            self._fast = fast.transport(self._config, home)
        self._inbox = Inbox(after, self._fast)
        self._host = Host(self._config, home, self._dataset, self._fast or self._ray, self._inbox)

    def renew(self, incarnation: int, after: int) -> None:
        """Begin a new life in the same process, with the weights that the run began with; `stop` comes first."""
        self._live(replace(self._host.home, incarnation=incarnation), after)

    def meet(self, peers: Sequence[ActorHandle[Any]]) -> dict[str, Any]:
        """Get to know the other actors, by index; returns where and how this one runs."""
        self._ray.peers = peers
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
        """Of this machine, those that this process could use when it began."""
        return self._cores

    def pin(self, core: int) -> None:
        """Stay on one core, with all threads."""
        pin(core)

    def introduce(self, others: bool) -> Card:
        """Where the fast transport of this actor is reached; with `others`, from other machines too."""
        assert self._fast is not None
        if others:
            self._fast.endpoint.open(fast.network(self._config, ray.util.get_node_ip_address()))
        return self._fast.endpoint.card

    def know(self, cards: Sequence[Card]) -> None:
        """Learn where everybody's fast transport is reached."""
        assert self._fast is not None
        self._fast.know(cards)

    def greet(self, timeout: float) -> None:
        """Connect to everybody, and hear from everybody."""
        assert self._fast is not None
        self._fast.greet(timeout)

    def relax(self, number: int, task: bytes, faults: Sequence[Fault] = ()) -> Share:
        """Ask the host to relax; see `actors.tasks`."""
        found: Share = self.ask("relax", number, *tasks.unseal(task), faults)
        return found

    def ask(self, method: str, *arguments: Any) -> Any:
        """Call a method of the host; calls run one after the other, in order."""
        self._asked = method.replace("_", " ")
        if self._fast is not None:
            self._fast.endpoint.stir()
        try:
            return getattr(self._host, method)(*arguments)
        finally:
            self._asked = None
            if self._fast is not None:
                self._inbox.drain()
                self._fast.endpoint.rest()

    @ray.method(concurrency_group="mail", num_returns=0)
    def deliver(self, envelope: bytes) -> None:
        """Take in messages from another actor; what is no envelope is counted and dropped."""
        try:
            self._inbox.put(wire.unseal(envelope))
        except MessageError:
            self._inbox.refused += 1

    @ray.method(concurrency_group="mail", num_returns=0)
    def decide(self, decision: bytes) -> None:
        """Take in a decision of the coordinator."""
        self._inbox.put(wire.unseal_decision(decision))

    @ray.method(concurrency_group="control")
    def pulse(self) -> Pulse:
        """A sign of life, while this actor computes."""
        return self._host.pulse()

    @ray.method(concurrency_group="control")
    def status(self) -> Standing:
        """What this actor is doing or waiting for, while it does so."""
        standing = self._host.standing()
        asked = self._asked
        return standing if asked is None or standing.activity != "idle" else replace(standing, activity=asked)

    @ray.method(concurrency_group="control")
    def stop(self) -> None:
        """End what this actor is doing; it raises `StoppedError`."""
        self._inbox.close()


class CoordinatorActor:
    """The core's coordinator as an actor, which creates the blocks.

    Parameters
    ----------
    config
        The run.
    shape
        Sizes of the data set.
    dataset
        Holds one reference into the object store; this actor never reads it.
    out
        What a user finds the record by.
    events
        What has happened to the run before: faults that fired, failures that it survived.
    beginning
        Where its checkpoints go, and which one it goes on from.
    detached
        Whether it has no driver: it begins by itself then, keeps the run's folder and reads the data itself.
    resumed
        Whether it goes on from a checkpoint then.
    """

    def __init__(
        self,
        config: RunConfig,
        shape: DataShape,
        dataset: Sequence[Any],
        out: str,
        events: Sequence[Mapping[str, Any]] = (),
        beginning: Beginning | None = None,
        *,
        detached: bool = False,
        resumed: bool = False,
    ) -> None:
        self._config = config
        self._shape = shape
        self._dataset = dataset[0] if dataset else None
        self._events = events
        self._beginning = beginning
        start = None if beginning is None else beginning.start
        self._news = News(out, None if start is None else start.lengths, UNHEARD if detached else None)
        self._stop = Stop()
        self._reports: queue.SimpleQueue[Report] = queue.SimpleQueue()
        self._workers: RayWorkers | None = None
        self._attempts: Attempts | None = None
        self._snapshot = Snapshot(config, Path(out).name or "run", measuring=False)
        self._ending: Ending | None = None
        self._told = threading.Event()
        self._detached = detached
        if detached:
            reborn = bool(ray.get_runtime_context().was_current_actor_reconstructed)
            threading.Thread(target=self._live, args=(resumed, reborn), name="run", daemon=True).start()

    def run(self) -> Summary:
        """Create the blocks and train."""
        return self._train(ray.get_runtime_context().current_actor, self._news, self._events, self._beginning)

    def _live(self, resumed: bool, reborn: bool) -> None:
        """Train without a driver, wait a while for somebody to hear how it ended, and go."""
        me = ray.get_actor(str(ray.get_runtime_context().get_actor_name()), namespace=NAMESPACE)

        def train(folder: RunFolder) -> Summary:
            self._dataset = ray.put(load_data(self._config))
            return self._train(me, folder, folder.events(), folder.beginning)

        out = Path(self._news.name)
        self._ending = lived(self._config, out, self._news, train, resumed=resumed, reborn=reborn)
        self._told.wait(LINGER)
        ray.kill(me)

    def _train(
        self,
        me: ActorHandle[Any],
        recorder: Recorder,
        events: Sequence[Mapping[str, Any]],
        beginning: Beginning | None,
    ) -> Summary:
        self._workers = RayWorkers(self._config, self._dataset, me, self._reports, BlockActor)
        with exposed(self._config, self._news.name, self._news.note, recorder.machinery) as observer:
            if isinstance(observer, Snapshot):
                self._snapshot = observer
            try:
                self._attempts = Attempts(
                    self._config,
                    self._shape,
                    self._workers,
                    recorder,
                    self._news,
                    self._snapshot,
                    events,
                    beginning,
                    self._stop,
                )
                return self._attempts.run()
            finally:
                self._workers.close()

    @ray.method(concurrency_group="mail", num_returns=0)
    def report(self, report: bytes) -> None:
        """Take in a host's report."""
        self._reports.put(wire.unseal_report(report))

    @ray.method(concurrency_group="control")
    def news(self, timeout: float) -> list[Item]:
        """What the driver has not been told yet; waits up to `timeout` seconds for something."""
        return self._news.take(timeout)

    @ray.method(concurrency_group="control")
    def introduction(self) -> Item | None:
        """What somebody who comes later has missed of the run's beginning."""
        return self._news.introduction

    @ray.method(concurrency_group="control")
    def ending(self) -> Ending | None:
        """How a run without a driver has ended; None if it has not."""
        return self._ending

    @ray.method(concurrency_group="control")
    def dismiss(self) -> None:
        """Somebody knows how the run has ended; this actor may go."""
        self._told.set()

    @ray.method(concurrency_group="control")
    def glance(self) -> dict[str, Any]:
        """How the run stands, as plain values; asks no actor."""
        places = {name: dict(place) for name, place in self._snapshot.places.items()}
        return view(self._snapshot) | {"out": self._news.name, "places": places, "detached": self._detached}

    @ray.method(concurrency_group="control")
    def status(self) -> dict[str, Any]:
        """What every actor is doing or waiting for, in words, and who waits for whom."""
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
        """End after the present minibatch, once a checkpoint is written; `run` raises `StoppedError` then."""
        self._stop.request()

    @ray.method(concurrency_group="control")
    def stop(self) -> None:
        """End all block actors; `run` raises then."""
        if self._attempts is not None:
            self._attempts.stop()
