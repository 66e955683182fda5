"""The collector that the Prometheus client calls at every scrape."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import accumulate

import numpy as np
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry

from dyadnet.telemetry.catalogue import AGES, CATALOGUE, PREFIX, SWEEPS, Metric, catalogue, own_counter
from dyadnet.telemetry.readings import MetricReading, Spread, readings
from dyadnet.telemetry.snapshot import Snapshot

BOUNDS = {"relaxation_sweeps": SWEEPS, "message_age_seconds": AGES}
Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


class RunsCollector(Collector):
    """Exposes any number of runs, each with its own label ``run``.

    Parameters
    ----------
    runs
        Returns the runs; called at every scrape.
    """

    def __init__(self, runs: Callable[[], Iterable[Snapshot]]) -> None:
        self._runs = runs

    def registry(self) -> CollectorRegistry:
        """Return a registry that contains only this collector."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return registry

    def describe(self) -> Iterator[Family]:
        """Yield every built-in metric family, empty."""
        for metric in CATALOGUE.values():
            yield _family(metric)

    def collect(self) -> Iterator[Family]:
        """Yield every metric family that has values, in the order of the catalogue."""
        families: dict[str, Family] = {}
        _put(families, CATALOGUE["build_info"], build())
        known = dict(CATALOGUE)
        for snapshot in self._runs():
            counters = (own_counter(counter) for counter in snapshot.config.imperfections.counters)
            known |= {metric.name: metric for metric in counters if metric.name not in CATALOGUE}
            known = catalogue(snapshot.layout.own) | known
            for reading in readings(snapshot.still()):
                _put(families, known[reading.metric], reading, (snapshot.run, snapshot.model))
        for name in known:
            if name in families:
                yield families[name]


def build() -> MetricReading:
    """Return the reading of ``build_info``: versions of dyadnet, Python and NumPy."""
    try:
        ours = version("dyadnet")
    except PackageNotFoundError:
        # The code was sent to this node, not installed on it.
        ours = "sent"
    return MetricReading("build_info", (ours, platform.python_version(), np.__version__), 1)


def _put(
    families: dict[str, Family], metric: Metric, reading: MetricReading | Spread, run: tuple[str, ...] = ()
) -> None:
    family = families.get(metric.name)
    if family is None:
        family = families[metric.name] = _family(metric)
    labels = [*run, *reading.labels]
    if isinstance(reading, Spread):
        assert isinstance(family, HistogramMetricFamily)
        family.add_metric(labels, _buckets(BOUNDS[metric.name], reading.counts), reading.total)
    else:
        assert not isinstance(family, HistogramMetricFamily)
        family.add_metric(labels, reading.value)


def _buckets(bounds: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    """Return cumulative counts by upper bound, as the exposition format requires."""
    edges = [f"{bound:.6g}" if bound != int(bound) else f"{bound:.1f}" for bound in bounds]
    return list(zip([*edges, "+Inf"], [float(count) for count in accumulate(counts)], strict=True))


def _family(metric: Metric) -> Family:
    name, labels = PREFIX + metric.name, metric.all_labels
    if metric.kind == "counter":
        return CounterMetricFamily(name, metric.meaning, labels=labels)
    if metric.kind == "histogram":
        return HistogramMetricFamily(name, metric.meaning, labels=labels)
    return GaugeMetricFamily(name, metric.meaning, labels=labels)
