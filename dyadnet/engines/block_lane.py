"""Access to one block's neurons in one lane, for analyses, predictions and checkpoints."""

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
    """The lanes of a process; implemented by `dyadnet.engines.group.Group`."""

    @property
    def arena(self) -> Arena:
        """The memory layout of the lanes."""

    def lane(self, index: int) -> Lane:
        """Return one lane."""

    def hold_rows(self, index: int, rows: int) -> None:
        """Set the number of samples in a lane."""


@dataclass
class BlockLane:
    """One block's neurons in one lane. Arrays are copies, so they stay valid."""

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
        """(m, d), or (m,) before a nudge has had an effect: shape (1 or 2, rows, n)."""
        return self._lane.streams(self._number).copy()

    @property
    def readout(self) -> Array:
        """(m, d) as used for outputs and learning: shape (2, rows, n)."""
        return self._lane.readout(self._number).copy()

    @property
    def targets(self) -> Array | None:
        """y of the output block, shape (rows, classes); None for other blocks."""
        return self._lane.targets if self.block.is_output else None

    @property
    def continues(self) -> bool:
        """Whether a relaxation starts from the final A of the previous one."""
        return self._lane.continues

    @property
    def tick(self) -> int:
        """Tick at which the lane has stopped."""
        return self._lane.tick
