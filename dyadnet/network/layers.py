"""Networks from a text description of their layers: ``conv 32 5x5``, ``pool 2``, ``dense 10``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dyadnet.errors import ConfigError, guessed
from dyadnet.network.description import (
    ASYMMETRIC,
    FEEDFORWARD,
    INPUT,
    SKEW,
    Asymmetric,
    Network,
    Population,
    Projection,
    check_feedback,
    image,
    two_way,
)
from dyadnet.network.losses import LOSSES
from dyadnet.synapses.base import Shape
from dyadnet.synapses.convolution import Convolution, Pooling, dividing
from dyadnet.synapses.kinds import kind_of
from dyadnet.synapses.sparse import Local

FORMS = {
    "conv": "conv FILTERS HxW [stride S] [padding P|same]",
    "local": "local FILTERS HxW [stride S] [padding P|same]",
    "pool": "pool SIZE [max|average]",
    "dense": "dense [NEURONS]",
    "sparse": "sparse NEURONS P",
    "skip": "skip [LAYERS]",
}
"""Notation of each layer."""
COUNT = r"0*[1-9]\d*"
WINDOW = re.compile(
    rf"(?P<filters>{COUNT}) (?P<height>{COUNT})x(?P<width>{COUNT})"
    rf"( stride (?P<stride>{COUNT}))?( padding (?P<padding>\d+|same))?"
)
OWN = ("layer", "name", "activation", "lam", "gain", "blocks")
"""Legal keys of a layer that is written as a mapping."""
FEWER = {"pool": ("layer", "name", "activation", "lam", "blocks"), "skip": ("layer", "lam", "gain")}
"""Legal keys of layers that learn nothing or have no neurons."""


def from_layers(
    layers: Sequence[str | Mapping[str, Any]],
    *,
    inputs: int | Sequence[int] | None = None,
    lam: float | Asymmetric = SKEW,
    activation: str = "tempered-hard-sigmoid",
    output_activation: str | None = None,
    loss: str = "squared-error",
    gain: float = 1.0,
    feedback_gain: float | None = None,
    input_gain: float | None = None,
    bias: float = 0.0,
    blocks: int = 1,
) -> Network:
    """Build a chain of layers.

    Parameters
    ----------
    layers
        Layers from the bottom up; the last one is the output. Each is a text in the notation of `FORMS`, or a mapping
        with that text as ``layer`` and any of ``name``, ``activation``, ``lam`` and ``gain`` (of the projection from
        below) and ``blocks``. ``pool`` after ``conv`` is part of that convolution; elsewhere it is a separate layer.
        Pooling takes the mean of each window, or the maximum if ``max`` is written. ``sparse`` has a synapse for each
        pair of neurons with probability P. ``skip`` joins the layer before it to the one that is the given number of
        layers below it (default: 2). It joins them one-to-one if both have the same shape, and densely otherwise.
    inputs
        Number of features of a sample, or (channels, height, width). Default: taken from the data; but ``conv``,
        ``local`` and ``pool`` need it.
    lam
        λ of all projections between layers, or ``"asymmetric"``: neighbours are joined by two projections with λ = ½,
        one in each direction.
    output_activation
        Default: the activation that the loss needs (linear for cross-entropy), else that of the other layers.
    gain, input_gain
        Initial weights have standard deviation gain/√(synapses of a neuron); `input_gain` is the gain of the first
        layer.
    feedback_gain
        Gain of the reverse projections of an asymmetric chain; default: `gain`.
    blocks
        Number of blocks of each layer, except the output and layers with their own setting.

    Raises
    ------
    ConfigError
        If a layer cannot be parsed or does not fit on the one below it. The error names the layer, its requirement,
        and what was found.
    """
    wanted = LOSSES[loss].output if loss in LOSSES else None
    last = output_activation or (activation if wanted is None else wanted)
    shape = None if inputs is None else (inputs,) if isinstance(inputs, int) else image("network.inputs", inputs)
    check_feedback(lam, feedback_gain)
    chain = _Chain(shape, lam, gain, gain if input_gain is None else input_gain, activation, blocks)
    if not layers:
        raise ConfigError("network.layers", [], "at least one layer, the output")
    given = [_Layer.read(layer, f"network.layers[{number}]") for number, layer in enumerate(layers)]
    for number, layer in enumerate(given):
        follows = given[number + 1 :]
        chain.add(layer, output=all(other.words[0] in ("pool", "skip") for other in follows))
    if not chain.populations:
        raise ConfigError("network.layers", [layer.text for layer in given], "at least one layer with neurons")
    output = replace(
        chain.populations[-1], activation=chain.top.get("activation", last), blocks=chain.top.get("blocks", 1)
    )
    chain.populations[-1] = output
    projections = chain.projections
    if lam == ASYMMETRIC:
        projections = two_way(projections, gain if feedback_gain is None else feedback_gain)
    from_data = (("inputs",) if shape is None else ()) + (("outputs",) if chain.open_output else ())
    entrance: Any = 1 if shape is None else shape if len(shape) == 3 else shape[0]
    try:
        return Network(entrance, tuple(chain.populations), tuple(projections), output.name, loss, bias, from_data)
    except ConfigError as problem:
        raise chain.as_written(problem, projections) from None


@dataclass(frozen=True)
class _Layer:
    """One layer as the user wrote it."""

    where: str
    text: str
    settings: Mapping[str, Any]

    @classmethod
    def read(cls, given: Any, where: str) -> _Layer:
        settings = given if isinstance(given, Mapping) else {"layer": given}
        for key in settings:
            if key not in OWN:
                legal = f"unknown key; a layer has {', '.join(OWN)}{guessed(str(key), OWN)}"
                raise ConfigError(f"{where}.{key}", settings[key], legal)
        if "layer" not in settings:
            raise ConfigError(f"{where}.layer", None, f"one of: {'; '.join(FORMS.values())}")
        text = settings.get("layer")
        if not isinstance(text, str) or not text.split() or text.split()[0] not in FORMS:
            first = str(text).split()[:1]
            guess = guessed(first[0], FORMS) if first else ""
            raise ConfigError(where, text, f"one of: {'; '.join(FORMS.values())}{guess}")
        word = text.split()[0]
        for key in settings:
            if key not in FEWER.get(word, OWN):
                raise ConfigError(f"{where}.{key}", settings[key], f"{word} has none; leave it out")
        return cls(where, " ".join(text.split()), settings)

    @property
    def words(self) -> list[str]:
        return self.text.split()

    @property
    def rest(self) -> str:
        return self.text.partition(" ")[2]

    def refuse(self, why: str) -> ConfigError:
        """Return an error about this layer."""
        return ConfigError(self.where, self.text, why)

    def numbers(self, pattern: str) -> tuple[str, ...]:
        """Return the groups of a pattern that matches the words after the first one."""
        found = re.fullmatch(pattern, self.rest)
        if found is None:
            raise self.misread()
        return tuple(part or "" for part in found.groups())

    def misread(self) -> ConfigError:
        """Return an error that states the correct notation."""
        return self.refuse(f"written as: {FORMS[self.words[0]]}, with whole numbers of at least 1")


@dataclass
class _Chain:
    """Populations and projections while layers are added. `shape` is that of the top layer, None if it is not known."""

    shape: Shape | None
    lam: float | Asymmetric
    gain: float
    input_gain: float
    activation: str
    blocks: int
    populations: list[Population] = field(default_factory=list)
    projections: list[Projection] = field(default_factory=list)
    top: Mapping[str, Any] = field(default_factory=dict)
    """The layer of the top population, as the user wrote it."""
    places: dict[tuple[str, ...], _Layer] = field(default_factory=dict)
    """The layer that belongs to a population, (name,), or to a projection, (pre, post)."""
    open_output: bool = False

    def add(self, layer: _Layer, *, output: bool) -> None:
        """Add a layer."""
        if self.open_output:
            raise layer.refuse("nothing behind a layer whose neurons come from the data; give their number")
        word = layer.words[0]
        if word in ("conv", "local"):
            self._window(layer, word)
        elif word == "pool":
            self._pool(layer)
        elif word == "dense":
            self._dense(layer, output=output)
        elif word == "sparse":
            found = re.fullmatch(rf"({COUNT}) (-?\d*\.?\d+(?:[eE][-+]?\d+)?)", layer.rest)
            if found is None:
                raise layer.refuse(f"written as: {FORMS[word]}, such as sparse 100 0.05")
            p = float(found[2])
            if not 0 <= p <= 1:
                raise layer.refuse(f"a probability from 0 to 1, not {found[2]}")
            self._append(layer, (int(found[1]),), kind_of({"kind": "pairwise_bernoulli", "p": p}, layer.where))
        else:
            self._skip(layer)

    def _window(self, layer: _Layer, word: str) -> None:
        found = WINDOW.fullmatch(layer.rest)
        if found is None:
            raise layer.misread()
        shape = self._image(layer)
        padding: Any = found["padding"] or 0
        settings = {
            "kernel": (int(found["height"]), int(found["width"])),
            "stride": int(found["stride"] or 1),
            "padding": padding if padding == "same" else int(padding),
        }
        kind = (Convolution if word == "conv" else Local).read(settings, layer.where)
        self._fits(layer, kind.unfit_window_of(shape))
        self._append(layer, (int(found["filters"]), *kind.moved(shape)), kind)

    def _pool(self, layer: _Layer) -> None:
        size, of = layer.numbers(rf"({COUNT})(?: (max|average))?")
        shape, side = self._image(layer), int(size)
        if side < 2:
            raise layer.refuse("windows of at least 2x2")
        if any(length % side for length in shape[1:]):
            raise layer.refuse(f"{dividing(shape[1:])} numbers of a channel, not {side}x{side}")
        pooled = shape[0], shape[1] // side, shape[2] // side
        below = self.projections[-1].connectivity if self.projections else None
        merged = below if isinstance(below, Convolution) and below.pool == 1 else None
        if layer.settings.keys() != {"layer"}:
            merged = None
        feeds_back = bool(self.populations) and not (merged and self.projections[-1].from_input)
        if of == "max" and self.lam == ASYMMETRIC and feeds_back:
            why = "in an asymmetric network the largest has no way back of its own"
            raise layer.refuse(f"pool {size}, which takes the mean: {why}")
        if merged is not None:
            pool = {"max_pool" if of == "max" else "average_pool": side}
            self.projections[-1] = replace(self.projections[-1], kind=merged.model_copy(update=pool))
            self.populations[-1] = replace(self.populations[-1], size=0, shape=pooled)
            self.shape = pooled
        else:
            self._append(layer, pooled, Pooling(size=side, of="max" if of == "max" else "average"))

    def _dense(self, layer: _Layer, *, output: bool) -> None:
        (neurons,) = layer.numbers(rf"({COUNT})?")
        if not neurons and not output:
            raise layer.refuse("a number of neurons; only the output's may be left out, to come from the data")
        self.open_output = not neurons
        self._append(layer, (int(neurons or 1),), "dense")

    def _skip(self, layer: _Layer) -> None:
        (count,) = layer.numbers(r"(\d+)?")
        there, down = len(self.populations), int(count or 2)
        if there < 2:
            raise layer.refuse(f"at least 2 layers with neurons below it, not {there}")
        if not 2 <= down <= there:
            raise layer.refuse(f"2 to {there} layers down ({there}: to the input), not {down}")
        below = there - 1 - down
        upper = self.populations[-1]
        pre = INPUT if below < 0 else self.populations[below].name
        shape = self._first if below < 0 else self.populations[below].extent
        kind = "one_to_one" if shape == upper.extent else "dense"
        lam = self._lam(layer, pre)
        self.projections.append(Projection(pre, upper.name, lam, self._of(layer, "gain", self.gain), kind))
        self.places[pre, upper.name] = layer

    def _append(self, layer: _Layer, shape: Shape, kind: Any) -> None:
        """Add a population on top of the chain."""
        number, settings = len(self.populations) + 1, layer.settings
        name = str(settings.get("name", f"{layer.words[0]}{number}"))
        pre = self.populations[-1].name if self.populations else INPUT
        if not self.populations:
            self._first = self.shape
        lam = self._lam(layer, pre)
        gain = self._of(layer, "gain", self.input_gain if pre == INPUT else self.gain)
        activation = str(settings.get("activation", self.activation))
        shaped: Any = shape if len(shape) == 3 else None
        size = 0 if shaped else shape[0]
        self.populations.append(Population(name, size, activation, settings.get("blocks", self.blocks), shaped))
        self.projections.append(Projection(pre, name, lam, gain, kind))
        self.places |= {(name,): layer, (pre, name): layer}
        self.shape, self.top = shape, settings

    def as_written(self, problem: ConfigError, projections: Sequence[Projection]) -> ConfigError:
        """Convert an error about a population or a projection to an error about the layer to which it belongs."""
        # An error without an index concerns the output.
        found = re.fullmatch(r"network\.(populations|projections)(?:\[(\d+)\])?\.?(.*)", problem.field)
        if found is None:
            return problem
        number, key = int(found[2] or -1), found[3]
        if found[1] == "populations":
            layer = self.places[(self.populations[number].name,)]
        else:
            p = projections[number]
            layer = self.places.get((p.pre, p.post)) or self.places[p.post, p.pre]
        if key not in OWN:
            return layer.refuse(problem.legal)
        return ConfigError(f"{layer.where}.{key}", problem.value, problem.legal)

    def _lam(self, layer: _Layer, pre: str) -> float | None:
        """Return λ of a projection from below."""
        given = layer.settings.get("lam")
        if "lam" in layer.settings and (pre == INPUT or self.lam == ASYMMETRIC):
            why = "it hears the input" if pre == INPUT else f"the network's is {ASYMMETRIC}"
            raise ConfigError(f"{layer.where}.lam", given, f"{why}; leave it out")
        if pre == INPUT:
            return None
        return self._of(layer, "lam", FEEDFORWARD if isinstance(self.lam, str) else self.lam)

    def _of(self, layer: _Layer, key: str, otherwise: float) -> float:
        value = layer.settings.get(key, otherwise)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigError(f"{layer.where}.{key}", value, "a number")
        return float(value)

    def _image(self, layer: _Layer) -> Shape:
        """Return channels, height and width of the top layer."""
        if self.shape is None:
            raise layer.refuse("images below it; give network.inputs as [channels, height, width]")
        if len(self.shape) != 3:
            remedy = "inputs; give network.inputs as [channels, height, width]"
            what = "neurons without a shape" if self.populations else remedy
            raise layer.refuse(f"images below it, not {self.shape[0]} {what}")
        return self.shape

    def _fits(self, layer: _Layer, problem: str | None) -> None:
        if problem is not None:
            raise layer.refuse(problem)
