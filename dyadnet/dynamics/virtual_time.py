"""Virtual time of a network: its clocks, its delays and the length of a sweep, derived from the settings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dyadnet.config import RunConfig
from dyadnet.config.dynamics import (
    SPAN_LIMIT,
    BernoulliClock,
    ClockSpec,
    Dynamics,
    EveryTick,
    FreeRunning,
    PeriodicClock,
    RedBlackClock,
)
from dyadnet.config.steps import Circumstances
from dyadnet.dynamics.ages import mean_age
from dyadnet.dynamics.prospective import Modes
from dyadnet.dynamics.request import Phase
from dyadnet.dynamics.spectral_radius import Operator
from dyadnet.dynamics.step_size import (
    ONE_WAY,
    REAL_AGE,
    Extrapolation,
    Fixed,
    Own,
    Prospective,
    ProspectiveTimeConstant,
    StepRule,
    TimeConstant,
    automatic,
)
from dyadnet.dynamics.stopping import PhaseSequence, StopRule
from dyadnet.errors import ConfigError
from dyadnet.network.description import Network, Projection
from dyadnet.network.topology import Topology, colours, is_forest
from dyadnet.numerics.rng import Stream
from dyadnet.schema import Spec
from dyadnet.timing.clocks import Bernoulli, CalledClock, Clock, OwnClock, Periodic
from dyadnet.timing.delays import Delay

MISSED = 1e-3
"""Allowed probability that a network with lossy channels counts as settled before every message was heard."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Timing on which all blocks and the coordinator must agree.

    Attributes
    ----------
    clocks
        Clock of each block, by name.
    largest_delay
        Largest delay of all channels, in ticks.
    window
        Number of ticks after which every value that a block sent has been heard, possibly from a later message. It is
        the largest delay; plus, if messages can be lost, enough sweeps for a probability of at least 1 − `MISSED`;
        plus, if neurons are prospective, the sweeps of their span.
    sweep
        Number of ticks in which every neuron updates about once.
    random
        Whether any clock, delay, loss or noise is random.
    may_circle
        Whether a residual that stops falling means that a relaxation diverges. This is not so in three cases: if
        draws are random; if messages are coarse, because the state may oscillate below their resolution; and if every
        firing lowers the energy, because the state may stay on a plateau for long but cannot oscillate.
    rule
        Rule by which the step follows from the spectral radius.
    operator
        Operator of that spectral radius; see `dyadnet.dynamics.spectral_radius`.
    span
        Number of the sender's firings over which prospective neurons look back; 0: neurons are not prospective.
    """

    clocks: dict[str, Clock]
    largest_delay: int
    window: int
    sweep: int
    random: bool
    may_circle: bool
    rule: StepRule
    operator: Operator
    span: int = 0


def delay_of(dynamics: Dynamics, projection: Projection) -> Delay:
    """Return the delay law of both directions of a projection."""
    return dynamics.delays.get(projection.name, dynamics.delay)


def timing(config: RunConfig, topology: Topology) -> Timing:
    """Derive clocks, delays and the step rule of a run.

    Raises
    ------
    ConfigError
        If a red-black clock is set but the graph is not two-colourable, or γ is set but neighbours take turns.
    """
    dynamics, network = config.dynamics, config.network
    delays = [delay_of(dynamics, projection) for projection in network.recurrent]
    for delay in delays:
        _check_whole("dynamics.delay", delay, "largest", delay.largest)
    largest = max((delay.largest for delay in delays), default=1)
    clocks: dict[str, Clock] = {}
    for name, block in topology.blocks.items():
        spec = dynamics.clocks.get(block.population.name, dynamics.clock)
        clocks[name] = _clock(spec, network, block.population.name, name, block.size, largest, config.seed)
    if isinstance(dynamics.mode, FreeRunning):
        clocks = dict.fromkeys(clocks, Periodic())
    sweep = max(clock.interval for clock in clocks.values())
    random = not all(isinstance(clock, Periodic) for clock in clocks.values()) or not all(d.fixed for d in delays)
    rule = step_rule(config, topology, clocks, largest)
    forest = is_forest(network)
    one_sign = len({math.copysign(1.0, p.coupling) for p in network.recurrent if p.coupling}) <= 1
    imperfections = config.imperfections
    channels = [imperfections.channel_of(projection.name) for projection in network.recurrent]
    random |= imperfections.noisy(network) or any(channel.uncertain or channel.own for channel in channels)
    may_circle = not random and not any(channel.coarse for channel in channels) and rule.may_circle
    window = largest + sweep * max((_repeats(channel.loss.p) for channel in channels), default=0)
    span = 0 if rule.prospective is None else rule.prospective.span
    window += span * sweep
    operator: Operator = "symmetric" if forest and one_sign else rule.operator
    return Timing(clocks, largest, window, sweep, random, may_circle, rule, operator, span)


def step_rule(config: RunConfig, topology: Topology, clocks: dict[str, Clock], largest: int) -> StepRule:
    """Return the step rule for the settings of a network and its clocks.

    If λ follows a schedule, all its values are taken into account.
    """
    dynamics, network = config.dynamics, config.network
    if dynamics.prospective != "none" and not isinstance(dynamics.mode, FreeRunning):
        found = _prospective_rule(config, topology, clocks, largest)
        if found is not None:
            return found
    if isinstance(dynamics.step, float | int):
        return Fixed("as set", value=float(dynamics.step))
    if isinstance(dynamics.mode, FreeRunning):
        couplings = _couplings(config)
        negative, positive = any(k < 0 for k in couplings), any(k > 0 for k in couplings)
        return _free_rule(config, is_forest(network) and not negative, positive)
    about = circumstances(config, topology, clocks, largest)
    return automatic(about) if dynamics.step == "auto" else Own.of(dynamics.step, about)


def circumstances(config: RunConfig, topology: Topology, clocks: dict[str, Clock], largest: int) -> Circumstances:
    """Return the properties of a run that a step must suit."""
    couplings = _couplings(config)
    negative, positive = any(k < 0 for k in couplings), any(k > 0 for k in couplings)
    intervals = [clock.interval for clock in clocks.values()]
    lag = math.ceil((largest + max(intervals) - 1) / min(intervals)) - 1
    red_black = _is_red_black(config.network, clocks, largest)
    if _random_delays(config) and not red_black:
        lag = min(lag, max(math.ceil(mean_age(config, topology, clocks) / min(intervals)) - 1, 0))
    return Circumstances(
        lag,
        -1 if negative else 1 if positive else 0,
        negative and positive,
        is_forest(config.network),
        red_black,
        all(isinstance(clock, Periodic) and clock.interval == 1 for clock in clocks.values()),
        is_two_way(config.network),
    )


def is_two_way(network: Network) -> bool:
    """Whether some populations are joined by projections in both directions, and the graph has no other cycles."""
    pairs = {(p.pre, p.post) for p in network.recurrent}
    once = [p for p in network.recurrent if (p.post, p.pre) not in pairs or p.pre < p.post]
    return len(once) < len(network.recurrent) and is_forest(network, once)


def _random_delays(config: RunConfig) -> bool:
    return not all(delay_of(config.dynamics, projection).fixed for projection in config.network.recurrent)


def _prospective_rule(config: RunConfig, topology: Topology, clocks: dict[str, Clock], largest: int) -> StepRule | None:
    """Return the rule for η, γ and span of prospective neurons; None if neurons do not extrapolate."""
    dynamics, network = config.dynamics, config.network
    given, red_black = dynamics.prospective, _is_red_black(network, clocks, largest)
    if red_black or dynamics.phases == "in-turn":
        if isinstance(given, float) and given > 0:
            legal = "auto or none where colours or compartments take turns, or clock: every-tick and other phases"
            raise ConfigError("dynamics.prospective", given, legal)
        return None
    if given == 0:
        return None
    modes = _modes(config)
    own = list(clocks.values())
    rate = max(clock.rate for clock in own)
    share = min((c.p for c in own if isinstance(c, Bernoulli) and c.unit == "neuron"), default=1.0)
    age = max(round(mean_age(config, topology, clocks) * rate), 1)
    chosen = min(age, SPAN_LIMIT) if config.imperfections.noisy(network) else 1
    span = chosen if dynamics.prospective_span == "auto" else dynamics.prospective_span
    eta = float(dynamics.step) if isinstance(dynamics.step, float | int) else None
    gamma = None if given == "auto" else float(given)
    what = "η and γ" if eta is None and gamma is None else "η" if eta is None else "γ" if gamma is None else ""
    why = f"best {what} for a mean age of {age}, span {span}" if what else f"as set, span {span}"
    extrapolation = Extrapolation(span, modes, eta, gamma, share)
    return Prospective(f"prospective: {why}", extrapolation, age - 1)


def _free_rule(config: RunConfig, without_turning: bool, positive: bool) -> StepRule:
    """Return the rule for the time constant of free-running blocks: in milliseconds if set, else in units of δ."""
    mode, given = config.dynamics.mode, config.dynamics.prospective
    assert isinstance(mode, FreeRunning)
    ahead = None
    if given not in ("none", 0) and (not without_turning or given != "auto"):
        gamma = None if given == "auto" else float(given)
        span = REAL_AGE if config.imperfections.noisy(config.network) else REAL_AGE // 4
        ahead = Extrapolation(span, _modes(config), None, gamma)
    if mode.time_constant != "auto":
        return Fixed("time constant in milliseconds, as set", ahead, value=float(mode.time_constant))
    if ahead is not None:
        margin = mode.margin / FreeRunning().margin
        return ProspectiveTimeConstant("prospective: best T and γ in units of δ", ahead, margin=margin)
    if not without_turning:
        return TimeConstant(f"T = {mode.margin:g}·δ√(ρ²−1)/asin(1/ρ)", margin=mode.margin, sign=-1)
    if not positive:
        return Fixed(f"T = {ONE_WAY:g}·δ: nothing flows in circles (κ = 0)", value=ONE_WAY)
    return TimeConstant(f"T = {mode.margin:g}·δ√(ρ²−1)/(π−acos(1/ρ)) (κ > 0)", margin=mode.margin, sign=1)


def _modes(config: RunConfig) -> Modes:
    """Return the location of the eigenvalues of the drive."""
    couplings = _couplings(config)
    negative, positive = any(k < 0 for k in couplings), any(k > 0 for k in couplings)
    if (negative and positive) or not (is_forest(config.network) or all(k == -1 for k in couplings)):
        return "disc"
    return "real" if positive else "imaginary"


def settling(phases: Sequence[Phase], dynamics: Dynamics, timing: Timing) -> PhaseSequence:
    """Return one lane's sequence of phases of a relaxation."""

    def rule(phase: Phase, first_tick: int) -> StopRule:
        return StopRule(
            phase,
            first_tick,
            sweep=timing.sweep,
            largest_delay=timing.window,
            check_every=dynamics.check_every,
            patience=dynamics.patience if timing.may_circle else None,
        )

    return PhaseSequence(phases, rule, timing.sweep)


