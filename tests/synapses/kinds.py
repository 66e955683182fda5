"""Every built-in kind of projection, in every form it has, between small populations."""

from __future__ import annotations

from typing import Any

from dyadnet.synapses.base import Ends
from dyadnet.synapses.compiled import CompiledKind
from dyadnet.synapses.kinds import PROJECTIONS

IMAGE = (3, 8, 6)
LINEAR: dict[str, tuple[dict[str, Any], tuple[int, ...], tuple[int, ...]]] = {
    "dense": ({"kind": "dense"}, (5,), (7,)),
    "convolution": ({"kind": "convolution", "kernel": 3}, (4, 6, 4), IMAGE),
    "convolution of oblong windows": ({"kind": "convolution", "kernel": [1, 5]}, (2, 8, 2), IMAGE),
    "strided": ({"kind": "convolution", "kernel": [3, 2], "stride": 2, "padding": 1}, (4, 4, 4), IMAGE),
    "padded": ({"kind": "convolution", "kernel": 5, "padding": "same"}, (2, 8, 6), IMAGE),
    "convolution, averaged": ({"kind": "convolution", "kernel": 3, "padding": 1, "average_pool": 2}, (2, 4, 3), IMAGE),
    "local": ({"kind": "local", "kernel": 3, "padding": 1, "stride": 2}, (2, 4, 3), IMAGE),
    "average pooling": ({"kind": "pooling", "size": 2}, (3, 4, 3), IMAGE),
    "pairwise_bernoulli": ({"kind": "pairwise_bernoulli", "p": 0.3}, (9,), (11,)),
    "fixed_indegree": ({"kind": "fixed_indegree", "k": 5}, (9,), (11,)),
    "fixed_outdegree": ({"kind": "fixed_outdegree", "k": 4}, (9,), (11,)),
    "one_to_one": ({"kind": "one_to_one"}, (9,), (9,)),
    "pairwise_distance": ({"kind": "pairwise_distance", "sigma": 0.3}, (2, 5, 5), IMAGE),
    "pairs": ({"kind": "pairs", "pairs": [[0, 1], [3, 2], [0, 0]]}, (4,), (3,)),
    "transposed convolution": (
        {"kind": "transposed", "of": {"kind": "convolution", "kernel": 3, "average_pool": 2}},
        IMAGE,
        (4, 3, 2),
    ),
    "transposed pairs": ({"kind": "transposed", "of": {"kind": "pairwise_bernoulli", "p": 0.3}}, (9,), (11,)),
}
LARGEST: dict[str, tuple[dict[str, Any], tuple[int, ...], tuple[int, ...]]] = {
    "convolution, largest": ({"kind": "convolution", "kernel": 3, "padding": "same", "max_pool": 2}, (2, 4, 3), IMAGE),
    "largest pooling": ({"kind": "pooling", "size": 2, "of": "max"}, (3, 4, 3), IMAGE),
}
"""Kinds whose θ depends on the means."""


def built(name: str) -> tuple[CompiledKind, Ends]:
    """One of them, and what it joins."""
    settings, post, pre = (LINEAR | LARGEST)[name]
    kind = PROJECTIONS[settings["kind"]].read(settings)
    assert isinstance(kind, CompiledKind)
    ends = Ends(post, pre, "a->b")
    assert kind.misfit(ends) is None
    return kind, ends
