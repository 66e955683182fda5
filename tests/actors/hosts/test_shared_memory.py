"""Segments: the same places on both sides, nothing to write for others, and nonsense in them harms numbers alone."""

from __future__ import annotations

import mmap
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dyadnet as dn
from dyadnet.config import RunConfig
from dyadnet.data import load
from dyadnet.dynamics.messages import MessageError
from dyadnet.dynamics.request import Phase, Relaxation
from dyadnet.errors import DivergedError
from dyadnet.program.arena import Arena
from dyadnet.program.sync import words
from dyadnet.program.sync.crossing import Home, Region
from dyadnet_actors.coordination.engine import ActorEngine
from dyadnet_actors.hosts.host import Host, prepare
from dyadnet_actors.hosts.shared_memory import Box, SegmentLayout, Segments, create, join
from dyadnet_actors.protocol.failures import HostStoppedError, StalledError
from tests.actors.coordination.test_lockstep import IMPERFECT, settings_of
from tests.actors.threads import ThreadWorkers
from tests.actors.transports.hosts import open_descriptors

HOMES = {"h1": 0, "h2": 1, "out": 2}


def config(**values: Any) -> RunConfig:
    """Three hosts of a chain."""
    return RunConfig.read(settings_of(probe={}, cluster={"actors": 3, "timeout": 20}, **values))


def hosts(settings: RunConfig) -> list[Host]:
    """On threads, each reading the others."""
    prepare(settings)
    found = [Host(settings, Home(index, HOMES), load("digits").limited(60, 20)) for index in range(3)]
    join([host.segments for host in found])
    for host in found:
        host.join()
    return found


@pytest.mark.parametrize("imperfections", [{}, IMPERFECT], ids=["ideal", "imperfect"])
def test_owner_and_reader_agree_on_every_place(imperfections: Any) -> None:
    found = hosts(config(imperfections=imperfections))
    for reader in found:
        arena: Arena = reader.group.arena
        for other in arena.hosts:
            owner: Arena = found[other].group.arena
            region = Region.of(arena.geometry, arena.home, other)
            assert region.places
            for key in region.places:
                mine, theirs = arena.shared_place(other, *key), owner.shared_place(other, *key)
                assert mine is not None
                assert theirs is not None
                assert mine - arena.shared_start(other) == theirs - owner.shared_start(other)
    for host in found:
        host.close()


def test_what_one_writes_the_other_reads_in_place() -> None:
    found = hosts(config())
    at, there = (host.group.arena.shared_place(0, "ring", "h1") for host in found[:2])
    assert at is not None
    assert there is not None
    found[0].group.lane(0).memory.X[at : at + 5] = range(5)
    assert found[1].group.lane(0).memory.X[there : there + 5].tolist() == [0, 1, 2, 3, 4]
    for host in found:
        host.close()


def test_a_segment_of_another_size_or_without_seals_is_refused(tmp_path: Path) -> None:
    segments = Segments(SegmentLayout(hosts(config())[0].group.arena.geometry, Home(0, HOMES)))
    size = segments.layout.size(1)
    short, _ = create(size - 4096, "a test")
    file = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    os.truncate(file, size)
    open_ = os.memfd_create("open")
    os.truncate(open_, size)
    for descriptor in (short, file, open_):
        with pytest.raises(MessageError, match="segment"):
            segments.attach(1, descriptor)
        os.close(descriptor)
    segments.close()


def test_nobody_but_its_owner_can_write() -> None:
    found = hosts(config())
    descriptor = found[0].segments.descriptor
    with pytest.raises(PermissionError):
        mmap.mmap(descriptor, 4096)
    with pytest.raises(PermissionError):
        os.ftruncate(descriptor, 0)
    for host in found:
        host.close()


