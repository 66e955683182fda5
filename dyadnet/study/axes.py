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
    """Evenly from `low` to `high`; whole numbers, both ends included, with `integer`."""

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
        """One value."""
        if self.integer:
            return int(generator.integers(math.ceil(self.low), math.floor(self.high), endpoint=True))
        return float(generator.uniform(self.low, self.high))


class LogUniformLaw(Spec):
    """Evenly on a logarithmic scale from `low` to `high`."""

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
        """One value."""
        value = float(np.exp(generator.uniform(math.log(self.low), math.log(self.high))))
        return round(value) if self.integer else value


class ChoiceLaw(Spec):
    """Any of `values`, each as likely."""

    kind: Literal["choice"] = "choice"
    values: list[Any] = Field(min_length=1)

    def draw(self, generator: np.random.Generator) -> Any:
        """One value."""
        return self.values[int(generator.integers(len(self.values)))]


Law = Annotated[UniformLaw | LogUniformLaw | ChoiceLaw, Field(discriminator="kind")]


def _as_text(value: Any) -> Any:
    return f"{value:g}" if _number(value) else value


Tick = Annotated[str, BeforeValidator(_as_text)]
"""What a plot calls a value: a word or a number."""


class Axis(Spec):
    """One setting that varies.

    Attributes
    ----------
    key
        Dotted path of any setting of a run.
    also
        Further settings that go along with it, and by what factor: values must be numbers then.
    grid
        Its values, in the order in which they are drawn; any YAML values.
    random
        The law of its values instead; the study's `samples` says how many are drawn.
    name
        Its column in the table; the key unless given.
    label
        What a plot calls it; the name unless given.
    ticks
        What a plot calls the values of the grid, one each.
    scale
        Of a line plot: ``linear``, ``log``, or ``even``: grid values side by side. Maps are always even.
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
        """All settings that it sets."""
        return [self.key, *self.also]

    def settings(self, value: Any) -> dict[str, Any]:
        """What one of its values means, by dotted path."""
        return {self.key: value} | {key: factor * value for key, factor in self.also.items()}

    @property
    def column(self) -> str:
        """Its column in the table."""
        return self.name or self.key

    @property
    def title(self) -> str:
        """What a plot calls it."""
        return self.label or self.column

    def drawn(self, seed: int, sample: int) -> Any:
        """The value of one sample; depends on nothing but the seed, the key and the number of the sample."""
        assert self.random is not None
        return self.random.draw(Stream(seed, "study", self.key).at(tick=sample))


def _same(one: Any, other: Any) -> bool:
    # 1 and 1.0 are the same value of any setting; true is none of them.
    return (type(one) is type(other) or (_number(one) and _number(other))) and bool(one == other)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _positive(value: Any) -> bool:
    return _number(value) and value > 0
