"""One life of a block actor: its host, and its ways to the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from dyadnet.config import RunConfig
from dyadnet.config.transports import TRANSPORTS, Transport
from dyadnet.data import Dataset
from dyadnet.errors import DivergedError
from dyadnet.program.sync.crossing import Home
from dyadnet_actors.hosts import orders
from dyadnet_actors.hosts.host import Host, prepare
from dyadnet_actors.protocol.failures import HostStoppedError
from dyadnet_actors.protocol.heartbeat import Pulse
from dyadnet_actors.protocol.host_status import HostStatus
from dyadnet_actors.transports import setup as fast
from dyadnet_actors.transports.connection import Connection
from dyadnet_actors.transports.identity import Card

Call = Callable[[int, bytes], None]
"""Takes bytes to another actor."""


class Life:
    """What an actor does with one life of it.

    Parameters
    ----------
    config, home, dataset
        See `Host`.

    Attributes
    ----------
    host
        Its blocks.
    """

    def __init__(self, config: RunConfig, home: Home, dataset: Dataset | None) -> None:
        # Nothing that is compiled or loaded counts as a relaxation's time.
        prepare(config)
        self.host = Host(config, home, dataset)
        self._config = config
        self._connection = Connection(self.host) if config.cluster.transport == "fast" else None
        self._own: Transport | None = None
        self._one_at_a_time = threading.Lock()

    def meet(self, call: Call) -> None:
        """All actors are there, and can be called."""
        if self._config.cluster.transport == "ray":
            self._carry(call)

    def _carry(self, send: Call) -> None:
        """Reach every other host by packets."""
        host = self.host
        others = [other for other in range(host.home.hosts) if other != host.home.index]
        for other in others:
            host.segments.mirror(other)
        host.join()

        def sent(other: int, packet: bytes) -> int:
            try:
                send(other, packet)
            except Exception as problem:
                label, cause = host.home.label(other), f"{type(problem).__name__}: {problem}"
                host.fail(f"transport {self._config.cluster.transport!r} took nothing to actor {label}: {cause}")
            return len(packet)

        if others:
            host.carry(host.carrier_to(others, sent))

    def listen(self, node: str) -> Any:
        """Begin to take what comes by a user's own transport; returns where."""
        made = TRANSPORTS[self._config.cluster.transport]
        assert made is not None
        self._own = made(self.host.home.index, self.deliver)
        return self._own.listen(node)

    def connect(self, addresses: Sequence[Any]) -> None:
        """Learn where everybody listens to a user's own transport."""
        assert self._own is not None
        self._own.connect(addresses)
        self._carry(self._own.send)

    def introduce(self, address: str | None) -> Card:
        """By which others find this actor without Ray; with an address, other machines too."""
        assert self._connection is not None
        if address is not None:
            self._connection.open(fast.network(self._config, address))
        return self._connection.card

    def know(self, cards: Sequence[Card]) -> None:
        """Learn where everybody is reached."""
        assert self._connection is not None
        self._connection.know(cards)

    def greet(self, timeout: float) -> None:
        """Connect to everybody, and hear from everybody."""
        assert self._connection is not None
        self._connection.greet(timeout)

    def deliver(self, origin: int, packet: bytes) -> None:
        """Take what another actor sent, in any thread; what is nothing that it can have sent is counted and dropped."""
        with self._one_at_a_time:
            if self.host.carrier is not None:
                self.host.carrier.take(origin, packet)

    def serve(self, number: int) -> None:
        """Answer the coordinator's questions after so many, until it says that it will call."""
        assert self._connection is not None
        box = self._connection.orders
        assert box is not None
        answers = self.host.segments.answer()
        while True:
            number += 1
            while not box.wait(number, 0.05):
                if self.host.stopped:
                    raise HostStoppedError("stopped")
            method, arguments = orders.read_order(box.get())
            if method == orders.LEAVE:
                return
            try:
                message = orders.answer(method, getattr(self.host, method)(*arguments))
            except DivergedError as problem:
                message = orders.failure(problem)
            answers.put(number, message)

    def ask(self, method: str, *arguments: Any) -> Any:
        """Call a method of the host."""
        return getattr(self.host, method)(*arguments)

    def pulse(self) -> Pulse:
        """A sign of life, from any thread."""
        return self.host.pulse()

    def standing(self) -> HostStatus:
        """What the host is at, from any thread."""
        return self.host.standing()

    def stop(self) -> None:
        """End what it is doing, from any thread."""
        self.host.stop()

    def close(self) -> None:
        """The life is over."""
        self.host.close()
        for way in (self._connection, self._own):
            if way is not None:
                way.close()

    def free(self) -> None:
        """Nobody asks it anything any more: give its memory back."""
        self.host.segments.unmap()
