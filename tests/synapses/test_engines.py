"""Every kind on every engine to the same bits; with imperfections, in real time, and split into blocks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dyadnet as dn
from dyadnet.dynamics.request import Phase
from dyadnet.engines.local import LocalEngine
from dyadnet.learning.projections import Synapses
from dyadnet.network.description import Network, Population, Projection
from dyadnet.network.serialization import network_to
from dyadnet.runs.export import export, read
from tests.doors.engines import bits, hosted
from tests.support import Settler, data, engine, settings
from tests.synapses.networks import AVERAGED, LARGEST, images, pooling, sparse

NOISY: dict[str, Any] = {
    "device": {
        "weights": {"bits": 6},
        "mismatch": {"spread": 0.1},
        "read_noise": {"sigma": 0.02},
        "gain": {"spread": 0.1},
    },
    "channel": {"loss": {"p": 0.2}, "quantisation": {"bits": 8}, "additive": {"mean": 0.001, "difference": 0.001}},
}

FREE = {"kind": "free", "time_constant": 0.002, "budget": 5.0}


def digits(pooled: dict[str, Any] = AVERAGED, blocks: int = 1) -> Network:
    """A small network that reads the digits."""
    populations = (
        Population("a", shape=(4, 4, 4), blocks=blocks),
        Population("b", 12, blocks=blocks),
        Population("out", 10),
    )
    projections = (
        Projection("input", "a", gain=1.4, kind=pooled),
        Projection("a", "b", 0.0, 1.4, {"kind": "pairwise_bernoulli", "p": 0.4}),
        Projection("b", "out", 0.0, 1.4),
    )
    return Network((1, 8, 8), populations, projections)  # type: ignore[arg-type]


@pytest.mark.parametrize("pooled", [AVERAGED, LARGEST], ids=["average", "max"])
def test_it_trains_to_the_same_bits_in_this_process_and_on_ray(pooled: dict[str, Any], tmp_path: Path) -> None:
    bits(tmp_path, network=digits(pooled), dynamics={"dtype": "float32"})


@pytest.mark.parametrize("carried", [False, True], ids=["shared", "carried"])
def test_blocks_with_imperfections_have_the_same_record_on_any_number_of_hosts(carried: bool) -> None:
    found = hosted(carried=carried, network=digits(blocks=3), imperfections=NOISY)
    assert found


@pytest.mark.parametrize("network", [images(), images(pooled=LARGEST), sparse(), pooling()])
@pytest.mark.parametrize("device", NOISY["device"])
def test_imperfections_of_synapses_change_what_it_settles_to(network: Network, device: str) -> None:
    own = {"device": {device: NOISY["device"][device]}}
    fixed: dict[str, Any] = {"fixed": True, "sweeps": 20, "nudged_sweeps": 20, "dtype": "float64"}
    ideal, real = engine(network, **fixed), engine(network, imperfections=own, **fixed)
    for one in (ideal, real):
        Settler(one).nudged(0.1, 20)
    here, there = (one.lanes("a")[0].readout for one in (ideal, real))
    assert np.isfinite(there).all()
    assert not np.allclose(here, there, atol=1e-9)
    if device == "weights":
        entries = [block.entry for block in real.blocks.values() if isinstance(block.entry, Synapses)]
        assert max(np.unique(entry.weights).size for entry in entries) <= 2**6


def test_reading_adds_noise_of_the_size_of_what_is_read() -> None:
    """σ·gain/√(synapses) times the norm of the numbers that a neuron's synapses multiply."""
    network, sigma = images(0.5), 0.5
    one = engine(network, imperfections={"device": {"read_noise": {"sigma": sigma}}}, fixed=True, samples=400)
    exact = engine(network, fixed=True, samples=400)
    for settled in (one, exact):
        Settler(settled, samples=400, step=1.0).run(Phase("free", 0.0, 1))
    block = one.blocks["a"]
    entry = block.entry
    assert isinstance(entry, Synapses)
    noise = one.lanes("a")[0].A - exact.lanes("a")[0].A
    x = data(network, 400).train.images
    ones = np.ones_like(entry.weights)
    squares = entry.kind.forward((entry.plan, ones.reshape(-1), {"": ones.shape}), x**2) / 4
    expected = sigma * entry.projection.gain / np.sqrt(entry.fan_in) * np.sqrt(squares)
    ratio = np.sqrt(np.mean((noise / expected) ** 2))
    assert abs(ratio - 1) < 5 / np.sqrt(noise.size)


def test_in_real_time_it_settles_where_it_does_in_virtual_time() -> None:
    network = images()
    virtual = engine(network)
    Settler(virtual).nudged(0.1)
    exact = {"dtype": "float64", "tolerance": 1e-9, "tolerance_difference": 1e-7}
    values = {"network": network, "dynamics": exact | {"mode": FREE}, "seed": 1}
    free = LocalEngine(dn.RunConfig.read(values), data(network))
    Settler(free).nudged(0.1)
    for name in virtual.blocks:
        np.testing.assert_allclose(free.lanes(name)[0].readout, virtual.lanes(name)[0].readout, atol=1e-5)


def test_weights_are_exported_whole_however_they_are_split(tmp_path: Path) -> None:
    config = {"data": {"name": "digits", "limit_train": 40, "limit_test": 20}, "learning": {"epochs": 1}}
    sizes = {}
    for blocks in (1, 2):
        network = network_to(digits(blocks=blocks))
        run = dn.train(dn.RunConfig.read({**config, "network": network, "engine": "local"}), tmp_path / f"{blocks}")
        export(run.path, tmp_path / f"{blocks}.npz")
        sizes[blocks] = {name: array.shape for name, array in read(tmp_path / f"{blocks}.npz").arrays.items()}
        assert run.weights["input->a"].shape == (4, 1, 3, 3)
    assert sizes[1] == sizes[2]


def test_initial_weights_are_the_same_however_they_are_split() -> None:
    whole, split = (LocalEngine(settings(digits(blocks=blocks)), data(digits())) for blocks in (1, 2))
    joined = np.concatenate([split.blocks[f"a.{part}"].parameters()["input"] for part in range(2)])
    np.testing.assert_array_equal(joined, whole.blocks["a"].parameters()["input"])


def test_what_cannot_be_split_is_refused() -> None:
    with pytest.raises(dn.ConfigError, match=r"projections\[1\].kind.*one block where it has max_pool"):
        images(pooled=LARGEST, blocks=2)
    with pytest.raises(dn.ConfigError, match=r"populations\[0\].blocks: 5 is not legal; at most its 4 channels"):
        digits(blocks=5)
    network = pooling(blocks=2)
    with pytest.raises(dn.ConfigError, match=r"two populations of as many blocks"):
        replace(network, populations=(replace(network.populations[0], blocks=1), *network.populations[1:]))
