"""Which neurons of one population a projection joins to which of another, as a description knows it.

Dense synapses are built in. Any other kind is a class of `dyadnet.synapses.base`, which a program registers by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from dyadnet.errors import ConfigError
from dyadnet.registry import Registry, check_spec
from dyadnet.schema import Spec

DENSE = "dense"
"""Every neuron of one population reaches every neuron of another."""

Shapes = Mapping[str, tuple[int, ...]]
"""Of arrays, by name."""


class Connectivity(Spec):
    """What a description says of one kind of projection.

    Attributes
    ----------
    kind
        Its name in the registry ``projection``.
    """

    kind: str

    def shapes(self, post: int, pre: int) -> Shapes:
        """Shapes of its parameters by name, for so many post- and presynaptic neurons."""
        raise NotImplementedError

    def misfit(self, post: int, pre: int) -> str | None:
        """What populations of these sizes lack to be joined by it, as an error says it; None if nothing."""
        return None


class Dense(Connectivity):
    """Every neuron of one population reaches every neuron of another: one array θ, shape (n_post, n_pre)."""

    kind: Literal["dense"] = "dense"

    def shapes(self, post: int, pre: int) -> Shapes:
        """θ, whose name is the projection's own."""
        return {"": (post, pre)}


def _lacking(name: str, thing: Any) -> str | None:
    if not (isinstance(thing, type) and issubclass(thing, Connectivity) and hasattr(thing, "contrast")):
        return "it has to be a class that derives from dyadnet.synapses.base.ProjectionKind"
    return check_spec(Connectivity)(name, thing)


PROJECTIONS: Registry[type[Connectivity]] = Registry("projection", {DENSE: Dense}, _lacking)
"""Kinds of projections by name."""


def connectivity(given: Any, field: str) -> str | Connectivity:
    """A kind as a `Projection` holds it: ``"dense"``, or a record of a registered kind.

    Parameters
    ----------
    given
        A name, a mapping with ``kind`` and the kind's own settings, or a record.
    field
        What errors call it.

    Raises
    ------
    ConfigError
        If nobody has registered such a kind, or it has no such settings.
    """
    if isinstance(given, Connectivity):
        return DENSE if isinstance(given, Dense) else given
    values = {"kind": given} if isinstance(given, str) else given
    name = values.get("kind") if isinstance(values, Mapping) else None
    if not isinstance(name, str):
        raise ConfigError(field, given, "a name, or a mapping of settings with kind")
    if name not in PROJECTIONS:
        raise ConfigError(field, name, PROJECTIONS.legal(name))
    record = PROJECTIONS[name].read(dict(values), field)
    return DENSE if isinstance(record, Dense) else record
