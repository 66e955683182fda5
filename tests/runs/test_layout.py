"""Whole projections are what their blocks have, whatever their kind."""

from __future__ import annotations

import numpy as np
import pytest

from dyadnet.network.description import Network
from dyadnet.network.topology import Topology
from dyadnet.runs.export.layout import joined, shapes, split
from tests.synapses.networks import images, sparse


@pytest.mark.parametrize("network", [images(), images(blocks=2), sparse(), sparse(blocks=3)])
def test_what_is_split_is_joined_again(network: Network) -> None:
    draws, topology = np.random.default_rng(0), Topology(network)
    whole = {name: draws.standard_normal(shape) for name, shape in shapes(network).items()}
    again = joined(split(whole, topology), topology)
    assert list(again) == list(whole)
    for name, array in whole.items():
        np.testing.assert_array_equal(again[name], array, err_msg=name)
