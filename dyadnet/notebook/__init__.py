"""dyadnet in Jupyter: progress while a run goes on, and what networks, settings and runs look like in a cell."""

from __future__ import annotations

from dyadnet.config import RunConfig
from dyadnet.network.description import Network
from dyadnet.process.console import in_notebook
from dyadnet.runs.watcher import ProgressCallback, Silent


def usual_watcher() -> ProgressCallback:
    """Who watches a run that nobody was named for: a bar in a notebook, and nobody elsewhere."""
    from dyadnet.notebook.progress import NotebookProgress

    return NotebookProgress() if in_notebook() else Silent()


def _network(self: Network) -> str:
    """In a notebook."""
    from dyadnet.notebook import html

    return html.network(self)


def _config(self: RunConfig) -> str:
    """In a notebook."""
    from dyadnet.notebook import html

    return html.config(self)


# The description of a network and the settings know nothing of notebooks.
Network._repr_html_ = _network  # type: ignore[attr-defined]
RunConfig._repr_html_ = _config  # type: ignore[attr-defined]
