"""What blocks report once a relaxation is over, as columns: a row for each block, and one for each channel.

The coordinator adds up columns, so that what it does after a relaxation hardly grows with the network.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from dyadnet.dynamics.block_metrics import COLUMNS, BlockMetric, own
from dyadnet.dynamics.messages import KINDS, Address
from dyadnet.dynamics.request import PhaseOutcome
from dyadnet.imperfections.own import Counter
from dyadnet.network.topology import Topology

Table = NDArray[np.float64]
Counts = NDArray[np.int64]

SENT = ("messages", "values", "quantised", "suppressed")
RECEIVED = ("delayed", "dropped", "duplicated", "stale")
"""What is counted where a channel begins, and where it ends; see `counted`."""
COUNTED = (*SENT, *RECEIVED)
"""Columns of the counts of a channel: what its sender counts, then what its receiver does."""
NUMBERS = tuple(column.name for column in COLUMNS)
"""Columns of the numbers of a block; NaN where a `BlockReport` has None. Counts are exact up to 2⁵³. Those of one's own
metrics come after them."""
COLUMN = {name: index for index, name in enumerate(NUMBERS)}
AGREEMENT = slice(COLUMN["agreement_product"], len(NUMBERS))
_PLAIN = NUMBERS[: COLUMN["agreement_product"]]
_WHOLE = {column.name for column in COLUMNS if column.whole}
_PERHAPS = {column.name for column in COLUMNS if column.perhaps}


@dataclass(frozen=True, slots=True)
class ResourceUsage:
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
        `dyadnet.numerics.histogram`, and their sum in seconds.
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
    squared, absolute
        There, too: sums over samples and outputs of (m−y)² and of |m−y|.
    psnr, ssim
        There, too: sums over samples; 0 if targets are no images.
    age
        Ticks since the oldest of the messages that it holds was sent, at the stop tick.
    weight_norm, update_norm
        Of the synapses, and of the change that was made to them, at the latest update that was measured.
    agreement
        Of the latest contrast that was compared with the exact gradient: their scalar product, and both squares.
    own
        What metrics of one's own gave, in their order; see `dyadnet.dynamics.block_metrics`.
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
    squared: float | None = None
    absolute: float | None = None
    psnr: float | None = None
    ssim: float | None = None
    age: int = 0
    weight_norm: float | None = None
    update_norm: float | None = None
    agreement: tuple[float, float, float] | None = None
    own: tuple[float, ...] = ()


class Predicted(NamedTuple):
    """How well the outputs of a relaxation meet their targets: sums, as `BlockReport` has them."""

    samples: int
    loss: float
    correct: int
    squared: float
    absolute: float
    psnr: float
    ssim: float


class Layout:
    """Which row is whose, and which column is what.

    Parameters
    ----------
    topology
        The network.
    blocks
        Those that report, in block order; all unless given.
    counters
        What imperfections of a user's own count.

    Attributes
    ----------
    blocks
        One row of numbers each.
    sent, received
        Addresss that begin at one of them, and that end at one: one row of counts each.
    channels
        All of these, by the first block that has to do with one.
    counted
        Columns of their counts: `COUNTED`, then what imperfections of a user's own count, which receivers do.
    own
        Metrics of one's own, whose columns come after `NUMBERS`: those that there are when this is made.
    """

    def __init__(
        self, topology: Topology, blocks: Sequence[str] | None = None, counters: Sequence[Counter] = ()
    ) -> None:
        self.counted = (*COUNTED, *(counter.name for counter in counters))
        self.own: tuple[BlockMetric, ...] = own()
        self.blocks = tuple(topology.blocks if blocks is None else blocks)
        begin: dict[str, list[Address]] = {name: [] for name in self.blocks}
        end: dict[str, list[Address]] = {name: [] for name in self.blocks}
        for kind in KINDS:
            for link in topology.links:
                way = (link.pre, link.post) if kind == "state" else (link.post, link.pre)
                source, target = (spec.name for spec in way)
                if source in begin:
                    begin[source].append((source, target, kind))
                if target in end:
                    end[target].append((source, target, kind))
        self.sent = tuple(channel for name in self.blocks for channel in begin[name])
        self.received = tuple(channel for name in self.blocks for channel in end[name])
        self.channels = tuple(dict.fromkeys(c for name in self.blocks for c in (*begin[name], *end[name])))

    @property
    def width(self) -> int:
        """Columns of numbers."""
        return len(NUMBERS) + len(self.own)


@dataclass(frozen=True, slots=True)
class Share:
    """What the blocks of one process report, as its `Layout` says.

    Attributes
    ----------
    numbers
        Shape (blocks, `Layout.width`).
    sent, received
        Shapes (channels that begin here, `SENT`) and (channels that end here, `RECEIVED`).
    spent
        By this process, since it began.
    """

    numbers: Table
    sent: Counts
    received: Counts
    spent: ResourceUsage


class Reports(Sequence[BlockReport]):
    """The reports of all blocks, in block order.

    Parameters
    ----------
    blocks, channels
        Whose rows they are.
    numbers
        Shape (blocks, `Layout.width`).
    counts
        Shape (channels, `COUNTED`).
    spent
        By every process, since it began.
    columns_of_counts
        Names of the columns of `counts`.
    own
        Metrics of the columns after `NUMBERS`.
    """

    def __init__(
        self,
        blocks: tuple[str, ...],
        channels: tuple[Address, ...],
        numbers: Table,
        counts: Counts,
        spent: tuple[ResourceUsage, ...],
        columns_of_counts: tuple[str, ...] = COUNTED,
        own: tuple[BlockMetric, ...] = (),
    ) -> None:
        self.columns_of_counts = columns_of_counts
        self.blocks = blocks
        self.channels = channels
        self.numbers = numbers
        self.counts = counts
        self.spent = spent
        self.own = own

    def column(self, name: str) -> Table:
        """One of `NUMBERS`: shape (blocks,).

        Raises
        ------
        KeyError
            If it is none of them.
        """
        return self.numbers[:, COLUMN[name]]

    def columns(self, names: Sequence[str]) -> Table:
        """Some of `NUMBERS`: shape (blocks, names).

        Raises
        ------
        KeyError
            If one is none of them.
        """
        return self.numbers[:, [COLUMN[name] for name in names]]

    @property
    def of_own(self) -> Table:
        """What metrics of one's own gave: shape (blocks, own)."""
        return self.numbers[:, len(NUMBERS) :]

    def total(self, name: str) -> int:
        """Sum of a count over blocks."""
        return int(self.column(name).sum())

    def of(self, block: str) -> BlockReport:
        """The report of one block.

        Raises
        ------
        ValueError
            If there is no such block.
        """
        return self[self.blocks.index(block)]

    @property
    def predictions(self) -> Iterator[Predicted]:
        """How whoever has targets predicted them."""
        for row in np.flatnonzero(~np.isnan(self.column("correct"))):
            samples, loss, correct, *errors = self.columns(Predicted._fields)[row].tolist()
            yield Predicted(int(samples), loss, int(correct), *errors)

    @property
    def agreement(self) -> tuple[float, float, float] | None:
        """Of the latest contrast that was compared with the exact gradient, over all blocks: see `BlockReport`.

        None if a block has compared none.
        """
        product, own, exact = self.numbers[:, AGREEMENT].sum(axis=0).tolist()
        return None if math.isnan(product) else (product, own, exact)

    def edges(self) -> dict[str, dict[str, int]]:
        """What was counted on each channel, as the record writes it; see `counted`."""
        return counted(self.channels, self.counts, self.columns_of_counts)

    def __len__(self) -> int:
        return len(self.blocks)

    @overload
    def __getitem__(self, index: int) -> BlockReport: ...

    @overload
    def __getitem__(self, index: slice) -> list[BlockReport]: ...

    def __getitem__(self, index: int | slice) -> BlockReport | list[BlockReport]:
        """The report of one block, or of several."""
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        values = self.numbers[index].tolist()
        plain: dict[str, Any] = {name: _value(name, value) for name, value in zip(_PLAIN, values, strict=False)}
        found = tuple(values[AGREEMENT])
        agreement = None if math.isnan(found[0]) else found
        return BlockReport(self.blocks[index], **plain, agreement=agreement, own=tuple(values[len(NUMBERS) :]))


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a relaxation ended: of each lane its phases, of each block its report (in block order)."""

    lanes: tuple[tuple[PhaseOutcome, ...], ...]
    reports: Reports

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


class Joiner:
    """Puts the shares of several processes in the network's order.

    Parameters
    ----------
    topology
        The network.
    homes
        The blocks of each process, in block order.
    counters
        What imperfections of a user's own count.
    """

    def __init__(self, topology: Topology, homes: Sequence[Sequence[str]], counters: Sequence[Counter] = ()) -> None:
        whole, parts = Layout(topology, counters=counters), [Layout(topology, blocks) for blocks in homes]
        self._blocks, self._channels = whole.blocks, whole.channels
        self._counted, self._own = whole.counted, whole.own
        self._numbers = _order(self._blocks, [name for part in parts for name in part.blocks])
        self._sent = _order(self._channels, [channel for part in parts for channel in part.sent])
        self._received = _order(self._channels, [channel for part in parts for channel in part.received])

    def joined(self, shares: Sequence[Share]) -> Reports:
        """The reports of all blocks.

        Parameters
        ----------
        shares
            Of each process, in the order of `homes`.
        """
        sent = np.concatenate([share.sent for share in shares])[self._sent]
        received = np.concatenate([share.received for share in shares])[self._received]
        return Reports(
            self._blocks,
            self._channels,
            np.concatenate([share.numbers for share in shares])[self._numbers],
            np.concatenate([sent, received], axis=1),
            tuple(share.spent for share in shares),
            self._counted,
            self._own,
        )


def counted(channels: Sequence[Address], counts: Counts, columns: Sequence[str] = COUNTED) -> dict[str, dict[str, int]]:
    """What was counted on each channel, under the channel's name.

    At the sender ``messages``, ``values`` (numbers in them), ``quantised`` and ``suppressed`` (numbers that went
    through quantisation, and that send-on-delta held back). At the receiver, in virtual time up to the stop tick,
    ``delayed`` (arrived later than at the next tick), ``dropped`` (lost before then), ``duplicated`` (came a second
    time) and ``stale`` (a newer one was held).

    Parameters
    ----------
    channels
        Whose rows they are.
    counts
        Shape (channels, columns).
    columns
        What each counts: `COUNTED`, and what imperfections of a user's own count, at the receiver.
    """
    return {
        f"{source}>{target} {kind}": dict(zip(columns, row, strict=True))
        for (source, target, kind), row in zip(channels, counts.tolist(), strict=True)
    }


def _order(wanted: Sequence[object], given: Sequence[object]) -> NDArray[np.intp]:
    row_of = {key: row for row, key in enumerate(given)}
    return np.array([row_of[key] for key in wanted], dtype=np.intp)


def numbers_of(report: BlockReport) -> list[float]:
    """The numbers of one block, in the order of `NUMBERS`, and those of one's own metrics."""
    plain = [getattr(report, name) for name in _PLAIN]
    found = (*plain, *(report.agreement or (None, None, None)), *report.own)
    return [math.nan if value is None else value for value in found]


def _value(name: str, value: float) -> float | int | None:
    if name in _PERHAPS and math.isnan(value):
        return None
    return int(value) if name in _WHOLE else value
