"""Metrics of a block that are measured after each relaxation: a table of the built-in ones, and users' own.

The columns of reports, the record, the Prometheus metrics, the live page, the report and ``docs/metrics.md`` all
derive from this table. Compiled code computes the built-in metrics. A user's metric is a Python function; every engine
calls it with the same arrays.
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
from dyadnet.numerics.sums import added
from dyadnet.registry import Registry

Array = NDArray[Any]

Reduction = Literal["sum", "mean", "max", "last"]
"""How the values of lanes and relaxations are combined to one: see `BlockMetric`."""


@dataclass(frozen=True, slots=True)
class BlockState:
    """State of a block in one lane after a relaxation. Arrays are copies.

    Attributes
    ----------
    block
        Name of the block.
    rows
        Number of samples in the lane.
    A, D
        Mean and half difference of the pre-activations, shape (rows, n). D is 0 before a nudge has reached the block.
    m, d
        Mean and half difference of the activities, as used for read-out and learning, shape (rows, n).
    """

    block: str
    rows: int
    A: Array
    D: Array
    m: Array
    d: Array


@dataclass(frozen=True, slots=True)
class BlockMetric:
    """A user's metric: one number per block and relaxation.

    Attributes
    ----------
    name
        Name in the record. The Prometheus metric is called ``dyadnet_block_<name>``.
    unit
        Unit of the value.
    reduction
        ``sum`` over lanes and relaxations; ``mean`` over all samples; ``max``: the largest; ``last``: the mean over
        the samples of the latest relaxation only.
    function
        Returns the value of one lane. It is called in Python once per relaxation, block and lane.
    meaning
        Description in one sentence.
    """

    name: str
    unit: str
    reduction: Reduction
    function: Callable[[BlockState], float]
    meaning: str

    def of(self, states: Sequence[BlockState]) -> float:
        """Return a block's value for a relaxation, from its lanes in order.

        For a ``mean`` it returns the sum over samples; the code that adds up relaxations divides it at the end.

        Raises
        ------
        MetricError
            If the function raises, or does not return a number.
        """
        found = [self._called(state) for state in states]
        if self.reduction == "max":
            return float(np.fmax.reduce(found))
        if self.reduction == "sum":
            return added(found)
        weighted = added(value * state.rows for value, state in zip(found, states, strict=True))
        return weighted if self.reduction == "mean" else weighted / sum(state.rows for state in states)

    def _called(self, state: BlockState) -> float:
        where = f"block metric {self.name}, of block {state.block}"
        try:
            found = self.function(state)
        except Exception as problem:  # A user's function can raise anything.
            why = " ".join(str(problem).split())[:300]
            raise MetricError(f"{where}: {type(problem).__name__}: {why}") from problem
        try:
            return float(found)
        except (TypeError, ValueError):
            raise MetricError(f"{where}: it gave {type(found).__name__}, not a number") from None


@dataclass(frozen=True, slots=True)
class Column:
    """A built-in metric of a block.

    Attributes
    ----------
    name
        Name of the column in reports.
    over
        How the values of relaxations, and of blocks that are shown together, are combined: ``sum``; ``mean`` and
        ``root mean`` (of squares) over neurons and samples; ``max``; ``norm``: root of the sum of squares at the
        latest measured update. None: the value is not shown by block.
    whole
        Whether the value is a count.
    perhaps
        Whether some blocks lack the value.
    recorded
        Name in the record; empty: not recorded.
    shown
        Name on the live page; empty: not shown.
    metric
        Name in Prometheus, without the prefix; empty: not exported.
    unit, meaning
        Unit and meaning of the shown value.
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
"""All built-in metrics of a block, in the order of the columns of reports."""


def _recorded() -> tuple[Column, ...]:
    """Return the recorded columns: means first, then maxima, then counts."""
    order = ("mean", "root mean", "max", "sum")
    kept = [column for column in COLUMNS if column.recorded]
    return tuple(sorted(kept, key=lambda column: order.index(str(column.over))))


RECORDED = _recorded()
"""Columns that the record contains for each block, in order."""
SHOWN = tuple(column for column in COLUMNS if column.shown)
"""Columns that the live page shows for each block."""


def of_blocks(column: Column, values: Sequence[float | None], cells: int) -> float | None:
    """Combine the values of several blocks that are shown as one.

    Parameters
    ----------
    values
        Reported value of each block; None where a block has none.
    cells
        Neurons times samples, summed over all of these blocks.
    """
    known = [value for value in values if value is not None]
    if not known:
        return None
    if column.over == "max":
        return max(known)
    if column.over == "norm":
        return math.sqrt(added(value * value for value in known))
    return reduced(column, added(known), cells)


def own_of_blocks(metric: BlockMetric, values: Sequence[float], samples: int, neurons: Sequence[int]) -> float:
    """Combine the values of several blocks that are shown as one. Means are weighted by neurons.

    Parameters
    ----------
    values
        Value of each block, as returned by `BlockMetric.of`.
    samples
        Number of samples in the relaxation.
    neurons
        Number of neurons of each block.
    """
    if metric.reduction == "sum":
        return added(values)
    if metric.reduction == "max":
        return float(np.fmax.reduce(values))
    if metric.reduction == "mean":
        values = [value / samples for value in values]
    if len(values) == 1:
        return values[0]
    return added(value * size for value, size in zip(values, neurons, strict=True)) / sum(neurons)


def reduced(column: Column, total: float, cells: float) -> float:
    """Convert a sum over relaxations to the value in the record; see `Column`."""
    if column.over == "mean":
        return total / cells
    if column.over == "root mean":
        return math.sqrt(total / cells)
    return int(total) if column.whole else total


def _problem(name: str, thing: object) -> str | None:
    """Return what is wrong with a metric that is to be registered, or None."""
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
"""All metrics of a block by name. A user's metric is a `BlockMetric`."""


def own() -> tuple[BlockMetric, ...]:
    """Return the metrics that this process or an installed package has registered, in order of registration."""
    _find_installed()
    return tuple(metric for metric in BLOCK_METRICS.added.values() if isinstance(metric, BlockMetric))


@cache
def _find_installed() -> None:
    for name in BLOCK_METRICS:
        BLOCK_METRICS[name]
