"""News from the coordinator's actor to the driver, which keeps the run's folder and shows progress."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any

from dyadnet.config import RunConfig
from dyadnet.errors import DyadnetError
from dyadnet.files.jsonl import encoded
from dyadnet.runs.folder import MACHINERY, METRICS, RECORDS, Recorder
from dyadnet.runs.summary import Summary
from dyadnet.runs.watcher import ProgressCallback
from dyadnet.runs.weights import Parameters

Item = tuple[str, tuple[Any, ...]]
"""Name of a method of `Recorder` or `ProgressCallback`, and its arguments."""

KEPT = 60.0
"""Seconds within which the keeper of the record must have taken it."""
_RECORDED = ("metrics", "machinery", "probes", "save", "event", "settle", "rewind", "trace", "ended")


class EventQueue:
    """A recorder and a watcher at once: keeps every call until a client takes it.

    Parameters
    ----------
    name
        Name by which a user finds the record.
    lengths
        Bytes of each record that exist already.
    limit
        Maximum number of calls to keep while nobody takes them, the newest ones; unlimited by default.

    Attributes
    ----------
    introduction
        The newest call of `started`.
    """

    def __init__(self, name: str, lengths: Mapping[str, int] | None = None, limit: int | None = None) -> None:
        self.name = name
        self.introduction: Item | None = None
        self._limit = limit
        self._lengths = dict.fromkeys(RECORDS, 0) | dict(lengths or {})
        self._queue: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._kept = threading.Condition()
        self._put = self._handed = self._taken = 0

    def take(self, timeout: float) -> list[Item]:
        """Return all calls since the last `take`; wait up to `timeout` seconds if there are none yet.

        Calls that were taken before count as kept from now on. Of consecutive calls of `minibatch`, only the newest is
        returned.
        """
        with self._kept:
            self._taken = self._handed
            self._kept.notify_all()
        items: list[Item] = []
        try:
            items.append(self._queue.get(timeout=timeout))
            self._handed += 1
            while True:
                item = self._queue.get_nowait()
                self._handed += 1
                if items[-1][0] == item[0] == "minibatch":
                    items.pop()
                items.append(item)
        except queue.Empty:
            return items

    def settle(self, patience: float = KEPT) -> None:
        """Wait until everything that was told so far is kept on the disk.

        Raises
        ------
        DyadnetError
            If nobody takes it in time.
        """
        self._tell(("settle", ()))
        with self._kept:
            told = self._put
            if not self._kept.wait_for(lambda: self._taken >= told, patience):
                raise DyadnetError(f"nobody has taken the record for {patience:g} s")

    def event(self, line: dict[str, Any]) -> None:
        """See `Recorder`."""
        self._tell(("event", (line,)))

    def lengths(self) -> dict[str, int]:
        """See `Recorder`; return the lengths that hold once everything told so far is kept."""
        return dict(self._lengths)

    def rewind(self, lengths: Mapping[str, int]) -> None:
        """See `Recorder`."""
        self._lengths = {name: lengths.get(name, 0) for name in RECORDS}
        self._tell(("rewind", (lengths,)))

    def metrics(self, line: dict[str, Any]) -> None:
        """See `Recorder`."""
        self._lengths[METRICS] += len(encoded(line))
        self._tell(("metrics", (line,)))

    def machinery(self, line: dict[str, Any]) -> None:
        """See `Recorder`."""
        self._lengths[MACHINERY] += len(encoded(line))
        self._tell(("machinery", (line,)))

    def trace(self, record: bytes) -> None:
        """See `Recorder`."""
        self._tell(("trace", (record,)))

    def probes(self, relaxation: int, recorded: dict[str, dict[str, Any]]) -> None:
        """See `Recorder`."""
        self._tell(("probes", (relaxation, recorded)))

    def save(self, name: str, manifest: dict[str, Any], parameters: Parameters) -> None:
        """See `Recorder`."""
        self._tell(("save", (name, manifest, parameters)))

    def ended(self, summary: Summary) -> None:
        """See `Recorder`."""
        self._tell(("ended", (summary,)))

    def hook(self, number: int, method: str, arguments: tuple[Any, ...]) -> None:
        """Ask the driver's callbacks; see `dyadnet_actors.coordination.callbacks`."""
        self._tell(("hook", (number, method, arguments)))

    def started(self, config: RunConfig, minibatches: int) -> None:
        """See `ProgressCallback`."""
        self.introduction = ("started", (config, minibatches))
        self._tell(self.introduction)

    def minibatch(self, epoch: int, index: int, loss: float, accuracy: float, sweeps: float) -> None:
        """See `ProgressCallback`."""
        self._tell(("minibatch", (epoch, index, loss, accuracy, sweeps)))

    def evaluating(self, epoch: int, part: str) -> None:
        """See `ProgressCallback`."""
        self._tell(("evaluating", (epoch, part)))

    def epoch(self, line: dict[str, Any]) -> None:
        """See `ProgressCallback`."""
        self._tell(("epoch", (line,)))

    def warning(self, text: str) -> None:
        """See `ProgressCallback`."""
        self._tell(("warning", (text,)))

    def note(self, text: str) -> None:
        """See `ProgressCallback`."""
        self._tell(("note", (text,)))

    def _tell(self, item: Item) -> None:
        self._put += 1
        self._queue.put(item)
        if self._limit is not None and self._queue.qsize() > self._limit:
            with contextlib.suppress(queue.Empty):
                self._queue.get_nowait()


def relay(
    items: list[Item],
    folder: Recorder | None,
    watcher: ProgressCallback,
    hook: Callable[[int, str, tuple[Any, ...]], None] | None = None,
) -> None:
    """Make the calls that `EventQueue` kept, in order; without a folder, they must not include calls to a recorder.

    Parameters
    ----------
    hook
        Called with the questions to callbacks; not needed if there are no callbacks.
    """
    for name, arguments in items:
        if name == "hook" and hook is not None:
            hook(*arguments)
            continue
        getattr(folder if name in _RECORDED else watcher, name)(*arguments)
