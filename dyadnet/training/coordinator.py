"""The coordinator: hands out minibatches and nudges, asks for Hebbian updates, evaluates, keeps the record.

One plain class, independent of the engine that runs the blocks.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.checkpoint.manifest import Manifest
from dyadnet.checkpoint.position import Best, Position
from dyadnet.config import RunConfig
from dyadnet.data import DataShape, validation_split
from dyadnet.dynamics.epoch_metrics import EpochMetrics
from dyadnet.dynamics.outcome import Layout, Outcome
from dyadnet.dynamics.request import Part, Phase, PhasePlan, Relaxation
from dyadnet.dynamics.virtual_time import timing
from dyadnet.engines.protocol import Engine
from dyadnet.errors import CallbackError, DivergedError, StoppedError
from dyadnet.learning.early_stopping import Patience
from dyadnet.learning.update import Update
from dyadnet.learning.weighting import weighted
from dyadnet.network.topology import Topology
from dyadnet.numerics.rng import Stream
from dyadnet.numerics.scores import Scale, merit
from dyadnet.runs import record_lines, weights
from dyadnet.runs.folder import BEST, LAST, Recorder
from dyadnet.runs.hooks import Hooks, Unhooked
from dyadnet.runs.loading import check_fit
from dyadnet.runs.observer import MetricsCallback, Unobserved
from dyadnet.runs.summary import EVALUATED, Summary
from dyadnet.runs.watcher import ProgressCallback, Silent
from dyadnet.training.checkpoint_writer import CheckpointWriter

COLD_ITERATIONS = 60
WARM_ITERATIONS = 4
"""Power iterations for a first estimate of the spectral radius, and for one that starts from the previous vector."""
DRIFT = 0.1
"""Largest change of a κ since the last estimate; a larger one triggers a new estimate with `COLD_ITERATIONS`."""
EXACT_BETA = 1e-3
"""The β at which the contrast of a fully settled network counts as the exact gradient."""
OFF_THE_RECORD = 2**40
"""Offset of the numbers of relaxations off the record, so that their random draws differ from recorded ones."""


@dataclass(frozen=True, slots=True)
class Outset:
    """Initial state of a run, beside its configuration.

    Attributes
    ----------
    parameters
        Initial parameters of a new run, by block; drawn from the seed unless given.
    hooks
        Calls the run's callbacks; default: no callbacks.
    position
        Where a run without a keeper continues; default: at the beginning.
    """

    parameters: weights.Parameters | None = None
    hooks: Hooks | None = None
    position: Position | None = None


class Coordinator:
    """Trains and evaluates one network.

    Parameters
    ----------
    config
        The run's configuration.
    data
        Sizes of the data set, which must match those of the network.
    engine
        Runs the blocks.
    folder
        Receives the record; None: no record is kept.
    watcher
        Receives progress reports.
    observer
        Receives everything that metrics are computed from; it never changes the result.
    keeper
        Writes checkpoints, and holds the one that the run resumes from; None: no checkpoints.
    outset
        Initial state of the run, beside its configuration.

    Attributes
    ----------
    train_rows, validation_rows
        Rows of the training part that are trained on, and rows that are held out to select the best weights.
    train_weights
        How often an epoch uses each of `train_rows`, relative to the others; see `dyadnet.learning.weighting`.
        None: once each.

    Raises
    ------
    ConfigError
        If data and network do not fit each other.
    """

    def __init__(
        self,
        config: RunConfig,
        data: DataShape,
        engine: Engine,
        folder: Recorder | None = None,
        watcher: ProgressCallback | None = None,
        observer: MetricsCallback | None = None,
        keeper: CheckpointWriter | None = None,
        outset: Outset | None = None,
    ) -> None:
        check_fit(config, data)
        self.config = config
        self.data = data
        self.engine = engine
        self.folder = folder
        self.watcher: ProgressCallback = watcher or Silent()
        self.observer: MetricsCallback = observer or Unobserved()
        topology = Topology(config.network)
        self.timing = timing(config, topology)
        self._layout = Layout(topology, counters=config.imperfections.counters)
        self.train_rows, self.validation_rows = validation_split(data.train, config.seed, config.data.validation)
        self.keeper = keeper
        outset = outset or Outset()
        self._initial = outset.parameters if keeper is None or keeper.newest is None else None
        self._hooks: Hooks = outset.hooks or Unhooked()
        stopping = config.learning.early_stopping
        self._patience = None if stopping is None else Patience(stopping)
        self._halt: str | None = None
        self._raised: str | None = None
        self._regimen = PhasePlan(config)
        self.train_weights: NDArray[np.float64] | None = None
        start = outset.position or Position()
        if keeper is not None and keeper.newest is not None:
            start = keeper.newest.position
        self._start = start
        self._best, self._last = start.best, start.last
        self.radius = start.radius
        self._relaxations = start.relaxations
        self._updates = start.updates
        self._since_radius = start.since_radius
        self._estimated = start.estimated
        self._at = start.at

    @property
    def minibatches(self) -> int:
        """Number of minibatches of an epoch; the last may be smaller than the others."""
        return -(-len(self.train_rows) // self.config.learning.minibatch)

    @property
    def updates(self) -> int:
        """Number of minibatches trained on so far in the whole run."""
        return self._updates

    def run(self) -> Summary:
        """Train for all epochs and return the summary.

        Raises
        ------
        DivergedError
            If a relaxation diverges. The error names block, tick, spectral radius and step, and suggests remedies.
        StoppedError
            If a callback stops the run before its first epoch has ended.
        CallbackError
            If a callback raises.
        """
        started = time.perf_counter()
        start, epochs = self._start, self.config.learning.epochs
        self._restore(start.hooks)
        if self._initial is not None:
            self.engine.load(self._initial)
        if self.keeper is not None:
            self.keeper.begin(self.engine, start)
        for text in self._regimen.warnings():
            self.watcher.warning(text)
        self.watcher.started(self.config, self.minibatches)
        self.observer.started(self.minibatches, start.updates)
        with contextlib.suppress(_HaltedError):
            for epoch in range(start.epoch, epochs):
                if epoch > start.epoch or start.tally is None:
                    self._ended(epoch, 0)
                    self._hook("on_epoch_begin", epoch + 1)
                    self._ended(epoch, 0)
                line = self.epoch(epoch)
                improved = self._best is None or merit(line) > merit(self._best.line)
                self._last = line
                if improved:
                    self._best = Best(line)
                if self.folder is not None:
                    self._save(LAST, line)
                    if improved:
                        self._save(BEST, line)
                self.watcher.epoch(line)
                if self._patience is not None:
                    self._patience.note(line)
                    self._halt = self._halt or self._patience.reason
                self._hook("on_epoch_end", line)
                over = epoch + 1 == epochs or bool(self._halt or self._raised)
                if self.keeper is not None:
                    newest = self.keeper.newest
                    position = self.position(epoch + 1, 0)
                    self._best = self.keeper.epoch(self.engine, position, improved=improved, over=over)
                    self._kept(newest)
        if self._raised is not None:
            raise CallbackError(f"{self._raised}; {self._how_to_go_on()}")
        if self._best is None:
            raise StoppedError(f"stopped before the first epoch had ended: {self._halt}; {self._how_to_go_on()}")
        assert self._last is not None
        best = self._best.line
        out = "" if self.folder is None else self.folder.name
        return Summary.of(best, self._last, time.perf_counter() - started, out, self._halt or "")

    def position(self, epoch: int, minibatch: int, tally: EpochMetrics | None = None) -> Position:
        """Return the position of the run after `minibatch` minibatches of `epoch`."""
        return Position(
            epoch,
            minibatch,
            self._updates,
            self._relaxations,
            self.radius,
            self._since_radius,
            self._estimated,
            self._at,
            None if tally is None else tally.plain(),
            self._best,
            self._last,
            self._hooked(),
        )

    def epoch(self, epoch: int) -> dict[str, Any]:
        """Train one epoch, or the rest of it, then evaluate validation and test part. Return the record line."""
        started = time.perf_counter()
        resumed = self._start.tally is not None and epoch == self._start.epoch
        scale = self._scale("train")
        tally = EpochMetrics(self._layout, scale)
        if self._start.tally is not None and resumed:
            tally = EpochMetrics.from_plain(self._layout, self._start.tally, scale)
        done = self._start.minibatch if resumed else 0
        for index, rows in enumerate(self.shuffled(epoch)):
            if index < done:
                continue
            at = epoch + index / self.minibatches
            self._minibatch(rows, at, tally)
            self.watcher.minibatch(epoch, index, tally.loss, tally.accuracy, tally.last_sweeps)
            if self.folder is not None and (index + 1) % self.config.record.every == 0:
                self._record_minibatch(epoch, index, at, tally)
            if "on_minibatch_end" in self._hooks.wanted:
                found = record_lines.minibatch(epoch, index, self._settings(at), tally.latest())
                self._hook("on_minibatch_end", found)
                self._ended(epoch, index + 1, tally)
            if self.keeper is not None:
                newest = self.keeper.newest
                self.keeper.minibatch(self.engine, self._updates, partial(self.position, epoch, index + 1, tally))
                self._kept(newest)
                self._ended(epoch, index + 1, tally)
        trained = time.perf_counter()
        line = record_lines.epoch_began(epoch, self._settings(epoch + 1 - 1 / self.minibatches))
        line["train"] = tally.summary()
        imperfect = not self.config.imperfections.ideal()
        for part in EVALUATED:
            self.watcher.evaluating(epoch, part)
            line[part] = self.evaluate(part).summary()
            self.observer.evaluated(part, line[part])
            self._hook("on_evaluation_end", part, line[part])
            if imperfect:
                line[f"{part}_ideal"] = self.evaluate(part, ideal=True).summary()
                self._hook("on_evaluation_end", f"{part}_ideal", line[f"{part}_ideal"])
        line |= record_lines.epoch_ended(self.engine.norms(), self.engine.weights_sha256(), self._relaxations)
        self.observer.epoch(line)
        if self.folder is not None:
            self.folder.metrics(line)
            seconds = {"training": trained - started, "evaluation": time.perf_counter() - trained}
            self._record_machinery(epoch, seconds)
        return line

    def evaluate(self, part: Part, couplings: tuple[float, ...] | None = None, *, ideal: bool = False) -> EpochMetrics:
        """Evaluate loss and scores on a part of the data at β = 0.

        Parameters
        ----------
        couplings
            κ of each projection; default: the current ones.
        ideal
            Whether to switch off the imperfections of channels and devices. Delays and quantised weights remain.
        """
        rows = self.validation_rows if part == "validation" else np.arange(self.data.test)
        if part == "train":
            rows = self.train_rows
        tally = EpochMetrics(self._layout, self._scale(part))
        phases = self._regimen.evaluating(ideal=ideal)
        size = self.config.learning.evaluation_batch
        if couplings is None:
            couplings = self.couplings(self._at)
        for start in range(0, len(rows), size):
            source: Part = "test" if part == "test" else "train"
            relaxation = self._relaxation(source, rows[start : start + size], phases, couplings, ideal=ideal)
            outcome = self._relax(relaxation)
            tally.add(outcome)
            if ideal:
                self.observer.measured()
            else:
                self.observer.relaxed(part, outcome)
        return tally

    def shuffled(self, epoch: int) -> Iterator[NDArray[np.int64]]:
        """Yield the minibatches of an epoch: rows of the training part, in an order drawn from the seed."""
        rows = self.train_rows
        if self.train_weights is not None:
            rows = rows[weighted(self.train_weights, Stream(self.config.seed, "sample weights").at(tick=epoch))]
        order = Stream(self.config.seed, "shuffle").at(tick=epoch).permutation(rows)
        size = self.config.learning.minibatch
        for start in range(0, len(order), size):
            yield order[start : start + size]

    def _scale(self, part: Part) -> Scale | None:
        """Return the scale of errors on a part if targets are numbers, else None."""
        numbers = self.data.numbers
        return None if numbers is None else numbers.measure(part)

    def _hook(self, name: str, *arguments: Any) -> None:
        """Call a hook of the callbacks. `_ended` acts on a stop request or an error."""
        if self._raised is not None or name not in self._hooks.wanted:
            return
        reason, self._raised = self._hooks.call(name, *arguments)
        self._halt = self._halt or reason

    def _ended(self, epoch: int, minibatch: int, tally: EpochMetrics | None = None) -> None:
        """End the run here, with a checkpoint, if a stop was requested or a callback raised."""
        if not (self._halt or self._raised):
            return
        if self.keeper is not None:
            position = self.position(epoch, minibatch, tally)
            if self.keeper.newest is None or self.keeper.newest.position != position:
                self.keeper.keep(self.engine, position)
        raise _HaltedError

    def _kept(self, before: Manifest | None) -> None:
        """Call ``on_checkpoint`` if the newest checkpoint is not `before`."""
        assert self.keeper is not None
        newest = self.keeper.newest
        if newest is not None and newest is not before:
            self._hook("on_checkpoint", newest.name)

    def _hooked(self) -> dict[str, Any] | None:
        """Return the state of early stopping and callbacks, for a checkpoint."""
        found = {} if self._patience is None else {"early_stopping": self._patience.state()}
        try:
            callbacks = self._hooks.state()
        except CallbackError:
            if self._raised is None:
                raise
            # The run ends with the earlier error.
            callbacks = {}
        if callbacks:
            found["callbacks"] = callbacks
        return found or None

    def _restore(self, hooks: Mapping[str, Any] | None) -> None:
        found = hooks or {}
        if self._patience is not None and "early_stopping" in found:
            self._patience.restore(found["early_stopping"])
            self._halt = self._patience.reason
        self._hooks.restore(found.get("callbacks"))

    def _how_to_go_on(self) -> str:
        if self.keeper is None or self.keeper.newest is None or self.folder is None:
            return "checkpoints are off, so it cannot be resumed"
        return f"a checkpoint is written; go on with: dyadnet.resume({self.folder.name!r}, callbacks=[...])"

    def couplings(self, at: float) -> tuple[float, ...]:
        """Return κ of each projection at time `at`, in epochs."""
        return self._regimen.couplings(at)

    def _minibatch(self, rows: NDArray[np.int64], at: float, tally: EpochMetrics) -> None:
        self._at = at
        beta = self._regimen.beta(at)
        couplings = self.couplings(at)
        probed = bool(self.config.probe.neurons) and self._updates % self.config.probe.every == 0
        relaxation = self._relaxation("train", rows, self._regimen.training(beta, couplings), couplings, probed)
        # The exact gradient must see the same images.
        relaxation = replace(relaxation, epoch=int(at) + 1)
        if self.observer.compares(self._updates + 1):
            self._relax_exactly(relaxation)
        outcome = self._relax(replace(relaxation, minibatch=self._updates + 1))
        tally.add(outcome)
        self.observer.relaxed("train", outcome)
        self._updates += 1
        rate = self._regimen.rate(at, self._updates)
        measured = self.observer.measures(self._updates)
        self.engine.learn(Update(beta=beta, samples=len(rows), rate=rate, count=self._updates, measured=measured))
        self.observer.learned(self._settings(at), tally.loss, tally.scores)
        if probed and self.folder is not None:
            self.folder.probes(relaxation.number, self.engine.take_probes())

    def _relax_exactly(self, relaxation: Relaxation) -> None:
        """Give the blocks the exact gradient of the coming minibatch, by an additional relaxation off the record."""
        phases = self._regimen.exact(EXACT_BETA)
        number = relaxation.number + OFF_THE_RECORD
        with contextlib.suppress(DivergedError):
            self.engine.relax(replace(relaxation, number=number, phases=phases, probed=False, ideal=True, exact=True))
        self.observer.measured()

    def _relaxation(
        self,
        part: Part,
        rows: NDArray[np.int64],
        phases: tuple[Phase, ...],
        couplings: tuple[float, ...],
        probed: bool = False,
        *,
        ideal: bool = False,
    ) -> Relaxation:
        step = self._step(couplings)
        gamma = self.timing.rule.gamma(self.radius)
        self._relaxations += 1
        return Relaxation(self._relaxations, part, rows, phases, couplings, step, probed, ideal, gamma=gamma)

    def _step(self, couplings: tuple[float, ...]) -> float:
        """Return η or ω from the spectral radius. Estimate the radius again if that is due or λ has jumped."""
        rule = self.timing.rule
        jumped = any(abs(now - then) > DRIFT for now, then in zip(couplings, self._estimated, strict=False))
        due = self._since_radius == 0 or self._since_radius >= self.config.learning.radius_every or jumped
        if rule.needs_radius and due:
            iterations = COLD_ITERATIONS if jumped or self.radius == 0.0 else WARM_ITERATIONS
            self.radius = self.engine.spectral_radius(couplings, self.timing.operator, iterations)
            self._since_radius, self._estimated = 0, couplings
        self._since_radius += 1
        return rule.step(self.radius)

    def _relax(self, relaxation: Relaxation) -> Outcome:
        try:
            return self.engine.relax(relaxation)
        except DivergedError as problem:
            radius = self.engine.spectral_radius(relaxation.couplings, self.timing.operator, COLD_ITERATIONS)
            smaller = "" if self.config.dynamics.step == "auto" else "--set dynamics.step=auto, a smaller step, "
            advice = (
                f"spectral radius μ = {radius:.3g}, step = {relaxation.step:.3g} ({self.timing.rule.why}); "
                f"try {smaller}a smaller learning rate, or weight decay"
            )
            diverged = DivergedError(problem.block, problem.tick, problem.why, advice)
            self.observer.diverged(diverged)
            raise diverged from None

    def _settings(self, at: float) -> dict[str, Any]:
        couplings = self.couplings(at)
        return {
            "learning_rate": self._regimen.rate(at, self._updates),
            "beta": self._regimen.beta(at),
            "lambda": [(kappa + 1.0) / 2.0 for kappa in couplings],
            "radius": self.radius,
            "step": self.timing.rule.step(self.radius),
        } | self._extrapolation()

    def _extrapolation(self) -> dict[str, Any]:
        rule = self.timing.rule
        return {} if rule.prospective is None else {"gamma": rule.gamma(self.radius), "span": rule.prospective.span}

    def _record_minibatch(self, epoch: int, index: int, at: float, tally: EpochMetrics) -> None:
        assert self.folder is not None
        # The objective needs both compartments at once.
        has = self.config.dynamics.phases != "in-turn" and self.config.baseline is None
        objective = self.engine.objective(self._regimen.beta(at)) if has else None
        line = record_lines.minibatch(epoch, index, self._settings(at), tally.latest(), objective)
        self.folder.metrics(line)
        self.observer.recorded(line)

    def _record_machinery(self, epoch: int, seconds: dict[str, float]) -> None:
        assert self.folder is not None
        spent, epochs = self.engine.machinery(), self.config.learning.epochs
        traffic = spent.messages, spent.bytes
        seconds |= spent.seconds
        line = record_lines.spent(epoch, seconds, traffic, epochs, spent.pace, spent.actors)
        self.folder.machinery(line)
        self.observer.machinery(line)

    def _save(self, name: str, line: dict[str, Any]) -> None:
        assert self.folder is not None
        started = time.perf_counter()
        parameters = self.engine.parameters()
        numbers = self.data.numbers
        shape = None if numbers is None else numbers.shape
        known = self.data.scale, self.data.dtype, shape, self.data.normalisation
        about = weights.described(line, self.couplings(self._at), *known)
        self.folder.save(name, about, parameters)
        size = sum(array.nbytes for named in parameters.values() for array in named.values())
        self.observer.saved(name, time.perf_counter() - started, size)


class _HaltedError(Exception):
    """Raised to leave the training loop early."""
