"""Messages a second between two actors: plain Ray calls, and the fast transport, with the same payload."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from actors.fast.endpoint import Network
from actors.fast.keys import Card
from actors.fast.transport import FastTransport
from actors.inbox import Envelope, Inbox
from actors.post import Home, Post
from dyadnet.bench.networks import machine
from dyadnet.config import ClusterSpec, RunConfig
from dyadnet.errors import ConfigError
from dyadnet.messages import Message
from dyadnet.topology import Topology

WINDOW = 16
"""Messages that may be under way, in both cases."""
ANSWERED = WINDOW // 2
"""Messages that are answered together, at most."""
BATCH = 16
"""Rows of a message's numbers."""
PATIENCE = 60.0
Measured = dict[str, float]


class Correspondent:
    """One of two actors that write to each other.

    Parameters
    ----------
    index
        0 sends, 1 receives.
    size
        Bytes of the numbers of a message.
    """

    def __init__(self, index: int, size: int) -> None:
        width = size // (4 * BATCH)
        layered = {"inputs": 1, "hidden": [width], "outputs": width}
        config = RunConfig.read({"network": {"layered": layered}})
        home = Home(index, {"h1": 0, "out": 1})
        self._transport = FastTransport(home, 1, WINDOW + 2)
        self._inbox = Inbox(source=self._transport)
        self._inbox.open(1)
        self._post = Post(home, Topology(config.network), self._transport)
        self._post.round = 1
        self._size = size
        self._shape = (1, BATCH, width)
        self._numbers = np.ones(self._shape, np.float32)
        self._received = 0

    def introduce(self, others: bool, insecure: bool = False) -> Card:
        """See `actors.shells.BlockActor.introduce`."""
        endpoint = self._transport.endpoint
        if others:
            spec = ClusterSpec()
            network = Network(ray.util.get_node_ip_address(), spec.ports, 2 * self._size + (1 << 20), insecure)
            endpoint.open(network)
        return endpoint.card

    def know(self, cards: Sequence[Card]) -> None:
        """See `actors.shells.BlockActor.know`."""
        self._transport.know(cards)

    def greet(self, timeout: float) -> None:
        """See `actors.shells.BlockActor.greet`."""
        self._transport.greet(timeout)

    def take(self, numbers: np.ndarray[Any, Any]) -> int:
        """Receive a plain call."""
        self._received += 1
        return self._received

    def call(self, other: Any, messages: int, window: int) -> float:
        """Messages a second by plain calls, at most `window` under way."""
        started = time.perf_counter()
        under_way: deque[Any] = deque()
        for _ in range(messages):
            if len(under_way) == window:
                ray.get(under_way.popleft())
            # Every message has numbers of its own, as those of a block have.
            numbers = np.empty(self._shape, np.float32)
            numbers[...] = self._numbers
            under_way.append(other.take.remote(numbers))
        ray.get(list(under_way))
        return messages / (time.perf_counter() - started)

    def write(self, messages: int, window: int) -> float:
        """Messages a second by the fast transport, at most `window` under way."""
        started = time.perf_counter()
        answered = 0
        for count in range(messages):
            while count - answered >= window:
                answered += self._answers()
            numbers = self._transport.empty(self._shape, np.dtype(np.float32))
            numbers[...] = self._numbers
            message = Message("h1", "out", "state", count, count, 0, 0, 0, numbers, True, False, count, count)
            self._post.send(1, [message])
        while answered < messages:
            answered += self._answers()
        return messages / (time.perf_counter() - started)

    def answer(self, messages: int) -> None:
        """Receive so many messages; answer those that have come together with one empty letter, or a few."""
        while messages > 0:
            letters = self._inbox.read(PATIENCE)
            messages -= len(letters)
            # A sender that heard of a full window at once would have nothing to do until then.
            for first in range(0, len(letters), ANSWERED):
                some = letters[first : first + ANSWERED]
                for letter in some:
                    assert isinstance(letter, Envelope)
                    for message in self._post.opened(letter, {0: BATCH}, np.dtype(np.float32)):
                        self._received += message.payload.shape[0]
                self._post.send(0, [], (float(len(some)),))

    def _answers(self) -> int:
        return sum(int(letter.stamps[0]) for letter in self._inbox.read(PATIENCE) if isinstance(letter, Envelope))


def measure(
    sizes: Sequence[int],
    repetitions: int,
    *,
    apart: bool,
    insecure: bool = False,
    told: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Messages a second for each size: medians over interleaved repetitions.

    Parameters
    ----------
    sizes
        Bytes of the numbers of a message.
    apart
        Put the two actors on different nodes of the cluster.
    insecure
        Without CURVE between these.

    Raises
    ------
    ConfigError
        If there are not two nodes.
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
            # Connections and memory are there after the first.
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
    """Messages that plain calls take about half a second for."""
    rate = _called(actors, 4 * window, window)
    return max(int(rate / 2), 2 * window)


def _called(actors: Sequence[Any], messages: int, window: int) -> float:
    return float(ray.get(actors[0].call.remote(actors[1], messages, window)))


def _written(actors: Sequence[Any], messages: int, window: int) -> float:
    answering = actors[1].answer.remote(messages)
    rate = float(ray.get(actors[0].write.remote(messages, window)))
    ray.get(answering)
    return rate
