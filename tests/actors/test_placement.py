"""Sharing out CPUs, and errors that say what would fit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.placement import homes, share
from dyadnet.config import ClusterSpec, RunConfig
from dyadnet.errors import ConfigError

CHAIN = {"layered": {"inputs": 4, "hidden": [6, 6], "outputs": 3, "blocks": 2}}


@given(actors=st.integers(1, 5))
def test_blocks_are_shared_out_evenly_and_in_order(actors: int) -> None:
    where = homes(RunConfig.read({"network": CHAIN, "cluster": {"actors": actors}}))
    hosts = list(where.values())
    counts = [hosts.count(host) for host in range(actors)]
    assert hosts == sorted(hosts)
    assert max(counts) - min(counts) <= 1


def test_more_actors_than_blocks_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"cluster\.actors: 6 .* each of the 5 blocks"):
        RunConfig.read({"network": CHAIN, "cluster": {"actors": 6}})


@given(actors=st.integers(1, 50), nodes=st.lists(st.integers(1, 64), min_size=1, max_size=6))
def test_an_automatic_share_always_fits(actors: int, nodes: list[int]) -> None:
    cpus = share(ClusterSpec(), actors, nodes)
    assert 0 < cpus <= 1
    assert sum(int(node / cpus + 1e-6) for node in nodes) >= actors


@pytest.mark.parametrize(
    ("spec", "actors", "complaint"),
    [
        ({"cpus_per_actor": 1}, 3, r"cpus_per_actor: 1.0 .* 3 actors on nodes with 2 CPUs get at most 0\.6666 each"),
        ({"placement": "strict-spread"}, 2, r"placement: 'strict-spread' .* 2 actors need as many nodes"),
    ],
)
def test_what_cannot_be_placed_is_refused(spec: dict[str, object], actors: int, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        share(ClusterSpec.read(spec), actors, [2.0])
