"""What the coordinator's actor has to tell the driver, which keeps the run's folder and shows progress."""

from __future__ import annotations

import queue
from typing import Any

from dyadnet.config import RunConfig
from dyadnet.record import Recorder
from dyadnet.watcher import Watcher
from dyadnet.weights import Parameters

Item = tuple[str, tuple[Any, ...]]
"""Name of a method of `Recorder` or `Watcher`, and its arguments."""

_RECORDED = ("metrics", "machinery", "probes", "save")


class News:
    """A recorder and a watcher at once: keeps every call until somebody takes it.

    Parameters
    ----------
    name
        What a user finds the record by.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._queue: queue.SimpleQueue[Item] = queue.SimpleQueue()

    def take(self, timeout: float) -> list[Item]:
        """Everything since the last call, waiting up to `timeout` seconds if there is nothing yet.

        Of progress within an epoch only the newest matters, and only that is told.
        """
        items: list[Item] = []
        try:
            items.append(self._queue.get(timeout=timeout))
            while True:
                item = self._queue.get_nowait()
                if items[-1][0] == item[0] == "minibatch":
                    items.pop()
                items.append(item)
        except queue.Empty:
            return items

    def metrics(self, line: dict[str, Any]) -> None:
        """See `Recorder`."""
        self._queue.put(("metrics", (line,)))

    def machinery(self, line: dict[str, Any]) -> None:
        """See `Recorder`."""
        self._queue.put(("machinery", (line,)))

    def probes(self, relaxation: int, recorded: dict[str, dict[str, Any]]) -> None:
        """See `Recorder`."""
        self._queue.put(("probes", (relaxation, recorded)))

    def save(self, name: str, manifest: dict[str, Any], parameters: Parameters) -> None:
        """See `Recorder`."""
        self._queue.put(("save", (name, manifest, parameters)))

    def started(self, config: RunConfig, minibatches: int) -> None:
        """See `Watcher`."""
        self._queue.put(("started", (config, minibatches)))

    def minibatch(self, epoch: int, index: int, loss: float, accuracy: float, sweeps: float) -> None:
        """See `Watcher`."""
        self._queue.put(("minibatch", (epoch, index, loss, accuracy, sweeps)))

    def evaluating(self, epoch: int, part: str) -> None:
        """See `Watcher`."""
        self._queue.put(("evaluating", (epoch, part)))

    def epoch(self, line: dict[str, Any]) -> None:
        """See `Watcher`."""
        self._queue.put(("epoch", (line,)))

    def warning(self, text: str) -> None:
        """See `Watcher`."""
        self._queue.put(("warning", (text,)))

    def note(self, text: str) -> None:
        """See `Watcher`."""
        self._queue.put(("note", (text,)))


def relay(items: list[Item], folder: Recorder, watcher: Watcher) -> None:
    """Make the calls that `News` kept, in their order."""
    for name, arguments in items:
        getattr(folder if name in _RECORDED else watcher, name)(*arguments)
