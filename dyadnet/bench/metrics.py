"""What watching costs: training with metrics served and scraped against the same training without."""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dyadnet.bench.networks import machine
from dyadnet.config import RunConfig
from dyadnet.metrics.settings import MetricsSpec
from dyadnet.record import read_machinery
from dyadnet.train import train
from dyadnet.watcher import Silent


def measure(config: RunConfig, repetitions: int, scrape: float, told: Callable[[str], None]) -> dict[str, Any]:
    """Seconds that training takes with metrics off and on, by turns, start-up and evaluation left out.

    Parameters
    ----------
    config
        A short run; its `metrics` section is replaced.
    repetitions
        Pairs of runs; which of the two goes first alternates.
    scrape
        Seconds between two scrapes.
    told
        Hears what is being measured.
    """
    pairs: list[dict[str, float]] = []
    scrapes = 0
    for number in range(repetitions):
        pair: dict[str, float] = {}
        for watched in (False, True) if number % 2 == 0 else (True, False):
            told(f"pair {number + 1} of {repetitions}, metrics {'on' if watched else 'off'}")
            settings = MetricsSpec(port=0 if watched else None)
            scraper = _Scraper(scrape)
            with scraper.scraping(), tempfile.TemporaryDirectory() as folder:
                train(config.model_copy(update={"metrics": settings}), Path(folder) / "run", scraper)
                pair["on" if watched else "off"] = _training_seconds(Path(folder) / "run")
            scrapes += scraper.count
        pairs.append(pair)
    return {
        "machine": machine(),
        "engine": config.engine,
        "repetitions": repetitions,
        "scrapes": scrapes,
        "off_s": statistics.median(pair["off"] for pair in pairs),
        "on_s": statistics.median(pair["on"] for pair in pairs),
        "ratio": statistics.median(pair["on"] / pair["off"] for pair in pairs),
        "pairs": pairs,
    }


class _Scraper(Silent):
    """Watches a run, and reads its metrics every so many seconds once it has said where they are."""

    def __init__(self, seconds: float) -> None:
        self.count = 0
        self._seconds = seconds
        self._url: str | None = None
        self._over = threading.Event()

    def note(self, text: str) -> None:
        """See `Watcher`."""
        if "/metrics" in text:
            self._url = next(word for word in text.split() if word.endswith("/metrics"))

    @contextlib.contextmanager
    def scraping(self) -> Iterator[None]:
        """Scrape while the context lasts."""
        thread = threading.Thread(target=self._work)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _work(self) -> None:
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            due = time.monotonic() + self._seconds
            if self._url is not None:
                with contextlib.suppress(OSError), urllib.request.urlopen(self._url, timeout=5) as answer:
                    self.count += bool(answer.read())


def _training_seconds(run: Path) -> float:
    return float(sum(line["seconds"]["training"] for line in read_machinery(run) if line["kind"] == "epoch"))