def _repeats(loss: float) -> int:
    """Return the number of repetitions after which all messages were lost with a probability of at most `MISSED`."""
    return max(math.ceil(math.log(MISSED) / math.log(loss)) - 1, 0) if 0 < loss < 1 else 0


def _couplings(config: RunConfig) -> list[float]:
    """Return every κ that occurs in a run."""
    found = [projection.coupling for projection in config.network.recurrent]
    lam = config.learning.lam
    if lam is None:
        return found
    schedules = list(lam.values()) if isinstance(lam, dict) else [lam]
    return found + [2.0 * value - 1.0 for s in schedules for value in s.extremes(config.learning.epochs)]


def _is_red_black(network: Network, clocks: dict[str, Clock], largest: int) -> bool:
    """Whether neighbours fire in turn, at least the largest delay apart."""
    colour = colours(network)
    if colour is None:
        return False
    periods = set()
    offsets: dict[int, set[int]] = {0: set(), 1: set()}
    for name, clock in clocks.items():
        if not isinstance(clock, Periodic):
            return False
        periods.add(clock.period)
        offsets[colour[name.split(".")[0]]].add(clock.offset)
    if len(periods) != 1 or len(offsets[0]) != 1 or len(offsets[1]) > 1:
        return False
    if not offsets[1]:
        return True
    (period,), (one,), (other,) = periods, offsets[0], offsets[1]
    apart = (other - one) % period
    return apart >= largest and period - apart >= largest


