"""Networks as plain values, the way a configuration file writes them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from dyadnet.errors import ConfigError, guessed
from dyadnet.network.connectivity import DENSE, connectivity
from dyadnet.network.description import Asymmetric, Network, Population, Projection, layered
from dyadnet.schema import Spec

Positive = Annotated[int, Field(ge=1)]


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
    blocks: Positive = 1


class _PopulationSpec(Spec):
    name: str
    size: int | None = None
    activation: str = "tempered-hard-sigmoid"
    blocks: int = 1


class _ProjectionSpec(Spec):
    pre: str
    post: str
    lam: float | None = None
    kappa: float | None = None
    gain: float = 1.0
    kind: str | dict[str, Any] = DENSE


class _NetworkSpec(Spec):
    inputs: int | None = None
    populations: list[_PopulationSpec]
    projections: list[_ProjectionSpec]
    output: str = ""
    loss: str = "squared-error"
    bias: float = 0.0


SPECS = (_LayeredSpec, _NetworkSpec)
"""The two ways to write a network."""


def network_from(values: Any) -> Network:
    """A network from plain values: ``layered: {…}`` for a chain, or populations and projections.

    Raises
    ------
    ConfigError
        Naming the field, its value and what is legal.
    """
    if isinstance(values, dict) and set(values) == {"layered"}:
        chain = _LayeredSpec.read(values["layered"], "network.layered").model_dump()
        blocks = chain.pop("blocks")
        sizes = (chain.pop("inputs"), chain.pop("hidden"), chain.pop("outputs"))
        try:
            return layered(*sizes, **chain).with_blocks(blocks)
        except ConfigError as problem:
            raise _as_written(problem, chain) from None
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
        kind = connectivity(projection.kind, f"network.projections[{index}].kind")
        projections.append(Projection(projection.pre, projection.post, lam, projection.gain, kind))
    output = spec.output or (spec.populations[-1].name if spec.populations else "")
    from_data: tuple[str, ...] = ("inputs",) if spec.inputs is None else ()
    for index, population in enumerate(spec.populations):
        if population.size is None and population.name != output:
            legal = "a whole number of at least 1; only the output's may be left out, to come from the data"
            raise ConfigError(f"network.populations[{index}].size", None, legal)
        from_data += ("outputs",) if population.size is None else ()
    return Network(
        1 if spec.inputs is None else spec.inputs,
        tuple(Population(p.name, 1 if p.size is None else p.size, p.activation, p.blocks) for p in spec.populations),
        tuple(projections),
        spec.output,
        spec.loss,
        spec.bias,
        from_data,
    )


def _misspelt(key: str) -> str:
    """What is wrong with a key that stands for ``layered``; empty if it does not."""
    guess = "" if key in _NetworkSpec.model_fields else guessed(key, ["layered"])
    return f"unknown key; remove it or check its spelling{guess}" if guess else ""


def _as_written(problem: ConfigError, chain: dict[str, Any]) -> ConfigError:
    """A complaint about a population or an argument of a chain, under the name by which the chain was given it."""
    last = problem.field.rpartition(".")[2]
    for key in (last, f"output_{last}"):
        if key in chain and chain[key] == problem.value:
            return ConfigError(f"network.layered.{key}", problem.value, problem.legal)
    return problem


def network_to(network: Network) -> dict[str, Any]:
    """Plain values that `network_from` reads back; a size that is to come from the data is none."""
    open_output = network.output if "outputs" in network.from_data else None
    return {
        "inputs": None if "inputs" in network.from_data else network.inputs,
        "populations": [
            {
                "name": p.name,
                "size": None if p.name == open_output else p.size,
                "activation": p.activation,
                "blocks": p.blocks,
            }
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
