"""The file of a trace: the run's configuration, every relaxation, and the hash of the weights that they led to.

A file is there whole or not at all. After a few letters that say what it is come frames, each the length of what
follows (4 bytes, little-endian) and a msgpack array that begins with its kind:

- ``run``: format, version of dyadnet, configuration as plain values;
- ``relaxation``: its number, from 1 on, the minibatch (0 if it was not learned from), how each phase ended, and what
  each host did, by the host's index (see `dyadnet.program.real_time.trace`). One that comes again takes the place of
  itself and of all that came after: the run had gone back to a checkpoint;
- ``end``: hash of the weights;

and last the SHA-256 of all before it. Nothing is ever unpickled, and no length is believed before it is checked.
"""

from __future__ import annotations

import contextlib
import hashlib
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self
from uuid import uuid4

import msgpack

from dyadnet.config import RunConfig
from dyadnet.dynamics.request import PhaseOutcome
from dyadnet.errors import ConfigError, TraceError, UntracedError
from dyadnet.program.real_time.trace import HostTrace, check, unpacked

MAGIC = b"dyadnet trace\n"
FORMAT = 2
_LENGTH = struct.Struct("<I")
_CHUNK = 2**20


def recorded(number: int, minibatch: int, outcomes: Sequence[PhaseOutcome], scripts: Sequence[bytes]) -> bytes:
    """A relaxation as a trace's file carries it.

    Parameters
    ----------
    scripts
        What each host did, packed.
    """
    ended = [[phase.name, phase.ticks, phase.sweeps, phase.settled] for phase in outcomes]
    return msgpack.packb(["relaxation", number, minibatch, ended, list(scripts)])  # type: ignore[no-any-return]


class TraceWriter:
    """A trace that is being written, under a name of its own until it is whole.

    Parameters
    ----------
    path
        Where it is to be; nothing must be there.
    config
        The run.

    Raises
    ------
    ConfigError
        If something is there, or it cannot be written.
    """

    def __init__(self, path: Path, config: RunConfig) -> None:
        if path.exists():
            raise ConfigError("record.trace", str(path), "it exists already; name a new file")
        self.path = path
        self._fresh = path.with_name(f".{path.name}-{uuid4().hex[:8]}")
        self._hash = hashlib.sha256()
        try:
            self._file: BinaryIO | None = self._fresh.open("xb")
        except OSError as problem:
            raise ConfigError("record.trace", str(path), f"it cannot be written there ({problem.strerror})") from None
        try:
            self._write(MAGIC)
            self.append(msgpack.packb(["run", FORMAT, version("dyadnet"), config.model_dump(mode="json")]))
        except BaseException:
            self.discard()
            raise

    def append(self, frame: bytes) -> None:
        """Write one more frame.

        Raises
        ------
        UntracedError
            If it cannot be written.
        """
        self._write(_LENGTH.pack(len(frame)) + frame)

    def finish(self, weights_sha256: str) -> None:
        """The run has ended with these weights: the trace is whole, and is put in its place.

        Raises
        ------
        UntracedError
            If it cannot be written.
        """
        self.append(msgpack.packb(["end", weights_sha256]))
        self._write(self._hash.digest())
        assert self._file is not None
        try:
            self._file.close()
            self._fresh.replace(self.path)
        except OSError as problem:
            raise self._unwritten(problem) from None
        self._file = None

    def discard(self) -> None:
        """Leave nothing of a trace that is not whole."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._fresh.unlink(missing_ok=True)
            self._file = None

    def _write(self, data: bytes) -> None:
        assert self._file is not None
        try:
            self._file.write(data)
        except OSError as problem:
            raise self._unwritten(problem) from None
        self._hash.update(data)

    def _unwritten(self, problem: OSError) -> UntracedError:
        return UntracedError(
            f"{self.path}: the trace cannot be written ({problem.strerror}); free space there, or name another"
        )


@dataclass(frozen=True, slots=True)
class Recorded:
    """One relaxation of a trace; what each host did by the host's index."""

    number: int
    minibatch: int
    outcomes: tuple[PhaseOutcome, ...]
    scripts: tuple[HostTrace, ...]


