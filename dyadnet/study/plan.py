"""Plan all trials of a study, in the order in which they are run, each resolved to the settings of a run."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dyadnet.config import ClusterSpec, RunConfig
from dyadnet.config.dynamics import FreeRunning
from dyadnet.config.overrides import flattened, merged, spelled_out
from dyadnet.config.start import starting_point
from dyadnet.errors import ConfigError
from dyadnet.study.definition import MOST, REFERENCE, Keep, Settings, Study


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a study.

    Attributes
    ----------
    number
        Number of the trial in the study, from 0.
    variant, model, seed
        Variant, model and seed; the names are empty if the study has no variants or lists no models.
    point
        Value of every axis by column; empty for a run of the base alone.
    config
        The resolved configuration.
    keep
        Further contents of its file, beside its row of the table.
    """

    number: int
    variant: str
    model: str
    seed: int
    point: dict[str, Any]
    config: RunConfig = field(repr=False)
    keep: tuple[Keep, ...] = ()

    @property
    def identity(self) -> dict[str, Any]:
        """Plain values that identify the trial within the study."""
        return {"trial": self.number, "variant": self.variant, "model": self.model, "seed": self.seed} | {
            "axes": self.point
        }

    def __str__(self) -> str:
        parts = [self.variant, self.model, *(f"{name} = {value}" for name, value in self.point.items())]
        return ", ".join([part for part in parts if part] + [f"seed {self.seed}"])


def plan(study: Study, data_dir: Path | None = None) -> list[Trial]:
    """Return all trials of a study, ordered by seed, so that the first complete map is available early.

    Parameters
    ----------
    study
        The definition.
    data_dir
        Folder of the image sets on this machine; it is not part of the study.

    Raises
    ------
    ConfigError
        If a trial's settings are not legal; the error names the setting and the trial.
    """
    trials: list[Trial] = []
    models, variants = study.model_names, study.variant_names
    count = math.prod(len(axis.grid or []) for axis in study.crossed) * (study.samples or 1)
    count = len(study.seeds) * len(models) * (len(variants) * count + study.reference)
    if count > MOST:
        raise ConfigError("axes", f"{count:,} trials", f"at most {MOST:,}; thin out grids, samples, seeds or models")
    points = list(_points(study))
    start = {model: _start(study, model, data_dir) for model in models}
    reader = _Reader()
    for seed in study.seeds:
        wanted: list[tuple[str, dict[str, Any]]] = [(REFERENCE, {})] if study.reference else []
        wanted += [(variant, point) for variant in variants for point in points]
        for (variant, point), model in itertools.product(wanted, models):
            values = start[model]
            if variant in study.variants:
                values = _over(values, study.variants[variant].set)
            for axis in study.axes if point else ():
                values = _over(values, axis.settings(point[axis.column]))
            trial = reader.trial(len(trials), variant, model, seed, point, values)
            trials.append(replace(trial, keep=tuple(study.keep)))
    return trials


def placed(values: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return `values` with one setting changed, by its dotted path."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return merged(values, value)


class _Reader:
    """Resolves settings of trials; settings that differ only in the seed are read once."""

    def __init__(self) -> None:
        self._read: dict[str, RunConfig] = {}

    def trial(
        self, number: int, variant: str, model: str, seed: int, point: dict[str, Any], values: dict[str, Any]
    ) -> Trial:
        """Create one trial.

        Raises
        ------
        ConfigError
            If its settings are not legal; the error names the trial.
        """
        key = repr((variant, model, point))
        if key not in self._read:
            try:
                self._read[key] = RunConfig.read(values)
            except ConfigError as problem:
                where = ", ".join(f"{name} = {value}" for name, value in point.items()) or "the base alone"
                of = " · ".join(part for part in (variant, model, where) if part)
                raise ConfigError(problem.field, problem.value, f"{problem.legal} (trial: {of})") from None
            _check_alone(self._read[key])
        config = self._read[key].model_copy(update={"seed": seed, "engine": "local"})
        return Trial(number, variant, model, seed, point, config)


def _check_alone(config: RunConfig) -> None:
    """Check that the settings contain nothing that a trial, which is one process without probes, would ignore."""
    if isinstance(config.dynamics.mode, FreeRunning):
        raise ConfigError("dynamics.mode", "free", "trials run in virtual time; leave it out")
    if config.cluster != ClusterSpec():
        raise ConfigError("cluster", config.cluster.model_dump(exclude_defaults=True), "every trial is one process")
    if config.probe.neurons:
        raise ConfigError("probe.neurons", list(config.probe.neurons), "a trial keeps no probes; leave it out")


def _points(study: Study) -> Iterator[dict[str, Any]]:
    grids = itertools.product(*(axis.grid or [] for axis in study.crossed))
    samples = range(study.samples) if study.samples is not None else range(1)
    for values, sample in itertools.product(grids, samples):
        point = dict(zip((axis.column for axis in study.crossed), values, strict=True))
        point |= {axis.column: axis.drawn(study.draws, sample) for axis in study.random}
        yield {axis.column: point[axis.column] for axis in study.axes}


def _start(study: Study, model: str, data_dir: Path | None) -> dict[str, Any]:
    base = study.base
    chosen: str | None = model or (base.model if base.config is None else None)
    values = starting_point(base.config, chosen, None, base.data, data_dir, _over({}, base.set), base.preset)
    values = _over(values, base.set)
    if model in base.by_model:
        values = _over(values, base.by_model[model])
    if study.epochs is not None:
        values = placed(values, "learning.epochs", study.epochs)
    return values if data_dir is None else placed(values, "data.dir", str(data_dir))


def _over(values: dict[str, Any], settings: Settings) -> dict[str, Any]:
    for path, value in flattened(spelled_out(settings)).items():
        values = placed(values, path, value)
    return values


def quick(study: Study) -> Study:
    """Reduce a study to test its definition: one seed, one epoch, few samples, and ends and middle of every grid."""

    def thinned(values: list[Any] | None) -> list[Any] | None:
        return values if values is None or len(values) <= 3 else [values[0], values[len(values) // 2], values[-1]]

    axes = [axis.model_copy(update={"grid": thinned(axis.grid), "ticks": thinned(axis.ticks)}) for axis in study.axes]
    settings = {key: value for key, value in flattened(study.base.set).items() if not key.startswith("data.limit_")}
    settings |= {"data.limit_train": 400, "data.limit_test": 200}
    return study.model_copy(
        update={
            "axes": axes,
            "samples": None if study.samples is None else min(study.samples, 5),
            "seeds": study.seeds[:1],
            "epochs": 1,
            "base": study.base.model_copy(update={"set": settings}),
        }
    )
