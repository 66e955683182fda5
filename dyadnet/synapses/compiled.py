"""Kinds of projections whose products are compiled: one array of parameters, and a plan of what it joins."""

from __future__ import annotations

import math
from abc import abstractmethod
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.numerics import connections, plans
from dyadnet.synapses.base import Array, Arrays, Ends, ProjectionKind, Shapes

Plan = NDArray[np.int64]
"""Of what a part of a projection joins; see `dyadnet.numerics.plans`."""
EVERYTHING = slice(None)


class CompiledKind(ProjectionKind):
    """A kind with at most one array of parameters, whose products are functions of `dyadnet.numerics.connections`."""

    @abstractmethod
    def shape(self, ends: Ends) -> tuple[int, ...]:
        """Shape of its array of parameters; (0,) if it has none."""

    def shapes(self, ends: Ends) -> Shapes:
        """The array has the projection's own name."""
        shape = self.shape(ends)
        return {"": shape} if math.prod(shape) else {}

    @abstractmethod
    def fan_in(self, ends: Ends) -> float:
        """Synapses of a postsynaptic neuron, on average."""

    @abstractmethod
    def part(self, ends: Ends, post: slice, pre: slice) -> Any:
        """Which parameters join some neurons to some, as an index of the array of the whole projection.

        Parameters
        ----------
        post, pre
            Neurons, from start to stop.
        """

    @abstractmethod
    def plan(self, ends: Ends, post: slice, pre: slice) -> Plan | None:
        """What these parameters join, by the numbers that neurons have in these slices; None if they are dense."""

    def joins(self, ends: Ends, post: slice, pre: slice) -> bool:
        """Whether there is any synapse between some neurons and some."""
        return True

    def undivided(self, post_blocks: int, pre_blocks: int) -> str | None:
        """What it takes of populations that are split into so many blocks, as an error says it; None if any."""
        return None

    def initial(self, ends: Ends, gain: float, draws: np.random.Generator) -> dict[str, Array]:
        """Parameters before learning; normal with standard deviation gain/√`fan_in`."""
        scale = gain / np.sqrt(self.fan_in(ends))
        return {name: scale * draws.standard_normal(shape) for name, shape in self.shapes(ends).items()}

    # In Python, for analyses and for back-propagation

    def prepared(self, parameters: Arrays, ends: Ends) -> Any:
        """The plan, and the parameters as one row."""
        plan = whole_plan(self, ends)
        weights = next(iter(parameters.values()), np.zeros(0))
        return plan, np.ascontiguousarray(weights).reshape(-1), dict(self.shapes(ends))

    def forward(self, p: Any, x: Array) -> Array:
        """θx of each row; the largest number of each window where it pools by that."""
        plan, weights, _ = p
        weights, x = weights.astype(x.dtype), np.ascontiguousarray(x)
        y, switches, room = _arrays(plan, x.dtype, len(x), plans.N_POST)
        flat = x.reshape(-1)
        connections.forward(plan, 0, flat, 0, len(x), len(x), len(x), weights, 0, y.reshape(-1), 0, switches, 0, room)
        return y

    def backward(self, p: Any, d: Array, of: Array | None = None) -> Array:
        """θᵀd of each row.

        Parameters
        ----------
        of
            The presynaptic numbers that windows are pooled of, shape (rows, n_pre); the first of each window stands
            for its largest unless given.
        """
        plan, weights, _ = p
        weights, d = weights.astype(d.dtype), np.ascontiguousarray(d)
        y, switches, room = _arrays(plan, d.dtype, len(d), plans.N_PRE)
        if of is not None:
            self._choose(plan, weights, np.ascontiguousarray(of, dtype=d.dtype), switches, room)
        flat = d.reshape(-1), y.reshape(-1)
        connections.backward(plan, 0, flat[0], 0, len(d), len(d), weights, 0, flat[1], 0, switches, 0, room)
        return y

    def contrast(self, p: Any, post: Array, pre: Array) -> dict[str, Array]:
        """The gradient of Σ post·θ pre with respect to the parameters; windows are pooled as those of `pre` say."""
        plan, weights, shapes = p
        rows, post, pre = len(pre), np.ascontiguousarray(post), np.ascontiguousarray(pre)
        gradient = np.zeros(int(plan[plans.N_SIZE]), dtype=pre.dtype)
        _, switches, room = _arrays(plan, pre.dtype, rows, plans.N_POST)
        self._choose(plan, weights, pre, switches, room)
        sides = post.reshape(-1), 0, rows, rows, pre.reshape(-1), 0
        connections.contrast(plan, 0, *sides, gradient, 0, switches, 0, room, True)
        return {name: gradient.reshape(shape) for name, shape in shapes.items()}

    def _choose(self, plan: Plan, weights: Array, x: Array, switches: Array, room: Array) -> None:
        """Let some rows choose the largest number of each window, where θ pools by that."""
        if connections.has_switches(plan, 0):
            rows, unused = len(x), np.empty_like(switches)
            how = plan, 0, x.reshape(-1), 0, rows, rows, rows, weights.astype(x.dtype), 0
            connections.forward(*how, unused, 0, switches, 0, room)


def _arrays(plan: Plan, dtype: np.dtype[Any], rows: int, column: int) -> tuple[Array, Array, Array]:
    """A result, switches that stand at the first place of each window, and room."""
    switches = np.zeros(rows * int(plan[plans.N_POST]), dtype=dtype)
    room = np.empty(int(plan[plans.N_ROOM]), dtype=dtype)
    return np.empty((rows, int(plan[column])), dtype=dtype), switches, room


@lru_cache(maxsize=64)
def whole_plan(kind: CompiledKind, ends: Ends) -> Plan | None:
    """The plan of a whole projection."""
    return kind.plan(ends, slice(0, ends.n_post), slice(0, ends.n_pre))
