"""Chains of layers in words."""

from __future__ import annotations

from typing import Any

import pytest

import dyadnet as dn
from dyadnet.config import RunConfig
from dyadnet.errors import ConfigError
from dyadnet.network.description import Network
from dyadnet.network.serialization import network_from, network_to

CHAIN = ["conv 8 3x3", "pool 2 max", "conv 4 2x2 stride 1 padding 1", "sparse 12 0.5", "dense 10"]


def told(network: Network) -> list[tuple[str, str, dict[str, Any]]]:
    """Each projection with its kind's settings."""
    kinds = [(p.name, p.connectivity) for p in network.projections]
    return [(name, kind.kind, kind.model_dump(exclude_defaults=True)) for name, kind in kinds]


def test_each_layer_is_a_population_on_the_one_below() -> None:
    network = dn.from_layers(CHAIN, inputs=(1, 8, 8), lam=0.5, gain=1.2, input_gain=0.7)
    extents = {"conv1": (8, 3, 3), "conv2": (4, 4, 4), "sparse3": (12,), "dense4": (10,)}
    assert {p.name: p.extent for p in network.populations} == extents
    assert told(network) == [
        ("input->conv1", "convolution", {"kernel": (3, 3), "max_pool": 2}),
        ("conv1->conv2", "convolution", {"kernel": (2, 2), "padding": 1}),
        ("conv2->sparse3", "pairwise_bernoulli", {"p": 0.5}),
        ("sparse3->dense4", "dense", {}),
    ]
    assert [(p.lam, p.gain) for p in network.projections] == [(None, 0.7), (0.5, 1.2), (0.5, 1.2), (0.5, 1.2)]
    assert network.output == "dense4"


def test_pooling_is_part_of_the_convolution_below_it_and_a_layer_elsewhere() -> None:
    pooled = {"layer": "pool 2 max", "name": "pooled"}
    layers: list[Any] = ["pool 2", "conv 4 3x3 padding same", pooled, "local 2 2x2", "dense 10"]
    network = dn.from_layers(layers, inputs=[1, 8, 8])
    assert told(network)[:4] == [
        ("input->pool1", "pooling", {"size": 2}),
        ("pool1->conv2", "convolution", {"kernel": (3, 3), "padding": "same"}),
        ("conv2->pooled", "pooling", {"size": 2, "of": "max"}),
        ("pooled->local4", "local", {"kernel": (2, 2)}),
    ]
    assert network.by_name["local4"].shape == (2, 1, 1)


def test_a_layer_has_settings_of_its_own() -> None:
    one = {"layer": "dense 20", "name": "deep", "activation": "tanh", "lam": 0.3, "gain": 0.2, "blocks": 2}
    network = dn.from_layers(["dense 30", one, "dense 10"], inputs=64, loss="cross-entropy", blocks=3)
    assert [(p.name, p.activation, p.blocks) for p in network.populations] == [
        ("dense1", "tempered-hard-sigmoid", 3),
        ("deep", "tanh", 2),
        ("dense3", "linear", 1),
    ]
    assert [(p.lam, p.gain) for p in network.recurrent] == [(0.3, 0.2), (0.0, 1.0)]


def test_a_skip_joins_neuron_by_neuron_where_shapes_are_the_same() -> None:
    layers = [*["conv 4 3x3 padding same"] * 3, "skip", "dense 10", "skip 4"]
    network = dn.from_layers(layers, inputs=(4, 5, 5), lam=0.5)
    assert told(network)[3:] == [
        ("conv1->conv3", "one_to_one", {}),
        ("conv3->dense4", "dense", {}),
        ("input->dense4", "dense", {}),
    ]
    assert [p.lam for p in network.projections if p.post == "dense4"] == [0.5, None]


def test_an_asymmetric_chain_has_a_way_back_of_every_kind() -> None:
    layers = ["conv 4 3x3", "pool 2 max", "conv 8 2x2", "pool 2", "dense 10"]
    network = dn.from_layers(layers, inputs=(1, 8, 8), lam="asymmetric", feedback_gain=0.3)
    assert network.asymmetric
    assert [(p.name, p.connectivity.kind, p.gain) for p in network.recurrent] == [
        ("conv1->conv2", "convolution", 1.0),
        ("conv2->conv1", "transposed", 0.3),
        ("conv2->dense3", "dense", 1.0),
        ("dense3->conv2", "dense", 0.3),
    ]


@pytest.mark.parametrize("lam", [0.0, "asymmetric"])
def test_a_file_and_python_say_the_same_and_so_does_what_a_run_keeps(lam: Any) -> None:
    layers = [*CHAIN, "skip"]
    made = dn.from_layers(layers, inputs=(1, 8, 8), lam=lam, blocks=1)
    read = RunConfig.read({"network": {"layers": layers, "inputs": [1, 8, 8], "lam": lam}})
    assert read.network == made
    assert network_from(network_to(made)) == made
    assert RunConfig.read(read.model_dump(mode="json")).network == made


def test_inputs_and_the_last_layers_neurons_may_come_from_the_data() -> None:
    network = dn.from_layers(["dense 12", "dense"])
    assert network.from_data == ("inputs", "outputs")
    assert network.sized(64, 10) == dn.from_layers(["dense 12", "dense 10"], inputs=64)


def test_both_ways_to_write_a_network_at_once_are_refused() -> None:
    both = {"layers": ["dense 10"], "layered": {"hidden": [3]}}
    with pytest.raises(ConfigError, match=r"^network.layers: .* is not legal; .* either as 'layered' or as layers"):
        RunConfig.read({"network": both})
