"""Imperfections of channels of a user's own: the record, its effect and its counter in one class."""

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
"""Counts of a channel that there are anyhow, and what stands beside them."""
StreamName = Literal["mean", "difference"]


class Counter(NamedTuple):
    """What an imperfection counts on each channel.

    Attributes
    ----------
    name
        As the record has it; Prometheus calls it ``dyadnet_messages_NAME_total``.
    meaning
        One sentence.
    """

    name: str
    meaning: str


class OwnEffect(Spec, ABC):
    """An imperfection that a user writes and registers: ``dyadnet.register("imperfection", name)``.

    A class that derives from it has a field ``kind: Literal[name] = name``, parameters as further fields, a counter,
    and `apply`, which Python calls for each message that its receiver is about to hold.

    Attributes
    ----------
    counter
        What `apply` counts.
    noisy
        Whether messages about a network at rest still fluctuate: it never settles then, and runs for fixed sweeps.
    """

    counter: ClassVar[Counter]
    noisy: ClassVar[bool] = True

    @abstractmethod
    def apply(self, values: NDArray[Any], draw: np.random.Generator, stream: StreamName) -> tuple[NDArray[Any], int]:
        """What a stream of a message becomes, and how much is to be counted.

        Parameters
        ----------
        values
            Shape (rows, neurons). With send-on-delta, what was not sent is NaN.
        draw
            Of this message: the same draws wherever its receiver lives. Nothing else may be drawn from.
        stream
            Means (m, κθᵀm), or differences (d, θᵀd), which are of the size of β.
        """

    def applied(self, values: NDArray[Any], draw: np.random.Generator, stream: StreamName) -> tuple[NDArray[Any], int]:
        """What `apply` gives, if it is legal.

        Raises
        ------
        UsageError
            If it is not.
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
"""Every imperfection that was registered."""


def _refuse(value: Any) -> Any:
    raise ValueError("a mapping with kind, the name of a registered imperfection")


if TYPE_CHECKING:
    Effect = OwnEffect
else:
    Effect = Annotated[Any, BeforeValidator(_refuse), Open(EFFECTS)]
"""A registered imperfection as a configuration writes it: ``{kind: name, ...}``."""
