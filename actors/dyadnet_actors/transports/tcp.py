"""Packets between machines: ZeroMQ over TCP, authenticated and encrypted by CURVE.

Every endpoint receives packets on one socket at its node's own address, and sends to each peer by another socket. Its
CURVE key identifies a peer, and keys travel only through Ray. Header and numbers are separate frames, sent without a
copy.
"""

from __future__ import annotations

import hmac
import random
import struct
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import zmq
from zmq.auth.thread import ThreadAuthenticator
from zmq.utils.monitor import recv_monitor_message

from dyadnet.errors import ConfigError
from dyadnet_actors.transports.identity import Card
from dyadnet_actors.transports.local import PeerLostError, Refuse
from dyadnet_actors.transports.notices import MOST_PARTS

_PREFIX = struct.Struct("<I32s")
"""Prefix of every packet: the sender, and the receiver's secret, which is the only proof without CURVE."""
_FAILED = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH
LOOK = 0.05
"""Seconds between two checks for connections that failed."""
HEARTBEAT = 5000
"""Milliseconds after which a silent connection is tested; twice this time ends it."""
KERNEL = 4 << 20
"""Bytes that the kernel may buffer for a connection: several messages of a layer."""
HIGH_WATER = 20_000
"""Maximum number of packets that wait for a peer; virtual time bounds them long before."""


