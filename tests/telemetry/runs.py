"""Short runs that show their metrics, and ways to look at them."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

import dyadnet as dn
from dyadnet.config import RunConfig
from dyadnet.config.overrides import merged
from dyadnet.runs.watcher import Silent

SETTINGS: dict[str, Any] = {
    "network": {"layered": {"inputs": 64, "hidden": [14, 12], "outputs": 10, "gain": 1.4, "lam": 0.0}},
    "data": {"name": "digits", "limit_train": 200, "limit_test": 60},
    "learning": {"epochs": 2, "minibatch": 20},
    "record": {"every": 4},
    "engine": "local",
    "metrics": {"port": 0, "norms": 3},
}
Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def settings(**sections: Any) -> dict[str, Any]:
    """The settings of a short run, with others over them."""
    return merged(SETTINGS, sections)


class Found(Silent):
    """Hears where a run shows itself, and does something then or after a number of minibatches."""

    def __init__(self, after: int = 0, act: Callable[[str], None] | None = None) -> None:
        self.address = ""
        self.there = threading.Event()
        self._after = after
        self._act = act
        self._seen = 0

    def note(self, text: str) -> None:
        """See `ProgressCallback`."""
        self.address = text.split()[2].rstrip("/")
        self.there.set()
        if self._act is not None and self._after == 0:
            self._act(self.address)

    def minibatch(self, epoch: int, index: int, loss: float, accuracy: float, sweeps: float) -> None:
        """See `ProgressCallback`."""
        self._seen += 1
        if self._act is not None and self._seen == self._after:
            self._act(self.address)


@contextlib.contextmanager
def running(values: dict[str, Any], out: Path) -> Iterator[str]:
    """A run in another thread; the address where it shows itself. The run must have ended well by the end."""
    watcher = Found()
    outcome: list[Any] = []

    def work() -> None:
        try:
            outcome.append(dn.train(RunConfig.read(values), out, watcher))
        except BaseException as problem:
            outcome.append(problem)
            watcher.there.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert watcher.there.wait(60)
        yield watcher.address
    finally:
        thread.join(120)
    assert isinstance(outcome[0], dn.Run), outcome


def fetch(url: str, accept: str = "", method: str = "GET") -> tuple[int, str, str]:
    """Status, content type and body."""
    request = urllib.request.Request(url, headers={"Accept": accept} if accept else {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as problem:
        return problem.code, problem.headers["Content-Type"], problem.read().decode()


def scraped(address: str) -> Values:
    """Every sample by name and labels, without the labels that all have."""
    _, _, body = fetch(f"{address}/metrics")
    found: Values = {}
    for family in text_string_to_metric_families(body):
        for sample in family.samples:
            labels = {key: value for key, value in sample.labels.items() if key not in ("run", "model")}
            found[sample.name, tuple(sorted(labels.items()))] = sample.value
    return found


def value(found: Values, name: str, **labels: str) -> float:
    """One sample."""
    return found[f"dyadnet_{name}", tuple(sorted(labels.items()))]


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def state(address: str) -> str:
    """Of the one run that is shown."""
    return str(json.loads(fetch(f"{address}/healthz")[2])["runs"][0]["state"])


def lines(out: Path, name: str) -> list[dict[str, Any]]:
    """Of a record."""
    return [json.loads(line) for line in (out / name).read_text().splitlines()]
