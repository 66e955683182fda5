"""Settings of the dynamics: clocks, lockstep or free-running mode, step, phases, and when a network has settled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from dyadnet.config.steps import Step
from dyadnet.registry import Open, Registry, check_spec
from dyadnet.schema import Positive, Spec
from dyadnet.timing.clocks import OwnClock
from dyadnet.timing.delays import Constant as ConstantDelay
from dyadnet.timing.delays import Delay
from dyadnet.timing.real_time import RealDelay

SPAN_LIMIT = 64
"""Maximal span of the differences of prospective dynamics, in updates. So many products of each link are kept."""


class AutoClock(Spec):
    """Red-black, stretched to the largest delay, if the graph is two-colourable; every tick otherwise."""

    kind: Literal["auto"] = "auto"


class EveryTick(Spec):
    """All blocks fire at every tick (synchronous)."""

    kind: Literal["every-tick"] = "every-tick"


class PeriodicClock(Spec):
    """A block fires every `period` ticks, first at tick 1 + `phase`."""

    kind: Literal["periodic"] = "periodic"
    period: Positive
    phase: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _within(self) -> PeriodicClock:
        if self.phase >= self.period:
            raise ValueError(f"phase below the period ({self.period})")
        return self


class RedBlackClock(Spec):
    """The two colours of the graph fire in turn, `stretch` ticks apart."""

    kind: Literal["red-black"] = "red-black"
    stretch: Positive = 1


class BernoulliClock(Spec):
    """Each block, or each neuron by itself, updates with probability `p` at every tick."""

    kind: Literal["bernoulli"] = "bernoulli"
    p: float = Field(gt=0, le=1)
    unit: Literal["block", "neuron"] = "block"


def _by_name(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


_BUILT_IN: dict[str, type[Spec]] = {
    "auto": AutoClock,
    "every-tick": EveryTick,
    "periodic": PeriodicClock,
    "red-black": RedBlackClock,
    "bernoulli": BernoulliClock,
}
CLOCKS: Registry[type[Spec]] = Registry("clock", _BUILT_IN, check_spec(OwnClock))
"""All clocks by their names in a configuration."""
if TYPE_CHECKING:
    ClockSpec = AutoClock | EveryTick | PeriodicClock | RedBlackClock | BernoulliClock | OwnClock
else:
    ClockSpec = Annotated[
        Annotated[AutoClock | EveryTick | PeriodicClock | RedBlackClock | BernoulliClock, Field(discriminator="kind")],
        Open(CLOCKS),
        BeforeValidator(_by_name),
    ]


class Lockstep(Spec):
    """All blocks update in virtual time, and the same seed gives the same bits."""

    kind: Literal["lockstep"] = "lockstep"


class FreeRunning(Spec):
    """Every actor uses the newest message of each neighbour and never waits; real time, engine ``ray`` only.

    A phase ends when the first of the three criteria that are set is met. With `settle`, the others are upper limits.

    Attributes
    ----------
    settle
        End when every block has stayed within tolerance for twice the longest measured delay (the 95 % quantile).
    updates
        End when every block has made this many updates.
    budget
        End after this many seconds.
    time_constant
        T in milliseconds, of A += (1−e^(−Δt/T))(A*−A); ``auto``: `margin` times the smallest stable one.
    margin
        Safety factor of the time constant. Below 1, loops with negative feedback are unstable.
    delay
        Additional delay of every message in milliseconds, on top of the delays of links and actors; see
        `dyadnet.timing.real_time`.
    """

    kind: Literal["free"] = "free"
    settle: bool = True
    updates: Positive | None = None
    budget: float = Field(20.0, gt=0)
    time_constant: Literal["auto"] | Annotated[float, Field(gt=0)] = "auto"
    margin: float = Field(2.0, gt=0)
    delay: RealDelay | None = None


ModeSpec = Annotated[
    Annotated[Lockstep | FreeRunning, Field(discriminator="kind")],
    BeforeValidator(_by_name),
]
TICKS = (
    "clock",
    "clocks",
    "delay",
    "delays",
    "step",
    "prospective_span",
    "sweeps",
    "nudged_sweeps",
    "fixed",
    "average",
    "check_every",
    "patience",
    "lanes",
)
"""Settings of `Dynamics` that have no meaning without ticks."""


class Dynamics(Spec):
    """How the network relaxes, and when it counts as settled.

    Attributes
    ----------
    mode
        ``lockstep`` in virtual time, or ``free``, which refuses every setting in `TICKS`.
    clock, clocks
        The clock of all blocks, and exceptions by population.
    delay, delays
        The delay of all channels in ticks, and exceptions by projection (``pre->post``, both directions).
    step
        η of every block; ``auto``; or a registered rule, see `dyadnet.config.steps`.
    prospective
        Whether neurons extrapolate the messages they receive. ``none``; or a number γ, in units of a message's own
        age; or ``auto``, which chooses γ, the step and the span together, with γ = 0 where colours or compartments
        take turns. See `dyadnet.dynamics.prospective`.
    prospective_span
        Number of updates of the sender over which the difference is taken. ``auto``: the last two that were received,
        and under noise the mean age of the held messages. At most `SPAN_LIMIT`.
    initial
        State before the first tick of a minibatch.
    phases
        ``dyadic`` (nudged from the start), ``free-nudged`` (settle freely, then nudge from there), ``auto``:
        free-nudged if any κ > 0, because such networks have many fixed points; or ``in-turn``: one compartment of
        each dyad after the other, on half the state, where every λ is 0 or 1 (see `dyadnet.timing.alternating`).
    tolerance
        A block has settled only if its largest |A*−A| is at most this.
    tolerance_difference
        A block has settled only if its largest |D*−D|, relative to its largest |D|, is at most this.
    sweeps, nudged_sweeps
        Upper limit of a dyadic or free phase, and of a nudged phase, in sweeps.
    fixed
        Run exactly that many sweeps, settled or not. If noise prevents a network from settling (see
        `imperfections`), every phase does so anyway.
    average
        Number of sweeps at the end of the last phase over which (m, d) is averaged for learning and for the
        read-out. The average covers a block's own state and the messages it holds. ``auto``: half of that phase
        under noise, else 0. Legal only if the number of sweeps is fixed.
    check_every
        Sweeps between two decisions whether to stop.
    patience
        A relaxation counts as diverging after this many sweeps without a new smallest residual (only for delays
        and clocks without randomness).
    lanes
        Number of slices of a minibatch that settle independently, each on its own thread. It is part of the
        specification: another number gives other bits.
    dtype
        ``float32`` or ``float64``.
    """

    mode: ModeSpec = Lockstep()
    clock: ClockSpec = AutoClock()
    clocks: dict[str, ClockSpec] = {}
    delay: Delay = ConstantDelay()
    delays: dict[str, Delay] = {}
    step: Step = "auto"
    prospective: Literal["none", "auto"] | Annotated[float, Field(ge=0)] = "none"
    prospective_span: Literal["auto"] | Annotated[int, Field(ge=1, le=SPAN_LIMIT)] = "auto"
    initial: Literal["zero", "feedforward", "previous"] = "feedforward"
    phases: Literal["auto", "dyadic", "free-nudged", "in-turn"] = "auto"
    tolerance: float = Field(1e-3, gt=0)
    tolerance_difference: float = Field(1e-2, gt=0)
    sweeps: Positive = 150
    nudged_sweeps: Positive = 50
    fixed: bool = False
    average: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    check_every: Positive = 1
    patience: Positive = 60
    lanes: Annotated[int, Field(ge=1, le=1024)] = 1
    dtype: Literal["float32", "float64"] = "float32"
