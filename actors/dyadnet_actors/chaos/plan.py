"""Draws the fault of each trial from a seed, and defines the small run that suffers it.

Faults that kill or hang a block's actor happen exactly at their minibatch and tick. All other faults are injected from
outside, as soon as the run is known to have reached that point: from that tick on, a straggler holds the run there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from dyadnet.config.faults import Fault
from dyadnet.numerics.rng import Stream

Kind = Literal[
    "actor",
    "coordinator",
    "driver",
    "hang",
    "node",
    "link",
    "ray-dies",
    "ray-hangs",
    "disk-full",
    "log-gone",
    "hang-up",
    "suspend",
]
"""The last six kinds: Ray's own processes are killed or stopped; the disk fills up and is freed later; the reader of
the log disappears; the terminal closes (SIGHUP); all processes stop for longer than a heartbeat and then continue."""
KINDS: tuple[Kind, ...] = get_args(Kind)
ENDING: frozenset[Kind] = frozenset({"driver", "ray-dies", "ray-hangs", "disk-full", "hang-up"})
"""Kinds that may end a run; ``dyadnet resume`` then continues it."""
SURVIVED: frozenset[Kind] = frozenset({"actor", "coordinator", "hang", "node", "link"})
"""Kinds that a run records as a failure and survives."""
RAYS = (("gcs_server",), ("raylet",), ("gcs_server", "raylet"))
"""Ray's own processes to strike: the control store, the raylet, or both."""
BLOCKS = ("h1", "h2", "out")
LINKS = (("h1", "h2"), ("h2", "out"))
SWEEPS = 6
TICKS = 2 * SWEEPS
"""Ticks of every minibatch: red-black with a fixed number of sweeps, so that every tick occurs."""
EPOCHS = 3
SAMPLES = 500
MINIBATCH = 30
MINIBATCHES = EPOCHS * -(-(SAMPLES - SAMPLES // 10) // MINIBATCH)
HELD = 400.0
"""Factor by which the straggler slows down, once the run has reached the point for a fault from outside. It must hold
even the last minibatches for longer than it takes to strike: by 100 a run was over before its node was gone."""


@dataclass(frozen=True, slots=True)
class FaultTrial:
    """One run with one fault.

    Attributes
    ----------
    number, kind
        Number of the trial, from 0, and the kind of its fault.
    fault
        Fault in the run's own settings: the fault itself, or the slow-down that marks the point at which to strike.
    victims
        Ray's own processes to strike; empty for all other kinds.
    """

    number: int
    kind: Kind
    fault: Fault
    victims: tuple[str, ...] = ()


def settings() -> dict[str, Any]:
    """Return the settings of the run: the bundled digits, small and fast."""
    return {
        "network": {"layered": {"inputs": 64, "hidden": [24, 20], "outputs": 10, "gain": 1.4, "lam": 0.0}},
        "data": {"name": "digits", "limit_train": SAMPLES, "limit_test": 100},
        "dynamics": {"sweeps": SWEEPS, "fixed": True, "clock": "red-black"},
        "learning": {"epochs": EPOCHS, "minibatch": MINIBATCH},
        "record": {"every": 5},
        "checkpoint": {"every_minibatches": 4},
    }


def trials(count: int, seed: int, kinds: Sequence[Kind] = KINDS) -> list[FaultTrial]:
    """Return `count` trials that cycle through the kinds."""
    return [_trial(number, kinds[number % len(kinds)], seed) for number in range(count)]


def _trial(number: int, kind: Kind, seed: int) -> FaultTrial:
    draws = Stream(seed, "chaos", kind).at(tick=number)
    minibatch = int(draws.integers(1, MINIBATCHES + 1))
    tick = int(draws.integers(1, TICKS + 1))
    block = BLOCKS[draws.integers(len(BLOCKS))]
    values: dict[str, Any] = {"minibatch": minibatch, "tick": tick}
    if kind == "link":
        values |= {"kind": "cut", "link": list(LINKS[draws.integers(len(LINKS))])}
    elif kind in ("actor", "hang"):
        values |= {"kind": "kill" if kind == "actor" else "hang", "block": block}
    else:
        values |= {"kind": "slow", "block": block, "factor": HELD}
    victims = RAYS[draws.integers(len(RAYS))] if kind.startswith("ray-") else ()
    return FaultTrial(number, kind, Fault.read(values), victims)