class Tcp:
    """Sockets of one endpoint for other machines.

    Parameters
    ----------
    secret
        Secret of this endpoint.
    host
        The node's own address.
    ports
        First and last port at which to receive packets.
    largest
        Maximum size of a frame in bytes; a larger frame ends its connection before it is read.
    insecure
        Whether to do without CURVE.
    refuse
        Called for everything that is refused.

    Raises
    ------
    ConfigError
        If no port of the range is free.
    """

    def __init__(
        self, secret: bytes, host: str, ports: tuple[int, int], largest: int, *, insecure: bool, refuse: Refuse
    ) -> None:
        self._secret = secret
        self._refuse = refuse
        self._insecure = insecure
        self._context = zmq.Context()
        self._outgoing: dict[int, tuple[Card, zmq.Socket[bytes]]] = {}
        self._names: dict[bytes, int] = {}
        self._lock = threading.Lock()
        self._failures: list[tuple[str, str, str]] = []
        self._next_look = 0.0
        self._in = self._context.socket(zmq.PULL)
        self._in.setsockopt(zmq.MAXMSGSIZE, largest)
        self._in.setsockopt(zmq.RCVHWM, HIGH_WATER)
        self._common(self._in, _shown(host))
        self.key = b""
        self._own_secret = b""
        self._authenticator: ThreadAuthenticator | None = None
        if not insecure:
            self.key, self._own_secret = zmq.curve_keypair()
            self._authenticator = ThreadAuthenticator(self._context)
            self._authenticator.start()
            self._authenticator.configure_curve_callback("*", credentials_provider=self)
            self._in.setsockopt(zmq.CURVE_SERVER, 1)
            self._in.setsockopt(zmq.CURVE_SECRETKEY, self._own_secret)
        self._monitor = self._in.get_monitor_socket(_FAILED)
        try:
            self.address = _bound(self._in, host, ports)
        except ConfigError:
            # Otherwise, the garbage collector would wait forever for the open sockets.
            self.close()
            raise
        self.descriptor = int(self._in.getsockopt(zmq.FD))

    def callback(self, domain: str, key: bytes) -> bool:
        """Return whether a peer with this key may send; called by ZeroMQ's authenticator, in its thread."""
        with self._lock:
            known = key in self._names
            if not known:
                self._failures.append((f"key {key.decode()}", "unauthenticated", "a key that nobody here has"))
        return known

    def know(self, cards: Mapping[int, Card]) -> None:
        """Accept these peers and no others; connections to earlier lives end."""
        with self._lock:
            self._names = {card.key: index for index, card in cards.items() if card.key}
        for index, (card, _) in list(self._outgoing.items()):
            if cards.get(index) != card:
                self._outgoing.pop(index)[1].close(linger=0)

    def connect(self, card: Card) -> bool:
        """Begin to connect to a peer; return False if this was done before."""
        if card.index in self._outgoing:
            return False
        socket = self._context.socket(zmq.PUSH)
        socket.setsockopt(zmq.SNDHWM, HIGH_WATER)
        self._common(socket, card.address)
        if not self._insecure:
            socket.setsockopt(zmq.CURVE_SERVERKEY, card.key)
            socket.setsockopt(zmq.CURVE_PUBLICKEY, self.key)
            socket.setsockopt(zmq.CURVE_SECRETKEY, self._own_secret)
        socket.connect(card.address)
        self._outgoing[card.index] = (card, socket)
        return True

    def send(self, peer: int, own: int, packet: bytes, buffers: Sequence[Any] = ()) -> None:
        """Send a packet and the numbers that it refers to.

        Raises
        ------
        PeerLostError
            If so many packets wait for the peer already that it cannot be there.
        """
        card, socket = self._outgoing[peer]
        frames = [_PREFIX.pack(own, card.secret) + packet, *buffers]
        try:
            socket.send_multipart(frames, flags=zmq.NOBLOCK, copy=False)
        except zmq.Again:
            raise PeerLostError(f"{card.label} at {card.address} takes no letters") from None

    def receive(self) -> Iterator[tuple[int, memoryview, list[zmq.Frame]]]:
        """Yield peer, packet and frames of every message that has arrived."""
        while True:
            try:
                frames = [self._in.recv(zmq.NOBLOCK, copy=False)]
            except zmq.Again:
                break
            while frames[-1].more:
                frame = self._in.recv(copy=False)
                if len(frames) <= MOST_PARTS:
                    frames.append(frame)
                else:
                    frames[-1] = frame
            first, *buffers = frames
            sender = self._sender(first)
            if sender is not None:
                yield sender, first.buffer[_PREFIX.size :], buffers
        if (now := time.monotonic()) >= self._next_look:
            self._next_look = now + LOOK
            self._report_failures()

    def _sender(self, frame: zmq.Frame) -> int | None:
        """Return the sender of a message, proven by key or secret; None if there is no proof."""
        if len(frame) < _PREFIX.size:
            self._refuse(self._origin(frame), "malformed", "too short for a letter")
            return None
        claimed, secret = _PREFIX.unpack_from(frame.buffer)
        if not hmac.compare_digest(secret, self._secret):
            self._refuse(self._origin(frame), "unauthenticated", "a letter without our secret")
            return None
        if not self._insecure and self._names.get(_key(frame)) != claimed:
            self._refuse(self._origin(frame), "unauthenticated", f"a letter of host {claimed} under another key")
            return None
        return int(claimed)

    def _origin(self, frame: zmq.Frame) -> str:
        try:
            return str(frame.get("Peer-Address"))
        except zmq.ZMQError:
            return "somebody"

    def _report_failures(self) -> None:
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor, zmq.NOBLOCK)
            self._refuse(f"somebody at {event['endpoint'].decode()}", "unauthenticated", "no handshake")
        with self._lock:
            failures, self._failures = self._failures, []
        for failure in failures:
            self._refuse(*failure)

    def _common(self, socket: zmq.Socket[bytes], address: str) -> None:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDBUF, KERNEL)
        socket.setsockopt(zmq.RCVBUF, KERNEL)
        socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 2 * HEARTBEAT)
        socket.setsockopt(zmq.IPV6, int("[" in address))

    def close(self, linger: float = 0.0) -> None:
        """End every connection; outgoing packets get `linger` seconds, at most, to be sent."""
        if self._authenticator is not None:
            self._authenticator.stop()
        self._in.disable_monitor()
        self._monitor.close(linger=0)
        self._in.close(linger=0)
        for _, socket in self._outgoing.values():
            socket.close(linger=round(1000 * linger))
        self._context.term()


def _key(frame: zmq.Frame) -> bytes:
    """Return the key with which a frame's sender was accepted."""
    try:
        return str(frame.get("User-Id")).encode()
    except zmq.ZMQError:
        return b""


def _shown(host: str) -> str:
    """Return a host as it is written in an address."""
    return f"[{host}]" if ":" in host else host


def _bound(socket: zmq.Socket[bytes], host: str, ports: tuple[int, int]) -> str:
    first, last = ports
    tried = list(range(first, last + 1))
    random.SystemRandom().shuffle(tried)
    for port in tried:
        address = f"tcp://{_shown(host)}:{port}"
        try:
            socket.bind(address)
        except zmq.ZMQError as problem:
            if problem.errno == zmq.EADDRINUSE:
                continue
            raise ConfigError("cluster.ports", f"{first}-{last}", f"{address} cannot be opened ({problem})") from None
        return address
    raise ConfigError("cluster.ports", f"{first}-{last}", f"every one of these ports of {host} is taken")
