"""Common parts of the records of imperfections: their short form, and their types of numbers."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, model_validator

from dyadnet.files.documents import number
from dyadnet.schema import Spec

Probability = Annotated[float, Field(ge=0, le=1)]
Size = Annotated[float, Field(ge=0)]
Bits = Annotated[int, Field(ge=1, le=24)]


def _range(value: Any) -> tuple[float, float] | None:
    if value is None or value == "auto":
        return None
    given = list(value) if isinstance(value, list | tuple) else [value]
    numbers = [float(found) for one in given if (found := number(one)) is not None]
    if not len(numbers) == len(given) in (1, 2):
        raise ValueError("auto, a number R for [-R, R], or a pair [low, high]")
    low, high = (-numbers[0], numbers[0]) if len(numbers) == 1 else numbers
    if not -1e30 < low < high < 1e30:
        raise ValueError("auto, a number above 0, or a pair [low, high] with low below high")
    return low, high


Range = Annotated[tuple[float, float] | None, BeforeValidator(_range)]
"""A range of numbers as a configuration writes it: ``auto``, R for [−R, R], or [low, high]."""


class Record(Spec):
    """A record that can be written as the single number of its field `short`."""

    short: ClassVar[str] = ""

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        return {cls.short: value} if cls.short and number(value) is not None else value
