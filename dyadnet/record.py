"""A run's folder: the resolved configuration, the scientific record, the machinery's record, and weights."""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
import yaml
from numpy.typing import NDArray

from dyadnet import weights
from dyadnet.config import RunConfig
from dyadnet.errors import ConfigError, RunFolderError
from dyadnet.lines import Lines, complete, unwritten
from dyadnet.trace.file import TraceWriter

if TYPE_CHECKING:
    from dyadnet.checkpoint.keeper import Beginning

CONFIG = "config.yaml"
METRICS = "metrics.jsonl"
MACHINERY = "machinery.jsonl"
EVENTS = "events.jsonl"
ENDING = "ending.json"
"""How a run that has no driver ended."""
PROBES = "probes"
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
        """Write a relaxation into the run's trace; see `dyadnet.trace.file`."""

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

    Raises
    ------
    RunFolderError
        If it holds another run, or cannot be written.
    """

    def __init__(self, path: Path, config: RunConfig) -> None:
        self.path = path
        self.beginning: Beginning | None = None
        self.begun = False
        self._trace: TraceWriter | None = None
        try:
            self._made = not path.exists()
            _check_free(path)
            path.mkdir(parents=True, exist_ok=True)
            self._records = {name: Lines(path / name) for name in RECORDS}
            (path / CONFIG).write_text(config.to_yaml(), encoding="utf-8")
        except OSError as problem:
            raise RunFolderError(f"--out {path}: it cannot be written ({problem.strerror})") from None
        try:
            self._trace = None if config.record.trace is None else TraceWriter(config.record.trace, config)
        except ConfigError:
            self.discard()
            raise

    @classmethod
    def reopened(cls, path: Path, config: RunConfig, lengths: Mapping[str, int]) -> Self:
        """The folder of a run that goes on, its records cut to what belongs to a checkpoint, its ending taken back.

        Raises
        ------
        RunFolderError
            If it cannot be written.
        """
        folder = cls.__new__(cls)
        folder.path, folder.beginning, folder.begun, folder._made = path, None, True, False
        # What a trace would not begin with, it cannot repeat.
        folder._trace = None
        try:
            folder._records = {name: Lines(path / name, lengths.get(name, 0)) for name in RECORDS}
            (path / ENDING).unlink(missing_ok=True)
        except OSError as problem:
            raise RunFolderError(f"{path}: it cannot be written ({problem.strerror})") from None
        folder.describe(config)
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
        with self._writing(path), closing(Lines(path, complete(path) if path.exists() else None)) as lines:
            lines.append(line | {"at": round(time.time(), 3)})
            lines.settle()

    def events(self) -> list[dict[str, Any]]:
        """What has happened once in the run's life so far."""
        path = self.path / EVENTS
        return _parsed(path, path.read_bytes()[: complete(path)]) if path.exists() else []

    def fired(self) -> list[str]:
        """Faults on purpose that have happened, as they are written."""
        return [event["fault"] for event in self.events() if event["kind"] == "fault"]

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
        with self._writing(path):
            weights.save(path, manifest, parameters)

    @contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        """Say in one line that something cannot be written."""
        try:
            yield
        except OSError as problem:
            raise unwritten(path, problem, self.path) from None

    def discard(self) -> None:
        """Take back what was written: the run could not begin."""
        self.close()
        shutil.rmtree(self.path, ignore_errors=True)
        if not self._made:
            self.path.mkdir(exist_ok=True)

    def close(self) -> None:
        """Close the records; of a trace that is not whole nothing is left."""
        if self._trace is not None:
            self._trace.discard()
        for lines in self._records.values():
            lines.close()


def _check_free(path: Path) -> None:
    """Refuse a folder for a new run that holds anything."""
    if path.exists() and not path.is_dir():
        raise RunFolderError(f"--out {path}: this is a file; name a new or empty folder")
    if path.is_dir() and any(path.iterdir()):
        what = "another run" if (path / CONFIG).exists() else "other files"
        raise RunFolderError(f"--out {path}: it holds {what}; name a new or empty folder")


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
        raise RunFolderError(f"--out {out}: this is an ending without a name; name a file, such as {example}")
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
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise _no_run(run, CONFIG, problem) from None
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError):
        # PyYAML passes on what its constructors raise: of a date in month 99, of lists within lists without end.
        raise RunFolderError(f"{path}: damaged, not YAML") from None
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
    why = "is missing" if missing else f"cannot be read: {problem.strerror}"
    return RunFolderError(f"{run}: no run here ({name} {why})")


def _lines(run: Path, name: str) -> list[dict[str, Any]]:
    path = run / name
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise _no_run(run, name, problem) from None
    return _parsed(path, data)


def _parsed(path: Path, data: bytes) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in data.decode().splitlines() if line]
    except (ValueError, RecursionError):
        raise RunFolderError(f"{path}: damaged, a line is not JSON") from None
