"""Reports of blocks after a relaxation, as columns: one row for each block, and one for each channel.

The coordinator adds up whole columns. So its work after a relaxation hardly grows with the network.
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
"""Counters at the start of a channel, and counters at its end; see `counted`."""
COUNTED = (*SENT, *RECEIVED)
"""Columns of a channel's counts: those of its sender, then those of its receiver."""
NUMBERS = tuple(column.name for column in COLUMNS)
"""Columns of a block's numbers; NaN stands for None in a `BlockReport`. Counts are exact up to 2⁵³. Columns of users'
own metrics follow them."""
COLUMN = {name: index for index, name in enumerate(NUMBERS)}
AGREEMENT = slice(COLUMN["agreement_product"], len(NUMBERS))
_PLAIN = NUMBERS[: COLUMN["agreement_product"]]
_WHOLE = {column.name for column in COLUMNS if column.whole}
_PERHAPS = {column.name for column in COLUMNS if column.perhaps}


@dataclass(frozen=True, slots=True)
class ResourceUsage:
    """Resources that an actor has used since it began. They differ between runs and are not in the scientific record.

    Attributes
    ----------
    actor
        Names of its blocks, joined by ``+``; ``process`` if there are no actors.
    incarnation
        Number of its current life.
    seconds
        Time by activity: computing, waiting, sending, learning, radius, held (artificial straggling).
    letters, bytes
        Number of packets and bytes sent over the wire.
    refused
        Number of refused messages, by reason.
    ages
        In free-running mode, for each neighbouring actor: the histogram of the ages of messages at reading, in the
        bins of `dyadnet.numerics.histogram`, and the sum of ages in seconds.
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
    """Report of a block to the coordinator after a relaxation: sums over its lanes, in lane order.

    Attributes
    ----------
    residual_mean, residual_difference
        Largest |A*−A| and largest |D*−D| over the size of D, at the last firing.
    saturated
        Number of neurons times samples at either bound; each compartment counts half.
    mean_square, difference_square
        Sums of squares of m and of d.
    updates, messages, values, stale
        Number of firings, of messages sent, of numbers in them, and of messages dropped because a newer one was held.
    loss, correct
        At the output, computed from the means: summed loss and number of correct predictions.
    squared, absolute
        At the output: sums over samples and outputs of (m−y)² and of |m−y|.
    psnr, ssim
        At the output: sums over samples; 0 if targets are not images.
    age
        Ticks from the sending of the oldest held message to the stop tick.
    weight_norm, update_norm
        Norms of the synapses and of their change, at the latest measured update.
    agreement
        Latest comparison of a contrast with the exact gradient: their scalar product, and the squared norms of both.
    own
        Values of users' own metrics, in order; see `dyadnet.dynamics.block_metrics`.
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
    """Prediction quality of a relaxation: sums, as in `BlockReport`."""

    samples: int
    loss: float
    correct: int
    squared: float
    absolute: float
    psnr: float
    ssim: float


