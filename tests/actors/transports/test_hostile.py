"""What is not as it should be is counted, logged once with its sender, and dropped; what is, still comes through."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import msgpack
import numpy as np
import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dyadnet.dynamics.messages import MessageError
from dyadnet.program.sync.crossing import PAGE
from dyadnet_actors.hosts.shared_memory import create
from dyadnet_actors.transports.endpoint import HostEndpoint, PeerNetwork
from dyadnet_actors.transports.local import STRANGERS, PeerLostError
from dyadnet_actors.transports.notices import HELLO, LARGEST, SEGMENT, SLOTS, VERSION, pack
from tests.actors.transports.hosts import machines, open_descriptors

NETWORK = PeerNetwork("127.0.0.1", (20000, 20999), 1 << 16, False)
WHOLE = pack(SLOTS)


class Victim:
    """Host 0 of two, which takes what a host sends and no more."""

    def __init__(self, index: int = 0) -> None:
        self.endpoint = HostEndpoint(index, f"host {index}", self._taken)
        self.refused = self.endpoint.refused
        self.heard: list[int] = []

    def _taken(self, peer: int, fields: list[Any], descriptor: int, frames: Sequence[Any]) -> None:
        if descriptor >= 0:
            os.close(descriptor)
        if fields != [SLOTS] or descriptor >= 0:
            raise MessageError("not for a host")
        self.heard.append(peer)


class Raw:
    """Somebody with a socket who sends what they like."""

    def __init__(self, victim: Victim, hello: Any = None) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(f"\0dyadnet-{victim.endpoint.card.life}")
        if hello is not None:
            self.socket.send(hello)


@pytest.fixture
def victim() -> Iterator[Victim]:
    """Host 0 of two; nobody has connected yet."""
    found = Victim()
    yield found
    found.endpoint.close()


@pytest.fixture
def peer(victim: Victim) -> Raw:
    """Host 1, authenticated, and not to be trusted."""
    card = victim.endpoint.card
    victim.endpoint.know([card, replace(card, index=1, label="host 1", life="life")])
    return Raw(victim, pack(HELLO, 1, victim.endpoint.card.secret, "life"))


def heard(victim: Victim, tries: int = 1) -> list[int]:
    """Whose packets get through."""
    victim.heard.clear()
    for _ in range(tries):
        victim.endpoint.receive(0.0)
    return list(victim.heard)


def secrets_in(text: str, victim: Victim) -> list[str]:
    """Ways of writing an endpoint's secret that are in a text."""
    card = victim.endpoint.card
    forms = [repr(card.secret), repr(card.secret)[2:-1], card.secret.hex(), str(list(card.secret))[1:-1]]
    return [form for form in forms if form in text or form in repr(card)]


def still_there(victim: Victim, peer: Raw) -> bool:
    """Whether a packet as it should be gets through."""
    peer.socket.send(WHOLE)
    return heard(victim, 3)[-1:] == [1]


