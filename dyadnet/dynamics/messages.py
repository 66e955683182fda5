"""Messages between blocks: their kinds, and the addresses of channels.

A `state` message carries (m, d) of its sender to the blocks above. A `feedback` message carries (κθᵀm, θᵀd) to the
blocks below. Blocks do not send streams that are zero because of κ, nor differences before a nudge has reached them.
"""

from __future__ import annotations

from typing import Literal

from dyadnet.errors import DyadnetError

Kind = Literal["state", "feedback"]
KINDS: tuple[Kind, ...] = ("state", "feedback")
Address = tuple[str, str, Kind]
"""(source, target, kind) of a channel."""


class MessageError(DyadnetError):
    """A message that does not match the known topology. It is counted and dropped."""
