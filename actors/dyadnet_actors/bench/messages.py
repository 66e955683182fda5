"""Measures messages per second between two actors: plain Ray calls and the hosts' transport, with the same payload.

On one machine, a message is a slot in the sender's segment plus a word that announces it. Between machines, a message
is a frame. In all cases, the sender writes and the receiver reads the whole payload.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from dyadnet.bench.networks import machine
from dyadnet.config import ClusterSpec, RunConfig
from dyadnet.errors import ConfigError
from dyadnet.numerics.kernels import compiled
from dyadnet.program.sync.crossing import Home
from dyadnet.program.sync.words import ROOM, tell, wait
from dyadnet_actors.hosts.host import Host
from dyadnet_actors.transports.connection import Connection
from dyadnet_actors.transports.endpoint import PeerNetwork
from dyadnet_actors.transports.identity import Card
from dyadnet_actors.transports.notices import SLOTS, pack

WINDOW = 16
"""Maximum number of messages in flight, in both cases."""
ANSWERED = WINDOW // 2
"""Maximum number of messages that one answer acknowledges."""
BATCH = 16
"""Rows of a message's array."""
PATIENCE = 60.0
Measured = dict[str, float]


@compiled
def _write(X, at, slot, depth, size, word, answers, first, messages, window, room):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write messages from number `first` on, each once its slot has been read; return False on timeout."""
    for n in range(first, first + messages):
        if not wait(answers, n - window + 1, 60_000_000_000, room):
            return False
        into = X[at + n % depth * slot : at + n % depth * slot + size]
        for j in range(size):
            into[j] = X.dtype.type(n)
        tell(word, n + 1)
    return wait(answers, first + messages, 60_000_000_000, room)


@compiled
def _read(X, at, slot, depth, size, word, answers, first, messages, room):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Read and acknowledge messages as they arrive; return False on timeout, or if a message is corrupt.

    All numbers of a message are equal, so the bitwise OR over them must equal the bitwise AND.
    """
    for n in range(first, first + messages):
        if not wait(word, n + 1, 60_000_000_000, room):
            return False
        x = X[at + n % depth * slot : at + n % depth * slot + size]
        some, all_ = x[0], x[0]
        for j in range(size):
            some |= x[j]
            all_ &= x[j]
        if some != all_:
            return False
        tell(answers, n + 1)
    return True


class Correspondent:
    """One of two actors that exchange messages.

    Parameters
    ----------
    index
        0 for the sender, 1 for the receiver.
    size
        Bytes of a message's array.
    """

    def __init__(self, index: int, size: int) -> None:
        width = size // (8 * BATCH)
        values = {
            "network": {"layered": {"inputs": 1, "hidden": [width], "outputs": width}},
            "dynamics": {"delay": WINDOW, "lanes": 1, "clock": "every-tick", "step": 0.1},
            "learning": {"minibatch": BATCH, "evaluation_batch": BATCH},
        }
        self._host = Host(RunConfig.read(values), Home(index, {"h1": 0, "out": 1}), None)
        self._connection = Connection(self._host)
        self._size = size
        self._shape = (2, BATCH, width)
        self._numbers = np.ones(self._shape, np.float32)
        self._count = self._received = 0
        self._room = np.zeros(ROOM, dtype=np.int64)
        self._apart = False

    def introduce(self, others: bool, insecure: bool = False) -> Card:
        """See `dyadnet_actors.cluster.actors.BlockActor.introduce`."""
        self._apart = others
        endpoint = self._connection.endpoint
        if others:
            endpoint._taken = self._taken
            spec = ClusterSpec()
            network = PeerNetwork(ray.util.get_node_ip_address(), spec.ports, 2 * self._size + (1 << 20), insecure)
            endpoint.open(network)
        return endpoint.card

    def know(self, cards: Sequence[Card]) -> None:
        """See `dyadnet_actors.cluster.actors.BlockActor.know`."""
        self._connection.know(cards)

    def greet(self, timeout: float) -> None:
        """See `dyadnet_actors.cluster.actors.BlockActor.greet`."""
        if self._apart:
            self._connection.endpoint.connect()
            self._connection.endpoint.await_greetings(timeout)
        else:
            self._connection.greet(timeout)

    def take(self, numbers: np.ndarray[Any, Any]) -> float:
        """Receive a message as a plain Ray call; return the sum of its numbers."""
        return float(numbers.sum())

    def call(self, other: Any, messages: int, window: int) -> float:
        """Send messages by plain Ray calls, at most `window` in flight; return the messages per second."""
        started = time.perf_counter()
        under_way: deque[Any] = deque()
        for _ in range(messages):
            if len(under_way) == window:
                ray.get(under_way.popleft())
            # Every message has its own array, like the messages of a block.
            numbers = np.empty(self._shape, np.float32)
            numbers[...] = self._numbers
            under_way.append(other.take.remote(numbers))
        ray.get(list(under_way))
        return messages / (time.perf_counter() - started)

    def write(self, messages: int, window: int) -> float:
        """Send messages as hosts do, at most `window` in flight; return the messages per second."""
        started = time.perf_counter()
        if self._apart:
            self._write_frames(messages, window)
        else:
            there = _write(*self._place(), self._count, messages, window, self._room)
            assert there, "nobody reads"
        self._count += messages
        return messages / (time.perf_counter() - started)

    def answer(self, messages: int) -> None:
        """Receive `messages` messages and acknowledge them."""
        if self._apart:
            self._answer_frames(messages)
        else:
            X, *place = self._place()
            there = _read(X.view(np.int32), *place, self._count, messages, self._room)
            assert there, "nobody writes, or something else"
        self._count += messages

    def _place(self) -> tuple[Any, ...]:
        """Return where messages lie: array, offset, slot size, number of slots, message size in numbers, both words."""
        arena, segments = self._host.group.arena, self._host.segments
        at = arena.shared_place(0, "ring", "h1")
        slot, depth = arena.geometry.slot(self._shape[2]), arena.geometry.depth("h1")
        words = segments.word(0, 0), segments.word(1, 0)
        return self._host.group.lane(0).memory.X, at, slot, depth, self._numbers.size, *words

    def _write_frames(self, messages: int, window: int) -> None:
        endpoint, begun = self._connection.endpoint, self._received
        for count in range(messages):
            while count - (self._received - begun) >= window:
                endpoint.receive(PATIENCE)
            numbers = np.empty(self._shape, np.float32)
            numbers[...] = self._numbers
            endpoint.send(1, pack(SLOTS), buffers=[numbers])
        while self._received - begun < messages:
            endpoint.receive(PATIENCE)

    def _answer_frames(self, messages: int) -> None:
        endpoint, begun, answered = self._connection.endpoint, self._received, 0
        while (came := self._received - begun) < messages:
            endpoint.receive(PATIENCE)
            # If the receiver acknowledged a full window at once, the sender would be idle until then.
            while self._received - begun - answered >= 1 and answered < messages:
                some = min(self._received - begun - answered, ANSWERED)
                endpoint.send(0, pack(SLOTS, some))
                answered += some
        assert came <= messages

    def _taken(self, peer: int, fields: list[Any], descriptor: int, frames: Sequence[Any]) -> None:
        if peer == 1:
            self._received += fields[1]
            return
        self._numbers.reshape(-1)[...] = np.frombuffer(frames[0].buffer, np.float32)
        self._numbers.sum()
        self._received += 1


