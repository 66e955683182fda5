"""Replay a recorded run in one process: every update reads the same messages and has the same time as in the run.

The replay follows each host's script from beginning to end. A host makes its next update as soon as all messages that
this update reads have been sent. The order among hosts may therefore differ from the recorded run, but each host
computes the same values, because these depend on its script only. A message is stored only if it will be read.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dyadnet.config import ProbeSpec, RunConfig
from dyadnet.config.dynamics import FreeRunning
from dyadnet.data import Dataset
from dyadnet.dynamics.request import PhaseOutcome, Relaxation
from dyadnet.engines.local import LocalEngine
from dyadnet.errors import TraceError
from dyadnet.program import tables as c
from dyadnet.program.arena import seen
from dyadnet.program.lane import Lane
from dyadnet.program.real_time.repetition import Letter, Repetition
from dyadnet.program.real_time.trace import HostTrace, check, states_of, weights_of
from dyadnet.runs.loading import check_fit, shape_for
from dyadnet.runs.trace import Trace
from dyadnet.runs.watcher import ProgressCallback
from dyadnet.training.coordinator import Coordinator


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where a replay differs from its trace.

    Attributes
    ----------
    minibatch
        Number of the minibatch, from 1 over all epochs: the one that was relaxed, or the last one trained on.
    evaluating
        Whether the difference appeared in an evaluation after that minibatch.
    block, what
        Name of the block, and ``weights`` or ``states``.
    """

    minibatch: int
    evaluating: bool
    block: str
    what: str

    def __str__(self) -> str:
        where = (
            f"in the evaluation after minibatch {self.minibatch}"
            if self.evaluating
            else f"at minibatch {self.minibatch}"
        )
        return f"{where}, in the {self.what} of block {self.block}"


@dataclass(frozen=True, slots=True)
class Replayed:
    """The result of a replay.

    Attributes
    ----------
    recorded_sha256, weights_sha256
        Hashes of the final weights of the recorded run and of the replay.
    difference
        The first difference between the two; None if no comparison found one.
    scores
        Scores of the replay on the test part, with the weights best on validation: ``accuracy``, or ``r2``, ``mae``
        and more.
    relaxations, updates
        Numbers of replayed relaxations and updates; updates are summed over hosts.
    seconds
        Duration of the replay.
    """

    recorded_sha256: str
    weights_sha256: str
    difference: Difference | None
    scores: Mapping[str, float]
    relaxations: int
    updates: int
    seconds: float

    @property
    def same(self) -> bool:
        """Whether the replay ended with the same weights as the recorded run."""
        return self.weights_sha256 == self.recorded_sha256


def replay(trace: Trace, config: RunConfig, dataset: Dataset, watcher: ProgressCallback | None = None) -> Replayed:
    """Replay a recorded run on the local engine.

    Parameters
    ----------
    config
        The configuration of the trace; the location of its data may differ.

    Raises
    ------
    TraceError
        If the trace is incomplete or damaged.
    ConfigError
        If the network of the trace and the data do not fit each other.
    """
    started = time.perf_counter()
    if not isinstance(config.dynamics.mode, FreeRunning):
        raise TraceError(f"{trace.path}: damaged: it is of a run in lockstep")
    check_fit(config, dataset.sizes)
    # Probes do not change the result, and nothing would collect their recordings.
    config = config.model_copy(update={"probe": ProbeSpec()})
    engine = Repeating(trace, config, dataset)
    try:
        summary = Coordinator(config, shape_for(config, dataset), engine, watcher=watcher).run()
    finally:
        engine.close()
    return Replayed(
        trace.weights_sha256,
        summary.weights_sha256,
        engine.difference,
        {key.removeprefix("test_"): value for key, value in summary.plain().items() if key.startswith("test_")},
        engine.relaxations,
        engine.updates,
        time.perf_counter() - started,
    )


