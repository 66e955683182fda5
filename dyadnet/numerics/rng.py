"""Random draws that depend on their purpose, never on the order of drawing.

Every draw comes from Philox, a counter-based generator. Its key is (seed, purpose, entity, kind). Of its four
counter words the first belongs to the draws themselves (NumPy increments it). The others hold the tick, the phase
and lane, and the number of the relaxation. Two processes that know these numbers draw the same values without
communication: a block knows when its neighbours fire and when their messages arrive.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np


class Stream:
    """All draws for one purpose at one block or channel.

    Parameters
    ----------
    seed
        The run's seed.
    purpose
        What is drawn, such as ``"delay"``, ``"clock"`` or ``"weights"``.
    entity
        The block or channel.
    kind
        Distinguishes the two message kinds of a channel; empty elsewhere.
    """

    def __init__(self, seed: int, purpose: str, entity: str = "", kind: str = "") -> None:
        name = "\0".join((str(seed), purpose, entity, kind)).encode()
        digest = hashlib.blake2b(name, digest_size=16).digest()
        self._key = np.frombuffer(digest, dtype="<u8")

    @property
    def key(self) -> tuple[int, int]:
        """The two words of the generator's key."""
        return int(self._key[0]), int(self._key[1])

    def at(self, tick: int = 0, phase: int = 0, lane: int = 0, relaxation: int = 0) -> np.random.Generator:
        """Return a generator for the draws of one moment.

        Two different arguments give streams that never overlap: they differ in a counter word that the draws
        themselves do not reach.
        """
        counter = np.array([0, tick, (phase << 32) | lane, relaxation], dtype=np.uint64)
        return np.random.Generator(np.random.Philox(key=self._key, counter=counter))


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment in a run: the numbers that, with the tick, select the counter of a draw."""

    relaxation: int = 0
    phase: int = 0
    lane: int = 0
