"""A run's folder: the resolved configuration, the scientific record, the performance record, and weights."""

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
"""How a detached run, which has no driver, ended."""
STATUS = "status.json"
"""The run's status; see `dyadnet.runs.status`."""
PROBES = "probes"
IMAGES = "images.npz"
"""A few test images, of a run whose targets are images; see `dyadnet.training.strip`."""
MAPS = "maps.npz"
"""The first test sample as an image, and the settled means of populations with a shape; see `dyadnet.runs.maps`."""
CHECKPOINTS = "checkpoints"
BEST, LAST = "best", "last"
"""Names of saved weights."""
RECORDS = (METRICS, MACHINERY)
"""Records that a resumed run continues at the lengths that its checkpoint stores."""


class Recorder(Protocol):
    """Receives the coordinator's record: a run's folder, or a proxy of one."""

    @property
    def name(self) -> str:
        """Name under which a user finds it: the path of the run's folder."""

    def metrics(self, line: dict[str, Any]) -> None:
        """Append to the scientific record, which the same seed reproduces bit for bit."""

    def machinery(self, line: dict[str, Any]) -> None:
        """Append to the performance record: seconds and traffic, which differ from run to run."""

    def probes(self, relaxation: int, recorded: dict[str, dict[str, NDArray[Any]]]) -> None:
        """Store the probes' recordings of one relaxation."""

    def trace(self, record: bytes) -> None:
        """Append a relaxation to the run's trace; see `dyadnet.runs.trace`."""

    def event(self, line: dict[str, Any]) -> None:
        """Record an event that rewinding to a checkpoint does not undo: a fault or a failure."""

    def lengths(self) -> dict[str, int]:
        """Return the present size of each record in bytes, by file name."""

    def settle(self) -> None:
        """Block until all records so far are on disk."""

    def rewind(self, lengths: Mapping[str, int]) -> None:
        """Truncate the records to these lengths; a record without a length is emptied."""

    def save(self, name: str, manifest: dict[str, Any], parameters: weights.Parameters) -> None:
        """Save weights under a name, replacing earlier ones."""

    def ended(self, summary: Summary) -> None:
        """Called when training has ended with this summary and the record is complete."""


