"""Layers and kinds of projections that are not legal: one line names the layer, what it needs and what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dyadnet.cli.main import main
from dyadnet.config import RunConfig
from dyadnet.errors import ConfigError

WORDS: list[tuple[list[str], str]] = [
    (["conv 8 9x9"], "a kernel of at most 8x8, the image with its padding, not 9x9"),
    (["conv 8 3x3", "local 4 7x7"], "a kernel of at most 6x6"),
    (["conv 8 3x3", "pool 4"], "windows that divide the 6x6 (2x2, 3x3, 6x6) numbers of a channel, not 4x4"),
    (["conv 8 2x2", "pool 2"], "windows that divide the 7x7 (7x7)"),
    (["pool 1"], "windows of at least 2x2"),
    (["dense 20", "conv 8 3x3"], "images below it, not 20 neurons without a shape"),
    (["dense 20", "pool 2"], "images below it, not 20 neurons"),
    (["conv 8 3"], "written as: conv FILTERS HxW"),
    (["conv 0 3x3"], "written as: conv FILTERS HxW"),
    (["conv 8 3x3 padding valid"], "written as: conv FILTERS HxW [stride S] [padding P|same]"),
    (["conv 8 4x4 padding same"], "padding: same only with stride 1 and an odd kernel"),
    (["conv 8 3x3 stride 2 padding same"], "padding: same only with stride 1 and an odd kernel"),
    (["konv 8 3x3"], "one of: conv FILTERS HxW"),
    (["konv 8 3x3"], "; did you mean conv?"),
    (["dense 0"], "written as: dense [NEURONS], with whole numbers of at least 1"),
    (["dense"], "a number of neurons; only the output's may be left out"),
    (["sparse 20 1.5"], "a probability from 0 to 1, not 1.5"),
    (["sparse 20 -0.5"], "a probability from 0 to 1, not -0.5"),
    (["sparse 20"], "written as: sparse NEURONS P"),
    (["sparse 20 0"], "at least one synapse"),
    (["dense 20", "skip"], "at least 2 layers with neurons below it, not 1"),
    (["dense 20", "dense 20", "skip 3"], "2 to 2 layers down (2: to the input), not 3"),
    (["dense 20", "dense 20", "skip 1"], "2 to 2 layers down"),
    (["dense 20", "dense 20", "skip", "skip"], "at most one projection for each pair"),
]
"""Layers, of which the last is not legal, and why."""
MAPPINGS: list[tuple[list[Any], str]] = [
    (
        [{"layer": "dense 20", "nam": "a"}],
        "network.layers[0].nam: 'a' is not legal; unknown key; a layer has layer, name, activation",
    ),
    ([{"name": "a"}], "network.layers[0].layer: None is not legal; one of: conv FILTERS"),
    ([{"layer": "dense 20", "name": "a b"}], "network.layers[0].name: 'a b' is not legal; use at most 100 of a-z"),
    (
        [{"layer": "dense 20", "activation": "rely"}],
        "network.layers[0].activation: 'rely' is not legal; one of tempered-hard-sigmoid",
    ),
    ([{"layer": "dense 20", "lam": 0.3}], "network.layers[0].lam: 0.3 is not legal; it hears the input; leave it out"),
    (["dense 20", {"layer": "dense 20", "lam": 3}], "network.layers[1].lam: 3.0 is not legal; a number from 0 to 1"),
    (["dense 20", {"layer": "dense 20", "gain": "big"}], "network.layers[1].gain: 'big' is not legal; a number"),
    ([{"layer": "conv 4 3x3", "blocks": 5}], "network.layers[0].blocks: 5 is not legal; at most its 4 channels"),
    ([{"layer": "pool 2", "gain": 3.0}], "network.layers[0].gain: 3.0 is not legal; pool has none; leave it out"),
    (["dense 9", "dense 9", {"layer": "skip", "name": "a"}], "network.layers[2].name: 'a' is not legal; skip has none"),
]
IMAGE = {"shape": [4, 6, 6]}
KINDS: list[tuple[Any, dict[str, Any], str]] = [
    ("convolutoin", IMAGE, "one of dense, convolution"),
    ({"kind": "convolution", "kernel": 3}, {"size": 20}, "populations of the shape (channels, height, width)"),
    ({"kind": "convolution", "kernel": 5}, IMAGE, "a postsynaptic population of the shape [4, 4, 4], not [4, 6, 6]"),
    ({"kind": "convolution", "kernel": 9}, IMAGE, "a kernel of at most 8x8, the image with its padding, not 9x9"),
    (
        {"kind": "convolution", "kernel": 3, "max_pool": 4},
        IMAGE,
        "windows that divide the 6x6 (2x2, 3x3, 6x6) results of a channel, not 4x4",
    ),
    (
        {"kind": "convolution", "kernel": 3, "max_pool": 2, "average_pool": 2},
        IMAGE,
        "one of average_pool and max_pool, not both",
    ),
    (
        {"kind": "convolution", "kernel": [3, 3, 3]},
        IMAGE,
        ".kind.kernel: [3, 3, 3] is not legal; it should be one number, or height and width",
    ),
    (
        {"kind": "convolution", "kernel": 3, "padding": "valid"},
        IMAGE,
        ".kind.padding: 'valid' is not legal; it should be",
    ),
    ({"kind": "convolution", "kernel": 3, "pading": 1}, IMAGE, ".kind.pading: 1 is not legal; unknown key"),
    (
        {"kind": "pooling", "size": 3},
        IMAGE,
        "windows that divide the 8x8 (2x2, 4x4, 8x8) numbers of a channel, not 3x3",
    ),
    ({"kind": "pooling", "size": 2}, IMAGE, "a postsynaptic population of the shape [1, 4, 4], not [4, 6, 6]"),
    ({"kind": "local", "kernel": 5}, IMAGE, "a postsynaptic population of the shape [4, 4, 4], not [4, 6, 6]"),
    (
        {"kind": "pairwise_bernoulli", "p": 1.5},
        {"size": 20},
        ".kind.p: 1.5 is not legal; it should be less than or equal to 1",
    ),
    (
        {"kind": "pairwise_bernoulli", "p": -0.1},
        {"size": 20},
        ".kind.p: -0.1 is not legal; it should be greater than or equal to 0",
    ),
    ({"kind": "fixed_indegree", "k": 65}, {"size": 20}, "k of at most 64, the presynaptic neurons, not 65"),
    ({"kind": "fixed_outdegree", "k": 21}, {"size": 20}, "k of at most 20, the postsynaptic neurons, not 21"),
    ({"kind": "one_to_one"}, {"size": 20}, "two populations of one size, not of 64 and 20 neurons"),
    ({"kind": "pairs", "pairs": [[0, 0], [20, 1]]}, {"size": 20}, "postsynaptic neurons from 0 to 19, not 20"),
    ({"kind": "pairs", "pairs": [[0, 0], [0, 64]]}, {"size": 20}, "presynaptic neurons from 0 to 63, not 64"),
    ({"kind": "pairs", "pairs": [[0, -1]]}, {"size": 20}, "pairs should be numbers of neurons, from 0 on"),
    (
        {"kind": "pairs", "pairs": [[3, 1], [0, 0], [3, 1]]},
        {"size": 20},
        "each of the pairs should be there once; (3, 1) is there 2 times",
    ),
    ({"kind": "pairs", "pairs": [[0.5, 1]]}, {"size": 20}, "pairs should be whole numbers of the shape (pairs, 2)"),
    (
        {"kind": "pairs", "pairs": [[True] * 63] * 20},
        {"size": 20},
        "a mask of the shape (20, 64), (post, pre), not (20, 63)",
    ),
    ({"kind": "pairs"}, {"size": 20}, "one of pairs, file and packed should be given, not none"),
    ({"kind": "pairs", "packed": "abc"}, {"size": 20}, "packed should be as a configuration keeps pairs"),
    (
        {"kind": "transposed", "of": {"kind": "pooling", "size": 2, "of": "max"}},
        IMAGE,
        "of should not pool by the largest number",
    ),
]
LARGEST = ["conv 4 3x3", "conv 4 3x3", "pool 2 max", "dense 10"]


def complaint(network: Any) -> str:
    """The one line about a network."""
    with pytest.raises(ConfigError) as caught:
        RunConfig.read({"network": network})
    text = str(caught.value)
    assert "\n" not in text
    return text


def graph(kind: Any, population: dict[str, Any]) -> dict[str, Any]:
    """Images of 1x8x8 into a population, by this kind."""
    projections = [{"pre": "input", "post": "a", "kind": kind}, {"pre": "a", "post": "out", "lam": 0.5}]
    populations = [{"name": "a", **population}, {"name": "out", "size": 10}]
    return {"inputs": [1, 8, 8], "populations": populations, "projections": projections}


@pytest.mark.parametrize(("layers", "told"), WORDS)
def test_words_that_are_not_legal_are_told_in_one_line(layers: list[str], told: str) -> None:
    text = complaint({"layers": [*layers, "dense 10"], "inputs": [1, 8, 8]})
    assert text.startswith(f"network.layers[{len(layers) - 1}]: {layers[-1]!r} is not legal; ")
    assert told in text


@pytest.mark.parametrize(("layers", "told"), MAPPINGS)
def test_a_layer_that_is_not_legal_is_told_in_one_line(layers: list[Any], told: str) -> None:
    assert told in complaint({"layers": [*layers, "dense 10"], "inputs": [1, 8, 8]})


@pytest.mark.parametrize(("kind", "population", "told"), KINDS)
def test_a_kind_that_is_not_legal_is_told_in_one_line(kind: Any, population: dict[str, Any], told: str) -> None:
    text = complaint(graph(kind, population))
    assert told in text
    assert text.startswith("network.projections[0].kind")


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ([8, 8], "network.inputs: [8, 8] is not legal; channels, height and width, each a whole number of at least 1"),
        ([1, 8, 0], "network.inputs.2: 0 is not legal"),
        (64, "network.layers[0]: 'conv 8 3x3' is not legal; images below it, not 64 inputs; give network.inputs as ["),
        (None, "network.layers[0]: 'conv 8 3x3' is not legal; images below it; give network.inputs as [channels,"),
    ],
)
def test_inputs_that_are_no_images_are_told_in_one_line(inputs: Any, told: str) -> None:
    assert told in complaint({"layers": ["conv 8 3x3", "dense 10"], "inputs": inputs})


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"layers": []}, "network.layers: [] is not legal; at least one layer, the output"),
        ({"layers": ["dense 5", {"layer": "dense 10", "blocks": 2}]}, "network.layers[1]"),
        (
            {"layers": LARGEST, "blocks": 2},
            "layers[1]: 'conv 4 3x3' is not legal; a presynaptic population of one block",
        ),
        (
            {"layers": LARGEST, "lam": "asymmetric"},
            "network.layers[2]: 'pool 2 max' is not legal; pool 2, which takes the mean",
        ),
        (
            {"layers": ["dense 5", {"layer": "dense 10", "lam": 0.2}], "lam": "asymmetric"},
            "network.layers[1].lam: 0.2 is not legal; the network's is asymmetric; leave it out",
        ),
        ({"layers": ["dense 5", "dense 10"], "blocks": 6}, "network.blocks: 6 is not legal; at most its 5 neurons"),
        ({"layers": ["dense 5", "dense 10"], "lam": 2.0}, "network.lam: 2.0 is not legal; a number from 0 to 1"),
        ({"layers": ["dense 5", "dense 10"], "activation": "foo"}, "network.activation: 'foo' is not legal; one of"),
        ({"layers": ["dense 10"], "hidden": [3]}, "network.hidden: [3] is not legal; unknown key"),
        ({"layers": ["dense 10"], "populations": []}, "network.populations: [] is not legal; a network is written"),
        ({"layer": ["dense 10"]}, "did you mean layers?"),
    ],
)
def test_a_chain_that_is_not_legal_is_told_in_one_line(settings: dict[str, Any], told: str) -> None:
    assert told in complaint({"inputs": [1, 8, 8], **settings})


def test_files_of_pairs_are_checked(tmp_path: Path) -> None:
    np.save(tmp_path / "floats.npy", np.zeros((3, 2)))
    np.save(tmp_path / "objects.npy", np.array([[1, None]]), allow_pickle=True)
    np.save(tmp_path / "far.npy", np.array([[0, 0], [0, 99]]))
    np.savez(tmp_path / "several.npz", pairs=np.array([[0, 0]]))
    (tmp_path / "text.npy").write_text("0 1\n")
    (tmp_path / "empty.npy").touch()
    whole = (tmp_path / "far.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[:-8])
    for name, told in {
        "floats.npy": "or a mask of True and False, not float64 of the shape (3, 2)",
        "objects.npy": "file should be an .npy file of numbers; ",
        "far.npy": "presynaptic neurons from 0 to 63, not 99",
        "several.npz": "file should be an .npy file with one array, not an .npz",
        "text.npy": "file should be an .npy file of numbers; ",
        "empty.npy": "file should be an .npy file of numbers; ",
        "cut.npy": "file should be an .npy file of numbers; ",
        "none.npy": "No such file or directory",
    }.items():
        assert told in complaint(graph({"kind": "pairs", "file": str(tmp_path / name)}, {"size": 20})), name


def test_a_mask_from_a_file_is_a_sparse_projection(tmp_path: Path) -> None:
    mask = np.random.default_rng(0).random((20, 64)) < 0.1
    np.save(tmp_path / "mask.npy", mask)
    read = RunConfig.read({"network": graph({"kind": "pairs", "file": str(tmp_path / "mask.npy")}, {"size": 20})})
    again = RunConfig.read(json.loads(json.dumps(read.model_dump(mode="json"))))
    assert again.network == read.network
    assert read.network.shapes(read.network.projections[0]) == {"": (int(mask.sum()),)}


def test_the_command_line_ends_with_exit_code_2_and_the_line_of_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.yaml").write_text("network:\n  inputs: [1, 8, 8]\n  layers:\n  - conv 8 3x3\n  - pool 4\n")
    with pytest.raises(SystemExit) as caught:
        main(["train", str(tmp_path / "run.yaml"), "--out", str(tmp_path / "run")])
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("dyadnet: network.layers[1]: 'pool 4' is not legal; ")
    assert re.search(r"run.yaml, line 5\)$", line)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("inputs", "data"), [([3, 32, 32], "digits"), ([4, 4, 4], "digits"), ([1, 4, 16], "digits")])
def test_images_of_another_shape_than_the_datas_are_refused(
    inputs: list[int], data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = {"layers": ["conv 4 3x3", "dense 10"], "inputs": inputs}
    (tmp_path / "run.yaml").write_text(json.dumps({"network": network, "data": data, "engine": "local"}))
    with pytest.raises(SystemExit) as caught:
        main(["train", str(tmp_path / "run.yaml"), "--out", str(tmp_path / "run")])
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line == f"dyadnet: network.inputs: {inputs} is not legal; {data} has images of the shape [1, 8, 8]"
