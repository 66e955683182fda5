"""The store of a run's checkpoints, and the checkpoint that the run starts from."""

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
    """The store of a run's checkpoints, and the checkpoint that the run starts from.

    Attributes
    ----------
    store
        Store of the checkpoints; None: no checkpoints.
    nonce
        Name of a file that every actor must find there.
    start
        The checkpoint to resume from; None: a new run.
    kept
        Existing checkpoints, oldest first.
    unusable
        Folders of checkpoints that cannot be used; see `dyadnet.checkpoint.finding.Found`.
    initial
        Initial parameters of a new run, by block; None: drawn from the seed.
    """

    store: Store | None = None
    nonce: str = ""
    start: Manifest | None = None
    kept: tuple[CheckpointRef, ...] = ()
    unusable: tuple[str, ...] = ()
    initial: Mapping[str, Mapping[str, NDArray[Any]]] | None = None
