"""The axes of a study: which setting varies, over a grid of values or by random draws."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from dyadnet.files.documents import number
from dyadnet.numerics.rng import Stream
from dyadnet.schema import Spec


class UniformLaw(Spec):
    """Uniform distribution from `low` to `high`; with `integer`, whole numbers including both ends."""

    kind: Literal["uniform"] = "uniform"
    low: float
    high: float
    integer: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> UniformLaw:
        if self.high <= self.low:
            raise ValueError(f"above low ({self.low:g}) in its field high")
        return self

    def draw(self, generator: np.random.Generator) -> float | int:
        """Draw one value."""
        if self.integer:
            return int(generator.integers(math.ceil(self.low), math.floor(self.high), endpoint=True))
        return float(generator.uniform(self.low, self.high))


class LogUniformLaw(Spec):
    """Log-uniform distribution from `low` to `high`; with `integer`, rounded to whole numbers."""

    kind: Literal["loguniform"] = "loguniform"
    low: float = Field(gt=0)
    high: float
    integer: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> LogUniformLaw:
        if self.high <= self.low:
            raise ValueError(f"above low ({self.low:g}) in its field high")
        return self

    def draw(self, generator: np.random.Generator) -> float | int:
        """Draw one value."""
        value = float(np.exp(generator.uniform(math.log(self.low), math.log(self.high))))
        return round(value) if self.integer else value


class ChoiceLaw(Spec):
    """Choice among `values`, all with the same probability."""

    kind: Literal["choice"] = "choice"
    values: list[Any] = Field(min_length=1)

    def draw(self, generator: np.random.Generator) -> Any:
        """Draw one value."""
        return self.values[int(generator.integers(len(self.values)))]


Law = Annotated[UniformLaw | LogUniformLaw | ChoiceLaw, Field(discriminator="kind")]


def _as_text(value: Any) -> Any:
    return f"{value:g}" if _number(value) else value


Tick = Annotated[str, BeforeValidator(_as_text)]
"""Tick label of a value in a plot; numbers are converted to text."""


class Axis(Spec):
    """One setting that varies.

    Attributes
    ----------
    key
        Dotted path of any setting of a run.
    also
        Further settings that are set to the value times a factor; all values must then be numbers.
    grid
        Values of the setting, in the order in which plots show them; any YAML values.
    random
        Distribution of random values, instead of a grid; the study's `samples` is the number of draws.
    name
        Column in the table; default: the key.
    label
        Label in plots; default: the name.
    ticks
        Tick labels of the grid's values in plots, one for each.
    scale
        Scale of a line plot: ``linear``, ``log``, or ``even`` (grid values at equal distances). Maps are always even.
    """

    key: str = Field(min_length=1)
    also: dict[str, float] = {}
    grid: list[Any] | None = Field(None, min_length=1)
    random: Law | None = None
    name: str | None = None
    label: str | None = None
    ticks: list[Tick] | None = None
    scale: Literal["linear", "log", "even"] = "linear"

    @model_validator(mode="after")
    def _one_source(self) -> Axis:
        if (self.grid is None) == (self.random is None):
            raise ValueError("should have either a grid (with at least one value) or random")
        values = self.grid or (self.random.values if isinstance(self.random, ChoiceLaw) else [])
        for value in values:
            if isinstance(value, str) and number(value) is not None:
                raise ValueError(f"should have numbers without quotes in its grid; {value!r} is a text")
        values = self.grid or []
        for index, value in enumerate(values):
            if any(_same(value, earlier) for earlier in values[:index]):
                raise ValueError(f"should have every value of its grid once; {value!r} is there twice")
        if self.ticks is not None and len(self.ticks) != len(values):
            raise ValueError(f"should have one tick for each of the {len(values)} values of its grid")
        if self.also and not all(_number(value) for value in values):
            raise ValueError("should have only numbers in its grid, because other settings follow it")
        if self.scale == "log" and not all(_positive(value) for value in values):
            raise ValueError("should have a positive grid on a scale that is log; use linear or even")
        return self

    @property
    def keys(self) -> list[str]:
        """All settings that the axis sets."""
        return [self.key, *self.also]

    def settings(self, value: Any) -> dict[str, Any]:
        """Return the settings for one value of the axis, by dotted path."""
        return {self.key: value} | {key: factor * value for key, factor in self.also.items()}

    @property
    def column(self) -> str:
        """Column of the axis in the table."""
        return self.name or self.key

    @property
    def title(self) -> str:
        """Label of the axis in plots."""
        return self.label or self.column

    def drawn(self, seed: int, sample: int) -> Any:
        """Draw the value of one sample. It depends only on the seed, the key and the number of the sample."""
        assert self.random is not None
        return self.random.draw(Stream(seed, "study", self.key).at(tick=sample))


def _same(one: Any, other: Any) -> bool:
    # 1 and 1.0 are the same value for any setting; True differs from both.
    return (type(one) is type(other) or (_number(one) and _number(other))) and bool(one == other)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _positive(value: Any) -> bool:
    return _number(value) and value > 0
