"""Convert a snapshot to readings of metrics, for one scrape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dyadnet.dynamics.block_metrics import SHOWN
from dyadnet.numerics.histogram import PER_DECADE
from dyadnet.telemetry.catalogue import AGES, BOUNDS_A_DECADE, of_own, own_counter
from dyadnet.telemetry.figures import OfBlock
from dyadnet.telemetry.snapshot import STATES, Snapshot

BINS_A_BOUND = PER_DECADE // BOUNDS_A_DECADE
"""Bins of a histogram between two bounds of `AGES`."""


@dataclass(frozen=True, slots=True)
class MetricReading:
    """One value of one metric.

    Attributes
    ----------
    metric
        Name in the catalogue.
    labels
        Values of the metric's own labels, in their order.
    value
        The value.
    """

    metric: str
    labels: tuple[str, ...]
    value: float


@dataclass(frozen=True, slots=True)
class Spread:
    """One histogram: the count of each bin, the last one open, and the sum of all values."""

    metric: str
    labels: tuple[str, ...]
    counts: tuple[int, ...]
    total: float


Blocks = Mapping[str, OfBlock]


def readings(snapshot: Snapshot) -> Iterator[MetricReading | Spread]:
    """Yield all readings of a run. Pass a still copy of the snapshot if the run is still running."""
    blocks = snapshot.blocks
    yield from _run(snapshot)
    yield from _learning(snapshot, blocks)
    yield from _settling(snapshot, blocks)
    yield from _messages(snapshot, blocks)
    yield from _machinery(snapshot)


def _run(s: Snapshot) -> Iterator[MetricReading]:
    config = s.config
    yield MetricReading("run_info", (config.data.name, config.engine, config.dynamics.mode.kind, str(config.seed)), 1)
    for state in STATES:
        yield MetricReading("run_state", (state,), float(state == s.state))
    yield MetricReading("run_started_timestamp_seconds", (), s.started_at)
    yield MetricReading("run_progress_timestamp_seconds", (), s.progress_at)
    yield MetricReading("epochs_planned", (), config.learning.epochs)
    yield MetricReading("epochs_total", (), s.epochs)
    yield MetricReading("epoch_minibatches", (), s.epoch_minibatches)
    yield MetricReading("minibatches_total", (), s.minibatches)
    for part, counts in s.parts.items():
        yield MetricReading("samples_total", (part,), counts.samples)


SCORES = {
    "accuracy": "accuracy_ratio",
    "r2": "r2",
    "mae": "mean_absolute_error",
    "squared_error": "mean_squared_error",
    "psnr": "psnr_decibels",
    "ssim": "ssim",
}
"""Metric of each score."""


def _learning(s: Snapshot, blocks: Blocks) -> Iterator[MetricReading]:
    for part, value in s.loss.items():
        yield MetricReading("loss", (part,), value)
    for score, name in SCORES.items():
        for part, value in s.scores.get(score, {}).items():
            yield MetricReading(name, (part,), value)
    if s.objective is not None:
        yield MetricReading("objective", (), s.objective)
    if s.settings:
        yield MetricReading("learning_rate", (), s.settings["learning_rate"])
        yield MetricReading("beta", (), s.settings["beta"])
        for projection, lam in zip(s.config.network.recurrent, s.settings["lambda"], strict=True):
            yield MetricReading("lambda", (projection.name,), lam)
    for name, block in blocks.items():
        norms = [(column.metric, block.shown[column.shown]) for column in SHOWN if column.perhaps]
        for metric, norm in norms:
            if norm is not None:
                yield MetricReading(metric, (block.layer, name), norm)
    if s.cosine is not None:
        yield MetricReading("gradient_cosine", (), s.cosine)


def _settling(s: Snapshot, blocks: Blocks) -> Iterator[MetricReading | Spread]:
    for part, counts in s.parts.items():
        yield Spread("relaxation_sweeps", (part,), tuple(counts.sweeps), counts.total_sweeps)
        yield MetricReading("phases_total", (part,), counts.phases)
        yield MetricReading("capped_phases_total", (part,), counts.capped)
    yield MetricReading("diverged_total", (), s.diverged_count)
    if s.settings:
        yield MetricReading("spectral_radius", (), s.settings["radius"])
        yield MetricReading("step", (), s.settings["step"])
    yield MetricReading("tolerance", ("mean",), s.config.dynamics.tolerance)
    yield MetricReading("tolerance", ("difference",), s.config.dynamics.tolerance_difference)
    if s.settings:
        for column in SHOWN:
            if column.perhaps or column.whole:
                continue
            for name, block in blocks.items():
                yield MetricReading(column.metric, (block.layer, name), block.shown[column.shown] or 0.0)
        for name, block in blocks.items():
            for metric, value in block.own.items():
                yield MetricReading(of_own(metric), (block.layer, name), value)


EDGE_COUNTS = {
    "messages_total": "messages",
    "message_values_total": "values",
    "message_bytes_total": "bytes",
    "messages_delayed_total": "delayed",
    "messages_dropped_total": "dropped",
    "messages_duplicated_total": "duplicated",
    "messages_stale_total": "stale",
    "message_values_quantised_total": "quantised",
    "message_values_suppressed_total": "suppressed",
}
"""Edge count of each metric."""


def _messages(s: Snapshot, blocks: Blocks) -> Iterator[MetricReading | Spread]:
    for name, block in blocks.items():
        yield MetricReading("updates_total", (block.layer, name), block.updates)
    edges = s.edges
    for metric, count in EDGE_COUNTS.items():
        for edge, counts in edges.items():
            yield MetricReading(metric, edge, counts[count])
    for counter in s.config.imperfections.counters:
        for edge, counts in edges.items():
            yield MetricReading(own_counter(counter).name, edge, counts[counter.name])
    if s.settings and not s.free:
        for name, block in blocks.items():
            yield _age(name, block)
    for actor, spent in s.actors.items():
        for source, (bins, total) in spent.ages.items():
            yield Spread("message_age_seconds", (f"{source}>{actor}",), _bounded(bins), total)
    if s.pace:
        yield MetricReading("delay_seconds", (), 1e-3 * s.pace["delay_ms"])
        yield MetricReading("time_constant_seconds", (), 1e-3 * s.pace["time_constant_ms"])


def _age(name: str, block: OfBlock) -> MetricReading:
    return MetricReading("message_age_ticks", (block.layer, name), block.shown["age"] or 0)


def _bounded(bins: Sequence[int]) -> tuple[int, ...]:
    """Aggregate the fine bins of `dyadnet.numerics.histogram` to the bins of `AGES`."""
    first, rest = bins[0], bins[1:]
    inner = BINS_A_BOUND * (len(AGES) - 1)
    pairs = [sum(rest[index : index + BINS_A_BOUND]) for index in range(0, inner, BINS_A_BOUND)]
    return (first, *pairs, sum(rest[inner:]))


def _machinery(s: Snapshot) -> Iterator[MetricReading]:
    for actor, spent in s.actors.items():
        for activity, seconds in spent.seconds.items():
            yield MetricReading("actor_seconds_total", (actor, activity), seconds)
    for actor, spent in s.actors.items():
        if s.places:
            yield MetricReading("actor_letters_total", (actor,), spent.letters)
            yield MetricReading("actor_wire_bytes_total", (actor,), spent.bytes)
            yield MetricReading("actor_incarnation", (actor,), s.life(actor))
        for reason, count in spent.refused.items():
            yield MetricReading("messages_refused_total", (actor, reason), count)
    for what, count in s.failures.items():
        yield MetricReading("failures_total", (what,), count)
    for actor, place in s.places.items():
        yield MetricReading("actor_info", (actor, str(place["address"]), str(place["pid"])), 1)
    for activity, seconds in s.seconds.items():
        yield MetricReading("coordinator_seconds_total", (activity,), seconds)
    for weights, (when, took, size) in s.checkpoints.items():
        yield MetricReading("checkpoint_timestamp_seconds", (weights,), when)
        yield MetricReading("checkpoint_duration_seconds", (weights,), took)
        yield MetricReading("checkpoint_bytes", (weights,), size)
