"""Open a run's folder of checkpoints: take its lock, and write a file that every actor must find there."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from dyadnet.checkpoint.finding import look
from dyadnet.checkpoint.lock import locked
from dyadnet.checkpoint.manifest import MANIFEST, order
from dyadnet.checkpoint.resume_point import ResumePoint
from dyadnet.config import RunConfig
from dyadnet.errors import CheckpointError, ConfigError, StoreError
from dyadnet.files.store import Store, store
from dyadnet.runs.folder import CHECKPOINTS

NONCE = "nonce-"


def store_of(config: RunConfig, out: Path) -> Store:
    """Return the store of a run's checkpoints."""
    return store(config.checkpoint.folder or str(out / CHECKPOINTS))


def checkpoints_in(config: RunConfig, out: Path) -> bool:
    """Return whether a run's folder of checkpoints holds a completely written one."""
    place = store_of(config, out)
    return any(order(name) is not None and _whole(place, name) for name in place.names())


def _whole(place: Store, name: str) -> bool:
    try:
        return bool(place.read(f"{name}/{MANIFEST}"))
    except CheckpointError:
        return False


@contextlib.contextmanager
def opened(
    config: RunConfig,
    out: Path,
    say: Callable[[str], None] = lambda text: None,
    sizes: Mapping[str, int] | None = None,
    *,
    resume: bool = False,
    begun: Callable[[], bool] = lambda: True,
) -> Iterator[ResumePoint]:
    """Lock the folder of checkpoints during a run, and yield the point that the run starts or resumes from.

    Parameters
    ----------
    out
        The run's folder.
    say
        Receives messages for the user.
    sizes
        Present size of each record, in bytes.
    resume
        Whether to resume from the checkpoints in the folder.
    begun
        Returns whether a new run has written results that are worth keeping. If it fails before, its checkpoints are
        removed.

    Raises
    ------
    ConfigError
        If the folder cannot be written.
    CheckpointError
        If another run uses the folder, a new run finds checkpoints of another run in it, or there is no intact
        checkpoint to resume from.
    """
    if not config.checkpoint.enabled:
        yield ResumePoint()
        return
    place = store_of(config, out)
    nonce = NONCE + secrets.token_hex(8)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(place, say))
            place.write(nonce, nonce.encode())
        except StoreError as problem:
            raise ConfigError("checkpoint.folder", place.folder, str(problem)) from None
        stack.callback(place.remove, nonce)
        names = place.names()
        if not resume:
            if any(order(name) is not None for name in names):
                raise CheckpointError(
                    f"checkpoint.folder {place.folder}: it holds checkpoints of another run; name an empty folder, or "
                    "go on with that run: dyadnet resume"
                )
            try:
                yield ResumePoint(place, nonce)
            except BaseException:
                if not begun():
                    for name in place.names():
                        if order(name) is not None:
                            place.remove(name)
                raise
            return
        for name in names:
            if name.startswith(NONCE) and name != nonce:
                place.remove(name)
        found = look(place, sizes, say)
        if found.newest is None:
            raise CheckpointError(
                f"{place.folder}: no intact checkpoint to resume from; begin anew: dyadnet train {out / 'config.yaml'}"
            )
        yield ResumePoint(place, nonce, found.newest, found.kept, found.unusable)
