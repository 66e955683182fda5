"""One message as an object, where the program has a place in an array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from dyadnet.dynamics.messages import Kind


@dataclass(frozen=True, slots=True)
class Message:
    """One message on one channel.

    Attributes
    ----------
    source, target, kind
        Its channel.
    tick, sequence
        When it was sent in virtual time, and the how-manieth firing of the source in this relaxation that was.
        Tick 0 is the initial state, delivered at once and not counted.
    relaxation, phase, lane
        Which settling it belongs to.
    payload
        Shape (streams, batch, n), C-contiguous: the mean stream first, if present, then the difference stream.
        Never written again once it is sent.
    mean, difference
        Which streams it carries.
    mean_since, difference_since
        Sequence number since which that stream has had these very bits; a receiver need not multiply it again.
    """

    source: str
    target: str
    kind: Kind
    tick: int
    sequence: int
    relaxation: int
    phase: int
    lane: int
    payload: NDArray[Any]
    mean: bool
    difference: bool
    mean_since: int
    difference_since: int

    @property
    def means(self) -> NDArray[Any]:
        """The mean stream, shape (batch, n)."""
        view: NDArray[Any] = self.payload[0]
        return view

    @property
    def differences(self) -> NDArray[Any]:
        """The difference stream, shape (batch, n)."""
        view: NDArray[Any] = self.payload[1 if self.mean else 0]
        return view
