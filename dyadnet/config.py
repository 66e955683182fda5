"""Every setting of a run, in one immutable tree that is read from YAML, Python or the command line.

`RunConfig` holds everything resolved: what a run's folder keeps as ``config.yaml`` is enough to repeat it bit by bit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, field_serializer, field_validator, model_validator

from dyadnet.checkpoint.settings import Checkpoints, CheckpointSpec
from dyadnet.delays import Constant as ConstantDelay
from dyadnet.delays import Delay
from dyadnet.description import Network
from dyadnet.errors import ConfigError
from dyadnet.faults import FaultSpec, check_faults
from dyadnet.imperfections import Imperfections
from dyadnet.metrics.settings import MetricsSpec
from dyadnet.optimisers import Adam, Optimiser
from dyadnet.plain import network_from, network_to
from dyadnet.realtime import RealDelay
from dyadnet.recovery import RecoverySpec
from dyadnet.schedules import Schedule
from dyadnet.spec import Spec
from dyadnet.topology import Topology
from dyadnet.turns import sides

Positive = Annotated[int, Field(ge=1)]


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


ClockSpec = Annotated[
    Annotated[AutoClock | EveryTick | PeriodicClock | RedBlackClock | BernoulliClock, Field(discriminator="kind")],
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
        End once every block has stayed within tolerance for twice the largest measured delay.
    updates
        End once every block has made so many updates.
    budget
        End after so many seconds.
    time_constant
        T in milliseconds, of A += (1−e^(−Δt/T))(A*−A); ``auto``: `margin` times the smallest stable one.
    margin
        Of the time constant; below 1 the loops that negative feedback closes run away.
    delay
        Of every message in milliseconds, beside what links and actors take; see `dyadnet.realtime`.
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
        η of every block, or ``auto``.
    initial
        State before a minibatch's first tick.
    phases
        ``dyadic`` (nudged from the start), ``free-nudged`` (settle freely, then nudge from there), ``auto``:
        free-nudged if any κ > 0, because such networks have many fixed points; or ``in-turn``: one compartment of
        each dyad after the other, on half the state, where every λ is 0 or 1 (see `dyadnet.turns`).
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
    step: Literal["auto"] | Annotated[float, Field(gt=0, le=2)] = "auto"
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
    lanes: Positive = 1
    dtype: Literal["float32", "float64"] = "float32"


class Learning(Spec):
    """What is learned, how fast, and from how strong a nudge.

    Attributes
    ----------
    beta
        Strength of the nudge β > 0.
    lam
        λ of every projection while training, or by projection name; the network's own unless given.
    radius_every
        Relaxations between two estimates of the spectral radius (used by ``step: auto``).
    evaluation_batch
        Samples that settle together when a part of the data is evaluated.
    """

    epochs: Positive = 20
    minibatch: Positive = 20
    optimiser: Optimiser = Adam()
    learning_rate: Schedule = Field(validate_default=True, default=0.003)
    beta: Schedule = Field(validate_default=True, default=0.1)
    lam: Schedule | dict[str, Schedule] | None = None
    radius_every: Positive = 10
    evaluation_batch: Positive = 500

    @field_validator("lam", mode="before")
    @classmethod
    def _lam_kind(cls, value: Any) -> Any:
        # A mapping with a kind is a schedule, any other is by projection.
        return {"kind": "constant", "value": value} if isinstance(value, int | float) else value


class DataSpec(Spec):
    """Which samples.

    Attributes
    ----------
    name
        ``digits``, ``mnist``, ``fashion-mnist``, or the path of an ``.npz`` file with x and y.
    dir
        Where to look for image sets.
    limit_train, limit_test
        Use only the first so many samples.
    validation
        Fraction of the training part that is kept for choosing the best weights.
    """

    name: str = "digits"
    dir: Path | None = None
    limit_train: Positive | None = None
    limit_test: Positive | None = None
    validation: float = Field(0.1, gt=0, lt=1)

    @field_serializer("dir")
    def _plain(self, value: Path | None) -> str | None:
        return None if value is None else str(value)


class ProbeSpec(Spec):
    """Which neurons to record tick by tick.

    Attributes
    ----------
    neurons
        Indices by block name.
    samples
        Rows of the minibatch's first lane.
    every
        Minibatches between two recordings, counted over the run; the first minibatch is always recorded.
    """

    neurons: dict[str, list[Annotated[int, Field(ge=0)]]] = {}
    samples: list[Annotated[int, Field(ge=0)]] = [0]
    every: Positive = 1000


class RecordSpec(Spec):
    """How often the run's record is written: minibatches between two lines, beside one line an epoch."""

    every: Positive = 50


Port = Annotated[int, Field(ge=1024, le=65535)]


