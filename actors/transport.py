"""The seam between hosts and whatever carries their letters.

A host hands a `Transport` messages for another host, and reports for the coordinator. Blocks of one host talk in
memory and need none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from actors.inbox import Envelope
from dyadnet.messages import Message, encode

if TYPE_CHECKING:
    from actors.judges import LockstepJudge


@dataclass(frozen=True, slots=True)
class Report:
    """What a host tells the coordinator at a check of one lane.

    Attributes
    ----------
    content
        Plain values: for a relaxation, the fields of each block's `dyadnet.relaxation.Progress`; for a power
        iteration, squares by block.
    """

    round: int
    lane: int
    check: int
    host: int
    content: Any


class Transport(Protocol):
    """Carries what a host sends."""

    def send(self, host: int, envelope: Envelope) -> int:
        """Take messages to another host; returns the bytes that left."""

    def report(self, report: Report) -> None:
        """Tell the coordinator."""

    def flush(self) -> None:
        """All that belongs to a firing has been reported and sent."""

    def convene(self, judge: LockstepJudge | None) -> None:
        """A relaxation begins, whose reports may be judged where all of them are heard; None: something else does."""

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """An array of no particular content, from where it can be sent without a copy."""


def packed(messages: Sequence[Message]) -> list[Any]:
    """Headers and numbers in turn, as they go over a wire; numbers stay in the payloads' own memory."""
    parts: list[Any] = []
    for message in messages:
        parts += encode(message)
    return parts
