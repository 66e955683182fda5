"""What is measured of a block once a relaxation is over: one table of what is built in, and one's own beside it.

Columns of reports, the record, Prometheus' metrics, the live page, the report and ``docs/metrics.md`` follow from it.
A number that is built in is computed by compiled code; one's own is a function, which every engine calls with the same
arrays.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from dyadnet.errors import MetricError
from dyadnet.registry import Registry

Array = NDArray[Any]

Reduction = Literal["sum", "mean", "max", "last"]
"""How numbers of lanes and of relaxations become one: see `BlockMetric`."""


@dataclass(frozen=True, slots=True)
class BlockState:
    """What a block knows in one lane once a relaxation is over; arrays are copies.

    Attributes
    ----------
    block
        Its name.
    rows
        Samples of the lane.
    A, D
        Mean and half difference of the pre-activations, shape (rows, n); D is 0 before a nudge has been heard of.
    m, d
        Mean and half difference of the activities that are read out and learned from, shape (rows, n).
    """

    block: str
    rows: int
    A: Array
    D: Array
    m: Array
    d: Array


@dataclass(frozen=True, slots=True)
class BlockMetric:
    """A number of each block and relaxation, declared once.

    Attributes
    ----------
    name
        As the record writes it; Prometheus' metric is ``dyadnet_block_<name>``.
    unit
        What a value counts or measures.
    reduction
        ``sum`` over lanes and relaxations; ``mean`` over all samples; ``max``: the largest; ``last``: of the latest
        relaxation alone, the mean over its samples.
    function
        Gives the number of one lane; called once a relaxation, block and lane, in Python.
    meaning
        One sentence.
    """

    name: str
    unit: str
    reduction: Reduction
    function: Callable[[BlockState], float]
    meaning: str

    def of(self, states: Sequence[BlockState]) -> float:
        """What a block reports of a relaxation: over its lanes, in their order.

        Of a mean it is the sum over samples, which whoever adds up relaxations divides at the end.

        Raises
        ------
        MetricError
            If the function raises, or gives no number.
        """
        found = [self._called(state) for state in states]
        if self.reduction == "max":
            return float(np.fmax.reduce(found))
        if self.reduction == "sum":
            return sum(found)
        weighted = sum(value * state.rows for value, state in zip(found, states, strict=True))
        return weighted if self.reduction == "mean" else weighted / sum(state.rows for state in states)

    def _called(self, state: BlockState) -> float:
        where = f"block metric {self.name}, of block {state.block}"
        try:
            found = self.function(state)
        except Exception as problem:  # Whatever somebody else's function does.
            why = " ".join(str(problem).split())[:300]
            raise MetricError(f"{where}: {type(problem).__name__}: {why}") from problem
        try:
            return float(found)
        except (TypeError, ValueError):
            raise MetricError(f"{where}: it gave {type(found).__name__}, not a number") from None


@dataclass(frozen=True, slots=True)
class Column:
    """A number of a block that is built in.

    Attributes
    ----------
    name
        Of the column in reports.
    over
        How relaxations become one, and blocks that are shown together: ``sum``; ``mean`` and ``root mean`` (of
        squares) over neurons and samples; ``max``; ``norm``: of the latest update that was measured, the root of the
        sum of squares. None: it is not shown by block.
    whole
        Whether it is a count.
    perhaps
        Whether not every block has it.
    recorded
        As the record writes it; empty: not at all.
    shown
        As the live page calls it; empty: not at all.
    metric
        As Prometheus calls it, without the prefix; empty: not at all.
    unit, meaning
        Of the value that is shown.
    """

    name: str
    over: Literal["sum", "mean", "root mean", "max", "norm"] | None = None
    whole: bool = False
    perhaps: bool = False
    recorded: str = ""
    shown: str = ""
    metric: str = ""
    unit: str = ""
    meaning: str = ""


COLUMNS = (
    Column("samples", whole=True),
    Column("neurons", whole=True),
    Column(
        "residual_mean",
        "max",
        recorded="residual_mean",
        shown="residual",
        metric="residual",
        unit="pre-activation",
        meaning="Largest |A*−A| at the last firing of the latest training relaxation.",
    ),
    Column(
        "residual_difference",
        "max",
        recorded="residual_difference",
        shown="residual_difference",
        metric="residual_difference_ratio",
        unit="ratio",
        meaning="Largest |D*−D| at the last firing, relative to the largest |D|.",
    ),
    Column(
        "saturated",
        "mean",
        recorded="saturated",
        shown="saturated",
        metric="saturated_ratio",
        unit="ratio",
        meaning="Fraction of compartments at either bound.",
    ),
    Column(
        "mean_square",
        "root mean",
        recorded="mean_norm",
        shown="mean_norm",
        metric="mean_norm",
        unit="1",
        meaning="Root mean square of the means m, over neurons and samples.",
    ),
    Column(
        "difference_square",
        "root mean",
        recorded="difference_norm",
        shown="difference_norm",
        metric="difference_norm",
        unit="1",
        meaning="Root mean square of the differences d, over neurons and samples.",
    ),
    Column(
        "updates",
        "sum",
        whole=True,
        recorded="updates",
        metric="updates_total",
        unit="firings",
        meaning="Firings of a block, in all relaxations.",
    ),
    Column("messages", "sum", whole=True, recorded="messages"),
    Column("values", "sum", whole=True, recorded="values"),
    Column("stale", "sum", whole=True, recorded="stale"),
    Column("loss", perhaps=True),
    Column("correct", whole=True, perhaps=True),
    Column("squared", perhaps=True),
    Column("absolute", perhaps=True),
    Column("psnr", perhaps=True),
    Column("ssim", perhaps=True),
    Column(
        "age",
        "max",
        whole=True,
        shown="age",
        metric="message_age_ticks",
        unit="ticks",
        meaning="Age of the oldest message that a block held when the latest training relaxation ended; "
        "virtual time only.",
    ),
    Column(
        "weight_norm",
        "norm",
        perhaps=True,
        shown="weight_norm",
        metric="weight_norm",
        unit="1",
        meaning="Frobenius norm of all synapses of a block, at the latest update that was measured (metrics.norms).",
    ),
    Column(
        "update_norm",
        "norm",
        perhaps=True,
        shown="update_norm",
        metric="update_norm",
        unit="1",
        meaning="Norm of the change that this update made to them.",
    ),
    Column("agreement_product"),
    Column("agreement_own"),
    Column("agreement_exact"),
)
"""Every number of a block that is built in, in the order of the columns of reports."""


def _recorded() -> tuple[Column, ...]:
    """Shares and sizes first, then what is largest, then counts."""
    order = ("mean", "root mean", "max", "sum")
    kept = [column for column in COLUMNS if column.recorded]
    return tuple(sorted(kept, key=lambda column: order.index(str(column.over))))


RECORDED = _recorded()
"""Those that the record has of each block, in its order."""
SHOWN = tuple(column for column in COLUMNS if column.shown)
"""Those that the live page shows of each block."""


def of_blocks(column: Column, values: Sequence[float | None], cells: int) -> float | None:
    """One number for several blocks that are shown as one.

    Parameters
    ----------
    values
        Of each block, as it is reported; None where a block has none.
    cells
        Neurons times samples, of all of them.
    """
    known = [value for value in values if value is not None]
    if not known:
        return None
    if column.over == "max":
        return max(known)
    if column.over == "norm":
        return math.sqrt(sum(value * value for value in known))
    return reduced(column, sum(known), cells)


def own_of_blocks(metric: BlockMetric, values: Sequence[float], samples: int, neurons: Sequence[int]) -> float:
    """One number for several blocks that are shown as one; means are weighted by neurons.

    Parameters
    ----------
    values
        Of each block, as `BlockMetric.of` gives it.
    samples
        Of the relaxation.
    neurons
        Of each block.
    """
    if metric.reduction == "sum":
        return sum(values)
    if metric.reduction == "max":
        return float(np.fmax.reduce(values))
    if metric.reduction == "mean":
        values = [value / samples for value in values]
    if len(values) == 1:
        return values[0]
    return sum(value * size for value, size in zip(values, neurons, strict=True)) / sum(neurons)


def reduced(column: Column, total: float, cells: float) -> float:
    """What the record has of a sum over relaxations; see `Column`."""
    if column.over == "mean":
        return total / cells
    if column.over == "root mean":
        return math.sqrt(total / cells)
    return int(total) if column.whole else total


def _problem(name: str, thing: object) -> str | None:
    """What is wrong with a metric that is to be added."""
    if not isinstance(thing, BlockMetric):
        return "it has to be a BlockMetric of dyadnet.dynamics.block_metrics"
    if thing.name != name:
        return f"its name is {thing.name!r}; it has to be the one that it is registered by"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        return "its name is made of small letters, digits and _, and begins with a letter"
    if thing.reduction not in get_args(Reduction):
        return f"its reduction is {thing.reduction!r}; one of {', '.join(get_args(Reduction))}"
    if not callable(thing.function):
        return f"its function is {thing.function!r}, which cannot be called"
    if not all(isinstance(text, str) and text for text in (thing.unit, thing.meaning)):
        return "it needs a unit, such as '1' or 'ratio', and a meaning of one sentence"
    return None


_TAKEN = {word: column for column in COLUMNS for word in (column.name, column.recorded, column.shown) if word}
BLOCK_METRICS: Registry[BlockMetric | Column] = Registry("block metric", _TAKEN, _problem)
"""Every metric of a block by its name; one's own is a `BlockMetric`."""


def own() -> tuple[BlockMetric, ...]:
    """What was added in this process or by an installed package, in the order in which it came."""
    _find_installed()
    return tuple(metric for metric in BLOCK_METRICS.added.values() if isinstance(metric, BlockMetric))


@cache
def _find_installed() -> None:
    for name in BLOCK_METRICS:
        BLOCK_METRICS[name]