class ClusterSpec(Spec):
    """Where the actors of engine ``ray`` run. Nothing here changes a bit of the result.

    Attributes
    ----------
    address
        Of a running cluster, ``auto`` for the one on this machine; a cluster of its own on this machine if None.
    actors
        How many; blocks that share one talk in memory. One a block unless given.
    placement
        ``pack`` on few nodes, ``spread`` over all, ``strict-spread``: each actor on a node of its own.
    cpus_per_actor
        CPUs that an actor books, fractions included; ``auto`` shares out what the cluster has, at most one each.
    ship_code
        Send this machine's dyadnet to the nodes, instead of using what they have installed.
    timeout
        Seconds of silence after which a run ends and names what every actor waits for.
    slow
        Stragglers on purpose: blocks whose actor takes so many times as long for all it does.
    transport
        ``fast``: shared memory on one machine, ZeroMQ between machines; ``ray``: plain actor calls, which need no
        ports but Ray's.
    ports
        First and last port at which ``fast`` takes letters from other machines, one for each actor and one for the
        coordinator.
    insecure_transport
        Let ``fast`` send between machines without CURVE: neither encrypted nor authenticated by keys.
    detach
        Leave the run to the cluster once it has begun; needs `address`, and a folder that the head node sees.
    """

    address: str | None = None
    actors: Positive | None = None
    placement: Literal["pack", "spread", "strict-spread"] = "pack"
    cpus_per_actor: Literal["auto"] | Annotated[float, Field(gt=0)] = "auto"
    ship_code: bool = False
    timeout: float = Field(120.0, gt=0)
    slow: dict[str, Annotated[float, Field(ge=1)]] = {}
    detach: bool = False
    transport: Literal["fast", "ray"] = "fast"
    ports: tuple[Port, Port] = (20000, 20999)
    insecure_transport: bool = False

    @field_validator("ports")
    @classmethod
    def _range(cls, value: tuple[int, int]) -> tuple[int, int]:
        if value[0] > value[1]:
            raise ValueError("a first port, and a last one that is not below it")
        return value