def _check_whole(field: str, spec: Spec, name: str, given: object) -> None:
    """Check that a property of a registered class is a whole number of ticks."""
    if not isinstance(given, int) or given < 1:
        raise ConfigError(
            field, spec.model_dump(), f"{name} should be a whole number of ticks from 1 on, not {given!r}"
        )


def _clock(spec: ClockSpec, network: Network, population: str, block: str, size: int, largest: int, seed: int) -> Clock:
    if isinstance(spec, OwnClock):
        _check_whole("dynamics.clock", spec, "interval", spec.interval)
        if not (isinstance(spec.rate, int | float) and 0 < spec.rate <= 1):
            raise ConfigError("dynamics.clock", spec.model_dump(), f"a rate above 0 and at most 1, not {spec.rate!r}")
        return CalledClock(spec, block, Stream(seed, "clock", block))
    if isinstance(spec, EveryTick):
        return Periodic()
    if isinstance(spec, PeriodicClock):
        return Periodic(spec.period, spec.phase)
    if isinstance(spec, BernoulliClock):
        return Bernoulli(spec.p, spec.unit, size, Stream(seed, "clock", block))
    colour = colours(network)
    if isinstance(spec, RedBlackClock):
        if colour is None:
            raise ConfigError("dynamics.clock", "red-black", "this graph has no two colours; use every-tick or auto")
        return Periodic(2 * spec.stretch, colour[population] * spec.stretch)
    if colour is None or len(network.populations) == 1:
        return Periodic()
    return Periodic(2 * largest, colour[population] * largest)
