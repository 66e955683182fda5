"""Alternating compartments of a dyad, on a substrate with one state per neuron (paper, eq. 11 and 13).

If every κ is +1 or −1, the dynamics of the compartments (eq. 8 with λ or λ̄ = 0),

    a± ← (1−η)a± + η(θ s± + θᵀ s± + θ₀x ∓ β∇ℓ(s±))      κ = +1
    a± ← (1−η)a± + η(θ s∓ − θᵀ s∓ + θ₀x ∓ β∇ℓ(s±))      κ = −1

couple a compartment to the same compartment across a projection with κ = +1, and to the other one across κ = −1.
Suppose that the populations can be given sides σ = ±1 that agree across the former and differ across the latter. Then
the compartments u = s^σ never interact with the others v = s^−σ. There are two independent problems of the same
single-state network

    a ← (1−η)a + η(θ u_pre + κθᵀ u_post + θ₀x − σ_out·β∇ℓ(u_out))

They differ only in the sign of the nudge. With σ_out = +1 at the output, the first problem is nudged by −β and the
second by +β. Such a network has half the state of a dyadic network, and settles twice. Then m = (u+v)/2 and
d = σ(u−v)/2, and the contrast of eq. 5 is the difference of two Hebbian terms, each of a single problem:

    d_post m_preᵀ + κ m_post d_preᵀ = ½σ_post (u_post u_preᵀ − v_post v_preᵀ)

So a synapse can add the first term with one sign and the second with the other, and no state has to be stored.
"""

from __future__ import annotations

from collections.abc import Sequence

from dyadnet.errors import ConfigError
from dyadnet.network.description import Network


def sides(network: Network, couplings: Sequence[float]) -> dict[str, int]:
    """Return σ of each population, +1 at the output.

    Raises
    ------
    ConfigError
        If the two problems do not decouple: some κ is neither +1 nor −1, or a cycle has an odd number of κ = −1.
    """
    field = "dynamics.phases"
    neighbours: dict[str, list[tuple[str, int]]] = {p.name: [] for p in network.populations}
    for projection, kappa in zip(network.recurrent, couplings, strict=True):
        if abs(kappa) != 1.0:
            legal = f"it needs λ = 0 or 1 throughout; at λ = {(kappa + 1) / 2:g} in {projection.name} compartments mix"
            raise ConfigError(field, "in-turn", legal)
        neighbours[projection.pre].append((projection.post, int(kappa)))
        neighbours[projection.post].append((projection.pre, int(kappa)))
    found: dict[str, int] = {}
    for root in [network.output, *neighbours]:
        if root in found:
            continue
        found[root] = 1
        queue = [root]
        while queue:
            here = queue.pop()
            for there, kappa in neighbours[here]:
                side = found[here] * kappa
                if there not in found:
                    found[there] = side
                    queue.append(there)
                elif found[there] != side:
                    legal = f"a cycle through {there} has an odd number of projections with λ = 0: compartments mix"
                    raise ConfigError(field, "in-turn", legal)
    return found
