"""Networks in which projections of every built-in kind have a place."""

from __future__ import annotations

from typing import Any

from dyadnet.network.description import Network, Population, Projection

CONVOLUTION = {"kind": "convolution", "kernel": 3, "padding": "same"}
AVERAGED = CONVOLUTION | {"average_pool": 2}
LARGEST = CONVOLUTION | {"max_pool": 2}


def images(
    lam: float = 0.0, loss: str = "squared-error", pooled: dict[str, Any] = AVERAGED, blocks: int = 1
) -> Network:
    """Two convolutions, the first of the input, pooling, local synapses beside a skip, and a dense output."""
    populations = (
        Population("a", shape=(4, 4, 4), activation="tanh", blocks=blocks),
        Population("b", shape=(4, 2, 2), activation="tanh", blocks=blocks),
        Population("c", shape=(3, 2, 2), activation="tanh", shared_bias=False),
        Population("out", 4, "linear"),
    )
    projections = (
        Projection("input", "a", gain=0.7, kind=pooled),
        Projection("a", "b", lam, 0.5, pooled),
        Projection("b", "c", lam, 0.5, {"kind": "local", "kernel": 2, "padding": 1, "stride": 2}),
        Projection("a", "c", lam, 0.2, {"kind": "fixed_indegree", "k": 3}),
        Projection("c", "out", lam, 0.6),
    )
    return Network((2, 8, 8), populations, projections, loss=loss)  # type: ignore[arg-type]


def sparse(lam: float = 0.0, loss: str = "squared-error", blocks: int = 1) -> Network:
    """Sparse synapses everywhere, with a loop and with feedback of its own weights."""
    populations = (
        Population("a", 12, "tanh", blocks=blocks),
        Population("b", 9, "tanh", blocks=blocks),
        Population("out", 4, "linear"),
    )
    back = {"kind": "transposed", "of": {"kind": "pairwise_bernoulli", "p": 0.5}}
    projections = (
        Projection("input", "a", gain=0.7, kind={"kind": "pairwise_bernoulli", "p": 0.5}),
        Projection("a", "b", lam, 0.5, {"kind": "pairwise_bernoulli", "p": 0.5}),
        Projection("b", "a", 0.5, 0.2, back),
        Projection("b", "b", 0.5, 0.2, "one_to_one"),
        Projection("b", "out", lam, 0.5, {"kind": "fixed_outdegree", "k": 2}),
    )
    return Network(10, populations, projections, loss=loss)


def pooling(lam: float = 0.0, of: str = "average", blocks: int = 1) -> Network:
    """A population that only pools another one."""
    populations = (
        Population("a", shape=(4, 4, 4), activation="tanh", blocks=blocks),
        Population("b", shape=(4, 2, 2), activation="tanh", blocks=blocks),
        Population("out", 3, "linear"),
    )
    projections = (
        Projection("input", "a", gain=0.7, kind=CONVOLUTION),
        Projection("a", "b", lam, kind={"kind": "pooling", "size": 2, "of": of}),
        Projection("b", "out", lam, 0.6),
    )
    return Network((1, 4, 4), populations, projections)  # type: ignore[arg-type]
