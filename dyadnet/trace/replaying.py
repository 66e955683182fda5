"""A run again, in one process: every update reads what it read before, at the times at which it was made before.

Each host's script is followed from beginning to end. A host makes its next update once the letters that it read before
are written, so the hosts take turns in an order that may be another than it was; what each of them computes is the
same, because it depends on nothing but its script. A letter is kept only if somebody is going to read it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from dyadnet.cohort import Cohort
from dyadnet.config import ProbeSpec, RunConfig
from dyadnet.coordinator import Coordinator, check_fit
from dyadnet.data import Dataset
from dyadnet.dyads import Dyads
from dyadnet.dynamics import FreeRunning
from dyadnet.engine.local import LocalEngine
from dyadnet.messages import Message
from dyadnet.relaxation import PhaseOutcome, Relaxation
from dyadnet.trace.errors import TraceError
from dyadnet.trace.file import Trace
from dyadnet.trace.script import AVERAGE, Script, check, state_of, weights_of
from dyadnet.watcher import Watcher


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a replay first differs from what its trace says.

    Attributes
    ----------
    minibatch
        Of the run's training, counted from 1 over all epochs: the one that was relaxed, or that was learned from last.
    evaluating
        Whether it was seen when a part of the data was evaluated after that minibatch.
    block, what
        Which block, and whether it is its ``weights`` or its ``states``.
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
    """How a replay ended.

    Attributes
    ----------
    recorded_sha256, weights_sha256
        Of the weights that the recorded run ended with, and of those here.
    difference
        Where the two first differ; None if nowhere that was looked at.
    test_accuracy
        Of the weights best on validation, here.
    relaxations, updates
        That were repeated, the latter summed over hosts.
    seconds
        That it took.
    """

    recorded_sha256: str
    weights_sha256: str
    difference: Difference | None
    test_accuracy: float
    relaxations: int
    updates: int
    seconds: float

    @property
    def same(self) -> bool:
        """Whether both are the same weights."""
        return self.weights_sha256 == self.recorded_sha256


def replay(trace: Trace, config: RunConfig, dataset: Dataset, watcher: Watcher | None = None) -> Replayed:
    """Repeat a run on the local engine.

    Parameters
    ----------
    config
        That of the trace; its data may lie elsewhere.

    Raises
    ------
    TraceError
        If the trace does not say all that is needed.
    ConfigError
        If its network and the data do not fit each other.
    """
    started = time.perf_counter()
    if not isinstance(config.dynamics.mode, FreeRunning):
        raise TraceError(f"{trace.path}: damaged: it is of a run in lockstep")
    check_fit(config, dataset.shape)
    # Who looks changes no bit, and nobody fetches what a probe would see.
    config = config.model_copy(update={"probe": ProbeSpec()})
    repeating = Repeating(trace, config)
    engine = LocalEngine(config, dataset, course=repeating)
    try:
        summary = Coordinator(config, dataset.shape, engine, watcher=watcher).run()
    finally:
        engine.close()
    return Replayed(
        trace.weights_sha256,
        summary.weights_sha256,
        repeating.difference,
        summary.test_accuracy,
        repeating.relaxations,
        repeating.updates,
        time.perf_counter() - started,
    )


class Repeating:
    """What each relaxation goes through, as a trace says; see `dyadnet.engine.local.Course`.

    Attributes
    ----------
    difference
        The first that was seen.
    relaxations, updates
        That were repeated so far.
    """

    def __init__(self, trace: Trace, config: RunConfig) -> None:
        self.difference: Difference | None = None
        self.relaxations = self.updates = 0
        self._trace = trace
        mode = config.dynamics.mode
        assert isinstance(mode, FreeRunning)
        self._settings = (mode.delay, config.seed)
        self._minibatch = 0

    def __call__(self, dyads: Mapping[str, Dyads], relaxation: Relaxation) -> tuple[PhaseOutcome, ...]:
        """Repeat one relaxation."""
        recorded = self._trace.relaxation(relaxation.number, list(dyads), [phase.name for phase in relaxation.phases])
        evaluating = relaxation.minibatch == 0
        self._compare(dyads, recorded.scripts, "weights", evaluating)
        self._minibatch = max(self._minibatch, relaxation.minibatch)
        scenes = [
            Scene(index, script, Cohort({name: dyads[name] for name in script.blocks}, *self._settings), relaxation)
            for index, script in enumerate(recorded.scripts)
        ]
        try:
            perform(scenes)
        except TraceError as problem:
            raise TraceError(f"{self._trace.path}: damaged: relaxation {relaxation.number}: {problem}") from None
        self._compare(dyads, recorded.scripts, "states", evaluating)
        self.relaxations += 1
        self.updates += sum(len(script.now) for script in recorded.scripts)
        return recorded.outcomes

    def _compare(self, dyads: Mapping[str, Dyads], scripts: tuple[Script, ...], what: str, evaluating: bool) -> None:
        """Note the first difference; of weights it is made by the minibatch before."""
        if self.difference is not None:
            return
        compute = weights_of if what == "weights" else state_of
        for script in scripts:
            for name, expected in zip(script.blocks, getattr(script, what), strict=True):
                if compute(dyads[name]) != expected:
                    of_evaluation = evaluating and what == "states"
                    self.difference = Difference(self._minibatch, of_evaluation, name, what)
                    return


class Scene:
    """One host of a relaxation that is repeated, as far as it has come.

    Parameters
    ----------
    index
        Of the host.
    script
        What it did.
    cohort
        Its blocks, in their first states.
    """

    def __init__(self, index: int, script: Script, cohort: Cohort, relaxation: Relaxation) -> None:
        self.index = index
        self.blocks = script.blocks
        self._cohort = cohort
        self._betas = [phase.beta for phase in relaxation.phases]
        self._now = script.now.tolist()
        self._at = script.began
        self._time_constant = script.time_constant
        self._reads, self._tells = script.reads.tolist(), script.tells.tolist()
        self._letters = list(zip(script.origins.tolist(), script.ticks.tolist(), strict=True))
        self._arrived = script.arrived.tolist() or [script.began] * len(self._letters)
        self._targets = script.targets.tolist()
        self._marks = list(script.marks)
        self._done = self._read = self._told = self._marked = 0
        cohort.begin()
        check(cohort.underway is None or len(script.arrived) == len(self._letters), "nobody knows when letters came in")
        self.turn()

    @property
    def over(self) -> bool:
        """Whether it has made all its updates."""
        return self._done == len(self._now)

    @property
    def updates(self) -> int:
        """That it has made."""
        return self._done

    @property
    def needs(self) -> list[tuple[int, int]]:
        """Sending host and update of the letters that are read before the next update."""
        return self._letters[self._read : self._read + self._reads[self._done]]

    @property
    def wanted(self) -> Counter[tuple[int, int]]:
        """How often each letter is read."""
        return Counter(self._letters)

    def update(self, letters: list[list[Message]]) -> list[int]:
        """Make the next update, having read letters; whom to tell of it."""
        for messages, arrived in zip(letters, self._arrived[self._read :], strict=False):
            for message in messages:
                self._cohort.read(message, arrived)
        now = self._now[self._done]
        self._cohort.deliver(now)
        self._cohort.update(now, now - self._at, self._time_constant)
        self._at = now
        self._read += self._reads[self._done]
        told: list[int] = self._targets[self._told : self._told + self._tells[self._done]]
        self._told += len(told)
        self._done += 1
        return told

    def tell(self, blocks: tuple[str, ...]) -> list[Message]:
        """Tell a host of the last update."""
        return self._cohort.tell(blocks)

    def turn(self) -> None:
        """What comes between two updates: averages begin, phases are entered."""
        while self._marked < len(self._marks) and self._marks[self._marked][0] == self._done:
            _, phase = self._marks[self._marked]
            if phase == AVERAGE:
                self._cohort.average()
            else:
                self._cohort.enter(phase, self._betas[phase])
            self._marked += 1


def perform(scenes: list[Scene]) -> None:
    """Let all hosts do what they did.

    Raises
    ------
    TraceError
        If one read a letter that nobody wrote.
    """
    wanted = {(origin, s.index, tick): n for s in scenes for (origin, tick), n in s.wanted.items()}
    letters: dict[tuple[int, int, int], list[Message]] = {}
    waiting = [scene for scene in scenes if not scene.over]
    moved = True
    while waiting and moved:
        moved = False
        for scene in waiting:
            keys = [(origin, scene.index, tick) for origin, tick in scene.needs]
            if not all(key in letters for key in keys):
                continue
            moved = True
            told = scene.update([letters[key] for key in keys])
            for key in keys:
                wanted[key] -= 1
                if not wanted[key]:
                    letters.pop(key, None)
            for host in told:
                messages = scene.tell(scenes[host].blocks)
                key = (scene.index, host, scene.updates)
                if key in wanted:
                    letters[key] = messages
            scene.turn()
        waiting = [scene for scene in waiting if not scene.over]
    if waiting:
        scene = waiting[0]
        origin, tick = next(need for need in scene.needs if (need[0], scene.index, need[1]) not in letters)
        raise TraceError(f"nobody told host {scene.index} of update {tick} of host {origin}")
