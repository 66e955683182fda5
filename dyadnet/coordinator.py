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

from dyadnet import weights
from dyadnet.checkpoint.keeper import Keeper
from dyadnet.checkpoint.position import Best, Position
from dyadnet.config import RunConfig
from dyadnet.data import DataShape, validation_split
from dyadnet.engine.protocol import Engine
from dyadnet.errors import ConfigError, DivergedError
from dyadnet.observer import Observer, Unobserved
from dyadnet.random import Stream
from dyadnet.record import BEST, LAST, Recorder
from dyadnet.regimen import Regimen
from dyadnet.relaxation import Part, Phase, Relaxation, Update
from dyadnet.reports import Layout, Outcome
from dyadnet.tally import Tally
from dyadnet.timing import timing
from dyadnet.topology import Topology
from dyadnet.watcher import Silent, Watcher

COLD_ITERATIONS = 60
WARM_ITERATIONS = 4
"""Power iterations for an estimate of the spectral radius from nothing, and for one that starts from the last."""
DRIFT = 0.1
"""How far a κ may move from that of the last estimate; if further, one is due at once, as thorough as the first."""
EXACT_BETA = 1e-3
"""At which the contrast counts as the exact gradient, once the network has settled for as long as it may."""
OFF_THE_RECORD = 2**40
"""Added to a relaxation's number, so that no draw of one that counts is touched."""


