"""A look at one block's neurons in one lane, for whoever analyses, predicts or keeps checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from dyadnet.learning.block import Block
from dyadnet.program import tables as c
from dyadnet.program.arena import Arena
from dyadnet.program.lane import Lane

Array = NDArray[Any]


class Lanes(Protocol):
    """What a look is taken at; `dyadnet.engines.group.Group` is one."""

    @property
    def arena(self) -> Arena:
        """Where everything lies."""

    def lane(self, index: int) -> Lane:
        """One lane."""

    def hold_rows(self, index: int, rows: int) -> None:
        """Have so many samples in a lane."""


@dataclass
class BlockLane:
    """A look at one block's neurons in one lane; arrays are copies, and stay good."""

    lanes: Lanes
    block: Block
    index: int

    @property
    def _lane(self) -> Lane:
        return self.lanes.lane(self.index)

    @property
    def _number(self) -> int:
        return self.lanes.arena.index[self.block.name]

    @property
    def A(self) -> Array:  # noqa: N802
        """Mean of the pre-activations, shape (rows, n)."""
        return self._lane.array(self._number, c.B_A).copy()

    @A.setter
    def A(self, values: Array) -> None:  # noqa: N802
        self.lanes.hold_rows(self.index, len(values))
        self._lane.array(self._number, c.B_A)[...] = values

    @property
    def D(self) -> Array:  # noqa: N802
        """Half difference of the pre-activations, shape (rows, n)."""
        return self._lane.array(self._number, c.B_D).copy()

    @property
    def state(self) -> Array:
        """(m, d), or (m,) before a nudge has been heard of: shape (1 or 2, rows, n)."""
        return self._lane.streams(self._number).copy()

    @property
    def readout(self) -> Array:
        """(m, d) that is read out and learned from: shape (2, rows, n)."""
        return self._lane.readout(self._number).copy()

    @property
    def targets(self) -> Array | None:
        """y of the output block, shape (rows, classes)."""
        return self._lane.targets if self.block.is_output else None

    @property
    def continues(self) -> bool:
        """Whether a relaxation begins at the A that the one before left."""
        return self._lane.continues

    @property
    def tick(self) -> int:
        """At which it has stopped."""
        return self._lane.tick
