"""The transpose of another kind: synapses in the reverse direction of a projection, with their own weights."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, field_validator

from dyadnet.numerics import plans as c
from dyadnet.synapses.base import Ends
from dyadnet.synapses.compiled import CompiledKind, Plan
from dyadnet.synapses.convolution import Convolution, Pooling
from dyadnet.synapses.sparse import FixedIndegree, FixedOutdegree, Local, OneToOne, Pairs, PairwiseBernoulli

Inner = Convolution | Local | Pooling | PairwiseBernoulli | FixedIndegree | FixedOutdegree | OneToOne | Pairs


class Transposed(CompiledKind):
    """θ = Cᵀ, with C of another kind from the postsynaptic to the presynaptic population.

    It can join two populations in both directions by the same pairs of neurons and separate weights, as in an
    asymmetric network.

    Attributes
    ----------
    of
        The kind of C with its settings. Max pooling is not allowed: it has no transpose of its own, because its
        switches belong to C.
    """

    kind: Literal["transposed"] = "transposed"
    of: Annotated[Inner, Field(discriminator="kind")]

    @field_validator("of")
    @classmethod
    def _linear(cls, of: Inner) -> Inner:
        largest = of.max_pool > 1 if isinstance(of, Convolution) else isinstance(of, Pooling) and of.of == "max"
        if largest:
            raise ValueError("of should not pool by the largest number; take average_pool, or of: average")
        return of

    def misfit(self, ends: Ends) -> str | None:
        """See `ProjectionKind.misfit`."""
        problem = self.of.misfit(_turned(ends))
        return None if problem is None else f"what it transposes needs {problem}"

    def undivided(self, post_blocks: int, pre_blocks: int) -> str | None:
        """See `CompiledKind.undivided`; same as for the transposed kind with both sides exchanged."""
        return self.of.undivided(pre_blocks, post_blocks)

    def joins(self, ends: Ends, post: slice, pre: slice) -> bool:
        """See `CompiledKind.joins`; same as for the transposed kind with both sides exchanged."""
        return self.of.joins(_turned(ends), pre, post)

    def shape(self, ends: Ends) -> tuple[int, ...]:
        """Return the shape of the transposed kind's array."""
        return self.of.shape(_turned(ends))

    def fan_in(self, ends: Ends) -> float:
        """Return the mean number of synapses per postsynaptic neuron."""
        return self.of.fan_in(_turned(ends)) * ends.n_pre / ends.n_post

    def part(self, ends: Ends, post: slice, pre: slice) -> Any:
        """See `CompiledKind.part`; same as for the transposed kind with both sides exchanged."""
        return self.of.part(_turned(ends), pre, post)

    def plan(self, ends: Ends, post: slice, pre: slice) -> Plan:
        """See `CompiledKind.plan`."""
        inner = self.of.plan(_turned(ends), pre, post)
        n_pre, n_post, size, room = inner[[c.N_POST, c.N_PRE, c.N_SIZE, c.N_ROOM]]
        return np.concatenate([[c.TRANSPOSED, n_post, n_pre, size, room], inner]).astype(np.int64)


def _turned(ends: Ends) -> Ends:
    """Exchange the two ends. Random pairs are drawn by the name of the projection in the other direction."""
    post, arrow, pre = ends.name.partition("->")
    return Ends(ends.pre, ends.post, f"{pre}->{post}" if arrow else ends.name)
