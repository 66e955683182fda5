"""Users' own channel imperfections: the settings, the effect and the counter in one class."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator

from dyadnet.errors import UsageError
from dyadnet.registry import Open, Registry, check_spec
from dyadnet.schema import Spec

TAKEN = {
    "messages",
    "values",
    "quantised",
    "suppressed",
    "delayed",
    "dropped",
    "duplicated",
    "stale",
    "bytes",
    "channel",
    "refused",
}
"""Names that are already used for the counts of a channel, or next to them."""
StreamName = Literal["mean", "difference"]


class Counter(NamedTuple):
    """A counter of an imperfection on each channel.

    Attributes
    ----------
    name
        Name in the record. The Prometheus metric is called ``dyadnet_messages_NAME_total``.
    meaning
        Description in one sentence.
    """

    name: str
    meaning: str


class OwnEffect(Spec, ABC):
    """Base class of a user's imperfection, registered by ``dyadnet.register("imperfection", name)``.

    A derived class has a field ``kind: Literal[name] = name``, its parameters as further fields, a counter, and
    `apply`. Python calls `apply` for each message when it reaches its receiver.

    Attributes
    ----------
    counter
        Counter of `apply`.
    noisy
        Whether messages of a network at rest still fluctuate. If so, the network never settles and runs for a fixed
        number of sweeps.
    """

    counter: ClassVar[Counter]
    noisy: ClassVar[bool] = True

    @abstractmethod
    def apply(self, values: NDArray[Any], draw: np.random.Generator, stream: StreamName) -> tuple[NDArray[Any], int]:
        """Return the changed values of one stream of a message, and the number to add to the counter.

        Parameters
        ----------
        values
            Shape (rows, neurons). With send-on-delta, numbers that were not sent are NaN.
        draw
            Random generator of this message. It is the same wherever the receiver lives. Use no other source of
            randomness.
        stream
            Means (m, κθᵀm), or differences (d, θᵀd), which have the magnitude of β.
        """

    def applied(self, values: NDArray[Any], draw: np.random.Generator, stream: StreamName) -> tuple[NDArray[Any], int]:
        """Return the result of `apply`, after checking it.

        Raises
        ------
        UsageError
            If the result is not legal.
        """
        found = self.apply(values.copy(), draw, stream)
        where = f"imperfections.channel.own: {self.model_dump()['kind']}"
        if not isinstance(found, tuple) or len(found) != 2:
            raise UsageError(f"{where} gave {type(found).__name__}; it should give (values, counted)")
        changed, counted = np.asarray(found[0]), found[1]
        if changed.shape != values.shape or not np.issubdtype(changed.dtype, np.floating):
            legal = f"numbers of shape {values.shape}"
            raise UsageError(f"{where} gave {changed.dtype} of shape {changed.shape}; it should give {legal}")
        if not isinstance(counted, int | np.integer) or counted < 0:
            raise UsageError(f"{where} counted {counted!r}; it should be a whole number from 0 on")
        return changed, int(counted)


def _problem(name: str, thing: Any) -> str | None:
    problem = check_spec(OwnEffect)(name, thing)
    if problem:
        return problem
    counter = getattr(thing, "counter", None)
    if not isinstance(counter, Counter):
        return "it lacks counter: ClassVar[Counter] = Counter(name, meaning)"
    if not re.fullmatch("[a-z][a-z0-9_]*", counter.name) or counter.name in TAKEN:
        return (
            f"its counter is {counter.name!r}; it should be of a-z, 0-9 and _, and none of {', '.join(sorted(TAKEN))}"
        )
    return None


class _Effects(Registry[Any]):
    def legal(self, name: str) -> str:
        own = ", ".join(self)
        return (f"{own}; " if own else "") + "one of your own is registered by dyadnet.register first"


EFFECTS: Registry[type[OwnEffect]] = _Effects("imperfection", check=_problem)
"""All registered imperfections."""


def _refuse(value: Any) -> Any:
    raise ValueError("a mapping with kind, the name of a registered imperfection")


if TYPE_CHECKING:
    Effect = OwnEffect
else:
    Effect = Annotated[Any, BeforeValidator(_refuse), Open(EFFECTS)]
"""A registered imperfection as a configuration writes it: ``{kind: name, ...}``."""
