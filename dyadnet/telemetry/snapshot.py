"""The current state of a run as plain values, which the coordinator updates and clients read.

A reader takes a still copy, under a lock that is held for microseconds, and derives everything else from the copy. A
scrape never calls an actor, and training never waits for a client.
"""

from __future__ import annotations

import copy
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np

from dyadnet.config import RunConfig
from dyadnet.config.dynamics import FreeRunning
from dyadnet.config.recovery import Failure, What
from dyadnet.dynamics.outcome import Layout, Outcome, Reports, ResourceUsage
from dyadnet.dynamics.request import Part
from dyadnet.errors import DivergedError
from dyadnet.network.description import ASYMMETRIC, MODELS
from dyadnet.network.topology import Topology
from dyadnet.numerics.scores import scores
from dyadnet.telemetry import figures
from dyadnet.telemetry.figures import Edges, Names, OfBlock, OfPart
from dyadnet.telemetry.history import History

State = Literal["starting", "training", "evaluating", "finished", "diverged", "failed", "stopped"]
STATES: tuple[State, ...] = ("starting", "training", "evaluating", "finished", "diverged", "failed", "stopped")
OVER: tuple[State, ...] = ("finished", "diverged", "failed", "stopped")
Saved = tuple[float, float, int]
"""Time of a save in seconds since 1970, its duration in seconds, and its size in bytes."""


