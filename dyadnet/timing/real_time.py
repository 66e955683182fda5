"""Delay laws of messages in free-running mode, in milliseconds, in addition to the delays of links and actors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from dyadnet.files.documents import number
from dyadnet.schema import Spec

Milliseconds = Annotated[float, Field(ge=0)]


class ConstantTime(Spec):
    """Every message takes `ms` milliseconds."""

    kind: Literal["constant"] = "constant"
    ms: Milliseconds = 0.0

    @property
    def smallest(self) -> float:
        """The smallest delay that can occur."""
        return self.ms

    @property
    def largest(self) -> float:
        """The largest delay that can occur."""
        return self.ms


class UniformTime(Spec):
    """The delay of every message is drawn uniformly from `low` to `high`."""

    kind: Literal["uniform"] = "uniform"
    low: Milliseconds = 0.0
    high: Milliseconds

    @model_validator(mode="after")
    def _ordered(self) -> UniformTime:
        if self.high < self.low:
            raise ValueError(f"at least low ({self.low:g}) in its field high")
        return self

    @property
    def smallest(self) -> float:
        """The smallest delay that can occur."""
        return self.low

    @property
    def largest(self) -> float:
        """The largest delay that can occur."""
        return self.high


class ExponentialTime(Spec):
    """The delay of every message is drawn with P(delay > t) = exp(−t/`mean`) and truncated at `maximum`."""

    kind: Literal["exponential"] = "exponential"
    mean: float = Field(gt=0)
    maximum: float = Field(gt=0)

    @property
    def smallest(self) -> float:
        """The smallest delay that can occur."""
        return 0.0

    @property
    def largest(self) -> float:
        """The largest delay that can occur."""
        return self.maximum


def _from_number(value: Any) -> Any:
    return value if number(value) is None else {"kind": "constant", "ms": value}


RealDelay = Annotated[
    Annotated[ConstantTime | UniformTime | ExponentialTime, Field(discriminator="kind")],
    BeforeValidator(_from_number),
]
"""A delay as a configuration writes it: a number of milliseconds, or a law with its parameters."""
