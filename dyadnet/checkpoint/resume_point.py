"""Where a run's checkpoints go, and which one it starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from dyadnet.checkpoint.manifest import Manifest
from dyadnet.checkpoint.rhythm import CheckpointRef
from dyadnet.files.store import Store


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Where a run's checkpoints go, and which one it starts from.

    Attributes
    ----------
    store
        None: there are none.
    nonce
        A file that every actor must find there.
    start
        The checkpoint to go on from; None: the run begins anew.
    kept
        Checkpoints that there are, oldest first.
    unusable
        Folders that are half written or altered.
    initial
        Parameters that a run which begins anew starts from, by block; None: drawn from the seed.
    """

    store: Store | None = None
    nonce: str = ""
    start: Manifest | None = None
    kept: tuple[CheckpointRef, ...] = ()
    unusable: tuple[str, ...] = ()
    initial: Mapping[str, Mapping[str, NDArray[Any]]] | None = None
