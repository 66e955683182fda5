"""The description of a network: populations of dyadic neurons and the projections between them.

A description is pure data. It does not contain clocks, delays or an engine. It is built in Python (`layered` for a
chain, `Network` for any directed graph, with cycles and self-loops) or read from YAML by `dyadnet.config`. All checks
of a description are in `validate`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from dyadnet.errors import ConfigError
from dyadnet.network.activations import ACTIVATIONS, Activation
from dyadnet.network.losses import LOSSES
from dyadnet.registry import found
from dyadnet.synapses.base import Ends, ProjectionKind, Shape, Shapes
from dyadnet.synapses.compiled import CompiledKind
from dyadnet.synapses.dense import DENSE, Dense
from dyadnet.synapses.kinds import kind_of
from dyadnet.synapses.transposed import Transposed

INPUT = "input"
"""Reserved name of the data, as the presynaptic side of an input projection θ₀."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
"""Legal names of a population. The name is part of file names, of metrics and of other settings."""

SYMMETRIC, FEEDFORWARD, SKEW = 1.0, 0.5, 0.0
"""λ of the symmetric Hopfield, the feedforward, and the skew-symmetric Hopfield model."""

Asymmetric = Literal["asymmetric"]
ASYMMETRIC: Asymmetric = "asymmetric"
"""Alternative to a λ: neighbours are joined by two feedforward projections, one in each direction, with own weights."""

MODELS: dict[str, float | Asymmetric] = {
    "hm": SYMMETRIC,
    "ffm": FEEDFORWARD,
    "sshm": SKEW,
    ASYMMETRIC: ASYMMETRIC,
}
"""The argument λ of `layered`, by the model's short name."""


@dataclass(frozen=True, slots=True)
class Population:
    """A named group of neurons with one activation function (a layer).

    Attributes
    ----------
    name
        Unique regardless of case; at most 100 of a–z, A–Z, 0–9, ``_`` and ``-``; starts with a letter or digit. It is
        also used in file names.
    size
        Number of neurons. Default: that of `shape`.
    activation
        A key of `dyadnet.network.activations.ACTIVATIONS`.
    blocks
        Number of contiguous blocks of nearly equal size. A population with a `shape` is split between channels.
    shape
        (channels, height, width) if the neurons form images; None otherwise.
    shared_bias
        Whether the neurons of a channel share one bias. Default: True for populations with a `shape`.
    """

    name: str
    size: int = 0
    activation: str = "tempered-hard-sigmoid"
    blocks: int = 1
    shape: tuple[int, int, int] | None = None
    shared_bias: bool | None = None

    def __post_init__(self) -> None:
        if self.shape is not None:
            shape = image(f"population {self.name}: shape", self.shape)
            object.__setattr__(self, "shape", shape)
            object.__setattr__(self, "size", self.size or math.prod(shape))
        object.__setattr__(
            self, "shared_bias", self.shape is not None if self.shared_bias is None else self.shared_bias
        )

    @property
    def extent(self) -> Shape:
        """The shape, or (size,)."""
        return (self.size,) if self.shape is None else self.shape

    @property
    def area(self) -> int:
        """Number of neurons that stay in one block: those of a channel if there are channels, else 1."""
        return 1 if self.shape is None else self.shape[1] * self.shape[2]

    @property
    def sharing(self) -> int:
        """Number of neurons that share a bias."""
        return self.area if self.shared_bias else 1

    @property
    def f(self) -> Activation:
        """The activation function."""
        return ACTIVATIONS[self.activation]


