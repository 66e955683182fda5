"""A run's folder: the resolved configuration, the scientific record, the machinery's record, and weights."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from dyadnet.checkpoint.resume_point import ResumePoint
from dyadnet.config import RunConfig
from dyadnet.errors import RunFolderError
from dyadnet.files import access as files
from dyadnet.files import documents as document
from dyadnet.files.documents import DocumentError
from dyadnet.files.jsonl import Lines, complete, unwritten
from dyadnet.process.commands import command
from dyadnet.runs import weights
from dyadnet.runs.hooks import Hooks
from dyadnet.runs.summary import Summary
from dyadnet.runs.trace import TraceWriter

CONFIG = "config.yaml"
METRICS = "metrics.jsonl"
MACHINERY = "machinery.jsonl"
EVENTS = "events.jsonl"
ENDING = "ending.json"
"""How a run that has no driver ended."""
STATUS = "status.json"
"""How a run stands or has ended; see `dyadnet.runs.status`."""
PROBES = "probes"
IMAGES = "images.npz"
"""A few test images, of a run whose targets are images; see `dyadnet.training.strip`."""
MAPS = "maps.npz"
"""Its first test sample as an image, and the means that populations with a shape settle to; see `dyadnet.runs.maps`."""
CHECKPOINTS = "checkpoints"
BEST, LAST = "best", "last"
"""Names of saved weights."""
RECORDS = (METRICS, MACHINERY)
"""Records that a run which goes on continues where its checkpoint was written."""


class Recorder(Protocol):
    """Where a coordinator's record goes; a run's folder, or whatever leads to one."""

    @property
    def name(self) -> str:
        """What a user finds it by."""

    def metrics(self, line: dict[str, Any]) -> None:
        """Append to the scientific record: what the same seed gives again, bit by bit."""

    def machinery(self, line: dict[str, Any]) -> None:
        """Append to the machinery's record: seconds and traffic, which differ from run to run."""

    def probes(self, relaxation: int, recorded: dict[str, dict[str, NDArray[Any]]]) -> None:
        """Keep what the probes saw of one relaxation."""

    def trace(self, record: bytes) -> None:
        """Write a relaxation into the run's trace; see `dyadnet.runs.trace`."""

    def event(self, line: dict[str, Any]) -> None:
        """Note something that happens once in a run's life and that no rewinding undoes: a fault, a failure."""

    def lengths(self) -> dict[str, int]:
        """Bytes of each record so far, by file name."""

    def settle(self) -> None:
        """Return once all that was told so far is on the disk."""

    def rewind(self, lengths: Mapping[str, int]) -> None:
        """Take the records back to those lengths; to their beginning where there is none."""

    def save(self, name: str, manifest: dict[str, Any], parameters: weights.Parameters) -> None:
        """Keep weights under a name, in place of what was there."""

    def ended(self, summary: Summary) -> None:
        """Training has ended so; the record is complete, whatever is still served or closed after it."""


