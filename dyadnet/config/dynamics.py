"""Settings of how a network moves: clocks, lockstep or free-running, step, phases, and when it counts as settled."""

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
"""Updates over which a difference of prospective dynamics may be taken: so many products of each link are kept."""


class AutoClock(Spec):
    """Red-black stretched to the largest delay where the graph is two-colourable, every tick elsewhere."""

    kind: Literal["auto"] = "auto"


class EveryTick(Spec):
    """All blocks fire at every tick (synchronous)."""

    kind: Literal["every-tick"] = "every-tick"


class PeriodicClock(Spec):
    """Fires every `period` ticks, first at tick 1 + `phase`."""

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
"""Every clock by its name in a configuration."""
if TYPE_CHECKING:
    ClockSpec = AutoClock | EveryTick | PeriodicClock | RedBlackClock | BernoulliClock | OwnClock
else:
    ClockSpec = Annotated[
        Annotated[AutoClock | EveryTick | PeriodicClock | RedBlackClock | BernoulliClock, Field(discriminator="kind")],
        Open(CLOCKS),
        BeforeValidator(_by_name),
    ]


class Lockstep(Spec):
    """All blocks move in virtual time, and the same seed gives the same bits."""

    kind: Literal["lockstep"] = "lockstep"


class FreeRunning(Spec):
    """Every actor updates on the newest message of each neighbour and waits for nobody; real time, engine ``ray``.

    A phase ends at the first of the three that are set; with `settle`, the other two are caps.

    Attributes
    ----------
    settle
        End once every block has stayed within tolerance for twice the longest measured delay (the 95 % quantile).
    updates
        End once every block has made so many updates.
    budget
        End after so many seconds.
    time_constant
        T in milliseconds, of A += (1−e^(−Δt/T))(A*−A); ``auto``: `margin` times the smallest stable one.
    margin
        Of the time constant; below 1 the loops that negative feedback closes run away.
    delay
        Of every message in milliseconds, beside what links and actors take; see `dyadnet.timing.real_time`.
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
"""Settings of `Dynamics` that mean nothing without ticks."""


class Dynamics(Spec):
    """How the network moves, and when it has settled.

    Attributes
    ----------
    mode
        ``lockstep`` in virtual time, or ``free``, which refuses every setting in `TICKS`.
    clock, clocks
        The clock of every block, and exceptions by population.
    delay, delays
        The delay of every channel in ticks, and exceptions by projection (``pre->post``, both directions).
    step
        η of every block; ``auto``; or a registered rule, see `dyadnet.config.steps`.
    prospective
        Whether neurons extrapolate what they hear: ``none``; γ, in units of a message's own age; or ``auto``: γ, the
        step and the span together, 0 where colours or compartments take turns. See `dyadnet.dynamics.prospective`.
    prospective_span
        Updates of the sender over which they take the difference; ``auto``: the last two that were heard, and under
        noise the mean age of what is held. At most `SPAN_LIMIT` are kept.
    initial
        State before a minibatch's first tick.
    phases
        ``dyadic`` (nudged from the start), ``free-nudged`` (settle freely, then nudge from there), ``auto``:
        free-nudged if any κ > 0, because such networks have many fixed points; or ``in-turn``: one compartment of
        each dyad after the other, on half the state, where every λ is 0 or 1 (see `dyadnet.timing.alternating`).
    tolerance
        Largest |A*−A| of a settled block.
    tolerance_difference
        Largest |D*−D| of a settled block, relative to its largest |D|.
    sweeps, nudged_sweeps
        Cap of a dyadic or free phase, and of a nudged phase, in sweeps.
    fixed
        Run exactly that many sweeps, settled or not. Where noise never lets a network settle (see `imperfections`),
        every phase does so anyhow.
    average
        Sweeps at the end of the last phase over which (m, d), a block's own and those it holds, are averaged for
        learning and for what is read out; ``auto``: half of that phase under noise, else 0. Only where the number of
        sweeps is fixed.
    check_every
        Sweeps between two decisions whether to stop.
    patience
        Sweeps without a new smallest residual after which a relaxation is called diverging (delays and clocks
        without randomness only).
    lanes
        Slices of a minibatch that settle independently, each on a thread of its own. Part of the specification:
        another number gives other bits.
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
