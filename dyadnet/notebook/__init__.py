"""dyadnet in Jupyter: progress while a run goes on, and what networks, settings and runs look like in a cell."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dyadnet.watcher import Watcher


def in_notebook() -> bool:
    """Whether this program is a notebook's kernel, whose output can show HTML."""
    # Where it is one, IPython has been imported: nothing else has to be.
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


def usual_watcher() -> Watcher:
    """Who watches a run that nobody was named for: a bar in a notebook, and nobody elsewhere."""
    from dyadnet.notebook.progress import NotebookProgress
    from dyadnet.watcher import Silent

    return NotebookProgress() if in_notebook() else Silent()