class Snapshot:
    """The current state of one run; implements `dyadnet.runs.observer.MetricsCallback`.

    Parameters
    ----------
    config
        The run's configuration.
    run
        Name of the run.
    measuring
        Whether norms of weights and updates are measured now and then.

    Attributes
    ----------
    layout
        Assignment of the rows of reports to blocks and channels.
    scores
        Scores by name, then by part: accuracy for classes; R², mean absolute and mean squared error for numbers; PSNR
        and SSIM for images.
    latest
        Reports of the latest training relaxation.
    ended
        Results of the last complete epoch: ``epoch``, and ``loss`` and scores by part; empty before there is one.
    training
        The epoch that the present loss and accuracy of ``train`` belong to; 0 before there are any.
    updates, counts
        Firings of each block and counts of each channel since the run began; rows as in `layout`.
    """

    def __init__(self, config: RunConfig, run: str, *, measuring: bool = True) -> None:
        self.config = config
        self.run = run
        self.model = model_of(config)
        self.topology = Topology(config.network)
        self.names = Names(self.topology)
        self.free = isinstance(config.dynamics.mode, FreeRunning)
        self._lock = threading.Lock()
        self.state: State = "starting"
        self.why = ""
        self.started_at = self.progress_at = time.time()
        self.epoch_minibatches = self.minibatches = self.epochs = self.diverged_count = 0
        self.parts: dict[str, OfPart] = {}
        self.loss: dict[str, float] = {}
        self.scores: dict[str, dict[str, float]] = {}
        self.ended: Mapping[str, Any] = {}
        self.training = 0
        self.settings: dict[str, Any] = {}
        self.objective: float | None = None
        self.cosine: float | None = None
        self.layout = Layout(self.topology, counters=config.imperfections.counters)
        self.latest: Reports | None = None
        self.updates = np.zeros(len(self.layout.blocks), dtype=np.int64)
        self.counts = np.zeros((len(self.layout.channels), len(self.layout.counted)), dtype=np.int64)
        self.actors: dict[str, ResourceUsage] = {}
        self.places: dict[str, Mapping[str, Any]] = {}
        self.pace: dict[str, float] = {}
        self.seconds: dict[str, float] = {}
        self.checkpoints: dict[str, Saved] = {}
        self.lives: Counter[str] = Counter()
        # All counters exist from the beginning, so that the first failure is an increase.
        self.failures: Counter[str] = Counter(dict.fromkeys(get_args(What), 0))
        self.curve = History()
        self.epoch_curve = History()
        self._measuring = measuring
        self._itemsize = np.dtype(config.dynamics.dtype).itemsize
        self._last_sweeps = 0.0
        self._correct = 0.0
        self._clock = time.perf_counter()

    # As an observer

    def started(self, minibatches: int, updates: int = 0) -> None:
        """See `MetricsCallback`."""
        with self._lock:
            self.state = "training"
            self.epoch_minibatches = minibatches
            self.minibatches, self.epochs = updates, updates // minibatches
            # The run repeats everything after this point.
            self.curve.rewind(updates / minibatches)
            self.epoch_curve.rewind(self.epochs)
            if self.ended and self.ended["epoch"] > self.epochs:
                self.ended = {}
            self._clock = time.perf_counter()

    def relaxed(self, part: Part, outcome: Outcome) -> None:
        """See `MetricsCallback`."""
        with self._lock:
            training = part == "train"
            self._spend("training" if training else "evaluation")
            self.state = "training" if training else "evaluating"
            self.progress_at = time.time()
            self.parts.setdefault(part, OfPart()).add(outcome)
            reports = outcome.reports
            self.counts += reports.counts
            self.updates += reports.column("updates").astype(np.int64)
            self.actors.update({spent.actor: spent for spent in reports.spent})
            if training:
                self.latest = reports
                for found in reports.predictions:
                    self.loss["minibatch"] = found.loss / found.samples
                    self._correct = found.correct / found.samples
            if training:
                self._last_sweeps = outcome.sweeps
            self.cosine = figures.cosine(outcome)

    def measures(self, count: int) -> bool:
        """See `MetricsCallback`."""
        return self._measuring and (count % self.config.metrics.norms == 0 or count == 1)

    def learned(self, settings: Mapping[str, Any], loss: float, scores: Mapping[str, float]) -> None:
        """See `MetricsCallback`."""
        with self._lock:
            self._spend("training")
            self.minibatches += 1
            self.settings = dict(settings)
            self.loss["train"] = loss
            self._score("train", scores)
            self.training = self.under_way
            if "accuracy" in scores:
                self._score("minibatch", {"accuracy": self._correct})
            known = {} if "accuracy" not in scores else {"accuracy": self._correct}
            self.curve.add(
                known
                | {
                    "at": self.minibatches / max(1, self.epoch_minibatches),
                    "loss": self.loss["minibatch"],
                    "sweeps": self._last_sweeps,
                    "radius": settings["radius"],
                    "step": settings["step"],
                }
            )

    def recorded(self, line: Mapping[str, Any]) -> None:
        """See `MetricsCallback`."""
        with self._lock:
            self._spend("training")
            self.objective = line.get("objective")

    def evaluated(self, part: Part, summary: Mapping[str, Any]) -> None:
        """See `MetricsCallback`."""
        with self._lock:
            self.loss[part] = summary["loss"]
            self._score(part, scores(summary))

    def epoch(self, line: Mapping[str, Any]) -> None:
        """See `MetricsCallback`."""
        with self._lock:
            self._spend("evaluation")
            self.epochs = line["epoch"]
            if self.epochs < self.config.learning.epochs:
                # The time from now on belongs to the next epoch.
                self.state = "training"
            parts = ("train", "validation", "test")
            point = {f"loss_{part}": line[part]["loss"] for part in parts}
            point |= {f"{name}_{part}": value for part in parts for name, value in scores(line[part]).items()}
            self.epoch_curve.add({"at": line["epoch"], **point})
            told = {name: {part: scores(line[part])[name] for part in parts} for name in scores(line["test"])}
            self.ended = {"epoch": line["epoch"], "loss": {part: line[part]["loss"] for part in parts}, **told}

    def machinery(self, line: Mapping[str, Any]) -> None:
        """See `MetricsCallback`."""
        with self._lock:
            if line["kind"] == "placement":
                self.places = dict(line["actors"])
            self.pace = dict(line.get("pace", self.pace))

    def saved(self, name: str, seconds: float, size: int) -> None:
        """See `MetricsCallback`."""
        with self._lock:
            self._spend("checkpoint")
            self.checkpoints[name] = (time.time(), seconds, size)

    def compares(self, count: int) -> bool:
        """See `MetricsCallback`."""
        every = self.config.metrics.cosine
        return every is not None and (count % every == 0 or count == 1)

    def measured(self) -> None:
        """See `MetricsCallback`."""
        with self._lock:
            self._spend("measuring")
            self.progress_at = time.time()

    def diverged(self, problem: DivergedError) -> None:
        """See `MetricsCallback`."""
        with self._lock:
            self.diverged_count += 1
            self.state, self.why = "diverged", str(problem)

    def failed(self, failure: Failure) -> None:
        """Record a failure after which the run resumes from its last checkpoint."""
        with self._lock:
            self.failures[failure.what] += 1
            if failure.what != "coordinator":
                self.lives.update(failure.who)
            self.state = "starting"

    def life(self, actor: str) -> int:
        """Return how often an actor was restarted; a restart of the coordinator restarts all actors."""
        return self.lives[actor] + self.failures["coordinator"]

    def _score(self, part: str, found: Mapping[str, float]) -> None:
        """Store scores of a part by name. Create new dicts, because readers may hold the old ones."""
        for name, value in found.items():
            self.scores[name] = {**self.scores.get(name, {}), part: value}

    # For others

    def still(self) -> Snapshot:
        """Return a copy that no longer changes."""
        with self._lock:
            found = copy.copy(self)
            for name, value in vars(self).items():
                if isinstance(value, dict | np.ndarray | History):
                    setattr(found, name, copy.copy(value))
            found.parts = {part: replace(counts, sweeps=[*counts.sweeps]) for part, counts in self.parts.items()}
        return found

    @property
    def blocks(self) -> dict[str, OfBlock]:
        """Current values of every block, or of every layer if there are too many blocks."""
        return figures.blocks(self.names, self.layout, self.latest, self.updates.tolist())

    @property
    def edges(self) -> Edges:
        """Counts of each channel, or of each edge between layers if there are too many channels."""
        return figures.edges(self.names, self.layout, self.counts, self._itemsize)

    def end(self, state: State, why: str = "") -> None:
        """Record that the run is over; a diverged run stays in that state."""
        with self._lock:
            if self.state != "diverged":
                self.state, self.why = state, why

    @property
    def under_way(self) -> int:
        """The epoch that is being trained or evaluated, from 1; the last one once the run is over."""
        begun = self.minibatches > self.epochs * self.epoch_minibatches
        return min(self.epochs + (begun or not self.over), self.config.learning.epochs)

    @property
    def over(self) -> bool:
        """Whether the run is over."""
        return self.state in OVER

    def health(self) -> dict[str, Any]:
        """Return the run's health, for ``/healthz``."""
        with self._lock:
            return {
                "run": self.run,
                "state": self.state,
                "epoch": self.epochs,
                "minibatches": self.minibatches,
                "seconds_since_progress": round(time.time() - self.progress_at, 3),
                "healthy": self.state not in ("diverged", "failed"),
            } | ({"why": self.why} if self.why else {})

    def _spend(self, activity: str) -> None:
        """Add the time since the last call to an activity."""
        now = time.perf_counter()
        self.seconds[activity] = self.seconds.get(activity, 0.0) + now - self._clock
        self._clock = now


def model_of(config: RunConfig) -> str:
    """Return the name of a run's model.

    It is ``hm``, ``ffm``, ``sshm``, ``asymmetric`` or, for example, ``lam-0.25``; ``mixed`` if λ differs between
    projections or in time; for a baseline, the name of the baseline.
    """
    if config.baseline is not None:
        return config.baseline
    epochs = config.learning.epochs
    lam = config.learning.lam
    if lam is None and config.network.asymmetric:
        return ASYMMETRIC
    found = {(p.coupling + 1.0) / 2.0 for p in config.network.recurrent}
    if isinstance(lam, dict):
        given = {name: set(schedule.extremes(epochs)) for name, schedule in lam.items()}
        found = set().union(*(given.get(p.name, {(p.coupling + 1.0) / 2.0}) for p in config.network.recurrent))
    elif lam is not None:
        found = set(lam.extremes(epochs))
    if len(found) != 1:
        return "mixed"
    value = found.pop()
    named = {lam: name for name, lam in MODELS.items()}
    return named.get(value, f"lam-{value:g}")