@dataclass(frozen=True, slots=True)
class Projection:
    """Synapses θ: a linear map from population `pre` to population `post`, used in both directions.

    It adds θ·m_pre to the mean drive of `post`, and κθᵀ·m_post to that of `pre`. It adds κθ·d_pre to the difference
    drive of `post`, and θᵀ·d_post to that of `pre` (paper, eq. 8 with W_λ = θ + κθᵀ).

    Attributes
    ----------
    pre, post
        Population names. ``pre="input"`` makes it an input projection θ₀, which is used in forward direction only.
    lam
        λ in [0, 1]: 1 symmetric, ½ feedforward, 0 skew-symmetric. ``None`` for an input projection.
    gain
        Initial weights are normal with standard deviation gain/√(synapses of a postsynaptic neuron).
    kind
        ``"dense"``, or another kind of projection: a name, a mapping with ``kind`` and the kind's settings, or a
        record (see `dyadnet.synapses`). It is stored as a record.
    """

    pre: str
    post: str
    lam: float | None = None
    gain: float = 1.0
    kind: str | Mapping[str, Any] | ProjectionKind = DENSE

    def __post_init__(self) -> None:
        if self.kind != DENSE:
            object.__setattr__(self, "kind", kind_of(self.kind, f"projection {self.name}: kind"))

    @property
    def name(self) -> str:
        """Name ``pre->post``, as in configurations."""
        return f"{self.pre}->{self.post}"

    @property
    def from_input(self) -> bool:
        """Whether it is an input projection θ₀."""
        return self.pre == INPUT

    @property
    def connectivity(self) -> ProjectionKind:
        """The record of its kind."""
        return self.kind if isinstance(self.kind, ProjectionKind) else Dense()

    @property
    def is_dense(self) -> bool:
        """Whether every neuron of one population reaches every neuron of the other."""
        return self.kind == DENSE

    @property
    def coupling(self) -> float:
        """κ = 2λ − 1."""
        return 0.0 if self.lam is None else 2.0 * self.lam - 1.0


@dataclass(frozen=True)
class Network:
    """A directed graph of populations. Data enter by input projections, and one population is the output.

    Attributes
    ----------
    inputs
        Number of features of a sample, or (channels, height, width) of an image.
    populations
        Populations, in the order in which a feedforward pass visits them.
    projections
        Projections, at most one for each ordered pair (pre, post).
    output
        Name of the population that is nudged and read out. Default: the last one.
    loss
        ``squared-error`` (½‖s−y‖² summed over outputs), ``cross-entropy`` (softmax; needs a linear output), or a
        registered loss; see `dyadnet.network.losses.LOSSES`.
    bias
        Initial value of every bias.
    from_data
        Sizes that a run takes from its data: ``inputs``, ``outputs``, both or none. Until then these sizes are 1.
    input_shape
        (channels, height, width) if `inputs` was given in this form. `inputs` then becomes the number of features.
    """

    inputs: int
    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    output: str = ""
    loss: str = "squared-error"
    bias: float = 0.0
    from_data: tuple[str, ...] = ()
    input_shape: tuple[int, int, int] | None = None
    by_name: dict[str, Population] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "populations", tuple(self.populations))
        object.__setattr__(self, "projections", tuple(self.projections))
        if isinstance(self.inputs, tuple | list):
            object.__setattr__(self, "input_shape", image("network.inputs", self.inputs))
            object.__setattr__(self, "inputs", math.prod(self.inputs))
        if not self.output and self.populations:
            object.__setattr__(self, "output", self.populations[-1].name)
        object.__setattr__(self, "by_name", {p.name: p for p in self.populations})
        validate(self)

    def __reduce__(self) -> tuple[object, ...]:
        fields = (self.inputs, self.populations, self.projections, self.output, self.loss, self.bias, self.from_data)
        return (Network, (*fields, self.input_shape))

    @property
    def recurrent(self) -> tuple[Projection, ...]:
        """The projections between populations, in order."""
        return tuple(p for p in self.projections if not p.from_input)

    @property
    def asymmetric(self) -> bool:
        """Whether every projection between populations has λ = ½ and a reverse projection: W has no symmetry."""
        pairs = {(p.pre, p.post) for p in self.recurrent}
        return bool(pairs) and all(p.coupling == 0 and (p.post, p.pre) in pairs for p in self.recurrent)

    @property
    def classes(self) -> int:
        """Number of neurons of the output population."""
        return self.by_name[self.output].size

    def shapes(self, projection: Projection) -> Shapes:
        """Return the shapes of a projection's parameters by name. The name of θ of a built-in kind is empty."""
        return projection.connectivity.shapes(self.ends(projection))

    def ends(self, projection: Projection) -> Ends:
        """Return the shapes of the populations that a projection joins."""
        inputs = (self.inputs,) if self.input_shape is None else self.input_shape
        pre = inputs if projection.from_input else self.by_name[projection.pre].extent
        return Ends(self.by_name[projection.post].extent, pre, projection.name)

    def with_blocks(self, blocks: int) -> Network:
        """Return this network with every hidden population split into `blocks`. The output remains one block."""
        populations = tuple(p if p.name == self.output else replace(p, blocks=blocks) for p in self.populations)
        return replace(self, populations=populations)

    def sized(self, inputs: int, outputs: int) -> Network:
        """Return this network with those sizes that it takes from the data (see `from_data`).

        Parameters
        ----------
        inputs, outputs
            Number of features of a sample, and number of classes or target values.
        """
        populations = self.populations
        if "outputs" in self.from_data:
            populations = tuple(replace(p, size=outputs) if p.name == self.output else p for p in populations)
        inputs = inputs if "inputs" in self.from_data else self.inputs
        return replace(self, inputs=inputs, populations=populations, from_data=())


