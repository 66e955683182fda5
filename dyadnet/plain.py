"""Networks as plain values, the way a configuration file writes them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from dyadnet.description import Network, Population, Projection, layered
from dyadnet.errors import ConfigError
from dyadnet.spec import Spec

Positive = Annotated[int, Field(ge=1)]


class _LayeredSpec(Spec):
    inputs: Positive
    hidden: list[Positive]
    outputs: Positive
    lam: float | list[float] = 0.0
    activation: str = "tempered-hard-sigmoid"
    output_activation: str | None = None
    loss: str = "squared-error"
    gain: float = 1.0
    input_gain: float | None = None
    bias: float = 0.0
    blocks: Positive = 1


class _PopulationSpec(Spec):
    name: str
    size: int
    activation: str = "tempered-hard-sigmoid"
    blocks: int = 1


class _ProjectionSpec(Spec):
    pre: str
    post: str
    lam: float | None = None
    kappa: float | None = None
    gain: float = 1.0


class _NetworkSpec(Spec):
    inputs: int
    populations: list[_PopulationSpec]
    projections: list[_ProjectionSpec]
    output: str = ""
    loss: str = "squared-error"
    bias: float = 0.0


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
        return layered(chain.pop("inputs"), chain.pop("hidden"), chain.pop("outputs"), **chain).with_blocks(blocks)
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
        projections.append(Projection(projection.pre, projection.post, lam, projection.gain))
    return Network(
        spec.inputs,
        tuple(Population(p.name, p.size, p.activation, p.blocks) for p in spec.populations),
        tuple(projections),
        spec.output,
        spec.loss,
        spec.bias,
    )


def network_to(network: Network) -> dict[str, Any]:
    """Plain values that `network_from` reads back."""
    return {
        "inputs": network.inputs,
        "populations": [
            {"name": p.name, "size": p.size, "activation": p.activation, "blocks": p.blocks}
            for p in network.populations
        ],
        "projections": [
            {"pre": p.pre, "post": p.post, "gain": p.gain} | ({} if p.from_input else {"lam": p.lam})
            for p in network.projections
        ],
        "output": network.output,
        "loss": network.loss,
        "bias": network.bias,
    }
