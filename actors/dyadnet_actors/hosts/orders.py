"""Encodes the coordinator's questions to hosts that share its memory, and their answers: bytes in boxes, not Ray calls.

Everything is msgpack. Nothing is unpickled, and data from a host is checked before it is used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgpack
import numpy as np

from dyadnet.dynamics.messages import MessageError
from dyadnet.dynamics.outcome import SENT, Layout, ResourceUsage, Share
from dyadnet.dynamics.request import PhaseOutcome
from dyadnet.errors import DivergedError, DyadnetError
from dyadnet_actors.hosts.host import Relaxed
from dyadnet_actors.protocol import tasks
from dyadnet_actors.protocol.pace import Delays

LEAVE = "leave"
"""Ends `serve`; later requests are Ray calls."""
SERVED = ("relax", "objective", "spectrum", LEAVE)


def order(method: str, arguments: Sequence[Any]) -> bytes:
    """Encode a question."""
    if method == "relax":
        number, relaxation, update, _, pace = arguments
        arguments = number, tasks.seal(relaxation, update, pace)
    return bytes(msgpack.packb((method, list(arguments))))


def read_order(message: bytes) -> tuple[str, list[Any]]:
    """Decode a question of the coordinator.

    Raises
    ------
    MessageError
        If the bytes are not a question.
    """
    try:
        method, arguments = msgpack.unpackb(message)
        if method == "relax":
            number, task = arguments
            relaxation, update, pace = tasks.unseal(task)
            arguments = [number, relaxation, update, (), pace]
    except (ValueError, TypeError, KeyError) as problem:
        raise MessageError(f"no question: {problem}") from None
    if method not in SERVED:
        raise MessageError(f"a question for {method!r}")
    return method, arguments


def answer(method: str, found: Any) -> bytes:
    """Encode an answer."""
    if method == "relax":
        share, phases, delays, _ = found
        spent = share.spent
        found = (
            [share.numbers.tobytes(), share.sent.astype("<i8").tobytes(), share.received.astype("<i8").tobytes()],
            [spent.actor, spent.incarnation, spent.seconds, spent.letters, spent.bytes, spent.refused, spent.ages],
            [[(p.name, p.ticks, p.sweeps, p.settled) for p in lane] for lane in phases],
            delays,
        )
    elif method == "objective":
        found = [(lane, values) for lane, values in found.items()]
    return bytes(msgpack.packb(("found", found)))


def failure(problem: DivergedError) -> bytes:
    """Encode a divergence."""
    return bytes(msgpack.packb(("diverged", (problem.block, problem.tick, problem.why))))


def read_answer(method: str, message: bytes, layout: Layout) -> Any:
    """Decode a host's answer from bytes that the host may have corrupted.

    Raises
    ------
    DivergedError
        If the host reports a divergence.
    DyadnetError
        If the bytes are not an answer.
    """
    try:
        kind, found = msgpack.unpackb(message, strict_map_key=False)
        if kind == "diverged":
            block, tick, why = found
            raise DivergedError(str(block), int(tick), str(why))
        if method == "relax":
            return _relaxed(found, layout)
        if method == "objective":
            return {int(lane): {name: float(values[name]) for name in layout.blocks} for lane, values in found}
        return float(found)
    except (ValueError, TypeError, KeyError, AttributeError) as problem:
        raise DyadnetError(f"actor {'+'.join(layout.blocks)} answers nonsense: {problem}") from None


def _relaxed(found: Any, layout: Layout) -> Relaxed:
    (numbers, sent, received), (actor, incarnation, seconds, letters, size, refused, ages), lanes, delays = found
    table = np.frombuffer(numbers, np.float64).reshape(len(layout.blocks), layout.width)
    begun = np.frombuffer(sent, np.int64).reshape(len(layout.sent), len(SENT))
    ended = np.frombuffer(received, np.int64).reshape(len(layout.received), len(layout.counted) - len(SENT))
    told = {str(name): float(value) for name, value in _mapping(seconds)}
    refusals = {str(reason): int(count) for reason, count in _mapping(refused)}
    edges = {str(label): ([int(count) for count in counts], float(sum_)) for label, (counts, sum_) in _mapping(ages)}
    spent = ResourceUsage(str(actor), int(incarnation), told, int(letters), int(size), refusals, edges)
    phases = [tuple(_phase(*phase) for phase in lane) for lane in lanes]
    measured = None if delays is None else Delays(*([_finite(number) for number in part] for part in delays))
    return Relaxed(Share(table, begun, ended, spent), phases, measured)


def _mapping(found: Mapping[Any, Any]) -> list[tuple[Any, Any]]:
    return list(found.items())


def _phase(name: Any, ticks: Any, sweeps: Any, settled: Any) -> PhaseOutcome:
    return PhaseOutcome(str(name), int(ticks), _finite(sweeps), bool(settled))


def _finite(number: Any) -> float:
    if not math.isfinite(number):
        raise ValueError(f"a number that is {number}")
    return float(number)