def layered(
    inputs: int | None = None,
    hidden: Sequence[int] = (),
    outputs: int | None = None,
    *,
    lam: float | Sequence[float] | Asymmetric = SKEW,
    activation: str = "tempered-hard-sigmoid",
    output_activation: str | None = None,
    loss: str = "squared-error",
    gain: float = 1.0,
    feedback_gain: float | None = None,
    input_gain: float | None = None,
    bias: float = 0.0,
    density: float = 1.0,
) -> Network:
    """Build a chain input → h1 → … → out (paper, eq. 9).

    Parameters
    ----------
    inputs, hidden, outputs
        Sizes: number of features, sizes of hidden layers from the bottom up, number of classes. Default of `inputs`
        and `outputs`: taken from the training data.
    lam
        λ of all projections, or one for each projection from the bottom up (``len(hidden)`` of them). Or
        ``"asymmetric"``: neighbours are joined by two projections with λ = ½, one in each direction.
    output_activation
        Default: the activation that the loss needs (linear for cross-entropy), else that of the hidden layers.
    gain, input_gain
        Initial weights have standard deviation gain/√n_pre; `input_gain` is the gain of θ₀ (default: `gain`).
    feedback_gain
        Gain of the reverse projections of an asymmetric chain; default: `gain`.
    density
        Probability, above 0, that a pair of neurons of neighbouring layers has a synapse. θ₀ is always dense.

    Raises
    ------
    ConfigError
        If a size, λ or a name is not legal.
    """
    if output_activation is None:
        wanted = LOSSES[loss].output if loss in LOSSES else None
        output_activation = activation if wanted is None else wanted
    given: dict[str, Any] = {"inputs": inputs, "outputs": outputs}
    from_data = tuple(name for name, size in given.items() if size is None)
    names = [f"h{k}" for k in range(1, len(hidden) + 1)] + ["out"]
    sizes = [*hidden, 1 if outputs is None else outputs]
    check_feedback(lam, feedback_gain)
    lams = _lambdas(lam, len(hidden))
    populations = tuple(
        Population(name, size, output_activation if name == "out" else activation)
        for name, size in zip(names, sizes, strict=True)
    )
    projections = [Projection(INPUT, names[0], gain=gain if input_gain is None else input_gain)]
    projections += [
        Projection(pre, post, lam=float(value), gain=gain, kind=_of_density(density))
        for pre, post, value in zip(names, names[1:], lams, strict=False)
    ]
    if lam == ASYMMETRIC:
        projections = two_way(projections, gain if feedback_gain is None else feedback_gain)
    features = 1 if inputs is None else inputs
    return Network(features, populations, tuple(projections), "out", loss, bias, from_data)


def _of_density(density: float) -> str | Mapping[str, Any]:
    if isinstance(density, bool) or not isinstance(density, int | float) or not 0 < density <= 1:
        raise ConfigError("density", density, "a number above 0, at most 1")
    return DENSE if density == 1 else {"kind": "pairwise_bernoulli", "p": float(density)}


def check_feedback(lam: float | Sequence[float] | Asymmetric, feedback_gain: float | None) -> None:
    """Check the arguments that concern asymmetric chains.

    Raises
    ------
    ConfigError
        If λ is another word than ``"asymmetric"``, or if a feedback gain is given for a chain that is not asymmetric.
    """
    if isinstance(lam, str) and lam != ASYMMETRIC:
        raise ConfigError("lam", lam, f"a number from 0 to 1, one for each projection, or {ASYMMETRIC}")
    if feedback_gain is not None and lam != ASYMMETRIC:
        legal = f"only a chain with lam: {ASYMMETRIC} has weights of their own for its feedback; leave it out"
        raise ConfigError("feedback_gain", feedback_gain, legal)


