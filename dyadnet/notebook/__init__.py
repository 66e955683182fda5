"""Jupyter support: progress of a run, and HTML representations of networks, settings and runs."""

from __future__ import annotations

from dyadnet.config import RunConfig
from dyadnet.network.description import Network
from dyadnet.process.console import in_notebook
from dyadnet.runs.watcher import ProgressCallback, Silent


def usual_watcher() -> ProgressCallback:
    """Return the default watcher of a run: a progress bar in a notebook, else a silent one."""
    from dyadnet.notebook.progress import NotebookProgress

    return NotebookProgress() if in_notebook() else Silent()


def _network(self: Network) -> str:
    """Return the HTML that a notebook shows."""
    from dyadnet.notebook import html

    return html.network(self)


def _config(self: RunConfig) -> str:
    """Return the HTML that a notebook shows."""
    from dyadnet.notebook import html

    return html.config(self)


# Attach the methods here, so that the modules of networks and settings do not depend on notebooks.
Network._repr_html_ = _network  # type: ignore[attr-defined]
RunConfig._repr_html_ = _config  # type: ignore[attr-defined]