class Repeating(LocalEngine):
    """A local engine that replays the relaxations of a trace.

    Attributes
    ----------
    difference
        The first difference from the trace, or None.
    relaxations, updates
        Numbers of relaxations and updates replayed so far.
    """

    def __init__(self, trace: Trace, config: RunConfig, dataset: Dataset) -> None:
        super().__init__(config, dataset, repeats=True)
        self.difference: Difference | None = None
        self.relaxations = self.updates = 0
        self._trace = trace
        self._minibatch = 0

    def settle(self, relaxation: Relaxation) -> list[tuple[PhaseOutcome, ...]]:
        """Replay one relaxation."""
        names = [phase.name for phase in relaxation.phases]
        recorded = self._trace.relaxation(relaxation.number, list(self.blocks), names)
        evaluating = relaxation.minibatch == 0
        self._compare(weights_of(self.group.lane(0)), recorded.scripts, "weights", evaluating)
        self._minibatch = max(self._minibatch, relaxation.minibatch)
        self.group.begin(relaxation)
        # Fetch the lane again, because `begin` creates new lanes if there are more rows than before.
        lane = self.group.lane(0)
        scenes = [HostReplay(lane, script, relaxation) for script in recorded.scripts]
        try:
            perform(lane, scenes)
        except TraceError as problem:
            raise TraceError(f"{self._trace.path}: damaged: relaxation {relaxation.number}: {problem}") from None
        self._compare(states_of(lane), recorded.scripts, "states", evaluating)
        self.relaxations += 1
        self.updates += sum(scene.updates for scene in scenes)
        return [recorded.outcomes]

    def _compare(
        self,
        sums: tuple[int, ...],
        scripts: tuple[HostTrace, ...],
        what: Literal["weights", "states"],
        evaluating: bool,
    ) -> None:
        """Store the first difference between the blocks and the trace."""
        if self.difference is not None:
            return
        found = dict(zip(self.blocks, sums, strict=True))
        for script in scripts:
            for name, value in zip(script.blocks, getattr(script, what), strict=True):
                if found[name] != value:
                    self.difference = Difference(max(self._minibatch, 1), evaluating, name, what)
                    return


