"""Notices between processes of one machine: sockets without a file, authenticated by user and secret.

The computing thread itself sends and receives, so a notice wakes only one thread. A connection goes one way, from the
endpoint that opened it. It begins with a hello; without one, nothing else is read. The names of such sockets vanish
with their process, so no death leaves anything behind.
"""

from __future__ import annotations

import array
import contextlib
import hmac
import os
import select
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

from dyadnet.config.recovery import What
from dyadnet.dynamics.messages import MessageError
from dyadnet_actors.protocol.failures import FailedError
from dyadnet_actors.transports.identity import Card
from dyadnet_actors.transports.notices import HELLO, LARGEST, pack, unpack

STRANGERS = 64
"""Maximum number of connections without a hello yet."""
_BUFFER = LARGEST + 4096
_TRUNCATED = int(socket.MSG_TRUNC)
_ANCILLARY = socket.CMSG_SPACE(array.array("i").itemsize)
Refuse = Callable[[str, str, str], None]
"""Called with sender, reason and what was wrong."""
Packet = tuple[int, Any, int]
"""Peer, bytes, and the attached descriptor (-1: none)."""


class PeerLostError(FailedError):
    """A peer is not where its card says, or is not heard; names it, but cannot know which of the two is at fault."""

    what: ClassVar[What] = "link"


class _Outgoing:
    """A connection to one peer, and a queue of packets that did not fit into it yet."""

    def __init__(self, card: Card) -> None:
        self.card = card
        self.queue: deque[tuple[bytes, int]] = deque()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self.socket.connect(_name(card.life))
        except OSError as problem:
            self.socket.close()
            raise PeerLostError(f"{card.label} is gone ({problem.strerror})") from None
        self.socket.setblocking(False)
        self.dead = False

    def put(self, packet: bytes, descriptor: int = -1) -> bool:
        """Send a packet or queue it; return whether it was sent."""
        if self.dead or (not self.queue and self._sent(packet, descriptor)):
            return True
        self.queue.append((packet, -1 if descriptor < 0 else os.dup(descriptor)))
        return False

    def flush(self) -> bool:
        """Send the queued packets; return whether the queue is empty."""
        while self.queue:
            packet, descriptor = self.queue[0]
            if not self._sent(packet, descriptor):
                return False
            self.queue.popleft()
            if descriptor >= 0:
                os.close(descriptor)
        return True

    def _sent(self, packet: bytes, descriptor: int) -> bool:
        try:
            if descriptor < 0:
                self.socket.send(packet)
            else:
                socket.send_fds(self.socket, [packet], [descriptor])
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            # The monitor of the actors notices that the peer is gone.
            self.dead = True
        return True

    def close(self) -> None:
        for _, descriptor in self.queue:
            if descriptor >= 0:
                os.close(descriptor)
        self.queue.clear()
        self.socket.close()