class Trace:
    """A whole trace, open to be read.

    Parameters
    ----------
    path
        Its file.

    Attributes
    ----------
    config
        The run's configuration.
    weights_sha256
        Of the weights that it ended with.

    Raises
    ------
    TraceError
        If it is no trace, or not a whole one.
    ConfigError
        If its configuration is not legal.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("rb")
        except OSError as problem:
            raise TraceError(f"{path}: no trace here ({problem.strerror})") from None
        try:
            self._offsets: list[int] = []
            self._read()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def relaxations(self) -> int:
        """How many there are."""
        return len(self._offsets)

    def relaxation(self, number: int, blocks: Sequence[str], phases: Sequence[str]) -> Recorded:
        """One relaxation, checked.

        Parameters
        ----------
        number
            Its number.
        blocks, phases
            What the run's blocks are, in their order, and what its phases are.

        Raises
        ------
        TraceError
            If it is missing, or not as it should be.
        """
        check(0 < number <= self.relaxations, f"{self.path}: damaged: relaxation {number} is missing")
        self._file.seek(self._offsets[number - 1])
        (length,) = _LENGTH.unpack(self._file.read(_LENGTH.size))
        try:
            return _relaxation(_frame(self._file.read(length)), blocks, phases)
        except TraceError as problem:
            raise TraceError(f"{self.path}: damaged: relaxation {number}: {problem}") from None

    def _read(self) -> None:
        """Read what comes first and last, and note where every relaxation lies."""
        size = self._whole()
        frames = self._frames(size)
        try:
            first = next(frames, (0, [""]))[1]
            check(len(first) == 4 and first[0] == "run", "it does not say what it is of")
            older = f"its format {first[1]} is that of dyadnet {first[2]}; replay it with that, or record it again"
            check(first[1] == FORMAT, older)
            last: list[Any] = []
            for offset, frame in frames:
                check(not last, "something follows its end")
                if frame[0] == "relaxation":
                    upcoming = len(self._offsets) + 1
                    check(len(frame) > 1 and type(frame[1]) is int, f"relaxation {upcoming} has no number")
                    number: int = frame[1]
                    check(1 <= number <= upcoming, f"relaxation {upcoming} is missing")
                    del self._offsets[number - 1 :]
                    self._offsets.append(offset)
                else:
                    last = frame
            check(len(last) == 2 and last[0] == "end" and type(last[1]) is str, "it has no end")
        except TraceError as problem:
            raise TraceError(f"{self.path}: damaged: {problem}") from None
        self.weights_sha256: str = last[1]
        self.config = RunConfig.read(first[3], str(self.path))

    def _whole(self) -> int:
        """Bytes before the hash, once that is found to be right."""
        digest = hashlib.sha256()
        self._file.seek(0, 2)
        size = self._file.tell() - digest.digest_size
        self._file.seek(0)
        check(self._file.read(len(MAGIC)) == MAGIC, f"{self.path}: this is no trace; dyadnet train --trace writes one")
        self._file.seek(0)
        left = size
        while left > 0:
            chunk = self._file.read(min(left, _CHUNK))
            digest.update(chunk)
            left -= len(chunk) or left
        check(size > 0 and self._file.read() == digest.digest(), f"{self.path}: the trace is cut off or was altered")
        return size

    def _frames(self, size: int) -> Iterator[tuple[int, list[Any]]]:
        """Every frame, and where it begins."""
        at = len(MAGIC)
        while at < size:
            self._file.seek(at)
            check(at + _LENGTH.size <= size, "a frame is cut off")
            (length,) = _LENGTH.unpack(self._file.read(_LENGTH.size))
            check(at + _LENGTH.size + length <= size, "a frame is cut off")
            yield at, _frame(self._file.read(length))
            at += _LENGTH.size + length


def _frame(data: bytes) -> list[Any]:
    try:
        frame = msgpack.unpackb(data)
    except (ValueError, TypeError, msgpack.exceptions.UnpackException):
        raise TraceError("a frame is not msgpack") from None
    check(type(frame) is list and frame and type(frame[0]) is str, "a frame of no kind")
    found: list[Any] = frame
    return found


def _relaxation(frame: list[Any], blocks: Sequence[str], phases: Sequence[str]) -> Recorded:
    check(len(frame) == 5, "it has not the fields of this format")
    _, number, minibatch, ended, parts = frame
    check(type(minibatch) is int, "its minibatch has no number")
    check(type(ended) is list and len(ended) == len(phases), "it has other phases")
    for phase, name in zip(ended, phases, strict=True):
        check(
            type(phase) is list and [type(value) for value in phase] == [str, int, float, bool], "a phase ended nohow"
        )
        check(phase[0] == name, "it has other phases")
    check(type(parts) is list and all(type(part) is bytes for part in parts), "what a host did is missing")
    scripts = tuple(unpacked(part, len(phases)) for part in parts)
    there = [name for script in scripts for name in script.blocks]
    check(sorted(there) == sorted(blocks), "it has other blocks")
    order = {name: index for index, name in enumerate(blocks)}
    check(
        all(list(s.blocks) == sorted(s.blocks, key=order.__getitem__) for s in scripts), "its blocks are out of order"
    )
    return Recorded(number, minibatch, tuple(PhaseOutcome(*phase) for phase in ended), scripts)
