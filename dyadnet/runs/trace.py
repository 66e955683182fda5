"""The file format of traces: the run's configuration, every relaxation, and the hash of the final weights.

A trace is written atomically. It begins with the magic bytes `MAGIC`. Frames follow; each consists of its length
(4 bytes, little-endian) and a msgpack array whose first element is its kind:

- ``run``: format, version of dyadnet, configuration as plain values;
- ``relaxation``: its number (from 1), the minibatch (0 if there was no update), the outcome of each phase, and the
  recorded actions of each host, by the host's index (see `dyadnet.program.real_time.trace`). A relaxation whose number
  occurs again replaces the earlier one and all that followed it, because the run had returned to a checkpoint;
- ``end``: hash of the weights.

The last bytes are the SHA-256 of everything before. Nothing is unpickled, and every length is checked before use.
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
    """Encode a relaxation as a frame of a trace.

    Parameters
    ----------
    scripts
        Recorded actions of each host, packed.
    """
    ended = [[phase.name, phase.ticks, phase.sweeps, phase.settled] for phase in outcomes]
    return msgpack.packb(["relaxation", number, minibatch, ended, list(scripts)])  # type: ignore[no-any-return]


class TraceWriter:
    """Writes a trace under a temporary name, which `finish` renames.

    Parameters
    ----------
    path
        Path of the trace, which must not exist.
    config
        The run's configuration.

    Raises
    ------
    ConfigError
        If the path exists or cannot be written.
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
        """Append a frame.

        Raises
        ------
        UntracedError
            If it cannot be written.
        """
        self._write(_LENGTH.pack(len(frame)) + frame)

    def finish(self, weights_sha256: str) -> None:
        """Complete the trace with the hash of the final weights, and rename it to its path.

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
        """Remove the file if the trace is not complete."""
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
    """One relaxation of a trace; `scripts` holds the recorded actions of each host, by the host's index."""

    number: int
    minibatch: int
    outcomes: tuple[PhaseOutcome, ...]
    scripts: tuple[HostTrace, ...]


class Trace:
    """A complete trace, open for reading.

    Parameters
    ----------
    path
        The file.

    Attributes
    ----------
    config
        The run's configuration.
    weights_sha256
        Hash of the run's final weights.

    Raises
    ------
    TraceError
        If the file is not a trace, or is incomplete or damaged.
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
        """Number of relaxations."""
        return len(self._offsets)

    def relaxation(self, number: int, blocks: Sequence[str], phases: Sequence[str]) -> Recorded:
        """Read and check one relaxation.

        Parameters
        ----------
        number
            Number of the relaxation, from 1.
        blocks, phases
            Expected blocks, in their order, and expected phases.

        Raises
        ------
        TraceError
            If the relaxation is missing or malformed, or has other blocks or phases.
        """
        check(0 < number <= self.relaxations, f"{self.path}: damaged: relaxation {number} is missing")
        self._file.seek(self._offsets[number - 1])
        (length,) = _LENGTH.unpack(self._file.read(_LENGTH.size))
        try:
            return _relaxation(_frame(self._file.read(length)), blocks, phases)
        except TraceError as problem:
            raise TraceError(f"{self.path}: damaged: relaxation {number}: {problem}") from None

    def _read(self) -> None:
        """Read the first and the last frame, and store the offset of every relaxation."""
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
        """Verify the hash and return the number of bytes before it."""
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
        """Yield the offset and contents of every frame."""
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