BAD: dict[str, bytes] = {
    "truncated": WHOLE[:-1],
    "oversized": b"x" * (LARGEST + 8000),
    "empty list": msgpack.packb([]),
    "another version": msgpack.packb([VERSION + 1, SLOTS]),
    "unknown kind": pack(99, 1, 2),
    "kind of another type": pack("letter", 1),  # type: ignore[arg-type]
    "more fields": pack(SLOTS, 7, 1),
    "a segment without memory": pack(SEGMENT),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_packet_is_counted_logged_once_and_dropped(
    what: str, victim: Victim, peer: Raw, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "dyadnet.transport"):
        for _ in range(3):
            peer.socket.send(BAD[what])
        assert heard(victim, 4) == []
    assert victim.refused == {"malformed": 3}
    assert len(caplog.records) == 1
    assert "host 1" in caplog.text
    assert secrets_in(caplog.text, victim) == []
    assert still_there(victim, peer)


def test_thousands_of_mutated_packets_do_nothing(victim: Victim, peer: Raw) -> None:
    packets = [WHOLE, pack(SEGMENT, 0, PAGE, 4, 2), pack(SLOTS, (b"h" * 30, (0, 1, 64)) * 3)]
    generator = np.random.default_rng(0)
    passed = 0
    for count in range(6000):
        packet = bytearray(packets[count % len(packets)])
        for _ in range(generator.integers(1, 5)):
            packet[generator.integers(len(packet))] = generator.integers(256)
        peer.socket.send(packet[: generator.integers(1, len(packet) + 1)] if count % 2 else packet)
        passed += len(heard(victim))
    passed += len(heard(victim, 3))
    assert victim.refused["malformed"] > 4000
    assert victim.refused["malformed"] + passed <= 6000
    assert still_there(victim, peer)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fields=st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.binary(max_size=9) | st.text(),
        lambda inner: st.lists(inner, max_size=5),
        max_leaves=12,
    ).filter(lambda fields: isinstance(fields, list))
)
def test_any_fields_at_all_are_taken_or_refused(fields: list[Any], victim: Victim, peer: Raw) -> None:
    for kind in (SEGMENT, SLOTS, 4, 5):
        peer.socket.send(msgpack.packb([VERSION, kind, *fields]))
    heard(victim, 6)
    assert still_there(victim, peer)


def test_descriptors_that_nobody_asked_for_are_closed(victim: Victim, peer: Raw) -> None:
    descriptor, _ = create(PAGE, "a test")
    assert still_there(victim, peer)
    before = open_descriptors()
    for packet in (pack(SEGMENT), WHOLE, b"\xc1", pack(99)):
        socket.send_fds(peer.socket, [packet], [descriptor])
    assert heard(victim, 6) == []
    assert victim.refused == {"malformed": 4}
    assert open_descriptors() == before
    os.close(descriptor)
    assert still_there(victim, peer)


STRANGE: dict[str, Callable[[Victim], bytes]] = {
    "no hello": lambda victim: WHOLE,
    "a wrong secret": lambda victim: pack(HELLO, 1, b"\0" * 32, "life"),
    "a secret of another type": lambda victim: pack(HELLO, 1, "secret", "life"),
    "an earlier life": lambda victim: pack(HELLO, 1, victim.endpoint.card.secret, "an earlier one"),
    "junk": lambda victim: b"\xc1\xc1",
}


@pytest.mark.parametrize("what", STRANGE)
def test_a_stranger_is_turned_away(what: str, victim: Victim, caplog: pytest.LogCaptureFixture) -> None:
    other = Victim(1)
    victim.endpoint.know([victim.endpoint.card, other.endpoint.card])
    with caplog.at_level(logging.WARNING, "dyadnet.transport"):
        strangers = [Raw(victim, STRANGE[what](victim)) for _ in range(3)]
        for stranger in strangers:
            stranger.socket.send(WHOLE)
        assert heard(victim, 4) == []
    assert victim.refused == {"unauthenticated": 3}
    assert len(caplog.records) == 1
    assert f"process {os.getpid()}" in caplog.text
    assert secrets_in(caplog.text, victim) == []
    with contextlib.suppress(ConnectionResetError):
        assert strangers[0].socket.recv(10) == b""
    other.endpoint.close()


def test_silent_strangers_use_up_no_more_than_their_share(victim: Victim) -> None:
    strangers = [Raw(victim) for _ in range(STRANGERS + 20)]
    heard(victim, 3)
    assert victim.refused == {"unauthenticated": 20}
    assert len(strangers) == STRANGERS + 20


# Between machines


def far(insecure: bool = False) -> tuple[HostEndpoint, HostEndpoint, list[Any]]:
    """Two endpoints that take each other to be on different machines, and what the second one hears."""
    taken: list[Any] = []
    network = PeerNetwork(NETWORK.host, NETWORK.ports, NETWORK.largest, insecure)
    with machines(apart=True):
        one = HostEndpoint(0, "one", lambda *found: None)
        two = HostEndpoint(
            1, "two", lambda peer, fields, fd, frames: taken.append((peer, fields, [bytes(f) for f in frames]))
        )
    for endpoint in (one, two):
        endpoint.open(network)
    return one, two, taken