class RunConfig(Spec):
    """A whole run.

    Attributes
    ----------
    network
        A `dyadnet.Network`, or its fields as plain values.
    """

    model_config = {**Spec.model_config, "arbitrary_types_allowed": True}

    network: Network
    data: DataSpec = DataSpec()
    dynamics: Dynamics = Dynamics()
    imperfections: Imperfections = Imperfections()
    learning: Learning = Learning()
    probe: ProbeSpec = ProbeSpec()
    record: RecordSpec = RecordSpec()
    checkpoint: Checkpoints = CheckpointSpec()
    cluster: ClusterSpec = ClusterSpec()
    recovery: RecoverySpec = RecoverySpec()
    faults: list[FaultSpec] = []
    metrics: MetricsSpec = MetricsSpec()
    engine: str = "ray"
    seed: int = Field(0, ge=0, lt=2**63)

    @field_validator("network", mode="before")
    @classmethod
    def _network(cls, value: Any) -> Any:
        return value if isinstance(value, Network) else network_from(value)

    @field_serializer("network")
    def _plain_network(self, network: Network) -> dict[str, Any]:
        return network_to(network)

    @model_validator(mode="after")
    def _consistent(self) -> RunConfig:
        check_consistency(self)
        return self

    def to_yaml(self) -> str:
        """Everything resolved, as YAML that `load` reads back."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def check_consistency(config: RunConfig) -> None:
    """What no single setting can know: names that refer to the network, and schedules over the whole run.

    Raises
    ------
    ConfigError
        Naming the field, its value and what is legal.
    """
    network = config.network
    populations = [p.name for p in network.populations]
    projections = [p.name for p in network.recurrent]
    for name in config.dynamics.clocks:
        if name not in populations:
            raise ConfigError("dynamics.clocks", name, f"one of {', '.join(populations)}")
    for name in config.dynamics.delays:
        if name not in projections:
            raise ConfigError("dynamics.delays", name, f"one of {', '.join(projections)}")
    epochs = config.learning.epochs
    lam = config.learning.lam
    for name, schedule in lam.items() if isinstance(lam, dict) else [("", lam)] if lam is not None else []:
        if name and name not in projections:
            raise ConfigError("learning.lam", name, f"one of {', '.join(projections)}")
        low, high = schedule.extremes(epochs)
        if low < 0 or high > 1:
            raise ConfigError("learning.lam", low if low < 0 else high, "λ must stay from 0 to 1 throughout the run")
    if config.learning.beta.extremes(epochs)[0] <= 0:
        raise ConfigError("learning.beta", config.learning.beta.extremes(epochs)[0], "β must stay above 0")
    if config.learning.learning_rate.extremes(epochs)[0] < 0:
        raise ConfigError(
            "learning.learning_rate", config.learning.learning_rate.extremes(epochs)[0], "it must stay at least 0"
        )
    if isinstance(config.dynamics.mode, FreeRunning):
        if config.dynamics.mode.budget >= config.cluster.timeout:
            legal = f"below cluster.timeout ({config.cluster.timeout:g} s), after which silence counts as a stall"
            raise ConfigError("dynamics.mode.budget", config.dynamics.mode.budget, legal)
        for name in TICKS:
            value = getattr(config.dynamics, name)
            if value != getattr(Dynamics(), name):
                plain = config.dynamics.model_dump(mode="json")[name]
                raise ConfigError(f"dynamics.{name}", plain, "there are no ticks in mode free; leave it out")
    if config.dynamics.lanes > config.learning.minibatch:
        raise ConfigError(
            "dynamics.lanes", config.dynamics.lanes, f"at most the minibatch size, {config.learning.minibatch}"
        )
    blocks = len(Topology(network).blocks)
    if config.cluster.actors is not None and config.cluster.actors > blocks:
        raise ConfigError("cluster.actors", config.cluster.actors, f"at most one for each of the {blocks} blocks")
    if config.cluster.detach and config.cluster.address is None:
        legal = "only on a running cluster, which outlives this process; name one by --address"
        raise ConfigError("cluster.detach", True, legal)
    for name in config.cluster.slow:
        if name not in Topology(network).blocks:
            raise ConfigError("cluster.slow", name, f"one of {', '.join(Topology(network).blocks)}")
    topology = Topology(network)
    channels = {frozenset((link.pre.name, link.post.name)) for link in topology.links}
    check_faults(config.faults, channels, topology.blocks)
    _check_probes(config)
    _check_imperfections(config)
    _check_turns(config)
    _check_metrics(config)


def _check_imperfections(config: RunConfig) -> None:
    imperfections, dynamics = config.imperfections, config.dynamics
    projections = [p.name for p in config.network.recurrent]
    blocks = dict.fromkeys([p.name for p in config.network.populations] + list(Topology(config.network).blocks))
    for name in imperfections.channels:
        if name not in projections:
            raise ConfigError("imperfections.channels", name, f"one of {', '.join(projections)}")
    for name in imperfections.devices:
        if name not in blocks:
            raise ConfigError("imperfections.devices", name, f"one of {', '.join(blocks)}")
    noisy = imperfections.noisy(config.network)
    if isinstance(dynamics.mode, FreeRunning):
        if noisy and dynamics.mode.settle:
            legal = (
                "under noise nothing settles; set it to false, and updates (or the budget) to what a phase is to have"
            )
            raise ConfigError("dynamics.mode.settle", True, legal)
        return
    if dynamics.average != "auto" and dynamics.average:
        if not (noisy or dynamics.fixed):
            legal = "0 where a network may settle at any time; an average needs fixed: true, or noise"
            raise ConfigError("dynamics.average", dynamics.average, legal)
        shortest = min(dynamics.sweeps, dynamics.nudged_sweeps)
        if dynamics.average > shortest:
            raise ConfigError("dynamics.average", dynamics.average, f"at most the sweeps of a phase, {shortest}")


def _check_turns(config: RunConfig) -> None:
    """That compartments which take turns never mix, and that nothing is asked for that needs both at once."""
    dynamics, lam = config.dynamics, config.learning.lam
    if dynamics.phases != "in-turn":
        return
    field, value = "dynamics.phases", "in-turn"
    if isinstance(dynamics.mode, FreeRunning):
        raise ConfigError(field, value, "compartments take turns in virtual time only; leave out mode free")
    if lam is not None:
        raise ConfigError(field, value, "it needs λ = 0 or 1 throughout the run; leave out learning.lam")
    if config.imperfections.noisy(config.network) or dynamics.average not in ("auto", 0):
        raise ConfigError(field, value, "under noise both compartments are averaged at once; use dyadic or free-nudged")
    sides(config.network, [projection.coupling for projection in config.network.recurrent])


def _check_probes(config: RunConfig) -> None:
    sizes = {name: block.size for name, block in Topology(config.network).blocks.items()}
    for block, neurons in config.probe.neurons.items():
        if block not in sizes:
            raise ConfigError("probe.neurons", block, f"one of {', '.join(sizes)}")
        for neuron in neurons:
            if neuron >= sizes[block]:
                raise ConfigError(f"probe.neurons.{block}", neuron, f"a neuron from 0 to {sizes[block] - 1}")
    for sample in config.probe.samples:
        if sample >= -(-config.learning.minibatch // config.dynamics.lanes):
            raise ConfigError("probe.samples", sample, "a row of the minibatch's first lane")


def _check_metrics(config: RunConfig) -> None:
    every = config.metrics.cosine
    if every is not None and isinstance(config.dynamics.mode, FreeRunning):
        raise ConfigError("metrics.cosine", every, "there is no exact gradient in mode free; leave it out")
    if every is not None and config.dynamics.initial == "previous":
        legal = "a further relaxation would change where the next begins (dynamics.initial: previous); leave it out"
        raise ConfigError("metrics.cosine", every, legal)
