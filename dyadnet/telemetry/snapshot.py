"""What the coordinator keeps of a run for whoever looks: plain values, changed as things happen.

Whoever looks takes a still copy, under a lock that is held for microseconds, and works out the rest from that; a scrape
never calls an actor and training never waits for a client.
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
"""(when, seconds that it took, bytes)."""


class Snapshot:
    """One run as it stands; implements `dyadnet.runs.observer.MetricsCallback`.

    Parameters
    ----------
    config
        The run.
    run
        What it is called.
    measuring
        Whether norms are to be measured now and then, for somebody who looks at them.

    Attributes
    ----------
    layout
        Which row of reports is whose.
    scores
        By name, then by part: the accuracy of classes; R², mean absolute and mean squared error of numbers; PSNR and
        SSIM of images.
    latest
        Reports of the latest training relaxation.
    ended
        What the last whole epoch came to: ``epoch``, and ``loss`` and scores by part; empty before there is one.
    training
        The epoch that loss and accuracy of ``train`` are of so far; 0 before there are any.
    updates, counts
        Firings of each block, and what was counted on each channel, since the run began; rows as in `layout`.
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
        # All from the beginning, so that the first one is an increase.
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
            # What came after is done again.
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
                # What comes now belongs to the next epoch.
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
        """The run goes on after a failure, from its last checkpoint."""
        with self._lock:
            self.failures[failure.what] += 1
            if failure.what != "coordinator":
                self.lives.update(failure.who)
            self.state = "starting"

    def life(self, actor: str) -> int:
        """How often an actor was started anew; all are when the coordinator is."""
        return self.lives[actor] + self.failures["coordinator"]

    def _score(self, part: str, found: Mapping[str, float]) -> None:
        """Note scores of a part, by their names; whoever looks may hold the old ones."""
        for name, value in found.items():
            self.scores[name] = {**self.scores.get(name, {}), part: value}

    # For others

    def still(self) -> Snapshot:
        """A copy that changes no more."""
        with self._lock:
            found = copy.copy(self)
            for name, value in vars(self).items():
                if isinstance(value, dict | np.ndarray | History):
                    setattr(found, name, copy.copy(value))
            found.parts = {part: replace(counts, sweeps=[*counts.sweeps]) for part, counts in self.parts.items()}
        return found

    @property
    def blocks(self) -> dict[str, OfBlock]:
        """Every block, or layer of many blocks."""
        return figures.blocks(self.names, self.layout, self.latest, self.updates.tolist())

    @property
    def edges(self) -> Edges:
        """What went over each channel, or between layers with many."""
        return figures.edges(self.names, self.layout, self.counts, self._itemsize)

    def end(self, state: State, why: str = "") -> None:
        """The run is over; what has diverged stays so."""
        with self._lock:
            if self.state != "diverged":
                self.state, self.why = state, why

    @property
    def under_way(self) -> int:
        """The epoch that is trained or evaluated, from 1; the last one once the run is over."""
        begun = self.minibatches > self.epochs * self.epoch_minibatches
        return min(self.epochs + (begun or not self.over), self.config.learning.epochs)

    @property
    def over(self) -> bool:
        """Whether nothing more will change."""
        return self.state in OVER

    def health(self) -> dict[str, Any]:
        """The run in a few words."""
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
        """Book the time since something was last booked."""
        now = time.perf_counter()
        self.seconds[activity] = self.seconds.get(activity, 0.0) + now - self._clock
        self._clock = now


def model_of(config: RunConfig) -> str:
    """``hm``, ``ffm``, ``sshm``, ``asymmetric``, ``lam-0.25``; ``mixed`` where λ differs by projection or in time.

    A baseline is called after what trains it.
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
