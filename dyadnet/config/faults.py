"""Faults on purpose: what happens to whom, at which minibatch and tick, each once in a run's life.

They are for users who study robustness as much as for tests. A fault belongs to the run and not to one attempt at
it: that it fires is recorded before it does, and a replay of the minibatch does not fire it again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from dyadnet.errors import ConfigError, guessed
from dyadnet.files.documents import number
from dyadnet.schema import Spec

KINDS = ("kill", "hang", "slow", "cut")
LEGAL = (
    "write kill:block=h2,minibatch=40,tick=7; hang: likewise; slow: with factor=4 beside; "
    "cut:link=h1:h2,minibatch=40,tick=7"
)


class Fault(Spec):
    """One fault.

    Attributes
    ----------
    kind
        ``kill`` ends the process of the block's actor at once, ``hang`` stops it without a word, ``slow`` makes all
        that it does take `factor` times as long from then on, ``cut`` loses every letter between two blocks' actors
        from then on. A new incarnation of the actor is well again.
    block
        Whose actor is hit; for all but ``cut``.
    link
        Between whose actors letters are lost.
    minibatch
        Of the run's training, counted from 1 over all epochs.
    tick
        Of that minibatch's first lane, before which it happens; in free-running mode, the block's update.
    """

    kind: Literal["kill", "hang", "slow", "cut"]
    block: str | None = None
    link: Annotated[list[str], Field(min_length=2, max_length=2)] | None = None
    factor: float | None = Field(None, ge=1)
    minibatch: int = Field(ge=1)
    tick: int = Field(1, ge=1)

    @model_validator(mode="after")
    def _complete(self) -> Fault:
        wanted = {"cut": {"link"}, "slow": {"block", "factor"}}.get(self.kind, {"block"})
        given = {name for name in ("block", "link", "factor") if getattr(self, name) is not None}
        if given != wanted:
            raise ValueError(f"{self.kind} with {' and '.join(sorted(wanted))}; {LEGAL}")
        return self

    def __str__(self) -> str:
        """As it is written after ``--fault``."""
        fields = [] if self.block is None else [f"block={self.block}"]
        fields += [] if self.link is None else [f"link={':'.join(self.link)}"]
        fields += [] if self.factor is None else [f"factor={self.factor:g}"]
        return f"{self.kind}:" + ",".join([*fields, f"minibatch={self.minibatch}", f"tick={self.tick}"])

    @property
    def blocks(self) -> list[str]:
        """Blocks whose actors have to know of it."""
        return [self.block] if self.block is not None else list(self.link or ())


def parsed(text: str, field: str = "--fault") -> dict[str, Any]:
    """The settings of a fault that is written in one line, such as ``kill:block=h2,minibatch=40,tick=7``.

    Raises
    ------
    ConfigError
        If it is not written so.
    """
    kind, colon, rest = text.partition(":")
    if not colon or kind.strip() not in KINDS:
        raise ConfigError(field, text, LEGAL + guessed(kind.strip(), KINDS))
    values: dict[str, Any] = {"kind": kind.strip()}
    for assignment in rest.split(","):
        key, sign, value = (part.strip() for part in assignment.partition("="))
        if not sign or key in values or key not in Fault.model_fields:
            raise ConfigError(field, text, LEGAL + guessed(key, Fault.model_fields))
        values[key] = value.split(":") if key == "link" else value
    # Numbers are checked here, so that a complaint shows them in the line that the user wrote.
    for key, kind_of in (("minibatch", int), ("tick", int), ("factor", float)):
        if key in values:
            found = number(values[key])
            if found is None or (kind_of is int and found != found // 1):
                raise ConfigError(field, text, f"{key} should be a number; {LEGAL}")
            values[key] = kind_of(found)
    if "minibatch" not in values:
        raise ConfigError(field, text, f"minibatch is missing; {LEGAL}")
    return values


def _from_line(value: Any) -> Any:
    return parsed(value, "faults") if isinstance(value, str) else value


FaultSpec = Annotated[Fault, BeforeValidator(_from_line)]


def check_faults(faults: Sequence[Fault], channels: Collection[frozenset[str]], blocks: Collection[str]) -> None:
    """Whether a network has what faults are to hit.

    Parameters
    ----------
    channels
        Pairs of blocks that exchange messages.

    Raises
    ------
    ConfigError
        Naming the fault.
    """
    seen: set[str] = set()
    for fault in faults:
        for name in fault.blocks:
            if name not in blocks:
                raise ConfigError(
                    "faults", str(fault), f"no block {name}; one of {', '.join(blocks)}{guessed(name, blocks)}"
                )
        if fault.link is not None and frozenset(fault.link) not in channels:
            pairs = ", ".join(sorted(":".join(sorted(pair)) for pair in channels if len(pair) == 2))
            raise ConfigError("faults", str(fault), f"these two exchange no messages; one of {pairs}")
        if str(fault) in seen:
            raise ConfigError("faults", str(fault), "each once; it is listed twice")
        seen.add(str(fault))


def check_homes(faults: Sequence[Fault], homes: Mapping[str, int]) -> None:
    """Whether blocks whose link is to be cut live in different actors.

    Raises
    ------
    ConfigError
        Naming the fault.
    """
    for fault in faults:
        if fault.link is not None and homes[fault.link[0]] == homes[fault.link[1]]:
            legal = "these two share an actor and talk in memory; use more actors (cluster.actors)"
            raise ConfigError("faults", str(fault), legal)


class Faults:
    """The faults of a run that are still to come.

    Parameters
    ----------
    faults
        All of them.
    fired
        Those that have fired already, as they are written.
    record
        Told of a fault before it can happen; returns once that is safe.
    """

    def __init__(
        self, faults: Sequence[Fault], fired: Collection[str] = (), record: Callable[[str], None] = lambda fault: None
    ) -> None:
        self._coming = [fault for fault in faults if str(fault) not in fired]
        self._fired = [str(fault) for fault in faults if str(fault) in fired]
        self._record = record

    @property
    def fired(self) -> list[str]:
        """Those that have fired, as they are written."""
        return list(self._fired)

    def due(self, minibatch: int) -> tuple[Fault, ...]:
        """What is to happen in a minibatch; from now on it counts as having fired."""
        due = tuple(fault for fault in self._coming if fault.minibatch == minibatch)
        for fault in due:
            self._record(str(fault))
            self._coming.remove(fault)
            self._fired.append(str(fault))
        return due
