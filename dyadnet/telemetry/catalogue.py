"""The catalogue of all metrics: name, type, labels and meaning.

The collector exposes only these and user-defined block metrics. The documentation lists the catalogue.

Names begin with ``dyadnet_``; units are base units and ratios; counters end in ``_total``. Labels have few values:
nothing is labelled by neuron, minibatch or tick.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from dyadnet.dynamics.block_metrics import COLUMNS, BlockMetric
from dyadnet.imperfections.own import Counter
from dyadnet.numerics.histogram import SMALLEST

PREFIX = "dyadnet_"
Kind = Literal["gauge", "counter", "histogram"]
OF_RUN = ("run", "model")
"""Labels of all metrics that belong to a run."""
OF_BLOCK = ("layer", "block")
OF_EDGE = ("edge", "kind")

SWEEPS = (1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0, 75.0, 100.0, 150.0, 300.0, 1000.0)
"""Upper bounds of the histogram of sweeps."""
BOUNDS_A_DECADE = 5
AGES = tuple(1e-3 * SMALLEST * 10 ** (exponent / BOUNDS_A_DECADE) for exponent in range(5 * BOUNDS_A_DECADE + 1))
"""Upper bounds of the histogram of ages in seconds, from 0.1 ms to 10 s."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes
    ----------
    name
        Name without `PREFIX`; names of counters end in ``_total``.
    kind
        Type of the metric.
    labels
        Labels beside `OF_RUN`, which all metrics but the build have.
    meaning
        One sentence; also the help text.
    unit
        Unit of a value.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str
    unit: str
    of_run: bool = True

    @property
    def all_labels(self) -> tuple[str, ...]:
        """All labels, in the order in which they are shown."""
        return (*OF_RUN, *self.labels) if self.of_run else self.labels


def _of_block(name: str) -> Metric:
    """Create a metric from its column in the table of block reports."""
    column = next(column for column in COLUMNS if column.metric == name)
    kind: Kind = "counter" if name.endswith("_total") else "gauge"
    return Metric(name, kind, OF_BLOCK, column.meaning, column.unit)


def of_own(name: str) -> str:
    """Return the Prometheus name of a user-defined block metric, without `PREFIX`."""
    return f"block_{name}"


def catalogue(own: Iterable[BlockMetric] = ()) -> dict[str, Metric]:
    """Return all metrics by name without `PREFIX`, in display order; user-defined block metrics come last."""
    added = [Metric(of_own(one.name), "gauge", OF_BLOCK, one.meaning, one.unit) for one in own]
    return {metric.name: metric for metric in (*_LISTED, *added)}


