"""A host: some blocks of a network and all their lanes, advanced as far as the letters at hand allow.

A plain class, without Ray, so that tests run several of them in one process. A block actor is a shell around one.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from actors.echo import Line
from actors.exchange import Exchange
from actors.free import Delays, FreeRun, Pace
from actors.heart import Pulse
from actors.inbox import Decision, Inbox, Letter
from actors.judges import LockstepJudge
from actors.ledger import Ledger
from actors.lockstep import Lane
from actors.opening import Opening
from actors.post import Home, Post
from actors.sabotage import Effects, Process, Sabotage
from actors.standing import Standing
from actors.transport import Report, Transport
from dyadnet import assembly, objective
from dyadnet.checkpoint import blocks as checkpoint
from dyadnet.checkpoint.manifest import File, Manifest
from dyadnet.checkpoint.store import Store
from dyadnet.config import RunConfig
from dyadnet.data import Dataset
from dyadnet.dyads import Dyads
from dyadnet.dynamics import FreeRunning
from dyadnet.faults import Fault
from dyadnet.messages import Message
from dyadnet.relaxation import Relaxation, Update, lane_slices
from dyadnet.reporting import block_report, columns
from dyadnet.reports import Counts, Layout, Share, Table
from dyadnet.spectrum import Response
from dyadnet.timing import settling, timing
from dyadnet.topology import Topology
from dyadnet.trace.script import Scribe

_AT_ONCE = contextlib.nullcontext()


class Host:
    """Runs blocks of one network.

    Its methods are called by one thread, one after the other; letters come in through the inbox from any thread, and
    `standing` and `pulse` may be called from any thread.

    Parameters
    ----------
    config
        The run.
    home
        Which blocks live here, and where the others do.
    dataset
        Where blocks with an input projection and the output block find their rows; None if none is here.
    transport
        Takes letters elsewhere.
    inbox
        Where letters from elsewhere come in.
    effects
        What faults on purpose do to this process.
    """

    def __init__(
        self,
        config: RunConfig,
        home: Home,
        dataset: Dataset | None,
        transport: Transport,
        inbox: Inbox,
        effects: Effects | None = None,
    ) -> None:
        self.config = config
        self.home = home
        self.topology = Topology(config.network)
        self.timing = timing(config, self.topology)
        self.blocks = assembly.blocks(config, self.topology, home.blocks)
        self.dyads = {
            name: assembly.dyads(config, self.topology, self.timing, block) for name, block in self.blocks.items()
        }
        for lanes in self.dyads.values():
            for dyad in lanes:
                dyad.sender.incarnation = home.incarnation
                dyad.sender.rooms = {t: transport.empty for t, host in home.homes.items() if host != home.index}
        self._dataset = dataset
        self._transport = transport
        self._inbox = inbox
        self._post = Post(home, self.topology, transport)
        self._layout = Layout(self.topology, home.blocks)
        self._dtype = np.dtype(config.dynamics.dtype)
        self._responses = {name: Response(block, config.seed) for name, block in self.blocks.items()}
        self._probes = {name: lanes[0].probe for name, lanes in self.dyads.items()}
        self._blas = threadpool_limits(limits=1, user_api="blas")
        self._feedforward = config.dynamics.initial == "feedforward"
        self._lines = {
            home.homes[source]: Line() for source, _, _ in self._post.widths if home.homes[source] != home.index
        }
        free = isinstance(config.dynamics.mode, FreeRunning)
        self._ledger = Ledger(home, self._post, inbox, self._lines, free=free)
        slow = [factor for name, factor in config.cluster.slow.items() if name in self.blocks]
        self._slowness = max(slow, default=1.0)
        self._sabotage = Sabotage(home, effects or Process(), self._slow_down, self._post.cut.add)
        self._relaxation = 0
        self._lanes: dict[int, Lane | FreeRun] = {}
        self._rows: dict[int, int] = {}
        self._activity = "idle"
        self._moved_at = time.monotonic()
        self._exchange = Exchange(home.index, self._responses, self._post, inbox, transport, self._stir)
        self._reading = False

    # Settling and learning

    def relax(
        self, number: int, relaxation: Relaxation, update: Update | None = None, faults: Sequence[Fault] = ()
    ) -> Share:
        """Settle one minibatch, as far as this host's blocks go; returns once every lane was told to stop.

        Parameters
        ----------
        number
            Of the round.
        update
            What to learn from the relaxation before, first.
        faults
            That are to happen meanwhile.
        """
        if update is not None:
            self.learn(update)
        self._sabotage.arm(faults)
        with self._timed():
            lanes = self._begin(number, relaxation)
            if faults:
                next(iter(lanes.values())).reach = self._sabotage.reach

            def carry(messages: Sequence[Message]) -> None:
                self._post.collect(messages, lambda message: lanes[message.lane].accept(message))

            reporters = {index: self._reporter(index) for index in lanes}
            moved = True
            while True:
                self._reading = not moved
                letters = self._inbox.read(0.0 if moved else None)
                self._reading = False
                with self._slowed():
                    for letter in letters:
                        self._take(letter, lanes)
                    moved = False
                    for index, lane in lanes.items():
                        # A lane goes as far as it can, which is as many ticks as the smallest delay has, and what
                        # it sent meanwhile travels together, while the next lane computes.
                        moved |= lane.advance(carry, reporters[index])
                        self._post.release()
                if moved:
                    self._moved_at = time.monotonic()
                if moved and all(lane.done for lane in lanes.values()):
                    break
            if relaxation.exact:
                for name, block in self.blocks.items():
                    block.keep(self._active(name), relaxation.phases[-1].beta, len(relaxation.rows))
            found = self._columns()
        return Share(*found, self._ledger.total())

    def relax_freely(
        self,
        number: int,
        relaxation: Relaxation,
        pace: Pace,
        update: Update | None = None,
        faults: Sequence[Fault] = (),
    ) -> tuple[Share, Delays, bytes | None]:
        """Settle one minibatch in real time, waiting for nobody; see `actors.free`.

        Returns
        -------
        tuple
            What its blocks report, the delays that were measured, and what happened, if somebody is to repeat it; see
            `dyadnet.trace.script`.
        """
        if update is not None:
            self.learn(update)
        mode = self.config.dynamics.mode
        assert isinstance(mode, FreeRunning)
        with self._timed():
            dyads = self._couple(relaxation)[0]
            rows = relaxation.rows
            opening = Opening(0, relaxation, rows, dyads, self._dataset, feedforward=self._feedforward)
            scribe = None if self.config.record.trace is None else Scribe(dyads.values())
            run = FreeRun(
                relaxation,
                pace,
                mode,
                rows,
                dyads,
                opening,
                self.home,
                self._lines,
                self._post,
                self._reporter(0),
                self.config.seed,
                scribe,
            )
            if faults:
                self._sabotage.arm(faults)
                run.reach = self._sabotage.reach
            self._lanes = {0: run}
            self._rows = {0: len(rows)}
            self._open(number, "relaxation")
            while not run.done:
                with self._slowed():
                    run.advance()
                self._moved_at = time.monotonic()
                for letter in self._inbox.read(timeout=run.patience):
                    run.take(letter)
            found = self._columns()
            script = None if scribe is None else scribe.script(timed=run.timed).packed()
        return Share(*found, self._ledger.total()), run.delays, script

    def learn(self, update: Update) -> None:
        """Every block here takes a Hebbian step."""
        self._enter("learning")
        with self._timed("learning"), self._slowed():
            for name, block in self.blocks.items():
                block.learn(self._active(name), update)
        self._enter("idle")

    def pulse(self) -> Pulse:
        """A sign of life, while it computes."""
        inbox = self._inbox
        # In this order: what comes meanwhile counts as received, and not as missed.
        looks, waiting = inbox.looks, inbox.waiting
        return Pulse(dict(self._post.sent), dict(inbox.received), looks, waiting)

    def standing(self) -> Standing:
        """What this host is doing or waiting for, while it does."""
        activity, lanes = self._activity, list(self._lanes.values())
        still = time.monotonic() - self._moved_at
        busy, standings = False, self._exchange.standings()
        if not standings and activity == "relaxation":
            activity = f"relaxation {self._relaxation}"
            # Whoever does not read has something to do, if only to be held back.
            busy = not self._reading
            standings = tuple(lane.standing() for lane in lanes if isinstance(lane, Lane))
            told = [lane.describe() for lane in lanes if isinstance(lane, FreeRun) and not lane.done]
            activity = ", ".join([activity, *told])
        return Standing(activity, self._post.round, still, standings, busy)

    # Further phases over the same blocks, with ideal channels

    def objective(self, number: int, beta: float) -> dict[int, dict[str, float]]:
        """Contributions to the saddle objective, by lane and block; see `dyadnet.objective`."""
        self._open(number, "objective")
        found: dict[int, dict[str, float]] = {}
        for lane in sorted(self._lanes):
            dyads = {name: lanes[lane] for name, lanes in self.dyads.items()}
            before = {name: dyad.snapshot() for name, dyad in dyads.items()}
            announced = [message for dyad in dyads.values() for message in dyad.announce()]
            incoming = self._exchange.swap(announced, lane, self._rows, self._dtype)
            for (target, _, _), message in incoming.items():
                dyads[target].mail.hold(message)
            found[lane] = {name: objective.contribution(dyad, beta) for name, dyad in dyads.items()}
            for name, dyad in dyads.items():
                dyad.restore(before[name])
        self._enter("idle")
        return found

    def spectrum(self, number: int, couplings: tuple[float, ...], symmetric: bool, iterations: int) -> None:
        """This host's part of a power iteration; the coordinator hears of squares and answers with factors."""
        started = time.perf_counter()
        self._open(number, "power iteration")
        for block in self.blocks.values():
            block.couple(couplings)
        self._exchange.spectrum(symmetric, iterations)
        self._enter("idle")
        self._ledger.seconds["radius"] += time.perf_counter() - started

    # What blocks hold

    def norms(self) -> dict[str, float]:
        """Norm of each block's weights."""
        return {name: block.norm() for name, block in self.blocks.items()}

    def digests(self) -> dict[str, bytes]:
        """Hash of each block's parameters."""
        return {name: block.digest() for name, block in self.blocks.items()}

    def parameters(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Every block's own arrays."""
        return {name: block.parameters() for name, block in self.blocks.items()}

    def load(self, parameters: Mapping[str, Mapping[str, NDArray[Any]]]) -> None:
        """Give every block its parameters."""
        for name, block in self.blocks.items():
            block.load(parameters[name])

    def find(self, store: Store, nonce: str) -> None:
        """Read one file; see `dyadnet.engine.protocol.Engine.find`."""
        checkpoint.find(store, nonce, f"actor {self.home.label(self.home.index)}")

    def save(self, store: Store, folder: str) -> dict[str, File]:
        """Write the file of every block here."""
        return {
            name: checkpoint.save(store, folder, block, self._responses[name], self.dyads[name])
            for name, block in self.blocks.items()
        }

    def restore(self, store: Store, manifest: Manifest) -> None:
        """Put every block here back to a checkpoint."""
        for name, block in self.blocks.items():
            checkpoint.restore(store, manifest, block, self._responses[name], self.dyads[name])
        self.take_probes()

    def take_probes(self) -> dict[str, dict[str, Any]]:
        """What the probes recorded since this was last called."""
        return {name: probe.take() for name, probe in self._probes.items() if probe is not None}

    def machinery(self) -> dict[str, Any]:
        """What was spent since this was last called; see `actors.ledger.Ledger.take`."""
        return self._ledger.take()

    # Letters

    def _open(self, number: int, activity: str, judge: LockstepJudge | None = None) -> None:
        self._transport.convene(judge)
        self._post.round = number
        self._enter(activity)
        self._inbox.open(number)

    def _enter(self, activity: str) -> None:
        self._activity = activity
        self._exchange.open()
        self._stir()

    def _stir(self) -> None:
        self._moved_at = time.monotonic()

    def _couple(self, relaxation: Relaxation) -> list[dict[str, Dyads]]:
        """Make the blocks ready for a relaxation; of each lane its neurons."""
        for block in self.blocks.values():
            block.couple(relaxation.couplings, ideal=relaxation.ideal)
        for name, lanes in self.dyads.items():
            lanes[0].probe = self._probes[name] if relaxation.probed else None
        self._relaxation = relaxation.number
        return [
            {name: lanes[index] for name, lanes in self.dyads.items()} for index in range(self.config.dynamics.lanes)
        ]

    def _begin(self, number: int, relaxation: Relaxation) -> dict[int, Lane]:
        dyads = self._couple(relaxation)
        dynamics = self.config.dynamics
        lanes = {
            index: Lane(
                index,
                relaxation,
                rows,
                dyads[index],
                settling(relaxation.phases, dynamics, self.timing),
                self._dataset,
                largest_delay=self.timing.largest_delay,
                feedforward=self._feedforward,
            )
            for index, rows in lane_slices(relaxation.rows, dynamics.lanes).items()
        }
        self._lanes = dict(lanes)
        self._rows = {index: len(lane.rows) for index, lane in lanes.items()}
        self._open(number, "relaxation", self._judge(relaxation))
        return lanes

    def _judge(self, relaxation: Relaxation) -> LockstepJudge:
        """Gives the verdicts of a relaxation where the transport hears every host; the coordinator's twin."""
        courses = {lane: settling(relaxation.phases, self.config.dynamics, self.timing) for lane in self._lanes}
        return LockstepJudge(courses, list(self.topology.blocks), max(self.home.homes.values()) + 1)

    def _active(self, name: str) -> list[Dyads]:
        return [self.dyads[name][lane] for lane in self._lanes]

    def _take(self, letter: Letter, lanes: Mapping[int, Lane]) -> None:
        if isinstance(letter, Decision):
            lanes[letter.lane].follow(letter.check, letter.content)
            return
        for message in self._post.opened(letter, self._rows, self._dtype):
            if message.relaxation != self._relaxation:
                self._post.dropped["of another relaxation"] += 1
            elif not lanes[message.lane].accept(message):
                self._post.dropped["twice"] += 1

    def _columns(self) -> tuple[Table, Counts, Counts]:
        """What is told of a relaxation that is over."""
        self._enter("idle")
        lanes = {name: self._active(name) for name in self.blocks}
        reports = [block_report(active) for active in lanes.values()]
        self._ledger.updates += max(report.updates for report in reports)
        return columns(self._layout, reports, lanes)

    @contextlib.contextmanager
    def _timed(self, activity: str = "computing") -> Iterator[None]:
        """Book the time of an activity, less what passes meanwhile in waiting, in sending, and in being held back."""
        seconds = self._ledger.seconds
        started, waited, sent, held = time.perf_counter(), self._inbox.waited, self._post.sending, seconds["held"]
        yield
        waited, sent, held = self._inbox.waited - waited, self._post.sending - sent, seconds["held"] - held
        seconds["waiting"] += waited
        seconds[activity] += time.perf_counter() - started - waited - sent - held

    def _slow_down(self, factor: float) -> None:
        self._slowness = max(self._slowness, factor)

    def _slowed(self) -> contextlib.AbstractContextManager[None]:
        """Make a straggler of this host, if it is to be one: what it does takes so many times as long."""
        return self._prolonged() if self._slowness > 1.0 else _AT_ONCE

    @contextlib.contextmanager
    def _prolonged(self) -> Iterator[None]:
        started = time.perf_counter()
        yield
        done = time.perf_counter()
        time.sleep((self._slowness - 1.0) * (done - started))
        self._ledger.seconds["held"] += time.perf_counter() - done

    def _reporter(self, lane: int) -> Callable[[int, Any], None]:
        def report(check: int, content: Any) -> None:
            started = time.perf_counter()
            self._transport.report(Report(self._post.round, lane, check, self.home.index, content))
            self._post.sending += time.perf_counter() - started

        return report