class RunFolder:
    """Where a run writes. Opened for a new run; closed at its end.

    Parameters
    ----------
    path
        Created if need be; must not hold a run already.

    Attributes
    ----------
    beginning
        Where the run's checkpoints go and what it starts from; there are none unless somebody says so.
    begun
        Whether there is something to lose: a checkpoint, or a line of the scientific record.
    hooks
        Calls the run's callbacks; there are none unless somebody says so.
    on_end
        Called once, with the summary, when training has ended: writes status, pictures and report.

    Raises
    ------
    RunFolderError
        If it holds another run, or cannot be written.
    """

    def __init__(self, path: Path, config: RunConfig) -> None:
        self.path = path
        self.beginning: ResumePoint | None = None
        self.begun = False
        self.on_end: Callable[[Summary], None] | None = None
        self.hooks: Hooks | None = None
        self._kept = config.checkpoint.enabled
        self._trace: TraceWriter | None = None
        self._records: dict[str, Lines] = {}
        try:
            _check_free(path)
            self._made = missing(path)
        except OSError as problem:
            raise _unusable(path, problem) from None
        try:
            path.mkdir(parents=True, exist_ok=True)
            for name in RECORDS:
                self._records[name] = Lines(path / name, remedy=self._remedy)
            with whole(path / CONFIG) as fresh:
                fresh.write_text(config.to_yaml(), encoding="utf-8")
            self._trace = None if config.record.trace is None else TraceWriter(config.record.trace, config)
        except OSError as problem:
            self.discard()
            raise _unusable(path, problem) from None
        except BaseException:
            self.discard()
            raise

    @classmethod
    def reopened(cls, path: Path, config: RunConfig, lengths: Mapping[str, int]) -> Self:
        """The folder of a run that goes on, its records cut to what belongs to a checkpoint, its ending taken back.

        Raises
        ------
        RunFolderError
            If it cannot be written, or holds links that lead out of it.
        """
        check_own(path)
        folder = cls.__new__(cls)
        folder.path, folder.beginning, folder.begun, folder._made = path, None, True, []
        folder._kept, folder.on_end, folder.hooks = True, None, None
        # What a trace would not begin with, it cannot repeat.
        folder._trace = None
        # First, because it needs room, and what comes next cannot be taken back.
        folder.describe(config)
        try:
            folder._records = {name: Lines(path / name, lengths.get(name, 0), folder._remedy) for name in RECORDS}
            (path / ENDING).unlink(missing_ok=True)
        except OSError as problem:
            raise RunFolderError(f"{path}: it cannot be written ({problem.strerror})") from None
        return folder

    def describe(self, config: RunConfig) -> None:
        """Put another configuration in place of the one that is there."""
        text = config.to_yaml()
        if (self.path / CONFIG).read_text(encoding="utf-8") != text:
            with whole(self.path / CONFIG) as fresh:
                fresh.write_text(text, encoding="utf-8")

    @property
    def name(self) -> str:
        """Its path."""
        return str(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def metrics(self, line: dict[str, Any]) -> None:
        """Append to the scientific record: what the same seed gives again, bit by bit."""
        self._records[METRICS].append(line)
        self.begun = True

    def machinery(self, line: dict[str, Any]) -> None:
        """Append to the machinery's record: seconds and traffic, which differ from run to run."""
        self._records[MACHINERY].append(line)
        self.begun |= line.get("kind") == "checkpoint"

    def probes(self, relaxation: int, recorded: dict[str, dict[str, NDArray[Any]]]) -> None:
        """Write what the probes saw of one relaxation, as ``probes/<relaxation>.npz`` with keys ``block/series``."""
        path = self.path / PROBES / f"{relaxation:08d}.npz"
        arrays = {f"{block}/{name}": array for block, series in recorded.items() for name, array in series.items()}
        fresh = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
        with self._writing(path):
            path.parent.mkdir(exist_ok=True)
            try:
                with fresh.open("wb") as file:
                    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
                fresh.replace(path)
            finally:
                fresh.unlink(missing_ok=True)

    def trace(self, record: bytes) -> None:
        """See `Recorder`."""
        if self._trace is not None:
            self._trace.append(record)

    def finish(self, weights_sha256: str) -> None:
        """The run has ended with these weights: its trace is whole."""
        if self._trace is not None:
            self._trace.finish(weights_sha256)

    def event(self, line: dict[str, Any]) -> None:
        """Append to ``events.jsonl``, which nothing takes back; it is on the disk when this returns."""
        path = self.path / EVENTS
        with self._writing(path), closing(self._lines(path)) as lines:
            lines.append(line | {"at": round(time.time(), 3)})
            lines.settle()

    def _lines(self, path: Path) -> Lines:
        return Lines(path, complete(path) if path.exists() else None, self._remedy)

    def events(self) -> list[dict[str, Any]]:
        """What has happened once in the run's life so far."""
        path = self.path / EVENTS
        if not path.exists():
            return []
        try:
            return _parsed(path, files.content(path)[: complete(path)])
        except OSError as problem:
            raise _no_run(self.path, EVENTS, problem) from None

    def fired(self) -> list[str]:
        """Faults on purpose that have happened, as they are written."""
        return [str(event.get("fault")) for event in self.events() if event["kind"] == "fault"]

    def lengths(self) -> dict[str, int]:
        """See `Recorder`."""
        return {name: lines.length for name, lines in self._records.items()}

    def settle(self) -> None:
        """See `Recorder`."""
        for lines in self._records.values():
            lines.settle()

    def rewind(self, lengths: Mapping[str, int]) -> None:
        """See `Recorder`."""
        for name, lines in self._records.items():
            lines.rewind(lengths.get(name, 0))

    def save(self, name: str, manifest: dict[str, Any], parameters: weights.Parameters) -> None:
        """Write weights to ``checkpoints/<name>``, whole or not at all, in place of what was there."""
        path = self.path / CHECKPOINTS / name
        self._records[METRICS].check()
        with self._writing(path):
            weights.save(path, manifest, parameters)

    def ended(self, summary: Summary) -> None:
        """See `Recorder`; once is enough."""
        act, self.on_end = self.on_end, None
        if act is not None:
            act(summary)

    @contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        """Say in one line that something cannot be written."""
        try:
            yield
        except OSError as problem:
            raise unwritten(path, problem, self._remedy()) from None

    def _remedy(self) -> str:
        """What to do once something cannot be written."""
        if self.begun and self._kept:
            return f"free space there, then go on with: {command('resume', str(self.path))}"
        return "free space there, and begin again"

    def discard(self) -> None:
        """Take back what was written, folders that were made for it included: the run could not begin."""
        self.close()
        emptied(self.path, self._made)

    def close(self) -> None:
        """Close the records; of a trace that is not whole nothing is left."""
        if self._trace is not None:
            self._trace.discard()
        for lines in self._records.values():
            lines.close()


def missing(path: Path) -> list[Path]:
    """A folder and those above it that are not there, innermost first."""
    return [folder for folder in (path, *path.parents) if not folder.exists()]


def emptied(path: Path, made: Sequence[Path]) -> None:
    """Remove all that is in a folder, and the folders that were made for it, if nobody else uses them by now."""
    with suppress(OSError):
        for entry in list(path.iterdir()):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink()
    for folder in made:
        with suppress(OSError):
            folder.rmdir()


def _unusable(path: Path, problem: OSError) -> RunFolderError:
    return RunFolderError(f"--out {path}: it cannot be written ({problem.strerror})")


def _check_free(path: Path) -> None:
    """Refuse a folder for a new run that holds anything."""
    if path.exists() and not path.is_dir():
        raise RunFolderError(f"--out {path}: this is a file; name a new or empty folder")
    if path.is_dir() and any(path.iterdir()):
        what = "another run" if (path / CONFIG).exists() else "other files"
        raise RunFolderError(f"--out {path}: it holds {what}; name a new or empty folder")


def check_own(run: Path) -> None:
    """Refuse to go on in a run's folder of which something that is written to is a symbolic link.

    Raises
    ------
    RunFolderError
        Naming it.
    """
    files.check_links(run / name for name in (*RECORDS, EVENTS, ENDING, STATUS, PROBES, IMAGES, MAPS, CHECKPOINTS))


def check_file(out: Path, example: str, *endings: str) -> None:
    """Refuse an ``--out`` that does not name a file with one of these endings.

    Parameters
    ----------
    example
        A name to suggest.

    Raises
    ------
    RunFolderError
        If it is a folder, nothing but an ending, or ends otherwise.
    """
    # What cannot be looked at says why once it is written to.
    with suppress(OSError):
        if out.is_dir():
            raise RunFolderError(f"--out {out}: this is a folder; name a file, such as {out / example}")
    if out.name in endings:
        raise RunFolderError(f"--out {out}: this is a file extension without a name; name a file, such as {example}")
    if out.suffix not in endings:
        raise RunFolderError(f"--out {out}: name a file that ends in {' or '.join(endings)}, such as {example}")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; what is there at the end takes the place of `path`, or nothing does.

    Raises
    ------
    RunFolderError
        If it cannot be written.
    """
    fresh = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        yield fresh
        fresh.replace(path)
    except (FileExistsError, NotADirectoryError):
        raise RunFolderError(f"{path}: it cannot be written ({path.parent} is not a folder)") from None
    except OSError as problem:
        raise RunFolderError(f"{path}: it cannot be written ({problem.strerror})") from None
    finally:
        # Where nothing could be written, nothing can be looked for either.
        with suppress(OSError):
            fresh.unlink(missing_ok=True)


def saved_weights(run: Path, name: str) -> Path:
    """Folder of a run's weights, `BEST` or `LAST`."""
    return run / CHECKPOINTS / name


def read_config(run: Path) -> RunConfig:
    """The configuration that a run's folder holds.

    Raises
    ------
    RunFolderError
        If the folder holds no run, or its configuration is damaged.
    """
    path = run / CONFIG
    try:
        files.regular(path).close()
        values = document.read(path).values
    except OSError as problem:
        raise _no_run(run, CONFIG, problem) from None
    except DocumentError as problem:
        raise RunFolderError(f"{path}: damaged, not YAML ({problem})") from None
    return RunConfig.read(values, str(path))


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's scientific record.

    Raises
    ------
    RunFolderError
        If there is none, or a line is damaged.
    """
    return _lines(run, METRICS)


def read_machinery(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's machinery record.

    Raises
    ------
    RunFolderError
        If there is none, or a line is damaged.
    """
    return _lines(run, MACHINERY)


def _no_run(run: Path, name: str, problem: OSError) -> RunFolderError:
    """What to say of a folder of which a file cannot be read."""
    missing = isinstance(problem, FileNotFoundError | NotADirectoryError)
    why = "is missing" if missing else f"cannot be read: {problem.strerror or problem}"
    return RunFolderError(f"{run}: no run here ({name} {why})")


def _lines(run: Path, name: str) -> list[dict[str, Any]]:
    path = run / name
    try:
        data = files.content(path)
    except OSError as problem:
        raise _no_run(run, name, problem) from None
    return _parsed(path, data)


def _parsed(path: Path, data: bytes) -> list[dict[str, Any]]:
    try:
        lines = [files.unpacked(line) for line in data.decode().splitlines() if line]
    except ValueError:
        raise RunFolderError(f"{path}: damaged, a line is not JSON") from None
    for number, line in enumerate(lines, start=1):
        if not isinstance(line, dict) or not isinstance(line.get("kind"), str):
            raise RunFolderError(f"{path}: damaged, line {number} is no line of a record")
    return lines
