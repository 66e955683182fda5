"""Laws of the delay of a message, in ticks: arrival = send tick + delay, delay ≥ 1."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, model_validator

from dyadnet.errors import UsageError
from dyadnet.files.documents import number
from dyadnet.network.topology import Link
from dyadnet.numerics.rng import Moment, Stream
from dyadnet.registry import Open, Registry, check_spec
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


class Distance(Spec):
    """Ticks grow with the distance of a neuron from the centre of the block at the other end of the channel.

    Neurons lie in a square of side 1, see `dyadnet.synapses.base.positions`: those of an image on its grid, others on a
    line in its middle. A block's centre is the mean of its neurons.

    Attributes
    ----------
    nearest
        Ticks at distance 0.
    per_side
        Further ticks for each side of the square; the sum is rounded.
    """

    kind: Literal["distance"] = "distance"
    nearest: int = Field(1, ge=1)
    per_side: float = Field(gt=0, le=10_000)

    @property
    def draw(self) -> Draw:
        """Each number of a channel has a delay of its own."""
        return "neuron"

    @property
    def largest(self) -> int:
        """The delay from corner to corner."""
        return self.nearest + math.ceil(self.per_side * math.sqrt(2))

    @property
    def fixed(self) -> bool:
        """Whether all messages of a channel take the same time."""
        return False

    def ticks(self, distances: NDArray[np.float64]) -> NDArray[np.int64]:
        """Delays of so many sides."""
        return np.rint(self.nearest + self.per_side * distances).astype(np.int64)


class OwnDelay(Spec, ABC):
    """A law that a user writes and registers: ``dyadnet.register("delay", name)``.

    A class that derives from it has a field ``kind: Literal[name] = name``, parameters as further fields, `largest` and
    `sample`.

    Attributes
    ----------
    draw
        Whether a delay is drawn for every message, once for a channel, or once for each neuron of a channel.
    """

    draw: Draw = "message"

    @property
    @abstractmethod
    def largest(self) -> int:
        """The largest delay that can occur."""

    @property
    def fixed(self) -> bool:
        """Whether all messages of a channel take the same time; it is asked for once then."""
        return False

    @abstractmethod
    def sample(self, generator: np.random.Generator, size: int) -> NDArray[np.int64]:
        """Delays of shape (size,): whole numbers from 1 to `largest`. Nothing else may be drawn from."""


DELAYS: Registry[type[Spec]] = Registry(
    "delay",
    {"constant": Constant, "uniform": Uniform, "geometric": Geometric, "distance": Distance},
    check_spec(OwnDelay),
)
"""Every law by its name in a configuration."""


@dataclass(frozen=True, slots=True)
class CalledDelay:
    """A registered law of the messages of one channel.

    Attributes
    ----------
    law
        As the configuration has it.
    stream
        Of its draws.
    """

    law: OwnDelay
    stream: Stream

    def ahead(self, first: int, count: int, moment: Moment) -> NDArray[np.int64]:
        """The delay of a message that is sent at each of some ticks, shape (count,)."""
        generator = self.stream.at(first, moment.phase, moment.lane, moment.relaxation)
        return sampled(self.law, generator, count)


def _from_number(value: Any) -> Any:
    return value if number(value) is None else {"kind": "constant", "ticks": value}


if TYPE_CHECKING:
    Delay = Constant | Uniform | Geometric | Distance | OwnDelay
else:
    Delay = Annotated[
        Annotated[Constant | Uniform | Geometric | Distance, Field(discriminator="kind")],
        Open(DELAYS),
        BeforeValidator(_from_number),
    ]
"""A delay as a configuration writes it: a number of ticks, or a law with its parameters."""


def by_number(delay: Delay, link: Link, stream: Stream) -> NDArray[np.int64]:
    """The delay of each number of a channel under a law that has one for each, shape (presynaptic neurons,)."""
    return delay.ticks(link.distances) if isinstance(delay, Distance) else sampled(delay, stream.at(), link.pre.size)


def sampled(delay: Delay, generator: np.random.Generator, size: int) -> NDArray[np.int64]:
    """Delays of a law, shape (size,).

    Raises
    ------
    UsageError
        If a registered law gives what is no delay, or one beyond its largest.
    """
    assert not isinstance(delay, Distance), "nothing is drawn of it: see by_number"
    found = delay.sample(generator, size)
    if isinstance(delay, OwnDelay):
        each = np.asarray(found)
        whole = each.shape == (size,) and np.issubdtype(each.dtype, np.integer)
        if not (whole and each.min() >= 1 and each.max() <= delay.largest):
            kind, most = delay.model_dump()["kind"], delay.largest
            legal = f"whole numbers from 1 to {most}, its largest, of shape ({size},)"
            raise UsageError(
                f"dynamics.delay: {kind} gave {np.array2string(each, threshold=8)}; it should give {legal}"
            )
    return found
