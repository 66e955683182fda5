"""Delays that grow with the distance between neurons and blocks."""

from __future__ import annotations

import numpy as np
import pytest

import dyadnet as dn
from dyadnet.network.description import Network, Population, Projection
from dyadnet.network.topology import Topology
from dyadnet.program import tables as c
from dyadnet.timing.delays import Distance
from tests.doors.engines import hosted
from tests.learning.test_gradients import relative_error
from tests.support import Settler, engine

FAR = {"kind": "distance", "nearest": 2, "per_side": 6.0}


def lines(lam: float = 0.0, inputs: int = 5) -> Network:
    """An image, and neurons on a line in two blocks."""
    populations = (
        Population("a", shape=(1, 4, 4), activation="tanh"),
        Population("b", 4, "tanh", blocks=2),
        Population("out", 3, "linear"),
    )
    projections = (
        Projection("input", "a", gain=0.7),
        Projection("a", "b", lam, 0.5),
        Projection("b", "out", lam, 0.5),
    )
    return Network(inputs, populations, projections)


def test_distances_are_those_from_a_neuron_to_the_centre_of_a_block() -> None:
    first = next(link for link in Topology(lines()).links if link.post.name == "b.0")
    # The first block of the line has the neurons at an eighth and three eighths of its length.
    places = (np.arange(4) + 0.5) / 4
    expected = np.hypot(places[:, None] - 0.5, places[None] - 0.25).reshape(-1)
    np.testing.assert_allclose(first.distances, expected)


def test_each_number_takes_its_distance() -> None:
    one = engine(lines(), delay=FAR)
    arena = one.group._arena
    law = Distance.read(FAR)
    for number, link in enumerate(arena.links):
        for channel in (2 * number, 2 * number + 1):
            row = arena.actual.channels[channel]
            assert row[c.C_LAW] == c.BY_NEURON
            found = np.zeros(link.pre.size, dtype=np.int64)
            for ticks, start, end in arena.actual.groups[row[c.C_GROUPS] : row[c.C_GROUPS_END]]:
                found[arena.actual.members[start:end]] = ticks
            assert found.tolist() == law.ticks(link.distances).tolist()
            assert found.max() <= law.largest


def test_it_settles_where_it_does_without_delays() -> None:
    here, there = engine(lines(), delay=FAR), engine(lines())
    for one in (here, there):
        assert Settler(one).nudged(0.1).capped == 0
    for name in here.blocks:
        np.testing.assert_allclose(here.lanes(name)[0].readout, there.lanes(name)[0].readout, atol=1e-9)


def test_the_contrast_is_the_gradient() -> None:
    assert relative_error(lines(), entries=1, delay=FAR) < 1e-6


def test_any_number_of_hosts_has_the_same_record() -> None:
    digits = lines(inputs=64)
    populations = (*digits.populations[:2], Population("out", 10))
    assert hosted(network=Network(64, populations, digits.projections), dynamics={"delay": FAR})


def test_a_law_without_distance_is_refused() -> None:
    with pytest.raises(dn.ConfigError, match="per_side"):
        Distance.read({"kind": "distance"})
    with pytest.raises(dn.ConfigError, match="per_side"):
        Distance.read({"kind": "distance", "per_side": 0})
