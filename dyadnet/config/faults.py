"""Injected faults: each one hits a block or a link at a given minibatch and tick, once in the life of a run.

Users can study robustness with them; tests use them, too. A fault belongs to the run, not to one attempt at it: the
run records a fault before it fires, and does not fire it again when it replays the minibatch.
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
        ``kill`` ends the process of the block's actor at once. ``hang`` stops it without any message. ``slow``
        multiplies the time of everything it does by `factor` from then on. ``cut`` loses every message between the
        actors of two blocks from then on. A restarted actor has no fault.
    block
        Block whose actor is hit; for all kinds except ``cut``.
    link
        Two blocks; messages between their actors are lost.
    factor
        Slow-down of ``slow``, at least 1.
    minibatch
        Minibatch of the run's training, counted from 1 over all epochs.
    tick
        The fault fires before this tick of the minibatch's first lane; in free-running mode, before this update of
        the block.
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
        """The fault in the notation of ``--fault``."""
        fields = [] if self.block is None else [f"block={self.block}"]
        fields += [] if self.link is None else [f"link={':'.join(self.link)}"]
        fields += [] if self.factor is None else [f"factor={self.factor:g}"]
        return f"{self.kind}:" + ",".join([*fields, f"minibatch={self.minibatch}", f"tick={self.tick}"])

    @property
    def blocks(self) -> list[str]:
        """Blocks whose actors take part in this fault."""
        return [self.block] if self.block is not None else list(self.link or ())


def parsed(text: str, field: str = "--fault") -> dict[str, Any]:
    """Parse a fault in its one-line notation, such as ``kill:block=h2,minibatch=40,tick=7``, to plain settings.

    Raises
    ------
    ConfigError
        If the text does not follow the notation.
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
    # Numbers are checked here, so that the error message shows the whole line that the user wrote.
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
    """Check that the network has the blocks and links that the faults name, and that no fault is listed twice.

    Parameters
    ----------
    channels
        Pairs of blocks that exchange messages.

    Raises
    ------
    ConfigError
        Names the faulty entry.
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
    """Check that two blocks whose link is to be cut live in different actors.

    Raises
    ------
    ConfigError
        Names the faulty entry.
    """
    for fault in faults:
        if fault.link is not None and homes[fault.link[0]] == homes[fault.link[1]]:
            legal = "these two share an actor and talk in memory; use more actors (cluster.actors)"
            raise ConfigError("faults", str(fault), legal)


class Faults:
    """The faults of a run that have not fired yet.

    Parameters
    ----------
    faults
        All faults of the run.
    fired
        Faults that have already fired, in the notation of ``--fault``.
    record
        Called with a fault before it fires. Must return only when the fault is safely recorded.
    """

    def __init__(
        self, faults: Sequence[Fault], fired: Collection[str] = (), record: Callable[[str], None] = lambda fault: None
    ) -> None:
        self._coming = [fault for fault in faults if str(fault) not in fired]
        self._fired = [str(fault) for fault in faults if str(fault) in fired]
        self._record = record

    @property
    def fired(self) -> list[str]:
        """Faults that have fired, in the notation of ``--fault``."""
        return list(self._fired)

    def due(self, minibatch: int) -> tuple[Fault, ...]:
        """Return the faults of a minibatch, and record each of them as fired."""
        due = tuple(fault for fault in self._coming if fault.minibatch == minibatch)
        for fault in due:
            self._record(str(fault))
            self._coming.remove(fault)
            self._fired.append(str(fault))
        return due
