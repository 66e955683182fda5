"""The engine of the slow reference: it ticks, and hands messages over."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dyadnet.config import RunConfig
from dyadnet.data import Dataset
from dyadnet.dynamics.outcome import Joiner, Layout, Outcome, ResourceUsage, Share
from dyadnet.dynamics.request import PhaseOutcome, Relaxation, lane_slices
from dyadnet.dynamics.spectral_radius import Operator
from dyadnet.dynamics.virtual_time import Timing, settling, timing
from dyadnet.errors import DivergedError
from dyadnet.learning.update import Update
from dyadnet.network.topology import Topology
from dyadnet.numerics.sums import added
from tests.reference import assembly, objective
from tests.reference.assembly import samples
from tests.reference.clocks import Moment
from tests.reference.dyads import Dyads
from tests.reference.reporting import block_report, columns
from tests.reference.settling import Judge
from tests.reference.spectrum import Response, spectral_radius


class ReferenceEngine:
    """Relaxes and learns as `dyadnet.engines.protocol.Engine`, one message after the other.

    Parameters
    ----------
    config
        The run.
    dataset
        Where blocks with an input projection and the output block find their rows.
    """

    def __init__(self, config: RunConfig, dataset: Dataset) -> None:
        self.config = config
        self.topology = Topology(config.network)
        self.timing: Timing = timing(config, self.topology)
        self.blocks = assembly.blocks(config, self.topology)
        self.dyads: dict[str, list[Dyads]] = {
            name: assembly.dyads(config, self.topology, self.timing, block) for name, block in self.blocks.items()
        }
        self._dataset = dataset
        self._responses = [Response(block, config.seed) for block in self.blocks.values()]
        self._active: list[int] = []
        self._probed: dict[str, Any] = {name: lanes[0].probe for name, lanes in self.dyads.items()}
        self._blas = threadpool_limits(limits=1, user_api="blas")
        self._layout = Layout(self.topology)
        self._joiner = Joiner(self.topology, [list(self.blocks)])

    def relax(self, relaxation: Relaxation) -> Outcome:
        """Settle one minibatch, lane after lane; see `Engine.relax`."""
        for block in self.blocks.values():
            block.couple(relaxation.couplings, ideal=relaxation.ideal)
        for name, lanes in self.dyads.items():
            lanes[0].probe = self._probed[name] if relaxation.probed else None
        slices = lane_slices(relaxation.rows, self.config.dynamics.lanes)
        self._active = list(slices)
        phases = [self._settle(lane, relaxation, slices[lane]) for lane in self._active]
        if relaxation.exact:
            beta, count = relaxation.phases[-1].beta, len(relaxation.rows)
            for block in self.blocks.values():
                block.gradients(self.lanes(block.name), beta, count)
                block.keep()
        active = {name: self.lanes(name) for name in self.blocks}
        found = columns(self._layout, [block_report(lanes) for lanes in active.values()], active)
        reports = self._joiner.joined([Share(*found, ResourceUsage("process"))])
        return Outcome(tuple(phases), reports)

    def learn(self, update: Update) -> None:
        """Every block takes a Hebbian step; see `Engine.learn`."""
        for block in self.blocks.values():
            block.learn(self.lanes(block.name), update)

    def spectral_radius(self, couplings: tuple[float, ...], operator: Operator, iterations: int) -> float:
        """ρ by a power iteration over the blocks; see `Engine.spectral_radius`."""
        for block in self.blocks.values():
            block.couple(couplings)
        return spectral_radius(self._responses, operator, iterations)

    def objective(self, beta: float) -> float:
        """The saddle objective, mean over samples; see `Engine.objective`."""
        total = 0.0
        samples = 0
        for lane in self._active:
            dyads = {name: lanes[lane] for name, lanes in self.dyads.items()}
            before = {name: dyad.snapshot() for name, dyad in dyads.items()}
            for dyad in dyads.values():
                for message in dyad.announce():
                    dyads[message.target].mail.hold(message)
            total += added(objective.contribution(dyad, beta) for dyad in dyads.values())
            samples += next(iter(dyads.values())).A.shape[0]
            for name, dyad in dyads.items():
                dyad.restore(before[name])
        return total / samples

    def lanes(self, name: str) -> list[Dyads]:
        """A block's neurons in every lane of the latest relaxation."""
        return [self.dyads[name][lane] for lane in self._active]

    def gradients(self, beta: float, samples: int) -> dict[str, dict[str, NDArray[Any]]]:
        """The Hebbian gradient of the latest relaxation, by block and parameter; written again by the next call."""
        return {name: block.gradients(self.lanes(name), beta, samples) for name, block in self.blocks.items()}

    def weights_sha256(self) -> str:
        """Hash of all weights; see `Engine.weights_sha256`."""
        return hashlib.sha256(b"".join(block.digest() for block in self.blocks.values())).hexdigest()

    def take_probes(self) -> dict[str, dict[str, Any]]:
        """What the probes recorded; see `Engine.take_probes`."""
        return {name: probe.take() for name, probe in self._probed.items() if probe is not None}

    def close(self) -> None:
        """Give BLAS its own threads back."""
        self._blas.restore_original_limits()

    def _settle(self, lane: int, relaxation: Relaxation, rows: np.ndarray[Any, Any]) -> tuple[PhaseOutcome, ...]:
        """Run one lane's phases."""
        dyads = {name: lanes[lane] for name, lanes in self.dyads.items()}
        self._begin(dyads, Moment(relaxation.number, 0, lane), relaxation, rows)
        return self._ticks(dyads, relaxation)

    def _ticks(self, dyads: Mapping[str, Dyads], relaxation: Relaxation) -> tuple[PhaseOutcome, ...]:
        """The tick loop."""
        course = settling(relaxation.phases, self.config.dynamics, self.timing)
        tick = 0
        judge = Judge(course.rule, self.config.dynamics.tolerance)
        while not course.done:
            if tick + 1 == course.rule.first_tick:
                judge = Judge(course.rule, self.config.dynamics.tolerance)
                for dyad in dyads.values():
                    dyad.enter(
                        course.index, course.phase.beta, course.rule.first_tick, course.average_from, course.phase.side
                    )
            check = course.rule.next_check
            while tick < check:
                tick += 1
                for dyad in dyads.values():
                    for message in dyad.fire(tick):
                        dyads[message.target].receive(message)
            verdict = judge.judge([dyad.progress() for dyad in dyads.values()])
            if verdict.kind != "continue":
                course.end(tick, verdict.kind)
            if verdict.kind == "diverged":
                raise DivergedError(verdict.block, tick, verdict.why)
        for dyad in dyads.values():
            dyad.deliver(tick)
        return tuple(course.outcomes)

    def _begin(
        self, dyads: Mapping[str, Dyads], moment: Moment, relaxation: Relaxation, rows: np.ndarray[Any, Any]
    ) -> None:
        for dyad in dyads.values():
            for message in dyad.begin(
                moment, len(rows), relaxation.step, *samples(dyad, relaxation, rows, self._dataset), relaxation.gamma
            ):
                dyads[message.target].receive(message)