_LISTED = [
    # The run
    Metric("build_info", "gauge", ("version", "python", "numpy"), "Always 1; what runs.", "1", of_run=False),
    Metric("run_info", "gauge", ("data", "engine", "mode", "seed"), "Always 1; what this run is.", "1"),
    Metric(
        "run_state",
        "gauge",
        ("state",),
        "1 for the state that the run is in: starting, training, evaluating, finished, diverged, failed or stopped.",
        "0 or 1",
    ),
    Metric("run_started_timestamp_seconds", "gauge", (), "When the run began.", "seconds since 1970"),
    Metric(
        "run_progress_timestamp_seconds",
        "gauge",
        (),
        "When the coordinator last heard of a relaxation that ended; what stands still is stalled.",
        "seconds since 1970",
    ),
    Metric("epochs_planned", "gauge", (), "Passes over the training part that the run is to make.", "epochs"),
    Metric("epochs_total", "counter", (), "Passes over the training part that are complete.", "epochs"),
    Metric("epoch_minibatches", "gauge", (), "Minibatches of one epoch.", "minibatches"),
    Metric("minibatches_total", "counter", (), "Minibatches that were learned from.", "minibatches"),
    Metric("samples_total", "counter", ("part",), "Samples that were relaxed, by part of the data.", "samples"),
    # Is it learning?
    Metric(
        "loss",
        "gauge",
        ("part",),
        "Mean loss a sample: of the latest minibatch, of the train part so far in this epoch, and of the latest "
        "evaluation of the validation and test part.",
        "loss",
    ),
    Metric(
        "accuracy_ratio",
        "gauge",
        ("part",),
        "Fraction of correct predictions, of the same parts; where targets are classes.",
        "ratio",
    ),
    Metric(
        "r2",
        "gauge",
        ("part",),
        "R², 1 − mean squared error / variance of the targets, of whole parts; where targets are numbers.",
        "1",
    ),
    Metric("mean_absolute_error", "gauge", ("part",), "Mean of |s − y| over samples and outputs, likewise.", "target"),
    Metric("mean_squared_error", "gauge", ("part",), "Mean of (s − y)² over samples and outputs, likewise.", "target²"),
    Metric(
        "psnr_decibels",
        "gauge",
        ("part",),
        "10·log₁₀(1/MSE) of an image, mean over images, of whole parts; where targets are images.",
        "dB",
    ),
    Metric("ssim", "gauge", ("part",), "Structural similarity of an image, mean over images, likewise.", "1"),
    Metric(
        "objective",
        "gauge",
        (),
        "Saddle objective (paper, eq. 4) of the latest minibatch that the record has a line of; every record.every.",
        "loss",
    ),
    Metric("learning_rate", "gauge", (), "Learning rate in force.", "1"),
    Metric("beta", "gauge", (), "Strength of the nudge β in force.", "1"),
    Metric("lambda", "gauge", ("projection",), "λ of each projection in force; κ = 2λ−1.", "1"),
    _of_block("weight_norm"),
    _of_block("update_norm"),
    Metric(
        "gradient_cosine",
        "gauge",
        (),
        "Cosine of the latest sampled contrast to the exact gradient (metrics.cosine).",
        "ratio, −1 to 1",
    ),
    # Is it settling?
    Metric(
        "relaxation_sweeps",
        "histogram",
        ("part",),
        "Sweeps of each relaxation, over all phases of its slowest lane.",
        "sweeps",
    ),
    Metric("phases_total", "counter", ("part",), "Phases of lanes that ended.", "phases"),
    Metric(
        "capped_phases_total", "counter", ("part",), "Phases of lanes that ended at their cap, unsettled.", "phases"
    ),
    Metric("diverged_total", "counter", (), "Relaxations that diverged; the run ends with the first.", "relaxations"),
    Metric("spectral_radius", "gauge", (), "Spectral radius ρ (μ of the paper), as last estimated.", "1"),
    Metric("step", "gauge", (), "η or ω in force; in free mode the time constant in units of the delay.", "1"),
    _of_block("residual"),
    _of_block("residual_difference_ratio"),
    _of_block("saturated_ratio"),
    _of_block("mean_norm"),
    _of_block("difference_norm"),
    Metric("tolerance", "gauge", ("quantity",), "Residual under which a block counts as settled.", "as the residual"),
    # How asynchronous is it?
    _of_block("updates_total"),
    Metric("messages_total", "counter", OF_EDGE, "Messages sent on a channel.", "messages"),
    Metric("message_values_total", "counter", OF_EDGE, "Numbers in them.", "numbers"),
    Metric("message_bytes_total", "counter", OF_EDGE, "Size of those numbers.", "bytes"),
    Metric("messages_delayed_total", "counter", OF_EDGE, "Messages that a delay held up beyond one tick.", "messages"),
    Metric(
        "messages_dropped_total", "counter", OF_EDGE, "Messages that a channel lost, as it was told to.", "messages"
    ),
    Metric("messages_duplicated_total", "counter", OF_EDGE, "Messages that the channel delivered twice.", "messages"),
    Metric("messages_stale_total", "counter", OF_EDGE, "Messages that came after a newer one was held.", "messages"),
    Metric("message_values_quantised_total", "counter", OF_EDGE, "Numbers that were quantised.", "numbers"),
    Metric(
        "message_values_suppressed_total",
        "counter",
        OF_EDGE,
        "Numbers that were not sent because they had hardly moved (send-on-delta).",
        "numbers",
    ),
    _of_block("message_age_ticks"),
    Metric(
        "message_age_seconds",
        "histogram",
        ("edge",),
        "Age of what each update read, by edge between actors; free-running mode only.",
        "seconds",
    ),
    Metric("delay_seconds", "gauge", (), "Delay δ that the time constant follows; free-running mode only.", "seconds"),
    Metric("time_constant_seconds", "gauge", (), "Time constant T in force; free-running mode only.", "seconds"),
    # Is the machinery well?
    Metric(
        "actor_seconds_total",
        "counter",
        ("actor", "activity"),
        "Seconds that an actor spent computing, waiting, sending, learning, on the radius, or held as a straggler.",
        "seconds",
    ),
    Metric(
        "actor_letters_total",
        "counter",
        ("actor",),
        "Packets that an actor sent; on one machine, the ticks or updates that it has told others of.",
        "letters",
    ),
    Metric(
        "actor_wire_bytes_total",
        "counter",
        ("actor",),
        "Size of those packets; on one machine, of the numbers that others read.",
        "bytes",
    ),
    Metric(
        "messages_refused_total",
        "counter",
        ("actor", "reason"),
        "Messages that an actor refused: malformed, late, twice, of another relaxation, of an earlier incarnation, "
        "unauthenticated.",
        "messages",
    ),
    Metric("actor_info", "gauge", ("actor", "address", "pid"), "Always 1; where an actor runs.", "1"),
    Metric(
        "actor_incarnation",
        "gauge",
        ("actor",),
        "Which life of an actor this is; the first is 0, and it begins another when it is started anew.",
        "1",
    ),
    Metric(
        "failures_total",
        "counter",
        ("what",),
        "Failures that the run went on from: of an actor, node, link or the coordinator, or a stall.",
        "failures",
    ),
    Metric(
        "coordinator_seconds_total",
        "counter",
        ("activity",),
        "Seconds of the coordinator: training, evaluation, checkpoint, measuring (of metrics.cosine).",
        "seconds",
    ),
    Metric(
        "checkpoint_timestamp_seconds",
        "gauge",
        ("weights",),
        "When weights were last saved (last, best), and all that the run needs to go on (checkpoint).",
        "seconds since 1970",
    ),
    Metric(
        "checkpoint_duration_seconds",
        "gauge",
        ("weights",),
        "How long training stood still for it: gathering and handing over weights, or blocks writing their files.",
        "seconds",
    ),
    Metric("checkpoint_bytes", "gauge", ("weights",), "Size of the arrays that were saved, or of the files.", "bytes"),
]


def own_counter(counter: Counter) -> Metric:
    """Create the metric of a counter of a user-defined imperfection."""
    return Metric(f"messages_{counter.name}_total", "counter", OF_EDGE, counter.meaning, "1")


CATALOGUE = catalogue()
"""The built-in metrics."""
