"""Tell the user before the first run on a machine that the core is being compiled, which delays the run."""

from __future__ import annotations

from dyadnet.config import RunConfig
from dyadnet.numerics.compilation import is_kept
from dyadnet.program.executor import run
from dyadnet.runs.watcher import ProgressCallback


def announce_compilation(config: RunConfig, watcher: ProgressCallback) -> None:
    """Notify the watcher of a run if code for the run's dtype must be compiled first."""
    kind = config.dynamics.dtype
    if config.baseline is None and not is_kept(run.dispatcher, kind):
        watcher.note(f"compiling the core for {kind}: a minute or two, once on this machine")
