"""Which settings may change when a run resumes: those that do not affect the result, and the number of epochs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dyadnet.checkpoint.position import Position
from dyadnet.config import ClusterSpec, RunConfig
from dyadnet.config.overrides import merged
from dyadnet.config.recovery import RecoverySpec
from dyadnet.data import is_own
from dyadnet.dynamics.epoch_metrics import EpochMetrics
from dyadnet.dynamics.outcome import Layout
from dyadnet.errors import CheckpointError, ConfigError
from dyadnet.learning.schedules import Schedule
from dyadnet.network.topology import Topology

FREE = (
    "engine",
    "cluster",
    "recovery",
    "faults",
    "metrics",
    "checkpoint",
    "data.dir",
    "learning.epochs",
    "learning.early_stopping",
    "record.trace",
    "record.report",
    "record.pictures",
)
"""Settings that may change; all others would change the result or the record. A data file may also have moved to
another folder."""


def continued(old: RunConfig, changes: Mapping[str, Any]) -> RunConfig:
    """Return the settings of a resumed run.

    Parameters
    ----------
    old
        The run's settings so far.
    changes
        Settings to replace, as plain values.

    Raises
    ------
    ConfigError
        If a setting would change the result, or a value is not legal.
    """
    values = old.model_dump(mode="json")
    if changes.get("engine", old.engine) == "local" and old.engine != "local":
        # The settings of actors do not apply to this engine.
        values |= {"cluster": ClusterSpec().model_dump(mode="json"), "recovery": RecoverySpec().model_dump(mode="json")}
    new = RunConfig.read(merged(values, dict(changes)))
    for path, was, value in differing(old.model_dump(mode="json"), new.model_dump(mode="json")):
        legal = f"it has been {_brief(was)}, and another value would change the result; begin a new run with it"
        raise ConfigError(path, value, legal)
    return new


def check_same_run(config: RunConfig, stored: Mapping[str, Any]) -> None:
    """Check that a checkpoint belongs to this run.

    Parameters
    ----------
    stored
        The configuration in the checkpoint. Settings that did not exist when it was written have their defaults.

    Raises
    ------
    CheckpointError
        If a setting differs; the error names the first one.
    """
    try:
        before = RunConfig.read(stored).model_dump(mode="json")
    except ConfigError as problem:
        raise CheckpointError(f"the checkpoint is damaged, or of another version of dyadnet: {problem}") from None
    for path, was, value in differing(before, config.model_dump(mode="json")):
        raise CheckpointError(
            f"the checkpoint is of another run: {path} is {_brief(was)} there and {_brief(value)} in config.yaml; "
            "put back the config.yaml that the run wrote, or name its own folder by --set checkpoint.folder=..."
        )


def check_length(old: Mapping[str, Any], config: RunConfig, position: Position) -> None:
    """Check that the resumed run may have its new number of epochs.

    Parameters
    ----------
    old
        The configuration in the checkpoint.

    Raises
    ------
    ConfigError
        If the run has already begun more epochs, or the number has changed and a schedule depends on it.
    CheckpointError
        If the number of epochs in the checkpoint is damaged.
    """
    epochs, before = config.learning.epochs, old["learning"].get("epochs")
    if type(before) is not int:
        raise CheckpointError(f"the checkpoint is damaged: it says {before!r} epochs")
    begun = position.epoch + (position.tally is not None)
    if epochs < begun:
        raise ConfigError("learning.epochs", epochs, f"at least {begun}: so many have begun")
    if epochs == before or not position.updates:
        return
    learning = config.learning
    lam = learning.lam
    schedules: dict[str, Schedule | None] = {"learning_rate": learning.learning_rate, "beta": learning.beta}
    schedules |= {f"lam.{name}": law for name, law in lam.items()} if isinstance(lam, dict) else {"lam": lam}
    for name, schedule in schedules.items():
        if schedule is not None and schedule.stretches:
            legal = (
                f"{before}, as before: learning.{name} stretches over the whole run, so another number would change "
                "the epochs already trained; begin a new run with it"
            )
            raise ConfigError("learning.epochs", epochs, legal)


def check_tally(config: RunConfig, position: Position) -> None:
    """Check that the sums of the current epoch belong to this network.

    Raises
    ------
    CheckpointError
        If they do not.
    """
    if position.tally is None:
        return
    try:
        tally = EpochMetrics.from_plain(
            Layout(Topology(config.network), counters=config.imperfections.counters), position.tally
        )
        tally.summary()
        for name, total in tally.plain().items():
            if name not in ("blocks", "edges") and (type(total) not in (int, float)):
                raise ValueError(f"{name} is no number")
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, ZeroDivisionError):
        raise CheckpointError("the checkpoint is damaged: the sums of its epoch are none of this network") from None


def differing(old: Mapping[str, Any], new: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield path, old and new value of every setting that differs but must not."""
    for key in dict.fromkeys([*old, *new]):
        path = f"{within}{key}"
        was, value = old.get(key), new.get(key)
        if was == value or path in FREE or (path == "data.name" and _moved(was, value)):
            continue
        if isinstance(was, Mapping) and isinstance(value, Mapping):
            yield from differing(was, value, f"{path}.")
        else:
            yield path, was, value


def _moved(was: Any, value: Any) -> bool:
    """Return whether both names are the same user data file in different folders."""
    return is_own(str(was)) and Path(str(was)).name == Path(str(value)).name


def _brief(value: Any, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
