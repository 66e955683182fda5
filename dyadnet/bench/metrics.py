"""The cost of metrics: training with metrics served and scraped, compared with the same training without."""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dyadnet.bench.networks import machine
from dyadnet.config import RunConfig
from dyadnet.config.metrics import MetricsSpec
from dyadnet.runs.watcher import Silent
from dyadnet.training.api import train

Spent = dict[str, float]
"""Seconds by clock: wall time, and CPU time of this process."""


def measure(config: RunConfig, repetitions: int, scrape: float, told: Callable[[str], None]) -> dict[str, Any]:
    """Measure the training time with metrics off and on, alternately, without start-up and evaluation.

    For the local engine, the CPU time of the process is measured beside wall time, because it excludes other programs.

    Parameters
    ----------
    config
        A short run; its `metrics` section is replaced.
    repetitions
        Number of pairs of runs; their order alternates.
    scrape
        Seconds between two scrapes.
    told
        Progress callback, called with a description of the current measurement.
    """
    pairs: list[dict[str, Spent]] = []
    scrapes = 0
    for number in range(repetitions):
        pair: dict[str, Spent] = {}
        for watched in (False, True) if number % 2 == 0 else (True, False):
            told(f"pair {number + 1} of {repetitions}, metrics {'on' if watched else 'off'}")
            settings = MetricsSpec(port=0 if watched else None)
            scraper = _Scraper(scrape)
            with contextlib.closing(scraper), tempfile.TemporaryDirectory() as folder:
                train(config.model_copy(update={"metrics": settings}), Path(folder) / "run", scraper)
            pair["on" if watched else "off"] = scraper.spent
            scrapes += scraper.count
        pairs.append(pair)
    clocks = ("wall", "process") if config.engine == "local" else ("wall",)
    return {
        "machine": machine(),
        "engine": config.engine,
        "repetitions": repetitions,
        "scrapes": scrapes,
        "clocks": {clock: _compared([(pair["off"][clock], pair["on"][clock]) for pair in pairs]) for clock in clocks},
    }


def _compared(pairs: list[tuple[float, float]]) -> dict[str, Any]:
    """Return the medians of both times and of their ratio, and all ratios in ascending order."""
    ratios = sorted(on / off for off, on in pairs)
    return {
        "off_s": statistics.median(off for off, _ in pairs),
        "on_s": statistics.median(on for _, on in pairs),
        "ratio": statistics.median(ratios),
        "ratios": ratios,
    }


def _clocks() -> Spent:
    return {"wall": time.perf_counter(), "process": time.process_time()}


class _Scraper(Silent):
    """Watches a run, times its training, and scrapes its metrics periodically once it knows their address."""

    def __init__(self, seconds: float) -> None:
        self.count = 0
        self.spent: Spent = {"wall": 0.0, "process": 0.0}
        self._since = _clocks()
        self._training = False
        self._seconds = seconds
        self._thread: threading.Thread | None = None
        self._over = threading.Event()

    def started(self, config: RunConfig, minibatches: int) -> None:
        """See `ProgressCallback`."""
        self._since, self._training = _clocks(), True

    def evaluating(self, epoch: int, part: str) -> None:
        """See `ProgressCallback`."""
        if self._training:
            now = _clocks()
            self.spent = {clock: self.spent[clock] + now[clock] - self._since[clock] for clock in now}
        self._training = False

    def epoch(self, line: dict[str, Any]) -> None:
        """See `ProgressCallback`."""
        self._since, self._training = _clocks(), True

    def note(self, text: str) -> None:
        """See `ProgressCallback`."""
        found = [word for word in text.split() if word.endswith("/metrics")]
        if found:
            self._thread = threading.Thread(target=self._scrape, args=found)
            self._thread.start()

    def close(self) -> None:
        """Stop scraping."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _scrape(self, url: str) -> None:
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
                self.count += bool(answer.read())
            if self._over.wait(self._seconds):
                return