@pytest.mark.parametrize("seed", range(4))
def test_nonsense_of_a_peer_is_numbers_and_no_crash(seed: int) -> None:
    """A host that writes what it likes wherever it may: the others diverge, settle on something, or are stopped."""
    settings = config()
    found = hosts(settings)
    random = np.random.default_rng(seed)
    over = threading.Event()
    segments = found[1].segments
    spoilt = segments._bytes(segments._own, segments.layout.size(1))
    raised: list[BaseException] = []

    def spoil() -> None:
        while not over.is_set():
            # All but the words, which say how far it has come.
            at = random.integers(segments.layout.squares, len(spoilt) - 64)
            spoilt[at : at + 64] = random.integers(0, 256, 64)

    def run(host: Host) -> None:
        try:
            for number in (1, 2, 3):
                phases = (Phase("dyadic", 0.1, 30),)
                host.relax(number, Relaxation(number, "train", np.arange(11), phases, (-1.0, -1.0), 0.2))
        except (DivergedError, HostStoppedError) as problem:
            raised.append(problem)
        finally:
            ended.release()

    ended = threading.Semaphore(0)
    spoiler = threading.Thread(target=spoil)
    threads = [threading.Thread(target=run, args=(host,)) for host in found]
    for thread in (spoiler, *threads):
        thread.start()
    # Verdicts that differ leave a host waiting; whoever looks after it ends it then.
    for _ in found:
        if not ended.acquire(timeout=5):
            for host in found:
                host.stop()
    over.set()
    for thread in (spoiler, *threads):
        thread.join(20)
        assert not thread.is_alive()
    for host in found:
        host.close()


def test_words_from_the_future_make_nobody_wait_or_read_beyond() -> None:
    found = hosts(config())
    words.tell(found[1].segments.word(1, 0), 2**62)
    found[0].stop()
    with pytest.raises(HostStoppedError):
        found[0].relax(1, Relaxation(1, "train", np.arange(11), (Phase("dyadic", 0.1, 5),), (-1.0, -1.0), 0.2))
    for host in found:
        host.close()


def test_a_reader_that_died_is_waited_for_and_no_longer_than_asked() -> None:
    settings = config()
    workers = ThreadWorkers(settings, load("digits").limited(60, 20))
    engine = ActorEngine(
        settings.model_copy(update={"cluster": settings.cluster.model_copy(update={"timeout": 1.0})}), workers
    )
    ask = workers.ask

    def without_the_last(method: str, *arguments: Any) -> Any:
        workers.hosts, kept = workers.hosts[:2], workers.hosts
        try:
            return ask(method, *arguments) if method != "relax" else _partly(workers, method, *arguments)
        finally:
            workers.hosts = kept

    workers.ask = without_the_last  # type: ignore[method-assign]
    relaxation = Relaxation(1, "train", np.arange(11), (Phase("dyadic", 0.1, 5),), (-1.0, -1.0), 0.2)
    try:
        with pytest.raises(StalledError, match="host 2 has not begun this round"):
            engine.relax(relaxation)
    finally:
        engine.close()


def _partly(workers: ThreadWorkers, method: str, *arguments: Any) -> Any:
    from tests.actors.threads import FutureAnswers

    pairs = zip(workers._threads, workers.hosts, strict=False)
    return FutureAnswers([thread.submit(getattr(host, method), *arguments) for thread, host in pairs])


def test_a_message_that_cannot_have_been_meant_is_empty() -> None:
    place = np.zeros(64, dtype=np.int64)
    box = Box(words.own(place), words.own(place) + 128, 8 * 48)
    box.put(1, b"question")
    assert box.wait(1, 0.0)
    assert box.get() == b"question"
    for length in (-1, 2**62, 8 * 48):
        place[16] = length
        assert box.get() == b""
    assert not box.fits(b"x" * (8 * 48 - 7))


def test_nothing_is_left_open() -> None:
    before = open_descriptors()
    for _ in range(3):
        for host in hosts(config()):
            host.close()
            host.segments.unmap()
    assert open_descriptors() == before


@pytest.mark.usefixtures("ray_session")
def test_without_memory_without_names_a_run_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = settings_of(probe={}, engine="ray", cluster={"actors": 2})
    one = dn.train(RunConfig.read(values), tmp_path / "shared")
    monkeypatch.setenv("DYADNET_MEMFD", "0")
    other = dn.train(RunConfig.read(values | {"cluster": {"actors": 2, "transport": "ray"}}), tmp_path / "mirrors")
    assert one.weights_sha256 == other.weights_sha256