class RunFolder:
    """The folder that a run writes to. The constructor creates it for a new run; `close` closes its files.

    Parameters
    ----------
    path
        The folder, which must be new or empty; it is created if it does not exist.

    Attributes
    ----------
    beginning
        The store of checkpoints and the checkpoint to start from; None: no checkpoints.
    begun
        Whether the run has written results: a checkpoint, or a line of the scientific record.
    hooks
        Calls the run's callbacks; None: no callbacks.
    on_end
        Called once, with the summary, when training has ended: writes status, pictures and report.

    Raises
    ------
    RunFolderError
        If the folder holds another run or other files, or cannot be written.
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
        """Reopen the folder of a run to resume it: truncate its records to a checkpoint, and remove its ending.

        Raises
        ------
        RunFolderError
            If the folder cannot be written, or a file that is written to is a symbolic link.
        """
        check_own(path)
        folder = cls.__new__(cls)
        folder.path, folder.beginning, folder.begun, folder._made = path, None, True, []
        folder._kept, folder.on_end, folder.hooks = True, None, None
        # A trace that does not start at the beginning cannot be replayed.
        folder._trace = None
        # Do this first: it may fail for lack of disk space, and the next step cannot be undone.
        folder.describe(config)
        try:
            folder._records = {name: Lines(path / name, lengths.get(name, 0), folder._remedy) for name in RECORDS}
            (path / ENDING).unlink(missing_ok=True)
        except OSError as problem:
            raise RunFolderError(f"{path}: it cannot be written ({problem.strerror})") from None
        return folder

    def describe(self, config: RunConfig) -> None:
        """Replace the configuration file."""
        text = config.to_yaml()
        if (self.path / CONFIG).read_text(encoding="utf-8") != text:
            with whole(self.path / CONFIG) as fresh:
                fresh.write_text(text, encoding="utf-8")

    @property
    def name(self) -> str:
        """The folder's path."""
        return str(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def metrics(self, line: dict[str, Any]) -> None:
        """Append to the scientific record, which the same seed reproduces bit for bit."""
        self._records[METRICS].append(line)
        self.begun = True

    def machinery(self, line: dict[str, Any]) -> None:
        """Append to the performance record: seconds and traffic, which differ from run to run."""
        self._records[MACHINERY].append(line)
        self.begun |= line.get("kind") == "checkpoint"

    def probes(self, relaxation: int, recorded: dict[str, dict[str, NDArray[Any]]]) -> None:
        """Write the probes' recordings of one relaxation to ``probes/<relaxation>.npz``, with keys ``block/series``."""
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
        """Complete the trace: the run has ended with these weights."""
        if self._trace is not None:
            self._trace.finish(weights_sha256)

    def event(self, line: dict[str, Any]) -> None:
        """Append to ``events.jsonl``, which is never truncated. The line is on disk when this returns."""
        path = self.path / EVENTS
        with self._writing(path), closing(self._lines(path)) as lines:
            lines.append(line | {"at": round(time.time(), 3)})
            lines.settle()

    def _lines(self, path: Path) -> Lines:
        return Lines(path, complete(path) if path.exists() else None, self._remedy)

    def events(self) -> list[dict[str, Any]]:
        """Return all events of the run so far."""
        path = self.path / EVENTS
        if not path.exists():
            return []
        try:
            return _parsed(path, files.content(path)[: complete(path)])
        except OSError as problem:
            raise _no_run(self.path, EVENTS, problem) from None

    def fired(self) -> list[str]:
        """Return the injected faults that have fired, as they are written in the settings."""
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
        """Write weights to ``checkpoints/<name>`` atomically, replacing earlier ones."""
        path = self.path / CHECKPOINTS / name
        self._records[METRICS].check()
        with self._writing(path):
            weights.save(path, manifest, parameters)

    def ended(self, summary: Summary) -> None:
        """See `Recorder`; only the first call has an effect."""
        act, self.on_end = self.on_end, None
        if act is not None:
            act(summary)

    @contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        """Convert an `OSError` to a one-line error that says what cannot be written."""
        try:
            yield
        except OSError as problem:
            raise unwritten(path, problem, self._remedy()) from None

    def _remedy(self) -> str:
        """Return advice for the user if something cannot be written."""
        if self.begun and self._kept:
            return f"free space there, then go on with: {command('resume', str(self.path))}"
        return "free space there, and begin again"

    def discard(self) -> None:
        """Remove everything that was written, including created folders, because the run could not begin."""
        self.close()
        emptied(self.path, self._made)

    def close(self) -> None:
        """Close the records and remove an incomplete trace."""
        if self._trace is not None:
            self._trace.discard()
        for lines in self._records.values():
            lines.close()


def missing(path: Path) -> list[Path]:
    """Return the folder and its parents that do not exist, innermost first."""
    return [folder for folder in (path, *path.parents) if not folder.exists()]


def emptied(path: Path, made: Sequence[Path]) -> None:
    """Remove the contents of a folder, and the folders in `made` that are empty then."""
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
    """Raise if the folder for a new run is not empty."""
    if path.exists() and not path.is_dir():
        raise RunFolderError(f"--out {path}: this is a file; name a new or empty folder")
    if path.is_dir() and any(path.iterdir()):
        what = "another run" if (path / CONFIG).exists() else "other files"
        raise RunFolderError(f"--out {path}: it holds {what}; name a new or empty folder")


def check_own(run: Path) -> None:
    """Raise if a file or folder that a resumed run writes to is a symbolic link.

    Raises
    ------
    RunFolderError
        If there is such a link; the error names it.
    """
    files.check_links(run / name for name in (*RECORDS, EVENTS, ENDING, STATUS, PROBES, IMAGES, MAPS, CHECKPOINTS))


def check_file(out: Path, example: str, *endings: str) -> None:
    """Raise unless ``--out`` names a file with one of these extensions.

    Parameters
    ----------
    example
        A file name to suggest.

    Raises
    ------
    RunFolderError
        If it is a folder, an extension without a name, or has another extension.
    """
    # If the path cannot be examined, writing to it raises the error.
    with suppress(OSError):
        if out.is_dir():
            raise RunFolderError(f"--out {out}: this is a folder; name a file, such as {out / example}")
    if out.name in endings:
        raise RunFolderError(f"--out {out}: this is a file extension without a name; name a file, such as {example}")
    if out.suffix not in endings:
        raise RunFolderError(f"--out {out}: name a file that ends in {' or '.join(endings)}, such as {example}")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Write a file atomically: yield a temporary name beside `path`, and rename it to `path` at the end.

    Raises
    ------
    RunFolderError
        If the file cannot be written.
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
        # If nothing could be written, this may fail too.
        with suppress(OSError):
            fresh.unlink(missing_ok=True)


def saved_weights(run: Path, name: str) -> Path:
    """Return the folder of a run's weights, `BEST` or `LAST`."""
    return run / CHECKPOINTS / name


def read_config(run: Path) -> RunConfig:
    """Read the configuration of a run's folder.

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
    """Read the lines of a run's scientific record.

    Raises
    ------
    RunFolderError
        If there is no record, or a line is damaged.
    """
    return _lines(run, METRICS)


def read_machinery(run: Path) -> list[dict[str, Any]]:
    """Read the lines of a run's performance record.

    Raises
    ------
    RunFolderError
        If there is no record, or a line is damaged.
    """
    return _lines(run, MACHINERY)


def _no_run(run: Path, name: str, problem: OSError) -> RunFolderError:
    """Return the error for a run's folder whose file cannot be read."""
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