class HostReplay:
    """Replays one host's part of a relaxation, update by update.

    Parameters
    ----------
    lane
        The lane, with the blocks of all hosts.
    script
        The recorded actions of the host.

    Attributes
    ----------
    updates
        Number of updates made so far.
    """

    def __init__(self, lane: Lane, script: HostTrace, relaxation: Relaxation) -> None:
        arena, blocks = lane.arena, np.array([lane.arena.index[name] for name in script.blocks])
        self.script, self.updates = script, 0
        self._repetition, self._blocks = Repetition(lane), blocks
        self._phase = -1
        self._betas = [phase.beta for phase in relaxation.phases]
        self._at = 0
        _, links = seen(arena.geometry, script.blocks)
        numbers = {(link.pre.name, link.post.name): number for number, link in enumerate(arena.links)}
        self._channels = [2 * numbers[link.pre.name, link.post.name] + kind for link in links for kind in (0, 1)]
        t, own = lane.tables, set(blocks.tolist())
        source, target = t.channels[:, c.C_SOURCE], t.channels[:, c.C_TARGET]
        inside = np.isin(source, blocks) & np.isin(target, blocks)
        # Ideal channels are read in place, unless messages take time.
        immediate = np.full(len(source), not arena.delayed) if lane.ideal else arena.immediate
        self._inside = np.flatnonzero(inside & immediate).tolist()
        self._heard = {channel for channel in self._channels if int(target[channel]) in own}
        self._rows = script.rows.tolist()
        for row in self._rows:
            if row[c.TR_OP] == c.TR_ARRIVE:
                check(0 <= row[c.TR_COUNT] < c.LINE, "a message arrives from nowhere")
            if row[c.TR_OP] != c.TR_UPDATE:
                check(0 <= row[c.TR_WHO] < len(self._channels), "a message of a channel that there is not")
                row[c.TR_WHO] = self._channels[row[c.TR_WHO]]
                check(row[c.TR_WHO] in self._heard, "a message that ends elsewhere")

    @property
    def over(self) -> bool:
        """Whether the host has made all its updates."""
        return self._at == len(self._rows)

    @property
    def needs(self) -> Iterator[tuple[int, int]]:
        """Yield channel and number of each message that the next update reads."""
        for row in itertools.islice(self._rows, self._at, None):
            if row[c.TR_OP] == c.TR_UPDATE:
                return
            if row[c.TR_OP] != c.TR_ARRIVE:
                yield row[c.TR_WHO], row[c.TR_COUNT]

    @property
    def wanted(self) -> Counter[tuple[int, int]]:
        """How often the host reads each message."""
        return Counter((row[c.TR_WHO], row[c.TR_COUNT]) for row in self._rows if row[c.TR_OP] in (c.TR_HOLD, c.TR_PUT))

    def update(self, letters: Mapping[tuple[int, int], Letter]) -> None:
        """Read the messages that were recorded before the next update, then make this update."""
        repetition, lane = self._repetition, self._repetition.lane
        reg, real = lane.state.reg, lane.state.real
        rows = []
        while self._rows[self._at][c.TR_OP] != c.TR_UPDATE:
            rows.append(self._rows[self._at])
            self._at += 1
        update = self._rows[self._at]
        self._at += 1
        self.updates += 1
        if update[c.TR_PHASE] != self._phase:
            self._phase = update[c.TR_PHASE]
            lane.state.blocks[self._blocks, c.S_AVERAGED] = 0
        real[c.F_TIME], real[c.F_SPAN] = update[c.TR_WHO] >> 1, self.script.span
        for op, channel, count, copy, phase, stamp in rows:
            reg[c.REG_PHASE] = phase
            if op == c.TR_ARRIVE:
                repetition.arrive(channel, count, copy, stamp)
            elif op == c.TR_PUT:
                check(0 <= copy < c.LINE, "a message is put nowhere")
                repetition.put(channel, copy, count, stamp, letters[channel, count])
            else:
                repetition.put(channel, 0, count, stamp, letters[channel, count])
                repetition.arrive(channel, 0, copy, phase)
        for channel in self._inside:
            repetition.hear_own(channel, self.updates - 1)
        reg[c.REG_PHASE], real[c.F_BETA] = self._phase, self._betas[self._phase]
        reg[c.REG_AVERAGE] = 0 if update[c.TR_WHO] & 1 else -1
        reg[c.REG_INTERVAL], reg[c.REG_NOW] = update[c.TR_COPY], update[c.TR_STAMP]
        repetition.update(self._blocks, self.updates)

    def sent(self, wanted: Mapping[tuple[int, int], int]) -> Iterator[tuple[tuple[int, int], Letter]]:
        """Yield the messages of the last update that some host will read."""
        for block in self._blocks.tolist():
            for channel in self._repetition.outgoing(block):
                if wanted.get((channel, self.updates)):
                    yield (channel, self.updates), self._repetition.letter(channel)


def perform(lane: Lane, scenes: list[HostReplay]) -> None:
    """Replay the recorded actions of all hosts.

    Raises
    ------
    TraceError
        If a host read a message that no host sent.
    """
    wanted = Counter[tuple[int, int]]()
    for scene in scenes:
        wanted += scene.wanted
    letters: dict[tuple[int, int], Letter] = {}
    waiting = [scene for scene in scenes if not scene.over]
    moved = True
    while waiting and moved:
        moved = False
        for scene in waiting:
            needs = list(scene.needs)
            if not all(need in letters for need in needs):
                continue
            moved = True
            scene.update(letters)
            for need in needs:
                wanted[need] -= 1
                if not wanted[need]:
                    letters.pop(need, None)
            letters.update(scene.sent(wanted))
        waiting = [scene for scene in waiting if not scene.over]
    if waiting:
        scene = waiting[0]
        channel, number = next(need for need in scene.needs if need not in letters)
        source = lane.arena.specs[int(lane.tables.channels[channel, c.C_SOURCE])].name
        raise TraceError(f"nobody sent update {number} of {source} to {'+'.join(scene.script.blocks)}")
