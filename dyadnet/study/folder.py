"""A study's folder: its definition, one small file per finished trial, the table, the summary and the plots.

Every file is written atomically. The trials' files alone record which trials have finished, so a study can resume after
any interruption, even a loss of power. A long trial has its own folder while it runs, with checkpoints to resume from.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dyadnet.data import is_own
from dyadnet.errors import ConfigError, DyadnetError, RunFolderError
from dyadnet.files import documents as document
from dyadnet.files.access import check_links, content, lockable, unpacked
from dyadnet.files.documents import DocumentError
from dyadnet.runs.folder import emptied, missing
from dyadnet.study.definition import Study
from dyadnet.study.plan import Trial
from dyadnet.study.trial import Result

DEFINITION = "study.yaml"
BASE = "base.yaml"
TRIALS = "trials"
ONGOING = "ongoing"
TABLE = "results.csv"
SUMMARY = "summary.md"
LOCK = ".lock"
PRESENTATION = {"title", "description", "metrics", "interval", "differences"}
"""Fields of a study that do not affect trials, so that they may change when a study resumes."""
AXIS_PRESENTATION = {"label", "ticks", "scale"}


class StudyFolder:
    """The folder that a study writes to.

    Parameters
    ----------
    path
        A new or empty folder, or the folder of the same study, which then resumes.
    study
        The study's definition.
    trials
        The study's plan.

    Raises
    ------
    RunFolderError
        If the folder is in use, holds anything else, or cannot be written. Nothing is changed then.
    ConfigError
        If the folder holds a study with another definition; the error names the first difference.
    """

    def __init__(self, path: Path, study: Study, trials: list[Trial]) -> None:
        self.path = path
        self._trials = {trial.number: trial for trial in trials}
        base = _base_text(study)
        if base is not None:
            study = study.model_copy(update={"base": study.base.model_copy(update={"config": Path(BASE)})})
        self.study = study
        try:
            self._made = missing(path)
            self._new = not (path / DEFINITION).exists()
            if path not in self._made and not path.is_dir():
                raise RunFolderError(f"--out {path}: this is a file; name a new or empty folder")
            if not self._new:
                _check_same(path, study, base)
            elif path not in self._made and any(entry.name != LOCK for entry in path.iterdir()):
                raise RunFolderError(f"--out {path}: it holds other files; name a new or empty folder")
            check_links(path / name for name in (LOCK, TRIALS, ONGOING))
        except OSError as problem:
            raise _unusable(path, problem) from None
        try:
            (path / TRIALS).mkdir(parents=True, exist_ok=True)
            self._lock = lockable(path / LOCK)
        except OSError as problem:
            if self._new:
                emptied(path, self._made)
            raise _unusable(path, problem) from None
        if not _locked(self._lock.fileno()):
            self._lock.close()
            raise RunFolderError(f"--out {path}: another process is running this study")
        try:
            if base is not None:
                write_text(path / BASE, base)
            write_text(path / DEFINITION, document.written(_plain(study)))
        except BaseException:
            self.discard()
            raise

    def discard(self) -> bool:
        """Remove what was written because the study could not begin, unless it resumed or a trial has begun.

        Returns
        -------
        bool
            Whether everything was removed.
        """
        self.close()
        if not self._new or any((self.path / ONGOING).glob("*/*")):
            return False
        emptied(self.path, self._made)
        return True

    def close(self) -> None:
        """Release the lock of the folder."""
        self._lock.close()

    def finished(self) -> dict[int, Result]:
        """Return the results of finished trials by number. A damaged or incomplete file counts as missing.

        Raises
        ------
        RunFolderError
            If a file belongs to another trial than its name says.
        """
        found: dict[int, Result] = {}
        for number, trial in self._trials.items():
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                held = unpacked(content(self._file(trial)))
                result = Result(held["status"], held["error"], dict(held["values"]))
                if {name: held[name] for name in trial.identity} != json.loads(json.dumps(trial.identity)):
                    raise RunFolderError(f"{self._file(trial)}: it is of another trial ({trial} is expected)")
                if result.complete(trial.keep):
                    found[number] = result
        return found

    def save(self, trial: Trial, result: Result) -> None:
        """Write the result of a trial, and remove its checkpoints unless it failed and may be retried."""
        held = trial.identity | {"status": result.status, "error": result.error, "values": result.values}
        write_text(self._file(trial), json.dumps(held, indent=1) + "\n")
        if result.status == "failed":
            return
        place = self._ongoing(trial)
        shutil.rmtree(place, ignore_errors=True)
        # This succeeds only if no other trial has a folder there.
        with contextlib.suppress(OSError):
            place.parent.rmdir()

    def place(self, trial: Trial) -> Path:
        """Create and return the folder for a trial's checkpoints. The trial's worker checks that it sees it too."""
        place = self._ongoing(trial).absolute()
        place.mkdir(parents=True, exist_ok=True)
        return place

    def _ongoing(self, trial: Trial) -> Path:
        return self.path / ONGOING / f"{trial.number:05d}"

    def _file(self, trial: Trial) -> Path:
        return self.path / TRIALS / f"{trial.number:05d}.json"


def _unusable(path: Path, problem: OSError) -> RunFolderError:
    return RunFolderError(f"--out {path}: it cannot be written ({problem.strerror})")


def write_text(path: Path, text: str) -> None:
    """Write a file atomically.

    Raises
    ------
    DyadnetError
        If the file cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary file beside `path`, which replaces `path` once it is complete and on disk."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=".", suffix=path.suffix, dir=path.parent)
        os.close(descriptor)
    except OSError as problem:
        raise DyadnetError(f"{path}: it cannot be written ({problem.strerror})") from None
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as problem:
        raise DyadnetError(f"{path}: it cannot be written ({problem.strerror})") from None
    finally:
        temporary.unlink(missing_ok=True)


