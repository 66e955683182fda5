"""Conversion of networks from and to plain values, as in configuration files."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from dyadnet.errors import ConfigError, guessed
from dyadnet.network.description import Asymmetric, Network, Population, Projection, image, layered
from dyadnet.network.layers import from_layers
from dyadnet.schema import Spec
from dyadnet.synapses.dense import DENSE
from dyadnet.synapses.kinds import kind_of

Positive = Annotated[int, Field(ge=1)]
Image = list[Positive]
"""Channels, height and width; `image` checks their number."""


class _LayeredSpec(Spec):
    inputs: Positive | None = None
    hidden: list[Positive]
    outputs: Positive | None = None
    lam: float | list[float] | Asymmetric = 0.0
    activation: str = "tempered-hard-sigmoid"
    output_activation: str | None = None
    loss: str = "squared-error"
    gain: float = 1.0
    feedback_gain: float | None = None
    input_gain: float | None = None
    bias: float = 0.0
    density: float = 1.0
    blocks: Positive = 1


class _LayersSpec(Spec):
    layers: list[str | dict[str, Any]]
    inputs: Positive | Image | None = None
    lam: float | Asymmetric = 0.0
    activation: str = "tempered-hard-sigmoid"
    output_activation: str | None = None
    loss: str = "squared-error"
    gain: float = 1.0
    feedback_gain: float | None = None
    input_gain: float | None = None
    bias: float = 0.0
    blocks: Positive = 1


class _PopulationSpec(Spec):
    name: str
    size: int | None = None
    activation: str = "tempered-hard-sigmoid"
    blocks: int = 1
    shape: Image | None = None
    shared_bias: bool | None = None


class _ProjectionSpec(Spec):
    pre: str
    post: str
    lam: float | None = None
    kappa: float | None = None
    gain: float = 1.0
    kind: str | dict[str, Any] = DENSE


class _NetworkSpec(Spec):
    inputs: int | Image | None = None
    populations: list[_PopulationSpec]
    projections: list[_ProjectionSpec]
    output: str = ""
    loss: str = "squared-error"
    bias: float = 0.0


SPECS: tuple[type[Spec], ...] = (_LayeredSpec, _LayersSpec, _NetworkSpec)
"""The forms in which a network can be written."""


def network_from(values: Any) -> Network:
    """Build a network from plain values: ``layered: {…}`` or ``layers: […]`` for a chain, or populations and
    projections.

    Raises
    ------
    ConfigError
        Names the first illegal field, its value, and what is legal.
    """
    if isinstance(values, dict) and set(values) == {"layered"}:
        chain = _LayeredSpec.read(values["layered"], "network.layered").model_dump()
        blocks = chain.pop("blocks")
        sizes = (chain.pop("inputs"), chain.pop("hidden"), chain.pop("outputs"))
        try:
            return layered(*sizes, **chain).with_blocks(blocks)
        except ConfigError as problem:
            raise _as_written(problem, chain) from None
    if isinstance(values, dict) and "layers" in values:
        return _of_layers(values)
    if isinstance(values, dict) and "layered" in values:
        key = next(key for key in values if key != "layered")
        legal = f"'layered' has no other keys beside it; write it as network.layered.{key}"
        if {"populations", "projections"} & set(values) or key not in _LayeredSpec.model_fields:
            legal = "a network is written either as 'layered' or by populations and projections; keep one of the two"
            legal = _misspelt(key) or legal
        raise ConfigError(f"network.{key}", values[key], legal)
    for key in values if isinstance(values, dict) else ():
        if legal := _misspelt(key):
            raise ConfigError(f"network.{key}", values[key], legal)
    spec = _NetworkSpec.read(values, "network")
    projections = []
    for index, projection in enumerate(spec.projections):
        lam = projection.lam
        if projection.kappa is not None:
            if lam is not None:
                raise ConfigError(
                    f"network.projections[{index}]",
                    f"{projection.pre}->{projection.post}",
                    "give lam or kappa, not both",
                )
            lam = (projection.kappa + 1.0) / 2.0
        kind = kind_of(projection.kind, f"network.projections[{index}].kind")
        projections.append(Projection(projection.pre, projection.post, lam, projection.gain, kind))
    output = spec.output or (spec.populations[-1].name if spec.populations else "")
    from_data: tuple[str, ...] = ("inputs",) if spec.inputs is None else ()
    for index, population in enumerate(spec.populations):
        given = population.size is not None or population.shape is not None
        if not given and population.name != output:
            legal = "a whole number of at least 1, or a shape; only the output's may be left out, to come from the data"
            raise ConfigError(f"network.populations[{index}].size", None, legal)
        from_data += () if given else ("outputs",)
    return Network(
        1 if spec.inputs is None else spec.inputs,  # type: ignore[arg-type]
        tuple(_population(p, f"network.populations[{index}]") for index, p in enumerate(spec.populations)),
        tuple(projections),
        spec.output,
        spec.loss,
        spec.bias,
        from_data,
    )


def _of_layers(values: dict[str, Any]) -> Network:
    """Build a network that is written as layers."""
    if "layered" in values:
        legal = "a network is written either as 'layered' or as layers"
        remedy = "give layers in a file of their own, or over a preset that has them, such as --preset conv-mnist"
        raise ConfigError("network.layers", values["layers"], f"{legal}; {remedy}")
    for key in values:
        if key in _NetworkSpec.model_fields and key not in _LayersSpec.model_fields:
            legal = "a network is written either as layers or by populations and projections; keep one of the two"
            raise ConfigError(f"network.{key}", values[key], legal)
    chain = _LayersSpec.read(values, "network").model_dump()
    layers = chain.pop("layers")
    try:
        return from_layers(layers, **chain)
    except ConfigError as problem:
        raise _as_written(problem, chain, "network") from None


def _population(spec: _PopulationSpec, where: str) -> Population:
    shape = None if spec.shape is None else image(f"{where}.shape", spec.shape)
    size = (0 if shape else 1) if spec.size is None else spec.size
    return Population(spec.name, size, spec.activation, spec.blocks, shape, spec.shared_bias)


def _misspelt(key: str) -> str:
    """Return what is wrong with a key that is a misspelt ``layered`` or ``layers``; empty if it is not."""
    guess = "" if key in _NetworkSpec.model_fields else guessed(key, ["layered", "layers"])
    return f"unknown key; remove it or check its spelling{guess}" if guess else ""


def _as_written(problem: ConfigError, chain: dict[str, Any], where: str = "network.layered") -> ConfigError:
    """Rename the field of an error about a chain's population or argument to the name that the user wrote."""
    last = problem.field.rpartition(".")[2]
    for key in (last, f"output_{last}"):
        if key in chain and chain[key] == problem.value:
            return ConfigError(f"{where}.{key}", problem.value, problem.legal)
    return problem


def _listed(shape: tuple[int, ...] | None) -> list[int] | None:
    return None if shape is None else list(shape)


def network_to(network: Network) -> dict[str, Any]:
    """Convert a network to plain values that `network_from` can read. Sizes that come from the data are None."""
    open_output = network.output if "outputs" in network.from_data else None
    return {
        "inputs": None if "inputs" in network.from_data else _listed(network.input_shape) or network.inputs,
        "populations": [
            {
                "name": p.name,
                "size": None if p.name == open_output else p.size,
                "activation": p.activation,
                "blocks": p.blocks,
            }
            | ({} if p.shape is None else {"shape": list(p.shape), "shared_bias": p.shared_bias})
            for p in network.populations
        ],
        "projections": [
            {"pre": p.pre, "post": p.post, "gain": p.gain}
            | ({} if p.from_input else {"lam": p.lam})
            | ({} if p.is_dense else {"kind": p.connectivity.model_dump(mode="json")})
            for p in network.projections
        ],
        "output": network.output,
        "loss": network.loss,
        "bias": network.bias,
    }