class Layout:
    """Meaning of the rows and columns of reports.

    Parameters
    ----------
    topology
        The network.
    blocks
        Reporting blocks, in block order; default: all.
    counters
        Counters of users' own imperfections.

    Attributes
    ----------
    blocks
        Blocks; each has one row of numbers.
    sent, received
        Addresses of the channels that begin, and that end, at one of these blocks; each has one row of counts.
    channels
        All of these channels, ordered by the first block at either end.
    counted
        Columns of the counts: `COUNTED`, then the counters of users' own imperfections, which count at the receiver.
    own
        Users' own metrics that are registered when this object is made. Their columns follow `NUMBERS`.
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
        """Number of columns of numbers."""
        return len(NUMBERS) + len(self.own)


@dataclass(frozen=True, slots=True)
class Share:
    """Reports of the blocks of one process, in the order of its `Layout`.

    Attributes
    ----------
    numbers
        Shape (blocks, `Layout.width`).
    sent, received
        Shapes (channels that begin here, `SENT`) and (channels that end here, `RECEIVED`).
    spent
        Resources that this process has used since it began.
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
        Names of the rows.
    numbers
        Shape (blocks, `Layout.width`).
    counts
        Shape (channels, columns_of_counts).
    spent
        Resources that each process has used since it began.
    columns_of_counts
        Names of the columns of `counts`.
    own
        Users' metrics in the columns after `NUMBERS`.
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
        """Return the column of one of `NUMBERS`: shape (blocks,).

        Raises
        ------
        KeyError
            If there is no such column.
        """
        return self.numbers[:, COLUMN[name]]

    def columns(self, names: Sequence[str]) -> Table:
        """Return the columns of some of `NUMBERS`: shape (blocks, names).

        Raises
        ------
        KeyError
            If one of them does not exist.
        """
        return self.numbers[:, [COLUMN[name] for name in names]]

    @property
    def of_own(self) -> Table:
        """Values of users' own metrics: shape (blocks, own)."""
        return self.numbers[:, len(NUMBERS) :]

    def total(self, name: str) -> int:
        """Return the sum of a count over blocks."""
        return int(self.column(name).sum())

    def of(self, block: str) -> BlockReport:
        """Return the report of one block.

        Raises
        ------
        ValueError
            If there is no such block.
        """
        return self[self.blocks.index(block)]

    @property
    def predictions(self) -> Iterator[Predicted]:
        """Prediction quality of every block that has targets."""
        for row in np.flatnonzero(~np.isnan(self.column("correct"))):
            samples, loss, correct, *errors = self.columns(Predicted._fields)[row].tolist()
            yield Predicted(int(samples), loss, int(correct), *errors)

    @property
    def agreement(self) -> tuple[float, float, float] | None:
        """Agreement of the latest compared contrast with the exact gradient, over all blocks: see `BlockReport`.

        None if some block has not compared any.
        """
        product, own, exact = self.numbers[:, AGREEMENT].sum(axis=0).tolist()
        return None if math.isnan(product) else (product, own, exact)

    def edges(self) -> dict[str, dict[str, int]]:
        """Return the counts of each channel, as the record writes them; see `counted`."""
        return counted(self.channels, self.counts, self.columns_of_counts)

    def __len__(self) -> int:
        return len(self.blocks)

    @overload
    def __getitem__(self, index: int) -> BlockReport: ...

    @overload
    def __getitem__(self, index: slice) -> list[BlockReport]: ...

    def __getitem__(self, index: int | slice) -> BlockReport | list[BlockReport]:
        """Return the report of one block, or of several."""
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        values = self.numbers[index].tolist()
        plain: dict[str, Any] = {name: _value(name, value) for name, value in zip(_PLAIN, values, strict=False)}
        found = tuple(values[AGREEMENT])
        agreement = None if math.isnan(found[0]) else found
        return BlockReport(self.blocks[index], **plain, agreement=agreement, own=tuple(values[len(NUMBERS) :]))


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a relaxation: the phases of each lane, and the report of each block (in block order)."""

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
        """Number of phases, summed over lanes."""
        return sum(len(lane) for lane in self.lanes)

    @property
    def capped(self) -> int:
        """Number of phases that ended at their cap, summed over lanes."""
        return sum(not phase.settled for lane in self.lanes for phase in lane)


class Joiner:
    """Combines the reports of several processes in the order of the network.

    Parameters
    ----------
    topology
        The network.
    homes
        The blocks of each process, in block order.
    counters
        Counters of users' own imperfections.
    """

    def __init__(self, topology: Topology, homes: Sequence[Sequence[str]], counters: Sequence[Counter] = ()) -> None:
        whole, parts = Layout(topology, counters=counters), [Layout(topology, blocks) for blocks in homes]
        self._blocks, self._channels = whole.blocks, whole.channels
        self._counted, self._own = whole.counted, whole.own
        self._numbers = _order(self._blocks, [name for part in parts for name in part.blocks])
        self._sent = _order(self._channels, [channel for part in parts for channel in part.sent])
        self._received = _order(self._channels, [channel for part in parts for channel in part.received])

    def joined(self, shares: Sequence[Share]) -> Reports:
        """Return the reports of all blocks.

        Parameters
        ----------
        shares
            Reports of each process, in the order of `homes`.
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
    """Return the counts of each channel, by the channel's name.

    Counts of the sender: ``messages``, ``values`` (numbers in them), ``quantised`` (numbers that were quantised), and
    ``suppressed`` (numbers that send-on-delta held back). Counts of the receiver, in virtual time up to the stop tick:
    ``delayed`` (arrived later than at the next tick), ``dropped`` (lost before arrival), ``duplicated`` (arrived a
    second time) and ``stale`` (arrived when a newer one was held).

    Parameters
    ----------
    channels
        Channels of the rows.
    counts
        Shape (channels, columns).
    columns
        Names of the columns: `COUNTED`, and the counters of users' own imperfections, at the receiver.
    """
    return {
        f"{source}>{target} {kind}": dict(zip(columns, row, strict=True))
        for (source, target, kind), row in zip(channels, counts.tolist(), strict=True)
    }


def _order(wanted: Sequence[object], given: Sequence[object]) -> NDArray[np.intp]:
    row_of = {key: row for row, key in enumerate(given)}
    return np.array([row_of[key] for key in wanted], dtype=np.intp)


def numbers_of(report: BlockReport) -> list[float]:
    """Return the numbers of one block, in the order of `NUMBERS`, followed by users' own metrics."""
    plain = [getattr(report, name) for name in _PLAIN]
    found = (*plain, *(report.agreement or (None, None, None)), *report.own)
    return [math.nan if value is None else value for value in found]


def _value(name: str, value: float) -> float | int | None:
    if name in _PERHAPS and math.isnan(value):
        return None
    return int(value) if name in _WHOLE else value