def measure(
    sizes: Sequence[int],
    repetitions: int,
    *,
    apart: bool,
    insecure: bool = False,
    told: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Measure the messages per second for each size: medians over interleaved repetitions.

    Parameters
    ----------
    sizes
        Bytes of a message's array.
    apart
        Put the two actors on different nodes of the cluster.
    insecure
        Disable CURVE between the nodes.

    Raises
    ------
    ConfigError
        If `apart` is set and the cluster has fewer than two nodes.
    """
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    if apart and len(nodes) < 2:
        raise ConfigError("--apart", True, f"it needs a cluster of two nodes (--address), this one has {len(nodes)}")
    where = [nodes[0]["NodeID"], nodes[1 if apart else 0]["NodeID"]]
    rows = []
    for size in sizes:
        if told is not None:
            told(f"{size >> 10} KB")
        rows.append(_pair(size, where, repetitions, apart=apart, insecure=insecure))
    return {
        "machine": machine(),
        "apart": apart,
        "insecure": insecure,
        "window": WINDOW,
        "repetitions": repetitions,
        "rows": rows,
    }


def _pair(size: int, where: Sequence[str], repetitions: int, *, apart: bool, insecure: bool) -> dict[str, Any]:
    remote = ray.remote(num_cpus=0)(Correspondent)
    actors = [
        remote.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(index, size)
        for index, node in enumerate(where)
    ]
    try:
        cards = ray.get([actor.introduce.remote(apart, insecure) for actor in actors])
        for method, argument in (("know", cards), ("greet", PATIENCE)):
            ray.get([getattr(actor, method).remote(argument) for actor in actors])
        row: dict[str, Any] = {"bytes": size}
        for name, window in (("streamed", WINDOW), ("one_at_a_time", 1)):
            messages = _enough(actors, window)
            # The first run sets up connections and memory.
            _called(actors, messages, window)
            _written(actors, messages, window)
            found = [
                (_called(actors, messages, window), _written(actors, 4 * messages, window)) for _ in range(repetitions)
            ]
            row[name] = {
                "ray_per_s": statistics.median(plain for plain, _ in found),
                "fast_per_s": statistics.median(fast for _, fast in found),
                "ratio": statistics.median(fast / plain for plain, fast in found),
            }
        return row
    finally:
        for actor in actors:
            ray.kill(actor)


def _enough(actors: Sequence[Any], window: int) -> int:
    """Return how many messages plain Ray calls send in about half a second."""
    rate = _called(actors, 4 * window, window)
    return max(int(rate / 2), 2 * window)


def _called(actors: Sequence[Any], messages: int, window: int) -> float:
    return float(ray.get(actors[0].call.remote(actors[1], messages, window)))


def _written(actors: Sequence[Any], messages: int, window: int) -> float:
    answering = actors[1].answer.remote(messages)
    rate = float(ray.get(actors[0].write.remote(messages, window)))
    ray.get(answering)
    return rate
