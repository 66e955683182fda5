"""What two blocks say to each other: the kinds of messages, and the addresses of channels.

A `state` message carries (m, d) of the block that sends it to the blocks above; a `feedback` message carries
(κθᵀm, θᵀd) to the blocks below. Streams that κ makes zero, and differences before a nudge has reached a block, are
not sent.
"""

from __future__ import annotations

from typing import Literal

from dyadnet.errors import DyadnetError

Kind = Literal["state", "feedback"]
KINDS: tuple[Kind, ...] = ("state", "feedback")
Address = tuple[str, str, Kind]
"""(source, target, kind) of a channel."""


class MessageError(DyadnetError):
    """A message that does not fit the known topology; it is counted and dropped."""