def two_way(projections: Sequence[Projection], gain: float) -> list[Projection]:
    """Set λ = ½ on every projection between populations, and add a reverse projection to each unless there is one.

    Parameters
    ----------
    gain
        Gain of the added projections.
    """
    pairs = {(p.pre, p.post) for p in projections}
    found: list[Projection] = []
    for p in projections:
        found.append(p if p.from_input else replace(p, lam=FEEDFORWARD))
        if not p.from_input and (p.post, p.pre) not in pairs:
            found.append(Projection(p.post, p.pre, FEEDFORWARD, gain, _back(p)))
    return found


def _back(projection: Projection) -> str | ProjectionKind:
    """Return the kind of the reverse projection, which joins the same neurons."""
    kind = projection.connectivity
    if projection.is_dense:
        return DENSE
    if isinstance(kind, Transposed):
        return kind.of
    where = f"projection {projection.post}->{projection.pre}: kind"
    if not isinstance(kind, CompiledKind):
        raise ConfigError(where, kind.kind, "a built-in kind; others have no way back")
    return Transposed.read({"of": kind}, where)


def _lambdas(lam: float | Sequence[float] | Asymmetric, count: int) -> list[float]:
    """Return λ of each forward projection."""
    if isinstance(lam, str):
        return [FEEDFORWARD] * count
    lams = [lam] * count if isinstance(lam, int | float) else list(lam)
    if len(lams) != count:
        raise ConfigError("lam", lams, f"give one number, or one for each of the {count} projections")
    return lams


def validate(network: Network) -> None:
    """Check a description completely.

    Raises
    ------
    ConfigError
        Names the first illegal field, its value, and what is legal.
    """
    _check_count("network.inputs", network.inputs)
    for size in network.from_data:
        if size not in ("inputs", "outputs"):
            raise ConfigError("network.from_data", size, "inputs, outputs or both")
    if not network.populations:
        raise ConfigError("network.populations", [], "at least one population, the output, is needed")
    seen: set[str] = set()
    for index, population in enumerate(network.populations):
        where = f"network.populations[{index}]"
        if population.name == INPUT:
            raise ConfigError(f"{where}.name", INPUT, "this name is reserved for the data")
        if not NAME.fullmatch(population.name):
            legal = "use at most 100 of a-z, A-Z, 0-9, '_' and '-', a letter or digit first: it names files too"
            raise ConfigError(f"{where}.name", population.name, legal)
        if population.name.lower() in {name.lower() for name in seen}:
            raise ConfigError(f"{where}.name", population.name, "population names must be unique, whatever the case")
        seen.add(population.name)
        _check_count(f"{where}.size", population.size)
        _check_count(f"{where}.blocks", population.blocks)
        if population.blocks > population.size:
            raise ConfigError(f"{where}.blocks", population.blocks, f"at most its {population.size} neurons")
        if population.activation not in ACTIVATIONS:
            raise ConfigError(f"{where}.activation", population.activation, ACTIVATIONS.legal(population.activation))
        if population.shape is not None and math.prod(population.shape) != population.size:
            legal = f"{math.prod(population.shape)}, as its shape {population.shape} says; or leave it out"
            raise ConfigError(f"{where}.size", population.size, legal)
        if population.blocks > population.size // population.area:
            channels = population.size // population.area
            raise ConfigError(f"{where}.blocks", population.blocks, f"at most its {channels} channels")
        if population.shared_bias and population.shape is None:
            raise ConfigError(f"{where}.shared_bias", True, "only for neurons with a shape; leave it out, or give one")
    if network.output not in seen:
        raise ConfigError("network.output", network.output, f"one of {', '.join(sorted(seen))}")
    if network.by_name[network.output].blocks != 1:
        raise ConfigError(
            "network.populations.blocks",
            network.by_name[network.output].blocks,
            "the output must stay one block, because its loss is not local to a slice",
        )
    _validate_projections(network, seen)
    _validate_channels(network)
    _validate_reachability(network)
    if not math.isfinite(network.bias):
        raise ConfigError("network.bias", network.bias, "a finite number")
    wanted = found(LOSSES, "network.loss", network.loss).output
    activation = network.by_name[network.output].activation
    if wanted is not None and activation != wanted:
        raise ConfigError("network.loss", network.loss, f"{network.loss} wants a {wanted} output, not {activation}")


