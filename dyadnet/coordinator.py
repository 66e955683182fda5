"""The coordinator: hands out minibatches and nudges, asks for Hebbian updates, evaluates, keeps the record.

One plain class, independent of the engine that runs the blocks.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.config import FreeRunning, RunConfig
from dyadnet.data import DataShape, validation_split
from dyadnet.engine.protocol import Engine
from dyadnet.errors import ConfigError, DivergedError
from dyadnet.observer import Observer, Unobserved
from dyadnet.random import Stream
from dyadnet.record import CHECKPOINTS, Recorder
from dyadnet.relaxation import Outcome, Part, Phase, Relaxation, Update
from dyadnet.tally import Tally
from dyadnet.timing import timing
from dyadnet.topology import Topology
from dyadnet.watcher import Silent, Watcher

COLD_ITERATIONS = 60
WARM_ITERATIONS = 4
"""Power iterations for the first estimate of the spectral radius, and for each later one, started from the last."""
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
    ) -> None:
        check_fit(config, data)
        self.config = config
        self.data = data
        self.engine = engine
        self.folder = folder
        self.watcher: Watcher = watcher or Silent()
        self.observer: Observer = observer or Unobserved()
        self.timing = timing(config, Topology(config.network))
        self.train_rows, self.validation_rows = validation_split(data.train, config.seed, config.data.validation)
        self.radius = 0.0
        self._noisy = config.imperfections.noisy(config.network)
        self._relaxations = 0
        self._updates = 0
        self._since_radius = 0
        self._at = 0.0

    @property
    def minibatches(self) -> int:
        """Minibatches of an epoch; the last may be short."""
        return -(-len(self.train_rows) // self.config.learning.minibatch)

    def run(self) -> Summary:
        """Train for all epochs.

        Raises
        ------
        DivergedError
            With block, tick, spectral radius, step, and what to try.
        """
        started = time.perf_counter()
        self._warn()
        self.watcher.started(self.config, self.minibatches)
        self.observer.started(self.minibatches)
        best: dict[str, Any] | None = None
        line: dict[str, Any] = {}
        for epoch in range(self.config.learning.epochs):
            line = self.epoch(epoch)
            improved = best is None or _merit(line) > _merit(best)
            if improved:
                best = line
            if self.folder is not None:
                self._save("last", line)
                if improved:
                    self._save("best", line)
            self.watcher.epoch(line)
        assert best is not None
        return Summary(
            test_accuracy=best["test"]["accuracy"],
            validation_accuracy=best["validation"]["accuracy"],
            best_epoch=best["epoch"],
            train_loss=line["train"]["loss"],
            weights_sha256=line["weights_sha256"],
            seconds=time.perf_counter() - started,
            out="" if self.folder is None else self.folder.name,
        )

    def epoch(self, epoch: int) -> dict[str, Any]:
        """One pass over the training part, then an evaluation of the validation and the test part."""
        started = time.perf_counter()
        tally = Tally()
        for index, rows in enumerate(self.shuffled(epoch)):
            at = epoch + index / self.minibatches
            self._minibatch(rows, at, tally)
            self.watcher.minibatch(epoch, index, tally.loss, tally.accuracy, tally.last_sweeps)
            if self.folder is not None and (index + 1) % self.config.record.every == 0:
                self._record_minibatch(epoch, index, at, tally)
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
        tally = Tally()
        phases = self._timed(Phase("free", 0.0, self.config.dynamics.sweeps), ideal=ideal)
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
        learning, recurrent = self.config.learning, self.config.network.recurrent
        if learning.lam is None:
            return tuple(projection.coupling for projection in recurrent)
        if not isinstance(learning.lam, dict):
            kappa = 2.0 * learning.lam.at(at, learning.epochs) - 1.0
            return tuple(kappa for _ in recurrent)
        lam = learning.lam
        return tuple(
            2.0 * lam[p.name].at(at, learning.epochs) - 1.0 if p.name in lam else p.coupling for p in recurrent
        )

    def _minibatch(self, rows: NDArray[np.int64], at: float, tally: Tally) -> None:
        learning = self.config.learning
        self._at = at
        beta = learning.beta.at(at, learning.epochs)
        couplings = self.couplings(at)
        probed = bool(self.config.probe.neurons) and self._updates % self.config.probe.every == 0
        relaxation = self._relaxation("train", rows, self._phases(beta, couplings), couplings, probed)
        if self.observer.compares(self._updates + 1):
            self._relax_exactly(relaxation)
        outcome = self._relax(relaxation)
        tally.add(outcome)
        self.observer.relaxed("train", outcome)
        self._updates += 1
        rate = learning.learning_rate.at(at, learning.epochs)
        measured = self.observer.measures(self._updates)
        self.engine.learn(Update(beta=beta, samples=len(rows), rate=rate, count=self._updates, measured=measured))
        self.observer.learned(self._settings(at), tally.loss, tally.accuracy)
        if probed and self.folder is not None:
            self.folder.probes(relaxation.number, self.engine.take_probes())

    def _relax_exactly(self, relaxation: Relaxation) -> None:
        """Let blocks know the exact gradient of a minibatch that is about to be relaxed; off the record."""
        cap = self.config.dynamics.sweeps
        phases = (Phase("free", 0.0, cap, fixed=True), Phase("nudged", EXACT_BETA, cap, fixed=True))
        number = relaxation.number + OFF_THE_RECORD
        with contextlib.suppress(DivergedError):
            self.engine.relax(replace(relaxation, number=number, phases=phases, probed=False, ideal=True, exact=True))
        self.observer.measured()

    def _phases(self, beta: float, couplings: tuple[float, ...]) -> tuple[Phase, ...]:
        dynamics = self.config.dynamics
        free_first = dynamics.phases == "free-nudged"
        if dynamics.phases in ("auto", "in-turn"):
            free_first = any(kappa > 0 for kappa in couplings)
        if dynamics.phases == "in-turn":
            cap = dynamics.nudged_sweeps if free_first else dynamics.sweeps
            turns = Phase("first", beta, cap, side=1), Phase("second", beta, dynamics.nudged_sweeps, side=-1)
            return self._timed(*([Phase("free", 0.0, dynamics.sweeps)] if free_first else []), *turns)
        if free_first:
            return self._timed(Phase("free", 0.0, dynamics.sweeps), Phase("nudged", beta, dynamics.nudged_sweeps))
        return self._timed(Phase("dyadic", beta, dynamics.sweeps))

    def _timed(self, *phases: Phase, ideal: bool = False) -> tuple[Phase, ...]:
        """Phases that end when they settle; or, if asked for or under noise, after all their sweeps, averaged last."""
        dynamics = self.config.dynamics
        noisy = self._noisy and not ideal
        if not (noisy or dynamics.fixed):
            return phases
        *before, last = (replace(phase, fixed=True) for phase in phases)
        average = (last.cap + 1) // 2 if noisy else 0
        if dynamics.average != "auto":
            average = dynamics.average
        return (*before, replace(last, average=average))

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
        """η or ω, from a spectral radius that is estimated anew every few minibatches."""
        rule = self.timing.rule
        if rule.needs_radius and (self._since_radius == 0 or self._since_radius >= self.config.learning.radius_every):
            cold = self.radius == 0.0
            iterations = COLD_ITERATIONS if cold else WARM_ITERATIONS
            self.radius = self.engine.spectral_radius(couplings, self.timing.symmetric_radius, iterations)
            self._since_radius = 0
        self._since_radius += 1
        return rule.step(self.radius)

    def _relax(self, relaxation: Relaxation) -> Outcome:
        try:
            return self.engine.relax(relaxation)
        except DivergedError as problem:
            radius = self.engine.spectral_radius(relaxation.couplings, self.timing.symmetric_radius, COLD_ITERATIONS)
            advice = (
                f"spectral radius μ = {radius:.3g}, step = {relaxation.step:.3g} ({self.timing.rule.why}); "
                "try --set dynamics.step=auto, a smaller step, a smaller learning rate, or weight decay"
            )
            diverged = DivergedError(problem.block, problem.tick, problem.why, advice)
            self.observer.diverged(diverged)
            raise diverged from None

    def _settings(self, at: float) -> dict[str, Any]:
        learning = self.config.learning
        couplings = self.couplings(at)
        return {
            "learning_rate": learning.learning_rate.at(at, learning.epochs),
            "beta": learning.beta.at(at, learning.epochs),
            "lambda": [(kappa + 1.0) / 2.0 for kappa in couplings],
            "radius": self.radius,
            "step": self.timing.rule.step(self.radius),
        }

    def _record_minibatch(self, epoch: int, index: int, at: float, tally: Tally) -> None:
        assert self.folder is not None
        learning = self.config.learning
        line = {"kind": "minibatch", "epoch": epoch + 1, "minibatch": index + 1} | self._settings(at)
        line |= tally.latest()
        if self.config.dynamics.phases != "in-turn":
            # It is of both compartments at once.
            line["objective"] = self.engine.objective(learning.beta.at(at, learning.epochs))
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
        manifest = {
            "epoch": line["epoch"],
            "weights_sha256": line["weights_sha256"],
            "couplings": list(self.couplings(self._at)),
            "validation_accuracy": line["validation"]["accuracy"],
            "test_accuracy": line["test"]["accuracy"],
        }
        started = time.perf_counter()
        parameters = self.engine.parameters()
        self.folder.save(name, manifest, parameters)
        size = sum(array.nbytes for named in parameters.values() for array in named.values())
        self.observer.saved(name, time.perf_counter() - started, size)

    def _warn(self) -> None:
        learning, network = self.config.learning, self.config.network
        if self._noisy and not isinstance(self.config.dynamics.mode, FreeRunning):
            phases = self._phases(learning.beta.at(0.0, learning.epochs), self.couplings(0.0))
            self.watcher.warning(
                f"under noise nothing settles: phases run all their sweeps ({', '.join(str(p.cap) for p in phases)}), "
                f"and the last {phases[-1].average} are averaged (dynamics.sweeps, nudged_sweeps, average)"
            )
        strongest = learning.beta.extremes(learning.epochs)[1]
        steepest = network.by_name[network.output].f.steepest
        if strongest * steepest >= 1:
            self.watcher.warning(
                f"β reaches {strongest:g}: at β·f′ ≥ 1 (f′ ≤ {steepest:g} at the output) the problem for s⁻ is no "
                "longer concave"
            )


def _merit(line: dict[str, Any]) -> tuple[float, float]:
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


def checkpoint(run: Path, name: str) -> Path:
    """Folder of a run's saved weights."""
    return run / CHECKPOINTS / name