def until(endpoint: HostEndpoint, done: Callable[[], bool]) -> None:
    """Let an endpoint listen until something has happened."""
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        endpoint.receive(0.05)


@pytest.mark.parametrize("insecure", [False, True])
def test_only_who_is_known_is_heard(insecure: bool, caplog: pytest.LogCaptureFixture) -> None:
    one, two, taken = far(insecure)
    with machines(apart=True):
        stranger = HostEndpoint(0, "stranger", lambda *found: None)
    stranger.open(PeerNetwork(NETWORK.host, NETWORK.ports, NETWORK.largest, insecure))
    try:
        two.know([one.card, two.card])
        for endpoint in (one, stranger):
            wrong = (
                two.card
                if endpoint is one or not insecure
                else type(two.card)(1, "two", two.card.machine, two.card.life, b"\0" * 32, two.card.address)
            )
            endpoint.know([endpoint.card, wrong])
            endpoint.connect()
            endpoint.send(1, pack(SLOTS, endpoint is one), buffers=[np.arange(4, dtype=np.uint8)])
        with caplog.at_level(logging.WARNING, "dyadnet.transport"):
            until(two, lambda: bool(taken) and two.refused["unauthenticated"] > 0)
        assert taken == [(0, [SLOTS, True], [bytes([0, 1, 2, 3])])]
        assert "two dropped what" in caplog.text
    finally:
        for endpoint in (one, two, stranger):
            endpoint.close()


def test_without_curve_nobody_gets_in() -> None:
    one, two, taken = far()
    context = zmq.Context()
    plain = context.socket(zmq.PUSH)
    plain.setsockopt(zmq.LINGER, 0)
    try:
        two.know([one.card, two.card])
        plain.connect(two.card.address)
        plain.send(b"x" * 100)
        until(two, lambda: two.refused["unauthenticated"] > 0)
        assert taken == []
    finally:
        plain.close()
        context.term()
        one.close()
        two.close()


def test_a_frame_that_is_too_large_is_never_read() -> None:
    one, two, taken = far()
    try:
        for endpoint in (one, two):
            endpoint.know([one.card, two.card])
        one.connect()
        one.send(1, pack(SLOTS, 1), buffers=[np.zeros(NETWORK.largest + 1, np.uint8)])
        time.sleep(0.3)
        two.receive(0.0)
        assert taken == []
    finally:
        one.close()
        two.close()


@pytest.mark.parametrize("apart", [False, True])
def test_a_peer_that_never_answers_is_named(apart: bool) -> None:
    with machines(apart=apart):
        one, two = HostEndpoint(0, "h1", lambda *found: None), HostEndpoint(1, "h2", lambda *found: None)
    try:
        if apart:
            one.open(NETWORK)
            two.open(NETWORK)
        one.know([one.card, two.card])
        one.connect()
        with pytest.raises(PeerLostError, match=r"h1 at .* has heard nothing of h2 at .* within 0.2 s"):
            one.await_greetings(0.2)
    finally:
        one.close()
        two.close()


@pytest.mark.parametrize("insecure", [False, True])
def test_a_greeting_comes_though_its_sender_has_closed(insecure: bool) -> None:
    """A host without others on other machines closes its way to the coordinator as soon as it has greeted."""
    one, two, _ = far(insecure)
    for endpoint in (one, two):
        endpoint.know([one.card, two.card])
    one.connect()
    one.close(linger=10.0)
    try:
        two.await_greetings(10.0)
    finally:
        two.close()


def test_a_peer_of_this_machine_that_is_gone_is_named() -> None:
    one, two = HostEndpoint(0, "h1", lambda *found: None), HostEndpoint(1, "h2", lambda *found: None)
    one.know([one.card, two.card])
    two.close()
    with pytest.raises(PeerLostError, match="h2 is gone"):
        one.connect()
    one.close()
