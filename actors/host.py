"""A host: some blocks of a network and all their lanes, advanced as far as the letters at hand allow.

A plain class, without Ray, so that tests run several of them in one process. A block actor is a shell around one.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from actors.inbox import Decision, Envelope, Inbox, Letter
from actors.lockstep import Lane
from actors.transport import Report, Transport, packed
from dyadnet import assembly, objective
from dyadnet.config import RunConfig
from dyadnet.data import Dataset
from dyadnet.dyads import Dyads
from dyadnet.messages import KINDS, Address, Kind, Message, MessageError, decode
from dyadnet.relaxation import BlockReport, Progress, Relaxation, Update, lane_slices
from dyadnet.reporting import combined, lane_report
from dyadnet.spectrum import ITERATION, Application, Response
from dyadnet.timing import settling, timing
from dyadnet.topology import Topology

Key = tuple[str, str, Kind]
"""(target, source, kind) of an ideal message."""


@dataclass(frozen=True, slots=True)
class Home:
    """Where a host stands in its network.

    Attributes
    ----------
    index
        Of this host.
    homes
        Host of every block, in block order.
    incarnation
        Which life of the network this is; messages from another one are dropped.
    """

    index: int
    homes: Mapping[str, int]
    incarnation: int = 0

    @property
    def blocks(self) -> list[str]:
        """Blocks of this host, in block order."""
        return [name for name, host in self.homes.items() if host == self.index]


class Host:
    """Runs blocks of one network.

    Its methods are called by one thread, one after the other; letters come in through the inbox from any thread, and
    `describe` may be called from any thread.

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
    """

    def __init__(
        self, config: RunConfig, home: Home, dataset: Dataset | None, transport: Transport, inbox: Inbox
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
                dyad.incarnation = home.incarnation
        self._dataset = dataset
        self._transport = transport
        self._inbox = inbox
        self._dtype = np.dtype(config.dynamics.dtype)
        self._responses = {name: Response(block, config.seed) for name, block in self.blocks.items()}
        self._probes = {name: lanes[0].probe for name, lanes in self.dyads.items()}
        self._widths = _widths(self.topology, self.blocks)
        self._blas = threadpool_limits(limits=1, user_api="blas")
        self._round = 0
        self._relaxation = 0
        self._lanes: dict[int, Lane] = {}
        self._rows: dict[int, int] = {}
        self._ahead: list[Letter] = []
        self._activity = "idle"
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._traffic: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()

    # Settling and learning

    def relax(self, number: int, relaxation: Relaxation, update: Update | None = None) -> tuple[BlockReport, ...]:
        """Settle one minibatch, as far as this host's blocks go; returns once every lane was told to stop.

        Parameters
        ----------
        number
            Of the round.
        update
            What to learn from the relaxation before, first.
        """
        if update is not None:
            self.learn(update)
        started = time.perf_counter()
        waited, sent = self._inbox.waited, self._seconds["sending"]
        self._begin(number, relaxation)
        lanes = self._lanes.values()
        while True:
            for letter in self._inbox.read():
                self._take(letter)
            moved = [lane.advance(self._carry, self._reporter(lane.index)) for lane in lanes if not lane.done]
            if all(lane.done for lane in lanes):
                break
            if not any(moved):
                for letter in self._inbox.read(timeout=None):
                    self._take(letter)
        reports = tuple(combined([lane_report(dyad) for dyad in self._active(name)]) for name in self.blocks)
        self._activity = "idle"
        waited = self._inbox.waited - waited
        self._seconds["waiting"] += waited
        sent = self._seconds["sending"] - sent
        self._seconds["computing"] += time.perf_counter() - started - waited - sent
        return reports

    def learn(self, update: Update) -> None:
        """Every block here takes a Hebbian step."""
        started = time.perf_counter()
        for name, block in self.blocks.items():
            block.learn(self._active(name), update)
        self._seconds["learning"] += time.perf_counter() - started

    def describe(self) -> str:
        """What this host is doing or waiting for, in words."""
        lanes = [lane.describe() for lane in list(self._lanes.values()) if not lane.done]
        if self._activity != "relaxation" or not lanes:
            return self._activity
        return f"relaxation {self._relaxation}, " + "; ".join(lanes)

    # Further phases over the same blocks, with ideal channels

    def objective(self, number: int, beta: float) -> dict[int, dict[str, float]]:
        """Contributions to the saddle objective, by lane and block; see `dyadnet.objective`."""
        self._open(number, "objective")
        found: dict[int, dict[str, float]] = {}
        for lane in sorted(self._lanes):
            dyads = {name: lanes[lane] for name, lanes in self.dyads.items()}
            before = {name: dyad.snapshot() for name, dyad in dyads.items()}
            incoming = self._exchange([m for dyad in dyads.values() for m in dyad.announce()], lane)
            for (target, _, _), message in incoming.items():
                dyads[target].mail.hold(message)
            found[lane] = {name: objective.contribution(dyad, beta) for name, dyad in dyads.items()}
            for name, dyad in dyads.items():
                dyad.restore(before[name])
        self._activity = "idle"
        return found

    def spectrum(self, number: int, couplings: tuple[float, ...], symmetric: bool, iterations: int) -> None:
        """This host's part of a power iteration; the coordinator hears of squares and answers with factors."""
        started = time.perf_counter()
        self._open(number, "power iteration")
        for block in self.blocks.values():
            block.couple(couplings)
        self._rescale(0)
        for iteration in range(iterations):
            for half, application in enumerate(ITERATION[symmetric]):
                self._respond(application, 2 * iteration + half + 1)
            self._rescale(iteration + 1)
        self._activity = "idle"
        self._seconds["radius"] += time.perf_counter() - started

    def _respond(self, application: Application, step: int) -> None:
        out = [
            _parcel(name, target, kind, vector, step)
            for name, response in self._responses.items()
            for target, kind, vector in response.emit(application)
        ]
        mail: dict[str, dict[tuple[str, Kind], NDArray[np.float64]]] = {name: {} for name in self.blocks}
        for (target, source, kind), message in self._exchange(out, 0, step).items():
            mail[target][source, kind] = message.payload[0, 0]
        for name, response in self._responses.items():
            response.absorb(application, mail[name])

    def _rescale(self, check: int) -> None:
        squares = {name: response.square for name, response in self._responses.items()}
        self._transport.report(Report(self._round, 0, check, self.home.index, squares))
        decided = False
        while not decided:
            for letter in self._inbox.read(timeout=None):
                if isinstance(letter, Envelope):
                    # A faster neighbour is at its next step already.
                    self._ahead.append(letter)
                elif letter.check == check:
                    decided = True
                    for response in self._responses.values():
                        response.scale(letter.content)

    def _exchange(self, out: Sequence[Message], lane: int, step: int | None = None) -> dict[Key, Message]:
        """Send ideal messages and wait for those of every neighbour.

        Parameters
        ----------
        step
            Of a power iteration, whose messages are single float64 vectors.
        """
        rows = {lane: 1} if step is not None else self._rows
        dtype = self._dtype if step is None else np.dtype(np.float64)
        got: dict[Key, Message] = {}
        away: dict[int, list[Message]] = {}
        for message in out:
            home = self.home.homes[message.target]
            if home == self.home.index:
                got[message.target, message.source, message.kind] = message
            else:
                away.setdefault(home, []).append(message)
        for home, messages in away.items():
            self._send(home, messages)
        wanted = {(target, source, kind) for source, target, kind in self._widths}
        letters, self._ahead = self._ahead, []
        while True:
            for letter in letters:
                if not isinstance(letter, Envelope):
                    continue
                for message in self._opened(letter, rows, dtype):
                    if message.lane == lane and step in (None, message.tick):
                        got[message.target, message.source, message.kind] = message
                    else:
                        self._ahead.append(letter)
                        break
            if wanted <= set(got):
                return got
            letters = self._inbox.read(timeout=None)

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

    def take_probes(self) -> dict[str, dict[str, Any]]:
        """What the probes recorded since this was last called."""
        return {name: probe.take() for name, probe in self._probes.items() if probe is not None}

    def machinery(self) -> dict[str, float]:
        """Seconds by activity, letters and bytes sent, and messages dropped by reason, since this was last called."""
        self._dropped["late"] += self._inbox.late
        self._dropped["malformed"] += self._inbox.refused
        self._inbox.late = self._inbox.refused = 0
        spent: dict[str, float] = {
            **{name: self._seconds[name] for name in ("computing", "waiting", "sending", "learning", "radius")},
            **{name: self._traffic[name] for name in ("letters", "messages", "bytes")},
            "dropped": sum(self._dropped.values()),
        }
        spent |= {f"dropped, {reason}": count for reason, count in self._dropped.items() if count}
        self._seconds, self._traffic, self._dropped = defaultdict(float), Counter(), Counter()
        return spent

    # Letters

    def _open(self, number: int, activity: str) -> None:
        self._round = number
        self._activity = activity
        self._ahead = []
        self._inbox.open(number)

    def _begin(self, number: int, relaxation: Relaxation) -> None:
        for block in self.blocks.values():
            block.couple(relaxation.couplings)
        for name, lanes in self.dyads.items():
            lanes[0].probe = self._probes[name] if relaxation.probed else None
        self._relaxation = relaxation.number
        dynamics = self.config.dynamics
        self._lanes = {
            index: Lane(
                index,
                relaxation,
                rows,
                {name: lanes[index] for name, lanes in self.dyads.items()},
                settling(relaxation.phases, dynamics, self.timing),
                self._dataset,
                largest_delay=self.timing.largest_delay,
                feedforward=dynamics.initial == "feedforward",
            )
            for index, rows in lane_slices(relaxation.rows, dynamics.lanes).items()
        }
        self._rows = {index: len(lane.rows) for index, lane in self._lanes.items()}
        self._open(number, "relaxation")

    def _active(self, name: str) -> list[Dyads]:
        return [self.dyads[name][lane] for lane in self._lanes]

    def _take(self, letter: Letter) -> None:
        if isinstance(letter, Decision):
            self._lanes[letter.lane].follow(letter.check, letter.content)
            return
        for message in self._opened(letter, self._rows, self._dtype):
            if message.relaxation != self._relaxation:
                self._dropped["of another relaxation"] += 1
            elif not self._lanes[message.lane].accept(message):
                self._dropped["twice"] += 1

    def _opened(self, envelope: Envelope, rows: Mapping[int, int], dtype: np.dtype[Any]) -> Iterable[Message]:
        """The messages of an envelope that are as they should be; others are counted and dropped."""
        for header, buffer in zip(envelope.parts[::2], envelope.parts[1::2], strict=False):
            try:
                message = decode(header, buffer, self._widths, rows, dtype)
            except MessageError:
                self._dropped["malformed"] += 1
                continue
            if message.incarnation != self.home.incarnation:
                self._dropped["of an earlier incarnation"] += 1
                continue
            yield message

    def _carry(self, messages: Sequence[Message]) -> None:
        """Messages to blocks of this host stay in memory, the others go out together."""
        away: dict[int, list[Message]] = {}
        for message in messages:
            home = self.home.homes[message.target]
            if home == self.home.index:
                self._lanes[message.lane].accept(message)
            else:
                away.setdefault(home, []).append(message)
        for home, those in away.items():
            self._send(home, those)

    def _send(self, home: int, messages: Sequence[Message]) -> None:
        started = time.perf_counter()
        envelope = Envelope(self._round, self.home.index, packed(messages))
        self._traffic["bytes"] += self._transport.send(home, envelope)
        self._traffic["letters"] += 1
        self._traffic["messages"] += len(messages)
        self._seconds["sending"] += time.perf_counter() - started

    def _reporter(self, lane: int) -> Any:
        def report(check: int, progress: list[Progress]) -> None:
            started = time.perf_counter()
            told = [(p.block, p.fired, p.over, p.residual) for p in progress]
            self._transport.report(Report(self._round, lane, check, self.home.index, told))
            self._seconds["sending"] += time.perf_counter() - started

        return report


def _widths(topology: Topology, blocks: Iterable[str]) -> dict[Address, int]:
    """Neurons that each channel into these blocks carries."""
    here = set(blocks)
    widths: dict[Address, int] = {}
    for link in topology.links:
        if link.post.name in here:
            widths[link.pre.name, link.post.name, KINDS[0]] = link.pre.size
        if link.pre.name in here:
            widths[link.post.name, link.pre.name, KINDS[1]] = link.pre.size
    return widths


def _parcel(source: str, target: str, kind: Kind, vector: NDArray[Any], step: int) -> Message:
    """A vector of a power iteration as a message."""
    payload = vector.astype(np.float64).reshape(1, 1, -1)
    return Message(source, target, kind, step, step, 0, 0, 0, payload, True, False, step, step)
