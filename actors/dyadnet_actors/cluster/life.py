"""One life of a block actor: its host, and its connections to the others."""

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
"""Sends bytes to another actor."""


class Life:
    """One life of a block actor.

    Parameters
    ----------
    config, home, dataset
        See `Host`.

    Attributes
    ----------
    host
        The host of the actor's blocks.
    """

    def __init__(self, config: RunConfig, home: Home, dataset: Dataset | None) -> None:
        # Compile and load now, so that this does not count as a relaxation's time.
        prepare(config)
        self.host = Host(config, home, dataset)
        self._config = config
        self._connection = Connection(self.host) if config.cluster.transport == "fast" else None
        self._own: Transport | None = None
        self._one_at_a_time = threading.Lock()

    def meet(self, call: Call) -> None:
        """Note that all actors exist; if the transport is ``ray``, start to send packets by `call`."""
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
                host.fail(f"transport {self._config.cluster.transport!r} could not send to actor {label}: {cause}")
            return len(packet)

        if others:
            host.carry(host.carrier_to(others, sent))

    def listen(self, node: str) -> Any:
        """Begin to receive by a user-defined transport; return the address."""
        made = TRANSPORTS[self._config.cluster.transport]
        assert made is not None
        self._own = made(self.host.home.index, self.deliver)
        return self._own.listen(node)

    def connect(self, addresses: Sequence[Any]) -> None:
        """Receive the addresses of all actors for a user-defined transport, and connect to them."""
        assert self._own is not None
        self._own.connect(addresses)
        self._carry(self._own.send)

    def introduce(self, address: str | None) -> Card:
        """Return the card by which others find this actor without Ray; with an address, other machines too."""
        assert self._connection is not None
        if address is not None:
            self._connection.open(fast.network(self._config, address))
        return self._connection.card

    def know(self, cards: Sequence[Card]) -> None:
        """Receive the cards by which all endpoints are reached."""
        assert self._connection is not None
        self._connection.know(cards)

    def greet(self, timeout: float) -> None:
        """Connect to every other endpoint, and wait until each has been heard."""
        assert self._connection is not None
        self._connection.greet(timeout)

    def deliver(self, origin: int, packet: bytes) -> None:
        """Take a packet of another actor, in any thread; an invalid packet is counted and dropped."""
        with self._one_at_a_time:
            if self.host.carrier is not None:
                self.host.carrier.take(origin, packet)

    def serve(self, number: int) -> None:
        """Answer the coordinator's questions after question `number`, until the coordinator switches to Ray calls."""
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
        """Return a sign of life; callable from any thread."""
        return self.host.pulse()

    def standing(self) -> HostStatus:
        """Return what the host is doing; callable from any thread."""
        return self.host.standing()

    def stop(self) -> None:
        """Interrupt what the host is doing; callable from any thread."""
        self.host.stop()

    def close(self) -> None:
        """End this life: close the host and its connections."""
        self.host.close()
        for way in (self._connection, self._own):
            if way is not None:
                way.close()

    def free(self) -> None:
        """Free the memory; nobody may use this life any more."""
        self.host.segments.unmap()
