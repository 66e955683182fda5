"""Schedules of values that change during a run: learning rate, β and λ."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from dyadnet.registry import Open, Registry, check_spec
from dyadnet.schema import Spec


class ScheduleSpec(Spec):
    """Base class of every schedule. Its fields are settings, and `kind` is its name.

    A user's schedule implements `at` and `extremes`.
    """

    @abstractmethod
    def at(self, epoch: float, epochs: int) -> float:
        """Return the value at a moment, counted in epochs from 0, of a run of `epochs`."""

    @abstractmethod
    def extremes(self, epochs: int) -> tuple[float, float]:
        """Return the smallest and largest value in a run. They are used to validate settings."""

    @property
    def stretches(self) -> bool:
        """Whether the value at a moment depends on the length of the run. If so, the length cannot be changed later."""
        return True


class ConstantSchedule(ScheduleSpec):
    """A constant value."""

    kind: Literal["constant"] = "constant"
    value: float

    def at(self, epoch: float, epochs: int) -> float:
        """Value at a moment, counted in epochs from 0, of a run of `epochs`."""
        return self.value

    def extremes(self, epochs: int) -> tuple[float, float]:
        """Smallest and largest value in a run."""
        return self.value, self.value

    @property
    def stretches(self) -> bool:
        """See `ScheduleSpec.stretches`."""
        return False


class Linear(ScheduleSpec):
    """Linear change from `start` to `end` between the epochs `begin` and `begin + over`; constant outside.

    Default of `over`: the rest of the run.
    """

    kind: Literal["linear"] = "linear"
    start: float
    end: float
    begin: float = Field(0.0, ge=0)
    over: float | None = Field(None, gt=0)

    def at(self, epoch: float, epochs: int) -> float:
        """Value at a moment, counted in epochs from 0, of a run of `epochs`."""
        length = self.over if self.over is not None else max(epochs - self.begin, 1e-9)
        done = min(max((epoch - self.begin) / length, 0.0), 1.0)
        return self.end if done == 1.0 else self.start + (self.end - self.start) * done

    def extremes(self, epochs: int) -> tuple[float, float]:
        """Smallest and largest value in a run."""
        return min(self.start, self.end), max(self.start, self.end)

    @property
    def stretches(self) -> bool:
        """See `ScheduleSpec.stretches`."""
        return self.over is None


class Cosine(ScheduleSpec):
    """From `start` to `end` along half a cosine over the whole run."""

    kind: Literal["cosine"] = "cosine"
    start: float
    end: float = 0.0

    def at(self, epoch: float, epochs: int) -> float:
        """Value at a moment, counted in epochs from 0, of a run of `epochs`."""
        done = min(max(epoch / epochs, 0.0), 1.0)
        return self.end + (self.start - self.end) * 0.5 * (1.0 + math.cos(math.pi * done))

    def extremes(self, epochs: int) -> tuple[float, float]:
        """Smallest and largest value in a run."""
        return min(self.start, self.end), max(self.start, self.end)


class Increments(ScheduleSpec):
    """`start` in the first epoch, and `step` more in each further epoch, up to `limit`.

    β = 0.1 + 0.05 an epoch is the paper's strong nudging.
    """

    kind: Literal["increments"] = "increments"
    start: float
    step: float
    limit: float | None = None

    def at(self, epoch: float, epochs: int) -> float:
        """Value at a moment, counted in epochs from 0, of a run of `epochs`."""
        value = self.start + self.step * math.floor(epoch + 1e-9)
        if self.limit is None:
            return value
        return min(value, self.limit) if self.step > 0 else max(value, self.limit)

    def extremes(self, epochs: int) -> tuple[float, float]:
        """Smallest and largest value in a run."""
        last = self.at(epochs - 1, epochs)
        return min(self.start, last), max(self.start, last)

    @property
    def stretches(self) -> bool:
        """See `ScheduleSpec.stretches`."""
        return False


def _from_number(value: Any) -> Any:
    return {"kind": "constant", "value": value} if isinstance(value, int | float | str) else value


SCHEDULES: Registry[type[ScheduleSpec]] = Registry(
    "schedule",
    {"constant": ConstantSchedule, "linear": Linear, "cosine": Cosine, "increments": Increments},
    check_spec(ScheduleSpec),
)
"""All schedules by their names in a configuration."""
Law = Annotated[
    Annotated[ConstantSchedule | Linear | Cosine | Increments, Field(discriminator="kind")],
    BeforeValidator(_from_number),
    Open(SCHEDULES),
]


class Piece(Spec):
    """A schedule for a number of epochs, as if they were a separate run."""

    epochs: int = Field(ge=1)
    of: Law


class Piecewise(ScheduleSpec):
    """A sequence of schedules. After the last one, its final value remains.

    For example, a piece of constant λ and a piece that moves it first train a network, then change it into another one.
    """

    kind: Literal["piecewise"] = "piecewise"
    pieces: list[Piece] = Field(min_length=1)

    def at(self, epoch: float, epochs: int) -> float:
        """Value at a moment, counted in epochs from 0, of a run of `epochs`."""
        for piece in self.pieces[:-1]:
            if epoch < piece.epochs:
                return piece.of.at(epoch, piece.epochs)
            epoch -= piece.epochs
        last = self.pieces[-1]
        return last.of.at(min(epoch, float(last.epochs)), last.epochs)

    def extremes(self, epochs: int) -> tuple[float, float]:
        """Smallest and largest value in a run."""
        found = []
        for piece in self.pieces:
            if epochs > 0:
                found.append(piece.of.extremes(piece.epochs))
            epochs -= piece.epochs
        return min(low for low, _ in found), max(high for _, high in found)

    @property
    def stretches(self) -> bool:
        """See `ScheduleSpec.stretches`."""
        return False


SCHEDULES.built_in["piecewise"] = Piecewise
Schedule = Annotated[
    Annotated[ConstantSchedule | Linear | Cosine | Increments | Piecewise, Field(discriminator="kind")],
    BeforeValidator(_from_number),
    Open(SCHEDULES),
]
"""A schedule as a configuration writes it: a number, or a law with its parameters."""