class _Incoming:
    """A connection from one peer, which is unknown until its hello."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.peer = -1
        self.life = ""


class LocalSockets:
    """All connections of one endpoint on its machine.

    Parameters
    ----------
    card
        Card of this endpoint.
    refuse
        Called for everything that is refused.

    Attributes
    ----------
    greeted
        Life of every peer that has said hello.
    """

    def __init__(self, card: Card, refuse: Refuse) -> None:
        self.greeted: dict[int, str] = {}
        self._card = card
        self._refuse = refuse
        self._epoll = select.epoll()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(_name(card.life))
        self._listener.listen(512)
        self._listener.setblocking(False)
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._outgoing: dict[int, _Outgoing] = {}
        self._incoming: dict[int, _Incoming] = {}
        self._buffer = bytearray(_BUFFER)
        self._lives: dict[int, str] = {}
        self._full = False
        self._epoll.register(self._listener, select.EPOLLIN)
        self._epoll.register(self._bell, select.EPOLLIN)

    def watch(self, descriptor: int) -> None:
        """Make `receive` return when this descriptor becomes readable."""
        self._epoll.register(descriptor, select.EPOLLIN | select.EPOLLET)

    def know(self, lives: dict[int, str]) -> None:
        """Learn the present life of every peer; connections of earlier lives end."""
        self._lives = lives
        for incoming in list(self._incoming.values()):
            if incoming.peer >= 0 and lives.get(incoming.peer) != incoming.life:
                self._drop(incoming)
        for peer, outgoing in list(self._outgoing.items()):
            if lives.get(peer) != outgoing.card.life:
                self._outgoing.pop(peer).close()

    def connect(self, card: Card) -> bool:
        """Connect to a peer and say hello; return False if this was done before.

        Raises
        ------
        PeerLostError
            If the peer is not there.
        """
        if card.index in self._outgoing:
            return False
        outgoing = self._outgoing[card.index] = _Outgoing(card)
        outgoing.put(pack(HELLO, self._card.index, card.secret, self._card.life))
        return True

    def send(self, peer: int, packet: bytes, descriptor: int = -1) -> None:
        """Send a packet; one that does not fit into the socket goes out later."""
        if not self._outgoing[peer].put(packet, descriptor):
            self._full = True

    def receive(self, timeout: float | None) -> Iterator[Packet]:
        """Yield the packets that have arrived; wait up to `timeout` seconds for something (None: without limit)."""
        if self._full:
            self._flush()
        for descriptor, _ in self._epoll.poll(timeout):
            if descriptor == self._bell:
                with contextlib.suppress(BlockingIOError):
                    os.eventfd_read(self._bell)
            elif descriptor == self._listener.fileno():
                self._accept()
            elif descriptor in self._incoming:
                yield from self._read(self._incoming[descriptor])

    def ring(self) -> None:
        """Make `receive` return; callable from any thread."""
        os.eventfd_write(self._bell, 1)

    def close(self) -> None:
        """End every connection."""
        for incoming in list(self._incoming.values()):
            self._drop(incoming)
        for outgoing in self._outgoing.values():
            outgoing.close()
        self._outgoing.clear()
        self._listener.close()
        self._epoll.close()
        os.close(self._bell)

    def _flush(self) -> None:
        left = [outgoing for outgoing in self._outgoing.values() if not outgoing.flush()]
        self._full = bool(left)

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                connection, _ = self._listener.accept()
                connection.setblocking(False)
                user = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
                strangers = sum(incoming.peer < 0 for incoming in self._incoming.values())
                if user != os.getuid() or strangers >= STRANGERS:
                    self._refuse(f"user {user}", "unauthenticated", "another user, or too many strangers")
                    connection.close()
                    continue
                self._incoming[connection.fileno()] = _Incoming(connection)
                self._epoll.register(connection, select.EPOLLIN)

    def _read(self, incoming: _Incoming) -> Iterator[Packet]:
        while True:
            try:
                length, ancillary, flags, _ = incoming.socket.recvmsg_into([self._buffer], _ANCILLARY)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                length, ancillary, flags = 0, [], 0
            if not length:
                self._drop(incoming)
                return
            descriptor = _descriptor(ancillary)
            packet = memoryview(self._buffer)[:length]
            if incoming.peer < 0:
                if not self._greets(incoming, packet, descriptor):
                    return
                continue
            if flags & _TRUNCATED:
                _close(descriptor)
                self._refuse(f"host {incoming.peer}", "malformed", "a packet that is too large")
                continue
            yield incoming.peer, packet, descriptor

    def _greets(self, incoming: _Incoming, packet: memoryview, descriptor: int) -> bool:
        """Return whether a connection's first packet is a hello of a peer that knows our secret; if not, end it."""
        _close(descriptor)
        try:
            kind, *fields = unpack(packet)
            if kind != HELLO or len(fields) != 3 or [type(f) for f in fields] != [int, bytes, str]:
                raise MessageError("no hello")
            peer, secret, life = fields
            if not hmac.compare_digest(secret, self._card.secret):
                raise MessageError("a hello without our secret")
            if self._lives.get(peer) != life:
                raise MessageError(f"a hello of nobody known, or of an earlier life of host {peer}")
        except MessageError as problem:
            (process, *_) = struct.unpack("3i", incoming.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            self._refuse(f"process {process}", "unauthenticated", str(problem))
            self._drop(incoming)
            return False
        incoming.peer, incoming.life = peer, life
        self.greeted[peer] = life
        return True

    def _drop(self, incoming: _Incoming) -> None:
        self._incoming.pop(incoming.socket.fileno(), None)
        self._epoll.unregister(incoming.socket)
        incoming.socket.close()


def _name(life: str) -> str:
    return f"\0dyadnet-{life}"


def _descriptor(ancillary: Sequence[tuple[int, int, bytes]]) -> int:
    """Return the attached descriptor (-1: none); the buffer has room for one only, and any others are closed."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found = array.array("i")
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
            for extra in found[1:]:
                os.close(extra)
            if found:
                return found[0]
    return -1


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)