CHANNELS = 100_000
"""Maximal number of blocks and channels of a network."""


def _check_count(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(name, value, "a whole number of at least 1")


def _validate_projections(network: Network, names: set[str]) -> None:
    pairs: set[tuple[str, str]] = set()
    for index, projection in enumerate(network.projections):
        where = f"network.projections[{index}]"
        for side, name in (("pre", projection.pre), ("post", projection.post)):
            if name not in names and not (side == "pre" and name == INPUT):
                known = sorted(names | {INPUT}) if side == "pre" else sorted(names)
                raise ConfigError(f"{where}.{side}", name, f"one of {', '.join(known)}")
        if (projection.pre, projection.post) in pairs:
            raise ConfigError(where, projection.name, "at most one projection for each pair (pre, post)")
        pairs.add((projection.pre, projection.post))
        if projection.from_input:
            if projection.lam is not None:
                raise ConfigError(f"{where}.lam", projection.lam, "an input projection runs forward only: leave it out")
        elif projection.lam is None or not 0.0 <= projection.lam <= 1.0:
            raise ConfigError(f"{where}.lam", projection.lam, "a number from 0 to 1")
        if not (math.isfinite(projection.gain) and projection.gain >= 0):
            raise ConfigError(f"{where}.gain", projection.gain, "a finite number of at least 0")
        _validate_kind(network, projection, f"{where}.kind")


def _validate_kind(network: Network, projection: Projection, field: str) -> None:
    open_ends = {"inputs": projection.from_input, "outputs": network.output in (projection.pre, projection.post)}
    if projection.is_dense or any(open_ends[size] for size in network.from_data):
        return
    kind, ends = projection.connectivity, network.ends(projection)
    blocks = [1 if end == INPUT else network.by_name[end].blocks for end in (projection.post, projection.pre)]
    problem = kind.misfit(ends)
    if problem is None:
        problem = kind.undivided(*blocks) if isinstance(kind, CompiledKind) else None
    if problem is not None:
        raise ConfigError(field, f"{kind.kind} from {_written(ends.pre)} to {_written(ends.post)}", problem)


def _written(shape: Shape) -> str:
    return "x".join(map(str, shape))


def image(field: str, shape: Sequence[object]) -> tuple[int, int, int]:
    """Check a shape of images.

    Raises
    ------
    ConfigError
        If it is not (channels, height, width).
    """
    if len(shape) != 3 or not all(isinstance(side, int) and not isinstance(side, bool) and side >= 1 for side in shape):
        raise ConfigError(field, list(shape), "channels, height and width, each a whole number of at least 1")
    channels, height, width = (side for side in shape if isinstance(side, int))
    return channels, height, width


def _validate_channels(network: Network) -> None:
    """Limit the number of channels between blocks, so that they fit into memory."""
    blocks = {p.name: p.blocks for p in network.populations}
    channels = sum(blocks[p.post] * blocks[p.pre] for p in network.recurrent) + sum(blocks.values())
    if channels > CHANNELS:
        largest = max(range(len(network.populations)), key=lambda index: network.populations[index].blocks)
        legal = f"few enough for at most {CHANNELS:,} blocks and channels in all, and not {channels:,}"
        raise ConfigError(f"network.populations[{largest}].blocks", network.populations[largest].blocks, legal)


def _validate_reachability(network: Network) -> None:
    """Check that data reach the output by mean streams: forward along any projection, backward where κ ≠ 0."""
    reached = {p.post for p in network.projections if p.from_input}
    if not reached:
        raise ConfigError("network.projections", "no input projection", f"at least one with pre: {INPUT}")
    grown = True
    while grown:
        before = len(reached)
        for projection in network.recurrent:
            if projection.pre in reached:
                reached.add(projection.post)
            if projection.post in reached and projection.coupling != 0:
                reached.add(projection.pre)
        grown = len(reached) > before
    if network.output not in reached:
        raise ConfigError(
            "network.output", network.output, "no path leads from the input to the output; add a projection"
        )
