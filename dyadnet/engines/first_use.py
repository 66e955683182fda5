"""What a user is told before the first run on a machine, which stands still while the core is compiled."""

from __future__ import annotations

from dyadnet.config import RunConfig
from dyadnet.numerics.compilation import is_kept
from dyadnet.program.executor import run
from dyadnet.runs.watcher import ProgressCallback


def announce_compilation(config: RunConfig, watcher: ProgressCallback) -> None:
    """Tell the watcher of a run whether compiled code for its kind of numbers has to be made first."""
    kind = config.dynamics.dtype
    if config.baseline is None and not is_kept(run.dispatcher, kind):
        watcher.note(f"compiling the core for {kind}: a minute or two, once on this machine")
