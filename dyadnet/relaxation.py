"""What a relaxation is asked to do and what it answers: the records that travel between coordinator and blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Part = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of a relaxation at one nudge.

    Attributes
    ----------
    name
        ``free`` (β = 0), ``nudged`` (after a free phase), ``dyadic`` (nudged from the start), or ``first`` and
        ``second`` (one compartment of each dyad after the other).
    beta
        Strength of the nudge.
    cap
        Sweeps after which it ends unsettled.
    fixed
        Run exactly `cap` sweeps, without asking whether it has settled.
    average
        Sweeps at its end over which (m, d) are averaged for learning and for what is read out; 0: no average.
    side
        +1: only the output's s⁺ and what it meets settle, −1: only its s⁻; 0: both. See `dyadnet.turns`.
    """

    name: str
    beta: float
    cap: int
    fixed: bool = False
    average: int = 0
    side: int = 0


@dataclass(frozen=True, slots=True)
class Relaxation:
    """One minibatch at fixed weights.

    Attributes
    ----------
    number
        No two relaxations of a run share it; every random draw counts by it.
    part, rows
        Which samples, by row of a part of the data set.
    phases
        Run one after the other.
    couplings
        κ of each projection between populations, in the order of the description.
    step
        η or ω of every block.
    probed
        Whether probes record it.
    ideal
        Run it without imperfections: delays stay, and weights stay on the levels that the device has.
    exact
        Off the record: blocks keep the contrast that it ends in, and compare the next update's with it.
    minibatch
        Of the run's training, counted from 1 over all epochs; 0 for whatever is not learned from.
    """

    number: int
    part: Part
    rows: NDArray[np.int64]
    phases: tuple[Phase, ...]
    couplings: tuple[float, ...]
    step: float
    probed: bool = False
    ideal: bool = False
    exact: bool = False
    minibatch: int = 0


def lane_slices(rows: NDArray[np.int64], lanes: int) -> dict[int, NDArray[np.int64]]:
    """The rows of each lane, contiguous and nearly equal; lanes that a short minibatch leaves empty are left out."""
    count = len(rows)
    slices = {lane: rows[lane * count // lanes : (lane + 1) * count // lanes] for lane in range(lanes)}
    return {lane: part for lane, part in slices.items() if len(part)}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a block has come at a check tick: two integers for the stop rule, and its largest residual.

    Attributes
    ----------
    fired, over
        Last tick at which it fired, and last tick at which it fired over tolerance.
    residual
        Largest |A*−A| since the last check; not finite if A or D is not.
    """

    block: str
    fired: int
    over: int
    residual: float


@dataclass(frozen=True, slots=True)
class PhaseOutcome:
    """How one lane's phase ended."""

    name: str
    ticks: int
    sweeps: float
    settled: bool


@dataclass(frozen=True, slots=True)
class EdgeReport:
    """What one end of a channel counted in a relaxation; the reports of the two ends add up.

    Attributes
    ----------
    source, target, kind
        The channel.
    counts
        At the sender ``messages``, ``values`` (numbers in them), ``quantised`` and ``suppressed`` (numbers that went
        through quantisation, and that send-on-delta held back). At the receiver, in virtual time up to the stop tick,
        ``delayed`` (arrived later than at the next tick), ``dropped`` (lost before then), ``duplicated`` (came a second
        time) and ``stale`` (a newer one was held).
    """

    source: str
    target: str
    kind: str
    counts: Mapping[str, int]

    @property
    def name(self) -> str:
        """As the record writes it."""
        return f"{self.source}>{self.target} {self.kind}"


def added(edges: Iterable[EdgeReport]) -> tuple[EdgeReport, ...]:
    """One report for each channel, in the order of first mention, with the counts of all."""
    sums: dict[tuple[str, str, str], dict[str, int]] = {}
    for edge in edges:
        counts = sums.setdefault((edge.source, edge.target, edge.kind), {})
        for name, count in edge.counts.items():
            counts[name] = counts.get(name, 0) + count
    return tuple(EdgeReport(*channel, counts) for channel, counts in sums.items())


@dataclass(frozen=True, slots=True)
class Spent:
    """What an actor has spent since it began. It differs from run to run and is no part of the scientific record.

    Attributes
    ----------
    actor
        Its blocks, joined by ``+``; ``process`` where there are no actors.
    incarnation
        Which life of it this is.
    seconds
        By activity: computing, waiting, sending, learning, radius, held (a straggler, on purpose).
    letters, bytes
        Sent over the wire.
    refused
        Messages that it did not take, by reason.
    ages
        In free-running mode, of each neighbouring actor: counts of the ages of what was read, in the bins of
        `dyadnet.histograms`, and their sum in seconds.
    """

    actor: str
    incarnation: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)
    letters: int = 0
    bytes: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    ages: Mapping[str, tuple[Sequence[int], float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BlockReport:
    """What a block tells the coordinator once a relaxation is over: sums over its lanes, in lane order.

    Attributes
    ----------
    residual_mean, residual_difference
        Largest |A*−A| and largest |D*−D| over the size of D, at the last firing.
    saturated
        Number of neurons and samples at either bound, each compartment counting half.
    mean_square, difference_square
        Sums of squares of m and of d.
    updates, messages, values, stale
        Firings, messages sent and numbers in them, messages dropped because a newer one was held.
    loss, correct
        At the output, of the means: summed loss and count of correct predictions.
    edges
        What this block counted at its end of each of its channels.
    age
        Ticks since the oldest of the messages that it holds was sent, at the stop tick.
    weight_norm, update_norm
        Of the synapses, and of the change that was made to them, at the latest update that was measured.
    agreement
        Of the latest contrast that was compared with the exact gradient: their scalar product, and both squares.
    spent
        With the first block of each actor.
    """

    block: str
    samples: int
    neurons: int
    residual_mean: float
    residual_difference: float
    saturated: float
    mean_square: float
    difference_square: float
    updates: int
    messages: int
    values: int
    stale: int
    loss: float | None = None
    correct: int | None = None
    edges: tuple[EdgeReport, ...] = ()
    age: int = 0
    weight_norm: float | None = None
    update_norm: float | None = None
    agreement: tuple[float, float, float] | None = None
    spent: Spent | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a relaxation ended: of each lane its phases, of each block its report (in block order)."""

    lanes: tuple[tuple[PhaseOutcome, ...], ...]
    reports: tuple[BlockReport, ...]

    @property
    def sweeps(self) -> float:
        """Sweeps of the slowest lane, over all phases."""
        return max(sum(phase.sweeps for phase in lane) for lane in self.lanes)

    @property
    def ticks(self) -> int:
        """Ticks of the slowest lane, over all phases."""
        return max(sum(phase.ticks for phase in lane) for lane in self.lanes)

    @property
    def phases(self) -> int:
        """Phases of all lanes."""
        return sum(len(lane) for lane in self.lanes)

    @property
    def capped(self) -> int:
        """Phases of lanes that ended at their cap."""
        return sum(not phase.settled for lane in self.lanes for phase in lane)


@dataclass(frozen=True, slots=True)
class Update:
    """A request for Hebbian updates after a relaxation (paper, eq. 5).

    Attributes
    ----------
    beta
        The β at which the last phase settled.
    samples
        True size of the minibatch, which the contrast is divided by.
    rate
        Learning rate.
    count
        1 for the run's first update.
    measured
        Whether blocks note the norms of their synapses and of this update.
    """

    beta: float
    samples: int
    rate: float
    count: int
    measured: bool = False