def _locked(descriptor: int) -> bool:
    """Lock the file exclusively and return whether that succeeded. The lock ends with the process in any case."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _base_text(study: Study) -> str | None:
    return None if study.base.config is None else study.base.config.read_text(encoding="utf-8")


def _plain(study: Study) -> dict[str, Any]:
    return study.model_dump(mode="json", exclude_defaults=True)


def _compared(values: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in values.items() if key not in PRESENTATION}
    kept["axes"] = [
        {key: value for key, value in axis.items() if key not in AXIS_PRESENTATION} for axis in values["axes"]
    ]
    kept["variants"] = {
        name: {key: value for key, value in variant.items() if key != "title"}
        for name, variant in values["variants"].items()
    }
    if values["base"]["data"] is not None and is_own(values["base"]["data"]):
        # The file may have moved to another folder, as for a run.
        kept["base"] = values["base"] | {"data": Path(values["base"]["data"]).name}
    return kept


def _check_same(path: Path, study: Study, base: str | None) -> None:
    try:
        held = Study.read(document.read(path / DEFINITION).values)
        held_base = (path / BASE).read_text(encoding="utf-8") if held.base.config is not None else None
    except (OSError, DocumentError, UnicodeDecodeError, ConfigError) as problem:
        raise RunFolderError(f"{path / DEFINITION}: damaged ({' '.join(str(problem).split())})") from None
    ours, theirs = _compared(study.model_dump(mode="json")), _compared(held.model_dump(mode="json"))
    difference = _difference(ours, theirs, "")
    legal = f"{path} holds this study with another definition; name another folder with --out, or undo the change"
    if difference is not None:
        field, mine, its = difference
        raise ConfigError(field, mine, f"it was {json.dumps(its)} when the study began ({legal})")
    if base != held_base:
        raise ConfigError("base.config", "the file", f"its content has changed since the study began ({legal})")


def _difference(ours: Any, theirs: Any, field: str) -> tuple[str, Any, Any] | None:
    """Return the first place where two trees of plain values differ, with both values; None if they are equal."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in [*ours, *(key for key in theirs if key not in ours)]:
            inner = f"{field}.{key}" if field else str(key)
            found = _difference(ours.get(key), theirs.get(key), inner)
            if found is not None:
                return found
        return None
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (mine, its) in enumerate(zip(ours, theirs, strict=True)):
            found = _difference(mine, its, f"{field}.{index}")
            if found is not None:
                return found
        return None
    return None if ours == theirs and type(ours) is type(theirs) else (field, ours, theirs)
