"""The definition of a study, read from YAML: a base, the settings that vary, models, seeds, and metrics to plot."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from dyadnet.config.overrides import flattened, located, read_yaml
from dyadnet.config.presets import check
from dyadnet.data import is_folder, is_own
from dyadnet.errors import ConfigError
from dyadnet.files.documents import number
from dyadnet.network.description import MODELS
from dyadnet.schema import Spec
from dyadnet.study.axes import Axis
from dyadnet.study.columns import DIFFERENCE, DIFFERENCES, FIXED, METRICS, OF_CLASSES, OF_IMAGES, OF_NUMBERS
from dyadnet.study.intervals import Interval

Positive = Annotated[int, Field(ge=1)]
Model = Literal["hm", "ffm", "sshm", "asymmetric"]
Keep = Literal["curves", "constants", "generalisation"]
Settings = dict[str, Any]
"""Settings that override the base; keys are dotted paths or nested mappings, as for ``--set``."""
REFERENCE = "reference"
"""Variant name of the runs of the base alone, which plots show as the reference level."""
MOST = 100_000
"""Largest number of seeds, and of trials, of a study."""
RESERVED = {
    "seed": "a study lists its seeds under 'seeds'",
    "engine": "every trial is one process",
    "cluster": "every trial is one process",
    "dynamics.mode": "trials run in virtual time",
    "probe": "a trial keeps no probes",
}
"""Settings that a study determines itself, with the reasons."""


class Base(Spec):
    """Settings that all trials share.

    Attributes
    ----------
    config
        File with a run's settings; default: a preset with the trial's model.
    preset
        Name of the preset; default: that of `data`.
    data
        Data set, as for ``--data`` of ``dyadnet train``.
    model
        Model of the preset if the study lists no models.
    set
        Settings that override the above.
    by_model
        Further settings for some models.
    """

    config: Path | None = None
    preset: str | None = None
    data: str | None = None
    model: Model = "sshm"
    set: Settings = {}
    by_model: dict[str, Settings] = {}


class Variant(Spec):
    """Settings under which every trial is run, for example a fixed or a tuned step. Each variant has its own maps."""

    title: str | None = None
    set: Settings = {}


class Study(Spec):
    """The definition of a study.

    Attributes
    ----------
    name
        Name of the study's folder; default: the name of its file.
    title, description
        Heading of figures and summary.
    axes
        Settings that vary: grids are crossed, random draws are made `samples` times.
    samples
        Number of joint draws of all random axes.
    draws
        Seed of the random draws.
    variants
        Variants by name; each runs the whole study with other settings.
    models
        Any of ``hm``, ``ffm``, ``sshm``, ``asymmetric``; if empty, the base's own λ is used.
    seeds
        Number of seeds (0, 1, …), or a list of seeds.
    epochs
        Epochs of every trial; default: those of the base.
    metrics
        Columns of the table that are plotted and summarised; the first is the default of `Results.plot`.
    reference
        Whether to also run the base alone, for every model and seed.
    interval
        Interval after ± and in bands of plots: ``t95``, ``se``, ``sd`` or ``none``; see
        `dyadnet.study.intervals.margin`.
    differences
        Whether to also plot and summarise every metric's difference to the base alone, paired by seed.
    keep
        Further contents of a trial's file, beside its row of the table; see `dyadnet.study.kept`.
    """

    name: str = ""
    title: str = ""
    description: str = ""
    base: Base = Base()
    axes: list[Axis] = Field(min_length=1)
    samples: Positive | None = None
    draws: int = Field(0, ge=0, lt=2**63)
    variants: dict[str, Variant] = {}
    models: list[Model] = []
    seeds: list[Annotated[int, Field(ge=0, lt=2**63)]] = Field([0], min_length=1)
    epochs: Positive | None = None
    metrics: list[str] = Field(["test_accuracy"], min_length=1)
    reference: bool = True
    interval: Interval = "t95"
    differences: bool = False
    keep: list[Keep] = []

    @field_validator("seeds", mode="before")
    @classmethod
    def _counted(cls, value: Any) -> Any:
        count = number(value)
        if count is None or not float(count).is_integer():
            return value
        if count > MOST:
            raise ValueError(f"at most {MOST:,} seeds")
        return list(range(int(count)))

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        _check_keys(self)
        _check_names(self)
        random = [axis for axis in self.axes if axis.random is not None]
        if random and self.samples is None:
            raise ConfigError("samples", None, "random axes need it: the number of draws")
        if self.samples is not None and not random:
            raise ConfigError("samples", self.samples, "no axis is random; leave it out")
        if self.differences and not self.reference:
            raise ConfigError(
                "differences", True, "they compare with the base alone, which is not run; set reference: true"
            )
        return self

    @property
    def measures(self) -> list[str]:
        """Columns of the table that are plotted and summarised: metrics, then their differences to the base."""
        return [*self.metrics, *(f"{name}{DIFFERENCE}" for name in self.metrics if self.differences)]

    @property
    def crossed(self) -> list[Axis]:
        """Axes with a grid."""
        return [axis for axis in self.axes if axis.grid is not None]

    def scored(self, *, numbers: bool, images: bool = False) -> Study:
        """Return the study with metrics that fit its targets: classes, numbers or images.

        If the study names no metrics, numbers are scored by R², and images by PSNR.

        Raises
        ------
        ConfigError
            If the study names a metric that its targets do not have.
        """
        if numbers and "metrics" not in self.model_fields_set:
            return self.model_copy(update={"metrics": ["test_psnr" if images else "test_r2"]})
        kind = "images" if images else "numbers" if numbers else "classes"
        own = {"classes": OF_CLASSES, "numbers": OF_NUMBERS, "images": (*OF_NUMBERS, *OF_IMAGES)}[kind]
        for metric in self.metrics:
            if metric in (*OF_CLASSES, *OF_NUMBERS, *OF_IMAGES) and metric not in own:
                legal = f"targets are {kind}; name one of {', '.join(own)}, or another"
                raise ConfigError("metrics", metric, legal)
        return self

    @property
    def model_names(self) -> list[str]:
        """Names of the models, or one empty name."""
        return [*self.models] or [""]

    @property
    def variant_names(self) -> list[str]:
        """Names of the variants, or one empty name."""
        return [*self.variants] or [""]

    @property
    def random(self) -> list[Axis]:
        """Axes with random draws."""
        return [axis for axis in self.axes if axis.random is not None]


def read_study(path: Path) -> Study:
    """Read a study from its file. Paths of the base's configuration and data are relative to that file.

    If the data are not found there, their path is relative to the working directory, as on the command line.

    Raises
    ------
    ConfigError
        If a value is not legal; the error names the field, its value and what is legal.
    """
    values = read_yaml(path, "STUDY")
    try:
        study = Study.read({"name": path.stem} | values)
    except ConfigError as problem:
        raise located(problem, path) from None
    if study.base.config is not None and not study.base.config.is_absolute():
        base = study.base.model_copy(update={"config": path.parent / study.base.config})
        study = study.model_copy(update={"base": base})
    data = study.base.data
    if data is not None and (
        data.endswith(".npz") or (is_own(data) and (is_folder(path.parent / data) or is_folder(data)))
    ):
        beside = (path.parent / data).absolute()
        found = beside if beside.exists() else Path(data).absolute()
        study = study.model_copy(update={"base": study.base.model_copy(update={"data": str(found)})})
    return study


def overlaps(one: str, other: str) -> bool:
    """Return whether two dotted paths are the same setting, or one contains the other."""
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def _check_names(study: Study) -> None:
    if study.base.preset is not None:
        check(study.base.preset, "base.preset")
        if study.base.config is not None:
            legal = "config gives all settings already; leave out one of them"
            raise ConfigError("base.preset", study.base.preset, legal)
    if not re.fullmatch(r"[\w.-]+", study.name or "-") or study.name in (".", ".."):
        raise ConfigError("name", study.name, "letters, digits, '.', '_' and '-' only; it names a folder")
    for model in study.base.by_model:
        if model not in MODELS:
            raise ConfigError("base.by_model", model, f"one of {', '.join(MODELS)}")
        if model not in study.models:
            raise ConfigError(
                "base.by_model", model, "the study does not run this model; add it to models, or leave it out"
            )
    columns = [axis.column for axis in study.axes]
    for index, column in enumerate(columns):
        if column in columns[:index]:
            raise ConfigError("axes", column, "two axes have this name; give one of them another")
        if column in FIXED or column in DIFFERENCES:
            raise ConfigError("axes", column, "the table has a column of this name already; give the axis another")
    for name in study.variants:
        if name == REFERENCE:
            raise ConfigError("variants", name, "this names the runs of the base alone; choose another")
    for metric in study.metrics:
        if metric not in METRICS:
            raise ConfigError("metrics", metric, f"one of {', '.join(METRICS)}")
    for field, listed in (("models", study.models), ("seeds", study.seeds), ("metrics", study.metrics)):
        for item in listed:
            if listed.count(item) > 1:  # type: ignore[arg-type]
                raise ConfigError(field, item, "it is there twice")


def _check_keys(study: Study) -> None:
    """Check that no setting is determined in two places, because one of them would silently be ignored."""
    decided = {"learning.epochs": "epochs"} if study.epochs is not None else {}
    if study.models:
        decided |= dict.fromkeys(("learning.lam", "network.layered.lam", "network.lam"), "models")
    places: list[tuple[str, Settings]] = [("base.set", study.base.set)]
    places += [(f"base.by_model.{model}", settings) for model, settings in study.base.by_model.items()]
    places += [(f"variants.{name}.set", variant.set) for name, variant in study.variants.items()]
    for index, axis in enumerate(study.axes):
        where = f"axes.{index}.key"
        taken = {key: "another axis" for earlier in study.axes[:index] for key in earlier.keys}
        taken |= {key: place for place, settings in places[1:] for key in flattened(settings)}
        for mine in axis.keys:
            for key, place in taken.items():
                if overlaps(mine, key):
                    raise ConfigError(where, mine, f"{place} sets {key}")
            _check_decided(where, mine, decided)
    for place, settings in places:
        for key in flattened(settings):
            _check_decided(place, key, decided)


def _check_decided(where: str, key: str, decided: dict[str, str]) -> None:
    for path, legal in RESERVED.items():
        if overlaps(key, path):
            raise ConfigError(where, key, legal)
    for path, field in decided.items():
        if overlaps(key, path):
            raise ConfigError(where, key, f"the study's own '{field}' sets it; leave one of them out")
