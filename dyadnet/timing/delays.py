"""Laws of the delay of a message, in ticks: arrival = send tick + delay, delay ≥ 1."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, model_validator

from dyadnet.files.documents import number
from dyadnet.schema import Spec

Draw = Literal["message", "channel", "neuron"]
"""Whether a random delay is drawn for every message, once for a channel, or once for each neuron of a channel."""


class Constant(Spec):
    """Every message takes `ticks`."""

    kind: Literal["constant"] = "constant"
    ticks: int = Field(1, ge=1)

    @property
    def largest(self) -> int:
        """The largest delay that can occur."""
        return self.ticks

    @property
    def fixed(self) -> bool:
        """Whether all messages of a channel take the same time."""
        return True

    def sample(self, generator: np.random.Generator, size: int) -> NDArray[np.int64]:
        """Delays of shape (size,)."""
        return np.full(size, self.ticks, dtype=np.int64)


class Uniform(Spec):
    """Every value from `low` to `high` is equally likely."""

    kind: Literal["uniform"] = "uniform"
    low: int = Field(1, ge=1)
    high: int = Field(ge=1)
    draw: Draw = "message"

    @model_validator(mode="after")
    def _ordered(self) -> Uniform:
        if self.high < self.low:
            raise ValueError(f"at least low ({self.low}) in its field high")
        return self

    @property
    def largest(self) -> int:
        """The largest delay that can occur."""
        return self.high

    @property
    def fixed(self) -> bool:
        """Whether all messages of a channel take the same time."""
        return self.high == self.low

    def sample(self, generator: np.random.Generator, size: int) -> NDArray[np.int64]:
        """Delays of shape (size,)."""
        return generator.integers(self.low, self.high + 1, size=size)


class Geometric(Spec):
    """P(delay = k) = (1−p)^(k−1)·p for k ≥ 1, cut at `maximum`: what would take longer takes `maximum`."""

    kind: Literal["geometric"] = "geometric"
    p: float = Field(gt=0, le=1)
    maximum: int = Field(ge=1)
    draw: Draw = "message"

    @property
    def largest(self) -> int:
        """The largest delay that can occur."""
        return self.maximum

    @property
    def fixed(self) -> bool:
        """Whether all messages of a channel take the same time."""
        return self.p == 1 or self.maximum == 1

    def sample(self, generator: np.random.Generator, size: int) -> NDArray[np.int64]:
        """Delays of shape (size,)."""
        return np.minimum(generator.geometric(self.p, size=size), self.maximum)


def _from_number(value: Any) -> Any:
    return value if number(value) is None else {"kind": "constant", "ticks": value}


Delay = Annotated[
    Annotated[Constant | Uniform | Geometric, Field(discriminator="kind")],
    BeforeValidator(_from_number),
]
"""A delay as a configuration writes it: a number of ticks, or a law with its parameters."""
