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
"""How often a random delay is drawn: for every message, once per channel, or once per neuron of a channel."""


class Constant(Spec):
    """Every message takes `ticks` ticks."""

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
        """Draw delays of shape (size,)."""
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
        """Draw delays of shape (size,)."""
        return generator.integers(self.low, self.high + 1, size=size)


class Geometric(Spec):
    """P(delay = k) = (1−p)^(k−1)·p for k ≥ 1, truncated: larger delays become `maximum`."""

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
        """Draw delays of shape (size,)."""
        return np.minimum(generator.geometric(self.p, size=size), self.maximum)


class Distance(Spec):
    """The delay grows with the distance of a neuron from the centre of the block at the other end of the channel.

    Neurons lie in a unit square, see `dyadnet.synapses.base.positions`: those of an image on a grid, others on a line
    in the middle. The centre of a block is the mean position of its neurons.

    Attributes
    ----------
    nearest
        Delay in ticks at distance 0.
    per_side
        Additional ticks per side of the square. The sum is rounded.
    """

    kind: Literal["distance"] = "distance"
    nearest: int = Field(1, ge=1)
    per_side: float = Field(gt=0, le=10_000)

    @property
    def draw(self) -> Draw:
        """Return ``neuron``: each number of a channel has its own delay."""
        return "neuron"

    @property
    def largest(self) -> int:
        """Delay between opposite corners of the square."""
        return self.nearest + math.ceil(self.per_side * math.sqrt(2))

    @property
    def fixed(self) -> bool:
        """Whether all messages of a channel take the same time."""
        return False

    def ticks(self, distances: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the delays for distances in sides of the square."""
        return np.rint(self.nearest + self.per_side * distances).astype(np.int64)


class OwnDelay(Spec, ABC):
    """Base class of a user's delay law, registered by ``dyadnet.register("delay", name)``.

    A derived class has a field ``kind: Literal[name] = name``, its parameters as further fields, `largest` and
    `sample`.

    Attributes
    ----------
    draw
        Whether a delay is drawn for every message, once per channel, or once per neuron of a channel.
    """

    draw: Draw = "message"

    @property
    @abstractmethod
    def largest(self) -> int:
        """The largest delay that can occur."""

    @property
    def fixed(self) -> bool:
        """Whether all messages of a channel take the same time. If so, the delay is drawn only once."""
        return False

    @abstractmethod
    def sample(self, generator: np.random.Generator, size: int) -> NDArray[np.int64]:
        """Draw delays of shape (size,): whole numbers from 1 to `largest`. Use no other source of randomness."""


DELAYS: Registry[type[Spec]] = Registry(
    "delay",
    {"constant": Constant, "uniform": Uniform, "geometric": Geometric, "distance": Distance},
    check_spec(OwnDelay),
)
"""All delay laws by their names in a configuration."""


@dataclass(frozen=True, slots=True)
class CalledDelay:
    """A registered delay law, for the messages of one channel.

    Attributes
    ----------
    law
        The law, as in the configuration.
    stream
        Stream of its random draws.
    """

    law: OwnDelay
    stream: Stream

    def ahead(self, first: int, count: int, moment: Moment) -> NDArray[np.int64]:
        """Return the delay of a message sent at each tick of a range, shape (count,)."""
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
    """Return the delay of each number of a channel under a law with delays by neuron, shape (presynaptic neurons,)."""
    return delay.ticks(link.distances) if isinstance(delay, Distance) else sampled(delay, stream.at(), link.pre.size)


def sampled(delay: Delay, generator: np.random.Generator, size: int) -> NDArray[np.int64]:
    """Draw delays by a law, shape (size,).

    Raises
    ------
    UsageError
        If a registered law does not return legal delays, or exceeds its largest one.
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
