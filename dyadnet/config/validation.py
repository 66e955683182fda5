"""Checks that involve several settings: names from the network, and settings that exclude or need each other."""

from __future__ import annotations

from dyadnet.config.dynamics import TICKS, Dynamics, FreeRunning
from dyadnet.config.faults import check_faults
from dyadnet.config.sections import Settings
from dyadnet.config.steps import OwnStep
from dyadnet.errors import ConfigError
from dyadnet.network.topology import Topology, feedforward_order
from dyadnet.synapses.compiled import CompiledKind
from dyadnet.synapses.soundness import check
from dyadnet.timing.alternating import sides


def check_consistency(config: Settings) -> None:
    """Check everything that involves several settings, such as names that refer to the network.

    Raises
    ------
    ConfigError
        Names the first illegal field, its value, and what is legal.
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
    if lam is not None and not isinstance(lam, dict) and network.asymmetric:
        legal = "by projection, such as {h1->h2: 0.5}; this network has two between neighbours, and no single λ"
        raise ConfigError("learning.lam", lam.model_dump(mode="json"), legal)
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
    if isinstance(config.dynamics.step, OwnStep) and config.dynamics.prospective not in ("none", 0):
        legal = "none or 0 with a registered step rule, which knows no γ"
        raise ConfigError("dynamics.prospective", config.dynamics.prospective, legal)
    topology = Topology(network)
    channels = {frozenset((link.pre.name, link.post.name)) for link in topology.links}
    check_faults(config.faults, channels, topology.blocks)
    _check_kinds(config)
    _check_probes(config)
    _check_imperfections(config)
    _check_turns(config)
    _check_metrics(config)
    _check_trace(config)
    _check_baseline(config)


def _check_kinds(config: Settings) -> None:
    """Check projection kinds that are computed in Python: they must be sound, and must support what the run needs."""
    network = config.network
    for index, projection in enumerate(network.projections):
        kind = projection.connectivity
        if isinstance(kind, CompiledKind):
            continue
        where, ends = f"network.projections[{index}].kind", {projection.pre, projection.post}
        split = next((p for p in network.populations if p.name in ends and p.blocks > 1), None)
        if split is not None:
            legal = f"whole populations only; leave out blocks of {split.name}, or take a built-in kind"
            raise ConfigError(where, kind.kind, legal)
        if isinstance(config.dynamics.mode, FreeRunning):
            raise ConfigError(where, kind.kind, "virtual time only; leave out mode free, or take a built-in kind")
        device = config.imperfections.device_of(projection.post)
        for name in ("weights", "mismatch", "read_noise"):
            if not getattr(device, name).ideal():
                legal = f"ideal synapses only; leave out imperfections.device.{name} of {projection.post}"
                raise ConfigError(where, kind.kind, f"{legal}, or take a built-in kind")
        open_output = "outputs" in network.from_data and network.output in ends
        if not (open_output or ("inputs" in network.from_data and projection.from_input)):
            check(kind, network.ends(projection), where)


def _check_imperfections(config: Settings) -> None:
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
        for channel in (imperfections.channel, *imperfections.channels.values()):
            if channel.own:
                own = channel.model_dump()["own"]
                raise ConfigError("imperfections.channel.own", own, "in mode free Python is not called; leave it out")
        if noisy and dynamics.mode.settle:
            legal = "under noise nothing settles; set it to false, and updates (or the budget) to the length of a phase"
            raise ConfigError("dynamics.mode.settle", True, legal)
        return
    if dynamics.average != "auto" and dynamics.average:
        if not (noisy or dynamics.fixed):
            legal = "0 if a network may settle at any time; an average needs fixed: true, or noise"
            raise ConfigError("dynamics.average", dynamics.average, legal)
        shortest = min(dynamics.sweeps, dynamics.nudged_sweeps)
        if dynamics.average > shortest:
            raise ConfigError("dynamics.average", dynamics.average, f"at most the sweeps of a phase, {shortest}")


def _check_turns(config: Settings) -> None:
    """Check that alternating compartments never mix, and that no setting needs both compartments at once."""
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


def _check_probes(config: Settings) -> None:
    sizes = {name: block.size for name, block in Topology(config.network).blocks.items()}
    for block, neurons in config.probe.neurons.items():
        if block not in sizes:
            raise ConfigError("probe.neurons", block, f"one of {', '.join(sizes)}")
        open_size = block == config.network.output and "outputs" in config.network.from_data
        for neuron in neurons:
            if neuron >= sizes[block] and not open_size:
                raise ConfigError(f"probe.neurons.{block}", neuron, f"a neuron from 0 to {sizes[block] - 1}")
    for sample in config.probe.samples:
        if sample >= -(-config.learning.minibatch // config.dynamics.lanes):
            raise ConfigError("probe.samples", sample, "a row of the minibatch's first lane")


def _check_metrics(config: Settings) -> None:
    every = config.metrics.cosine
    if every is not None and isinstance(config.dynamics.mode, FreeRunning):
        raise ConfigError("metrics.cosine", every, "there is no exact gradient in mode free; leave it out")
    if every is not None and config.dynamics.initial == "previous":
        legal = "a further relaxation would change where the next begins (dynamics.initial: previous); leave it out"
        raise ConfigError("metrics.cosine", every, legal)


def _check_trace(config: Settings) -> None:
    trace = config.record.trace
    if trace is None:
        return
    if not isinstance(config.dynamics.mode, FreeRunning):
        legal = "only mode free needs a trace to be repeated; lockstep gives the same bits again anyway"
        raise ConfigError("record.trace", str(trace), legal)
    if config.init_from is not None:
        legal = "a trace does not hold the weights that a run starts from; leave out --trace or init_from"
        raise ConfigError("record.trace", str(trace), legal)
    if config.cluster.detach:
        legal = "the driver writes the trace, and a run that is left has none; leave out --trace or --detach"
        raise ConfigError("record.trace", str(trace), legal)


def _check_baseline(config: Settings) -> None:
    """Check that a back-propagation run uses no setting that only dyadic networks have."""
    if config.baseline is None:
        return
    if not config.imperfections.ideal():
        legal = "it has no channels and no devices; leave out imperfections"
        raise ConfigError("baseline", config.baseline, legal)
    if isinstance(config.dynamics.mode, FreeRunning):
        raise ConfigError("baseline", config.baseline, "it does not run in real time; leave out mode free")
    if config.probe.neurons:
        raise ConfigError("baseline", config.baseline, "its neurons do not move; leave out probe.neurons")
    if config.metrics.cosine is not None:
        raise ConfigError("baseline", config.baseline, "its gradient is the exact one; leave out metrics.cosine")
    feedforward_order(Topology(config.network))