_EVALUATED: tuple[Part, ...] = ("validation", "test")


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run ended.

    Attributes
    ----------
    test_accuracy, validation_accuracy
        Of the weights that were best on the validation part; fractions of 1.
    best_epoch
        The epoch (from 1) that they are of.
    train_loss
        Mean loss over the last epoch's minibatches.
    weights_sha256
        Of the last weights.
    seconds
        Of the whole run.
    out
        The run's folder.
    """

    test_accuracy: float
    validation_accuracy: float
    best_epoch: int
    train_loss: float
    weights_sha256: str
    seconds: float
    out: str


class Coordinator:
    """Trains and evaluates one network.

    Parameters
    ----------
    config
        The run.
    data
        Sizes of the data set, which must fit the network's.
    engine
        Runs the blocks.
    folder
        Where the record goes; None keeps no record.
    watcher
        Is told how it goes.
    observer
        Is told everything that metrics are made of; never changes a bit of the result.
    keeper
        Keeps checkpoints, and has the one that the run goes on from; None: there are none.

    Raises
    ------
    ConfigError
        If data and network do not fit.
    """

    def __init__(
        self,
        config: RunConfig,
        data: DataShape,
        engine: Engine,
        folder: Recorder | None = None,
        watcher: Watcher | None = None,
        observer: Observer | None = None,
        keeper: Keeper | None = None,
    ) -> None:
        check_fit(config, data)
        self.config = config
        self.data = data
        self.engine = engine
        self.folder = folder
        self.watcher: Watcher = watcher or Silent()
        self.observer: Observer = observer or Unobserved()
        topology = Topology(config.network)
        self.timing = timing(config, topology)
        self._layout = Layout(topology)
        self.train_rows, self.validation_rows = validation_split(data.train, config.seed, config.data.validation)
        self.keeper = keeper
        self._regimen = Regimen(config)
        start = Position() if keeper is None or keeper.newest is None else keeper.newest.position
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
        """Minibatches of an epoch; the last may be short."""
        return -(-len(self.train_rows) // self.config.learning.minibatch)

    @property
    def updates(self) -> int:
        """Minibatches that were learned from."""
        return self._updates

    def run(self) -> Summary:
        """Train for all epochs.

        Raises
        ------
        DivergedError
            With block, tick, spectral radius, step, and what to try.
        """
        started = time.perf_counter()
        start, epochs = self._start, self.config.learning.epochs
        if self.keeper is not None:
            self.keeper.begin(self.engine, start)
        for text in self._regimen.warnings():
            self.watcher.warning(text)
        self.watcher.started(self.config, self.minibatches)
        self.observer.started(self.minibatches, start.updates)
        for epoch in range(start.epoch, epochs):
            line = self.epoch(epoch)
            improved = self._best is None or _merit(line) > _merit(self._best.line)
            self._last = line
            if improved:
                self._best = Best(line)
            if self.folder is not None:
                self._save(LAST, line)
                if improved:
                    self._save(BEST, line)
            self.watcher.epoch(line)
            if self.keeper is not None:
                position = self.position(epoch + 1, 0)
                over = epoch + 1 == epochs
                self._best = self.keeper.epoch(self.engine, position, improved=improved, over=over)
        assert self._best is not None
        assert self._last is not None
        best = self._best.line
        return Summary(
            test_accuracy=best["test"]["accuracy"],
            validation_accuracy=best["validation"]["accuracy"],
            best_epoch=best["epoch"],
            train_loss=self._last["train"]["loss"],
            weights_sha256=self._last["weights_sha256"],
            seconds=time.perf_counter() - started,
            out="" if self.folder is None else self.folder.name,
        )

    def position(self, epoch: int, minibatch: int, tally: Tally | None = None) -> Position:
        """Where the run stands once so many minibatches of an epoch were learned from."""
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
        )

    def epoch(self, epoch: int) -> dict[str, Any]:
        """One pass over the training part, or what is left of it, then an evaluation of the other two parts."""
        started = time.perf_counter()
        resumed = self._start.tally is not None and epoch == self._start.epoch
        tally = Tally(self._layout)
        if self._start.tally is not None and resumed:
            tally = Tally.from_plain(self._layout, self._start.tally)
        done = self._start.minibatch if resumed else 0
        for index, rows in enumerate(self.shuffled(epoch)):
            if index < done:
                continue
            at = epoch + index / self.minibatches
            self._minibatch(rows, at, tally)
            self.watcher.minibatch(epoch, index, tally.loss, tally.accuracy, tally.last_sweeps)
            if self.folder is not None and (index + 1) % self.config.record.every == 0:
                self._record_minibatch(epoch, index, at, tally)
            if self.keeper is not None:
                self.keeper.minibatch(self.engine, self._updates, partial(self.position, epoch, index + 1, tally))
        trained = time.perf_counter()
        line: dict[str, Any] = {"kind": "epoch", "epoch": epoch + 1}
        line |= self._settings(epoch + 1 - 1 / self.minibatches)
        line["train"] = tally.summary()
        imperfect = not self.config.imperfections.ideal()
        for part in _EVALUATED:
            self.watcher.evaluating(epoch, part)
            line[part] = self.evaluate(part).summary()
            self.observer.evaluated(part, line[part])
            if imperfect:
                line[f"{part}_ideal"] = self.evaluate(part, ideal=True).summary()
        line["weight_norm"] = self.engine.norms()
        line["weights_sha256"] = self.engine.weights_sha256()
        line["relaxations"] = self._relaxations
        self.observer.epoch(line)
        if self.folder is not None:
            self.folder.metrics(line)
            seconds = {"training": trained - started, "evaluation": time.perf_counter() - trained}
            self._record_machinery(epoch, seconds)
        return line

    def evaluate(self, part: Part, couplings: tuple[float, ...] | None = None, *, ideal: bool = False) -> Tally:
        """Loss and accuracy at β = 0 of a part of the data, under the couplings in force unless others are given.

        Parameters
        ----------
        ideal
            Without the imperfections of channels and devices; delays stay, and weights stay on their levels.
        """
        rows = self.validation_rows if part == "validation" else np.arange(self.data.test)
        if part == "train":
            rows = self.train_rows
        tally = Tally(self._layout)
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
        """The minibatches of an epoch: rows of the training part, in an order drawn from the seed."""
        order = Stream(self.config.seed, "shuffle").at(tick=epoch).permutation(self.train_rows)
        size = self.config.learning.minibatch
        for start in range(0, len(order), size):
            yield order[start : start + size]

    def couplings(self, at: float) -> tuple[float, ...]:
        """κ of each projection at a moment of the run, counted in epochs."""
        return self._regimen.couplings(at)

    def _minibatch(self, rows: NDArray[np.int64], at: float, tally: Tally) -> None:
        self._at = at
        beta = self._regimen.beta(at)
        couplings = self.couplings(at)
        probed = bool(self.config.probe.neurons) and self._updates % self.config.probe.every == 0
        relaxation = self._relaxation("train", rows, self._regimen.training(beta, couplings), couplings, probed)
        if self.observer.compares(self._updates + 1):
            self._relax_exactly(relaxation)
        outcome = self._relax(replace(relaxation, minibatch=self._updates + 1))
        tally.add(outcome)
        self.observer.relaxed("train", outcome)
        self._updates += 1
        rate = self._regimen.rate(at)
        measured = self.observer.measures(self._updates)
        self.engine.learn(Update(beta=beta, samples=len(rows), rate=rate, count=self._updates, measured=measured))
        self.observer.learned(self._settings(at), tally.loss, tally.accuracy)
        if probed and self.folder is not None:
            self.folder.probes(relaxation.number, self.engine.take_probes())

    def _relax_exactly(self, relaxation: Relaxation) -> None:
        """Let blocks know the exact gradient of a minibatch that is about to be relaxed; off the record."""
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
        self._relaxations += 1
        return Relaxation(self._relaxations, part, rows, phases, couplings, step, probed, ideal)

    def _step(self, couplings: tuple[float, ...]) -> float:
        """η or ω, from a spectral radius that is estimated anew every few minibatches, and when λ has jumped."""
        rule = self.timing.rule
        jumped = any(abs(now - then) > DRIFT for now, then in zip(couplings, self._estimated, strict=False))
        due = self._since_radius == 0 or self._since_radius >= self.config.learning.radius_every or jumped
        if rule.needs_radius and due:
            iterations = COLD_ITERATIONS if jumped or self.radius == 0.0 else WARM_ITERATIONS
            self.radius = self.engine.spectral_radius(couplings, self.timing.symmetric_radius, iterations)
            self._since_radius, self._estimated = 0, couplings
        self._since_radius += 1
        return rule.step(self.radius)

    def _relax(self, relaxation: Relaxation) -> Outcome:
        try:
            return self.engine.relax(relaxation)
        except DivergedError as problem:
            radius = self.engine.spectral_radius(relaxation.couplings, self.timing.symmetric_radius, COLD_ITERATIONS)
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
            "learning_rate": self._regimen.rate(at),
            "beta": self._regimen.beta(at),
            "lambda": [(kappa + 1.0) / 2.0 for kappa in couplings],
            "radius": self.radius,
            "step": self.timing.rule.step(self.radius),
        }

    def _record_minibatch(self, epoch: int, index: int, at: float, tally: Tally) -> None:
        assert self.folder is not None
        line = {"kind": "minibatch", "epoch": epoch + 1, "minibatch": index + 1} | self._settings(at)
        line |= tally.latest()
        if self.config.dynamics.phases != "in-turn":
            # It is of both compartments at once.
            line["objective"] = self.engine.objective(self._regimen.beta(at))
        self.folder.metrics(line)
        self.observer.recorded(line)

    def _record_machinery(self, epoch: int, seconds: dict[str, float]) -> None:
        assert self.folder is not None
        spent = self.engine.machinery()
        line = (
            {"kind": "epoch", "epoch": epoch + 1, "seconds": seconds | dict(spent.seconds)}
            | {"messages": spent.messages, "bytes": spent.bytes, "learning_epochs": self.config.learning.epochs}
            | ({"pace": spent.pace} if spent.pace else {})
            | ({"actors": spent.actors} if spent.actors else {})
        )
        self.folder.machinery(line)
        self.observer.machinery(line)

    def _save(self, name: str, line: dict[str, Any]) -> None:
        assert self.folder is not None
        started = time.perf_counter()
        parameters = self.engine.parameters()
        self.folder.save(name, weights.described(line, self.couplings(self._at)), parameters)
        size = sum(array.nbytes for named in parameters.values() for array in named.values())
        self.observer.saved(name, time.perf_counter() - started, size)


def _merit(line: Mapping[str, Any]) -> tuple[float, float]:
    """What chooses the best weights: validation accuracy, and of equals the smaller loss."""
    return line["validation"]["accuracy"], -line["validation"]["loss"]


def check_fit(config: RunConfig, data: DataShape) -> None:
    """Whether network and data fit each other.

    Raises
    ------
    ConfigError
        Naming the size that does not fit.
    """
    if config.network.inputs != data.features:
        legal = f"{data.name} has {data.features} features a sample"
        raise ConfigError("network.inputs", config.network.inputs, legal)
    if config.network.classes != data.classes:
        legal = f"{data.name} has {data.classes} classes"
        raise ConfigError("network.populations (output size)", config.network.classes, legal)
