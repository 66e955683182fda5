"""The actors' answers to calls and through shared memory; implements `Answers` and `Inquiry` of the engine."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError

from dyadnet.dynamics.outcome import Layout
from dyadnet.errors import DyadnetError
from dyadnet_actors.hosts import orders
from dyadnet_actors.hosts.shared_memory import DeskSegments
from dyadnet_actors.protocol.failures import ActorLostError, cause_of, check_made
from dyadnet_actors.protocol.host_status import NoAnswer, Told

SOON = 0.1
"""Seconds within which most answers arrive."""


class RayAnswers:
    """Implements `dyadnet_actors.coordination.engine.Answers`: one reference per actor, by host index."""

    def __init__(self, labels: Mapping[int, str], references: list[Any]) -> None:
        self._labels = labels
        self._hosts = list(labels)
        self._references = references

    def check(self) -> None:
        """Raise an error if any actor raised one or died."""
        ready, _ = ray.wait(self._references, num_returns=len(self._references), timeout=0, fetch_local=False)
        for reference in ready:
            self._get(reference)

    def result(self, timeout: float) -> list[Any]:
        """Return the answers in actor order."""
        deadline = time.monotonic() + timeout
        # Most answers arrive together, and one check of all is cheaper than one check of each.
        ready, waiting = ray.wait(self._references, num_returns=len(self._references), timeout=SOON, fetch_local=False)
        if not waiting:
            with contextlib.suppress(RayError):
                return list(ray.get(self._references))
        for reference in ready:
            self._get(reference)
        while waiting:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError
            # A failure must be noticed even while another actor waits for the one that failed.
            ready, waiting = ray.wait(waiting, num_returns=1, timeout=remaining, fetch_local=False)
            for reference in ready:
                self._get(reference)
        return [self._get(reference) for reference in self._references]

    def _get(self, reference: Any) -> Any:
        host = self._hosts[self._references.index(reference)]
        label = self._labels[host]
        try:
            return ray.get(reference)
        except RayTaskError as problem:
            cause = problem.cause
            if isinstance(cause, DyadnetError):
                raise cause from None
            raise ActorLostError(f"actor {label} failed: {cause_of(problem)}", [host]) from problem
        except RayError as problem:
            check_made(problem, f"actor {label}")
            # Not RayActorError alone: a machine that is out of memory, or lost, raises other errors.
            raise ActorLostError(f"actor {label} died: {cause_of(problem)}", [host]) from None


class BoxAnswers:
    """Implements `dyadnet_actors.coordination.engine.Answers` with boxes in shared memory.

    Parameters
    ----------
    shared
        Segments that hold the boxes.
    number, method
        Number and method of the question.
    layouts
        Layout of each host's reports.
    serving
        Answers to the `serve` calls, which fail if a host does.
    """

    def __init__(
        self, shared: DeskSegments, number: int, method: str, layouts: Sequence[Layout], serving: RayAnswers
    ) -> None:
        self._shared, self._number, self._method = shared, number, method
        self._layouts, self._serving = layouts, serving

    def check(self) -> None:
        """See `Answers`."""
        self._serving.check()

    def result(self, timeout: float) -> list[Any]:
        """See `Answers`."""
        deadline = time.monotonic() + timeout
        boxes = [self._shared.answers[host] for host in range(len(self._layouts))]
        for box in boxes:
            while not box.wait(self._number, min(SOON, max(deadline - time.monotonic(), 0.0))):
                self._serving.check()
                if time.monotonic() >= deadline:
                    raise TimeoutError
        pairs = zip(boxes, self._layouts, strict=True)
        return [orders.read_answer(self._method, box.get(), layout) for box, layout in pairs]


class RayInquiry:
    """Implements `dyadnet_actors.coordination.engine.Inquiry`: one reference per actor.

    Parameters
    ----------
    silence
        Seconds since the last sign of life of each actor, at the time of the question.
    """

    def __init__(self, references: list[Any], silence: list[float]) -> None:
        self._references = references
        self._silence = silence
        self._asked = time.monotonic()

    def complete(self, timeout: float = 0.0) -> bool:
        """Wait up to `timeout` seconds; return whether all actors have answered."""
        ready, _ = ray.wait(self._references, num_returns=len(self._references), timeout=timeout, fetch_local=False)
        return len(ready) == len(self._references)

    def answers(self) -> list[Told]:
        """Return what each actor has answered by now."""
        return [
            self._answer(reference, silence) for reference, silence in zip(self._references, self._silence, strict=True)
        ]

    def _answer(self, reference: Any, silence: float) -> Told:
        try:
            told: Told = ray.get(reference, timeout=SOON)
        except GetTimeoutError:
            return NoAnswer(silence + time.monotonic() - self._asked)
        except RayError as problem:
            return NoAnswer(silence, cause_of(problem))
        return told
