"""Whatever is wrong with a trace, it is one line and nothing worse."""

from __future__ import annotations

import contextlib
import zlib
from dataclasses import replace
from pathlib import Path

import msgpack
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from dyadnet.errors import ConfigError, DyadnetError, TraceError
from dyadnet.program import tables as c
from dyadnet.program.real_time.trace import HostTrace, unpacked
from dyadnet.runs.trace import FORMAT, MAGIC, Trace, TraceWriter
from dyadnet.training.replay import replay
from tests.trace.files import frames_of, written
from tests.trace.runs import digits, settings, traced


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole trace."""
    found = tmp_path_factory.mktemp("trace") / "run.trace"
    traced(settings(found))
    return found


def script(updates: int, messages: int) -> HostTrace:
    """A host that read so many messages before its first update."""
    read = [[c.TR_HOLD, 0, number + 1, 0, 0, 10**9] for number in range(messages)]
    made = [[c.TR_UPDATE, 200, number, 100, 0, 10**9 + 100 * number] for number in range(1, updates + 1)]
    return HostTrace(("h1",), (7,), (8,), 0.1, np.array(read + made, dtype=np.int64))


@given(updates=st.integers(1, 30), messages=st.integers(0, 30))
def test_a_script_comes_back(updates: int, messages: int) -> None:
    before = script(updates, messages)
    found = unpacked(before.packed(), phases=1)
    assert np.array_equal(found.rows, before.rows)
    assert found.packed() == before.packed()


@pytest.mark.parametrize("phases", [0, 2])
def test_a_script_of_another_run_is_refused(phases: int) -> None:
    with pytest.raises(TraceError):
        unpacked(script(4, 3).packed(), phases=phases)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([[c.TR_UPDATE, 200, 2, 100, 0, 5]], "out of order"),
        ([[c.TR_UPDATE, 200, 1, 0, 0, 5]], "time stands still"),
        ([[9, 0, 1, 100, 0, 5], [c.TR_UPDATE, 200, 1, 1, 0, 5]], "something else"),
        ([[c.TR_HOLD, 0, 1, 100, 0, 5]], "without an update"),
        ([[c.TR_UPDATE, 200, 1, 100, 1, 5], [c.TR_UPDATE, 200, 2, 100, 0, 5]], "phases are out of order"),
    ],
)
def test_a_script_of_what_cannot_have_been_is_refused(rows: list[list[int]], why: str) -> None:
    wrong = replace(script(1, 0), rows=np.array(rows, dtype=np.int64))
    with pytest.raises(TraceError, match=why):
        unpacked(wrong.packed(), phases=1)


def test_no_more_is_unpacked_than_a_script_says() -> None:
    fields = msgpack.unpackb(script(4, 3).packed())
    fields[-1] = zlib.compress(bytes(10**7))
    with pytest.raises(TraceError, match="cut off"):
        unpacked(msgpack.packb(fields), phases=1)


@given(cut=st.integers(0, 10_000), flip=st.integers(0, 10_000), bit=st.integers(0, 7))
@examples(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_that_is_cut_off_or_altered_is_refused(
    path: Path, tmp_path: Path, cut: int, flip: int, bit: int
) -> None:
    whole = path.read_bytes()
    for name, data in (("cut", whole[: cut % len(whole)]), ("flipped", bytearray(whole))):
        if isinstance(data, bytearray):
            data[flip % len(whole)] ^= 1 << bit
        (tmp_path / name).write_bytes(data)
        with pytest.raises(TraceError, match=r"no trace|cut off or was altered"):
            Trace(tmp_path / name)


@given(frame=st.integers(0, 3), at=st.integers(0, 5000), byte=st.integers(0, 255), longer=st.binary(max_size=2))
@examples(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_wrong_bytes_under_the_right_hash_are_refused_or_make_a_difference(
    path: Path, tmp_path: Path, frame: int, at: int, byte: int, longer: bytes
) -> None:
    frames = frames_of(path)
    data = bytearray(frames[frame])
    data[at % len(data)] = byte
    frames[frame] = bytes(data) + longer
    written(tmp_path / "wrong.trace", frames)
    # Any other error fails this test. What the run is to be is believed if it is legal, and is not trained here.
    with contextlib.suppress(DyadnetError), Trace(tmp_path / "wrong.trace") as trace:
        if frame > 0:
            replay(trace, trace.config, digits(trace.config))


@pytest.mark.parametrize(
    ("frames", "why"),
    [
        ([], "it does not say what it is of"),
        ([["run", FORMAT - 1, "0.2.0", {}]], r"its format 1 is that of dyadnet 0\.2\.0; replay it with that"),
        ([["run", FORMAT, "x", {}]], "it has no end"),
        ([["run", FORMAT, "x", {}], ["end", "h"], ["end", "h"]], "something follows its end"),
        ([["run", FORMAT, "x", {}], ["relaxation", 2], ["end", "h"]], "relaxation 1 is missing"),
        ([["run", FORMAT, "x", {}], 7], "a frame of no kind"),
    ],
)
def test_what_is_not_as_a_trace_should_be_is_named(frames: list[object], why: str, tmp_path: Path) -> None:
    written(tmp_path / "wrong.trace", [msgpack.packb(frame) for frame in frames])
    with pytest.raises(TraceError, match=why):
        Trace(tmp_path / "wrong.trace")


def test_a_file_that_is_there_is_not_written_over(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="it exists already"):
        TraceWriter(path, settings(path))
    assert path.read_bytes() == before


def test_of_a_run_that_does_not_end_nothing_is_left(tmp_path: Path) -> None:
    writer = TraceWriter(tmp_path / "run.trace", settings(tmp_path / "run.trace"))
    writer.append(msgpack.packb(["relaxation", 1]))
    assert [file.read_bytes()[: len(MAGIC)] for file in tmp_path.iterdir()] in ([MAGIC], [b""])
    writer.discard()
    assert list(tmp_path.iterdir()) == []
