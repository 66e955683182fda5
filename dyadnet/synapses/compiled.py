"""Projection kinds with compiled products: one array of parameters, and a plan of the neurons that it joins."""

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
"""Which neurons a part of a projection joins; see `dyadnet.numerics.plans`."""
EVERYTHING = slice(None)


class CompiledKind(ProjectionKind):
    """A kind with at most one array of parameters. Its products are functions of `dyadnet.numerics.connections`."""

    @abstractmethod
    def shape(self, ends: Ends) -> tuple[int, ...]:
        """Return the shape of its array of parameters; (0,) if it has none."""

    def shapes(self, ends: Ends) -> Shapes:
        """Return the shape of its array by the empty name, or nothing if the array is empty."""
        shape = self.shape(ends)
        return {"": shape} if math.prod(shape) else {}

    @abstractmethod
    def fan_in(self, ends: Ends) -> float:
        """Return the mean number of synapses per postsynaptic neuron."""

    @abstractmethod
    def part(self, ends: Ends, post: slice, pre: slice) -> Any:
        """Return an index into the whole projection's array that selects the parameters between given neurons.

        Parameters
        ----------
        post, pre
            Slices of neurons, from start to stop.
        """

    @abstractmethod
    def plan(self, ends: Ends, post: slice, pre: slice) -> Plan | None:
        """Return which neurons these parameters join, numbered within the slices; None if they are dense."""

    def joins(self, ends: Ends, post: slice, pre: slice) -> bool:
        """Whether there is any synapse between the given neurons."""
        return True

    def undivided(self, post_blocks: int, pre_blocks: int) -> str | None:
        """Return why it cannot join populations with so many blocks, as text for an error; None if it can."""
        return None

    def initial(self, ends: Ends, gain: float, draws: np.random.Generator) -> dict[str, Array]:
        """Return the initial parameters, normal with standard deviation gain/√`fan_in`."""
        scale = gain / np.sqrt(self.fan_in(ends))
        return {name: scale * draws.standard_normal(shape) for name, shape in self.shapes(ends).items()}

    # Python versions, for analyses and for back-propagation

    def prepared(self, parameters: Arrays, ends: Ends) -> Any:
        """Return the plan, the flattened parameters, and their shapes."""
        plan = whole_plan(self, ends)
        weights = next(iter(parameters.values()), np.zeros(0))
        return plan, np.ascontiguousarray(weights).reshape(-1), dict(self.shapes(ends))

    def forward(self, p: Any, x: Array) -> Array:
        """Return θx for each row. Max pooling selects the largest number of each window."""
        plan, weights, _ = p
        weights, x = weights.astype(x.dtype), np.ascontiguousarray(x)
        y, switches, room = _arrays(plan, x.dtype, len(x), plans.N_POST)
        flat = x.reshape(-1)
        connections.forward(plan, 0, flat, 0, len(x), len(x), len(x), weights, 0, y.reshape(-1), 0, switches, 0, room)
        return y

    def backward(self, p: Any, d: Array, of: Array | None = None) -> Array:
        """Return θᵀd for each row.

        Parameters
        ----------
        of
            For max pooling: the presynaptic numbers that are pooled, shape (rows, n_pre). They determine the maximum of
            each window. Default: the first number of each window counts as its maximum.
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
        """Return the gradient of Σ post·θ pre with respect to the parameters. `pre` determines window maxima."""
        plan, weights, shapes = p
        rows, post, pre = len(pre), np.ascontiguousarray(post), np.ascontiguousarray(pre)
        gradient = np.zeros(int(plan[plans.N_SIZE]), dtype=pre.dtype)
        _, switches, room = _arrays(plan, pre.dtype, rows, plans.N_POST)
        self._choose(plan, weights, pre, switches, room)
        sides = post.reshape(-1), 0, rows, rows, pre.reshape(-1), 0
        connections.contrast(plan, 0, *sides, gradient, 0, switches, 0, room, True)
        return {name: gradient.reshape(shape) for name, shape in shapes.items()}

    def _choose(self, plan: Plan, weights: Array, x: Array, switches: Array, room: Array) -> None:
        """Let `x` determine the largest number of each window, if the kind is max pooling."""
        if connections.has_switches(plan, 0):
            rows, unused = len(x), np.empty_like(switches)
            how = plan, 0, x.reshape(-1), 0, rows, rows, rows, weights.astype(x.dtype), 0
            connections.forward(*how, unused, 0, switches, 0, room)


def _arrays(plan: Plan, dtype: np.dtype[Any], rows: int, column: int) -> tuple[Array, Array, Array]:
    """Allocate the result, the switches (each at the first place of its window), and the workspace."""
    switches = np.zeros(rows * int(plan[plans.N_POST]), dtype=dtype)
    room = np.empty(int(plan[plans.N_ROOM]), dtype=dtype)
    return np.empty((rows, int(plan[column])), dtype=dtype), switches, room


@lru_cache(maxsize=64)
def whole_plan(kind: CompiledKind, ends: Ends) -> Plan | None:
    """Return the plan of a whole projection."""
    return kind.plan(ends, slice(0, ends.n_post), slice(0, ends.n_pre))
