"""Repeat a recorded relaxation in real time on a lane: messages arrive, and blocks update, as the trace says."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.program import calls
from dyadnet.program import tables as c
from dyadnet.program.lane import Lane

Array = NDArray[Any]
Letter = tuple[Array, Array]
"""A message: its metadata, and its numbers."""


class Repetition:
    """A relaxation in real time that is repeated on a lane.

    Parameters
    ----------
    lane
        The lane, which has begun the relaxation.
    """

    def __init__(self, lane: Lane) -> None:
        self.lane = lane

    def outgoing(self, number: int) -> list[int]:
        """Return the channels that begin at a block."""
        return np.flatnonzero(self.lane.tables.channels[:, c.C_SOURCE] == number).tolist()

    def letter(self, channel: int) -> Letter:
        """Return a copy of the newest message of a channel."""
        lane = self.lane
        row = lane.tables.channels[channel]
        block = lane.tables.blocks[row[c.C_SOURCE]]
        slot = int(lane.state.blocks[row[c.C_SOURCE], c.S_COUNT]) & (int(block[c.B_DEPTH]) - 1)
        at = int(row[c.C_RING]) + slot * int(row[c.C_SLOT])
        return lane.state.meta[int(block[c.B_META]) + slot].copy(), lane.memory.X[at : at + int(row[c.C_SLOT])].copy()

    def put(self, channel: int, place: int, number: int, stamp: int, letter: Letter) -> None:
        """Put a message of a channel under way."""
        meta, numbers = letter
        scratch = int(self.lane.state.reg[c.REG_SCRATCH])
        self.lane.memory.X[scratch : scratch + len(numbers)] = numbers
        marks = bool(meta[c.M_DYADIC]), int(meta[c.M_MEAN_SINCE]), int(meta[c.M_DIFFERENCE_SINCE])
        calls.place_of(*self.lane.views, channel, place, scratch, number, *marks, stamp)

    def arrive(self, channel: int, place: int, copy: int, phase: int) -> None:
        """Hold the message at a place of those under way, or its duplicate."""
        calls.deliver(*self.lane.views, channel, place, copy, phase)

    def hear_own(self, channel: int, number: int) -> None:
        """Hold the newest message of a block of the same process."""
        if number > 0:
            letter = self.letter(channel)
            self.put(channel, 0, number, int(letter[0][c.M_STAMP]), letter)
            self.arrive(channel, 0, 0, int(self.lane.state.reg[c.REG_PHASE]))

    def update(self, blocks: Array, number: int) -> None:
        """Make one update of some blocks, with the times in the registers."""
        calls.begin_repeat(*self.lane.views, blocks, number)
        self.lane.run(number)
