"""Projection kinds by name: those of this package, and those that a program registers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dyadnet.errors import ConfigError
from dyadnet.registry import Registry, check_spec
from dyadnet.synapses.base import ProjectionKind
from dyadnet.synapses.convolution import Convolution, Pooling
from dyadnet.synapses.dense import DENSE, Dense
from dyadnet.synapses.sparse import (
    FixedIndegree,
    FixedOutdegree,
    Local,
    OneToOne,
    Pairs,
    PairwiseBernoulli,
    PairwiseDistance,
)
from dyadnet.synapses.transposed import Transposed


def _lacking(name: str, thing: Any) -> str | None:
    if not (isinstance(thing, type) and issubclass(thing, ProjectionKind)):
        return "it has to be a class that derives from dyadnet.synapses.base.ProjectionKind"
    return check_spec(ProjectionKind)(name, thing)


PROJECTIONS: Registry[type[ProjectionKind]] = Registry(
    "projection",
    {
        DENSE: Dense,
        "convolution": Convolution,
        "local": Local,
        "pooling": Pooling,
        "pairwise_bernoulli": PairwiseBernoulli,
        "fixed_indegree": FixedIndegree,
        "fixed_outdegree": FixedOutdegree,
        "one_to_one": OneToOne,
        "pairwise_distance": PairwiseDistance,
        "pairs": Pairs,
        "transposed": Transposed,
    },
    _lacking,
)
"""All projection kinds by name."""


def kind_of(given: Any, field: str) -> str | ProjectionKind:
    """Convert a kind to the form that a `dyadnet.Projection` stores: ``"dense"``, or a record of another kind.

    Parameters
    ----------
    given
        A name, a mapping with ``kind`` and the kind's own settings, or a record.
    field
        Name of the setting in errors.

    Raises
    ------
    ConfigError
        If no such kind is registered, or if it does not have these settings.
    """
    if isinstance(given, ProjectionKind):
        return DENSE if isinstance(given, Dense) else given
    values = {"kind": given} if isinstance(given, str) else given
    name = values.get("kind") if isinstance(values, Mapping) else None
    if not isinstance(name, str):
        raise ConfigError(field, given, "a name, or a mapping of settings with kind")
    if name not in PROJECTIONS:
        raise ConfigError(field, name, PROJECTIONS.legal(name))
    record = PROJECTIONS[name].read(dict(values), field)
    return DENSE if isinstance(record, Dense) else record


def described(kind: ProjectionKind) -> str:
    """Describe a kind with its settings: ``convolution, kernel 5x5, max_pool 2``; for explicit pairs their number."""
    if isinstance(kind, Transposed):
        return f"transposed {described(kind.of)}"
    if isinstance(kind, Pairs):
        return f"{kind.count} pairs"
    settings = kind.model_dump(exclude={"kind"}, exclude_defaults=True)
    words = ["x".join(map(str, value)) if isinstance(value, tuple) else str(value) for value in settings.values()]
    return ", ".join([kind.kind, *(f"{key} {word}" for key, word in zip(settings, words, strict=True))])
