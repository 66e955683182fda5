"""Data in memory: the same run as from a file, recorded by what they are known by, and told from others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dyadnet as dn
from dyadnet import data
from dyadnet.data import Dataset, Split, as_dataset
from dyadnet.data.memory import described, sha256
from dyadnet.errors import ConfigError, DataError
from dyadnet.runs.folder import read_config
from dyadnet.runs.loading import check_fit
from dyadnet.training.api import resume
from tests.checkpoint.runs import Watching, stopping

DRAWS = np.random.default_rng(0)
Y = np.arange(200) % 3
X = DRAWS.normal(0, 0.3, (200, 5)) + np.eye(3, 5)[Y]
WORDS = np.array(["wolf", "ant", "bee"])[Y]


def config(**values: Any) -> dn.RunConfig:
    """A small run whose network takes its sizes from the data."""
    given: dict[str, Any] = {"engine": "local", "seed": 1, "learning": {"epochs": 2, "minibatch": 20}}
    return dn.RunConfig(**({"network": dn.layered(hidden=[12])} | given | values))


def test_it_is_the_run_of_the_same_arrays_in_a_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", x=X, y=Y)
    filed = dn.train(config(data={"name": str(tmp_path / "own.npz")}), tmp_path / "filed")
    held = dn.train(config(), tmp_path / "held", data=(X, Y))
    assert held.weights_sha256 == filed.weights_sha256
    assert (tmp_path / "held" / "metrics.jsonl").read_bytes() == (tmp_path / "filed" / "metrics.jsonl").read_bytes()


@pytest.mark.parametrize(
    "given",
    [
        (X.tolist(), Y.tolist()),
        list(zip(X, Y, strict=True)),
        [(x, int(y)) for x, y in zip(X.tolist(), Y, strict=True)],
        (X, Y[:, None]),
    ],
)
def test_lists_and_pairs_are_the_same_data(given: Any) -> None:
    assert sha256(as_dataset(given)) == sha256(as_dataset((X, Y)))


def test_arrays_of_other_libraries_come_by_their_protocol() -> None:
    class Foreign:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return X

    assert sha256(as_dataset((Foreign(), Y))) == sha256(as_dataset((X, Y)))


def test_labels_of_any_kind_keep_their_names() -> None:
    found = as_dataset((X, WORDS))
    assert found.labels == ("ant", "bee", "wolf")
    assert np.array_equal(np.array(found.labels)[as_dataset((X, WORDS, X, WORDS)).test.labels], WORDS)
    assert as_dataset((X, Y * 2 - 1)).labels == (-1, 1, 3)
    assert as_dataset((X, Y > 1)).labels == (False, True)
    assert as_dataset((X, np.array(WORDS, dtype=object))).labels == ("ant", "bee", "wolf")
    assert as_dataset((X, Y)).names == ()


def test_whole_numbers_keep_their_outputs_where_the_network_has_them() -> None:
    gaps = np.where(Y == 1, 4, Y)
    assert as_dataset((X, gaps)).labels == (0, 2, 4)
    assert as_dataset((X, gaps), outputs=6).labels == (0, 1, 2, 3, 4, 5)
    assert np.array_equal(as_dataset((X, gaps, X, gaps), outputs=6).train.labels, gaps)


def test_bytes_are_scaled_as_those_of_files_are() -> None:
    assert as_dataset(((X > 0).astype(np.uint8), Y)).scale == 1 / 255
    assert as_dataset((X, Y)).scale == 1.0


def test_a_dataset_is_taken_as_it_is() -> None:
    split = Split(X, Y)
    given = Dataset("mine", split, split, 1.0, 3)
    assert as_dataset(given) is given


def test_the_folder_records_what_they_are_known_by(tmp_path: Path) -> None:
    dn.train(config(), tmp_path / "run", data=(X.astype(np.float32), WORDS, X[:50].astype(np.float32), WORDS[:50]))
    recorded = read_config(tmp_path / "run")
    assert recorded.data.name == "memory"
    memory = recorded.data.memory
    assert memory is not None
    assert (memory.train, memory.test, memory.dtype) == ((200, 5), (50, 5), "float32")
    assert memory.classes == ["ant", "bee", "wolf"]
    assert len(memory.sha256) == 64
    assert (recorded.network.inputs, recorded.network.classes, recorded.network.from_data) == (5, 3, ())


@pytest.mark.parametrize("labels", [["1e-3", "yes", "null"], [1, 5, 7], [True, False], ["07", "7", "2020-01-01"]])
def test_labels_come_back_from_the_configuration_as_they_were(labels: list[Any]) -> None:
    found = described(as_dataset((X, np.array(labels)[Y % len(labels)])))
    whole = dn.RunConfig(network=dn.layered(5, [4], 3), data=dn.DataSpec(name="memory", memory=found))
    from dyadnet.files import documents as document

    again = dn.RunConfig.read(document.parse(whole.to_yaml()).values)
    assert again.data.memory == found
    assert again.data.memory is not None
    assert again.data.memory.classes is not None
    assert list(map(type, again.data.memory.classes)) == list(map(type, sorted(labels)))


def test_one_changed_number_label_or_name_is_another_hash() -> None:
    other = X.copy()
    other[7, 2] = np.nextafter(other[7, 2], 9)
    swapped = Y.copy()
    swapped[:2] = swapped[1::-1]
    hashes = [sha256(as_dataset(given)) for given in [(X, Y), (other, Y), (X, swapped), (X, WORDS), (X, Y + 1)]]
    assert len(set(hashes)) == len(hashes)


def test_a_run_that_was_stopped_goes_on_with_the_same_data_only(tmp_path: Path) -> None:
    straight = dn.train(config(), tmp_path / "straight", data=(X, WORDS))
    with pytest.raises(dn.DyadnetError, match="a checkpoint is written"):
        dn.train(config(), tmp_path / "run", stopping(5), data=(X, WORDS))
    with pytest.raises(DataError, match=r"given in memory by a Python program, .*\.resume\(run, data=...\)"):
        resume(tmp_path / "run")
    with pytest.raises(ConfigError, match=r"data\.memory\.sha256: .* the run was trained on data whose sha256 is"):
        resume(tmp_path / "run", data=(X[::-1], WORDS))
    with pytest.raises(ConfigError, match=r"data\.memory\.test: \(39, 5\) .* whose test is \(40, 5\)"):
        resume(tmp_path / "run", data=(X[1:], WORDS[1:]))
    again = resume(tmp_path / "run", data=(X, WORDS))
    assert again.weights_sha256 == straight.weights_sha256
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == (tmp_path / "straight" / "metrics.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ("digits", "data: str; .* the name or path of a data set goes into data.name"),
        (X, r"one ndarray; expected \(X, y\)"),
        ({"x": X}, r"one dict; expected \(X, y\)"),
        (7, r"data: int; expected \(X, y\)"),
        ((X, Y, X), "a tuple of 3"),
        ((X,), "a tuple of 1"),
        ([], "no samples"),
        ([1, 2], r"item 0 is no pair \(x, y\)"),
        ([(X[0], 0), (X[0][:3], 1)], r"x has shape \(3,\) in item 1, \(5,\) in item 0"),
        ((X, Y[:9]), "X has 200 samples, y 9"),
        ((X[:, 0], Y), r"X has shape \(200,\); expected \(samples, features\)"),
        ((X, np.eye(3, dtype=int)[Y]), r"y has shape \(200, 3\) and type int64; expected one label a sample"),
        ((X, np.eye(3)[Y], X, Y), r"y holds float64, y_test int64; give both as classes"),
        ((X, np.zeros((200, 2)), X, np.zeros((200, 3))), r"y_test has targets of shape \(3,\), y of \(2,\)"),
        ((X, Y * 1j), r"y holds .* of type complex; expected labels .* or numbers"),
        ((X, [None] * 200), "y holds None in row 0, of type NoneType; expected labels"),
        ((X, np.array([0, "b"] * 100, dtype=object)), "y mixes labels of int and str"),
        ((X, Y * 0), "y holds one class only"),
        ((np.where(X > 0.9, np.nan, X), Y), "X holds .* NaN or infinite values, the first in row"),
        ((X.astype(object), Y), "X holds object; expected numbers"),
        (([[1, 2], [3]], [0, 1]), "X is no array"),
        ((X, Y, X[:, :2], Y), "X_test has 2 features, X 5"),
    ],
)
def test_what_are_no_data_is_one_line(given: Any, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=complaint) as found:
        dn.train(config(), tmp_path / "run", data=given)
    assert "\n" not in str(found.value)
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_together_names_its_field(tmp_path: Path) -> None:
    def refused(field: str, match: str, given: Any = (X, Y), **values: Any) -> None:
        with pytest.raises(ConfigError, match=match) as found:
            dn.train(config(**values), tmp_path / "run", data=given)
        assert found.value.field == field
        assert not (tmp_path / "run").exists()

    refused("data.name", "data are given in memory too", data={"name": "mnist"})
    refused("data.dir", "leave it out", data={"dir": tmp_path})
    refused("network.inputs", "5 features a sample", network=dn.layered(7, [4], 3))
    refused("network.populations (output size)", "3 classes", network=dn.layered(5, [4], 2))
    refused("data.memory", "only a run with data in memory", data={"memory": described(as_dataset((X, Y)))})
    refused(
        "cluster.detach",
        "data in memory end with this process",
        engine="ray",
        cluster={"detach": True, "address": "a:1"},
    )
    with pytest.raises(DataError, match="given in memory"):
        dn.train(config(data={"name": "memory"}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_data_of_a_file_are_not_taken_from_memory_when_a_run_goes_on(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", x=X, y=Y)
    dn.train(config(data={"name": str(tmp_path / "own.npz")}), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"data\.name: .* reads its data from there; leave out data="):
        resume(tmp_path / "run", {"learning": {"epochs": 3}}, data=(X, Y))


def test_a_class_without_a_sample_to_train_on_is_told_by_its_name(tmp_path: Path) -> None:
    watching = Watching()
    labels = np.where(Y == 0, "a", "b")
    dn.train(config(), tmp_path / "run", watching, data=(X, labels, X[:3], np.array(["a", "b", "c"])))
    assert "data: no sample to train on is of class c" in watching.warnings


def test_sizes_that_the_network_leaves_open_come_from_a_named_set_too(tmp_path: Path) -> None:
    chain = {"network": {"layered": {"hidden": [8]}}, "engine": "local", "learning": {"epochs": 1}}
    values = chain | {"data": {"limit_train": 100, "limit_test": 50}}
    dn.train(dn.RunConfig.read(values), tmp_path / "run")
    network = read_config(tmp_path / "run").network
    assert (network.inputs, network.classes) == (64, 10)


def test_open_sizes_are_written_and_read_back_open() -> None:
    found = config()
    assert found.network.from_data == ("inputs", "outputs")
    assert dn.RunConfig.read(found.model_dump(mode="json")) == found
    with pytest.raises(ConfigError, match=r"network\.populations\[0\]\.size: None .* only the output's"):
        dn.RunConfig.read({"network": {"inputs": 3, "populations": [{"name": "a"}, {"name": "b"}], "projections": []}})
    with pytest.raises(ConfigError, match=r"network \(inputs\): None .* an engine by itself does not"):
        check_fit(found, data.load("digits").sizes)


def test_a_probed_output_of_open_size_is_checked_once_its_size_is_known(tmp_path: Path) -> None:
    probing = config(probe={"neurons": {"out": [5]}})
    with pytest.raises(ConfigError, match=r"probe\.neurons\.out: 5 .* from 0 to 2"):
        dn.train(probing, tmp_path / "run", data=(X, Y))


def test_a_run_without_a_folder_gets_one_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folders = {dn.train(config(learning={"epochs": 1}), data=(X, Y)).out for _ in range(2)}
    assert len(folders) == 2
    assert all(folder.startswith("runs/memory-sshm-") for folder in folders)


def test_what_a_program_builds_complains_as_a_file_does() -> None:
    for build in (
        lambda: dn.Learning(epochs=0),
        lambda: dn.RunConfig(network=dn.layered(2, [2], 2), learning={"epochs": 0}),
        lambda: dn.RunConfig.read({"network": {"layered": {"hidden": [2]}}, "learning": {"epochs": 0}}),
    ):
        with pytest.raises(ConfigError, match=r"epochs: 0 is not legal; .* greater than or equal to 1"):
            build()
