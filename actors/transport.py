"""The seam between hosts and whatever carries their letters.

A host hands a `Transport` messages for another host, and reports for the coordinator. Blocks of one host talk in
memory and need none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from actors.inbox import Envelope
from dyadnet.messages import Message, encode


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


def packed(messages: Sequence[Message]) -> list[Any]:
    """Headers and buffers in turn, as they go over a wire; buffers stay the payloads' own memory."""
    parts: list[Any] = []
    for message in messages:
        header, buffer = encode(message)
        parts += (header, np.frombuffer(buffer, dtype=np.uint8))
    return parts
