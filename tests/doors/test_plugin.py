"""What a module registers: for commands by ``--plugin``, from a package by an entry point, on its way to actors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import dyadnet as dn
from dyadnet.data import SETS, load
from dyadnet.network.losses import LOSSES
from dyadnet_actors.cluster.travelling import send_modules
from dyadnet_actors.protocol.failures import NotMadeError
from tests.doors.support import registered, trained
from tests.doors.test_data import spirals
from tests.doors.test_loss import Huber

MINE = """
import numpy as np
import dyadnet as dn

@dn.register("data", "pairs")
def pairs(data_dir):
    x = np.random.default_rng(0).random((40, 3))
    return x, (x[:, 0] > 0.5).astype(int)
"""
SHIPPED = """
def above(x):
    return x[:, 0] > 0.5
"""
COMMAND = Path(sys.executable).with_name("dyadnet")


def told(*arguments: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a command says, in the working directory."""
    done = subprocess.run(
        [COMMAND, *arguments], capture_output=True, text=True, check=False, env=os.environ | environment
    )
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a module in it."""
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_imports_a_plugin_first(here: Path) -> None:
    few = ["--engine", "local", "--hidden", "4", "--epochs", "1", "--no-report", "--set", "dynamics.sweeps=4"]
    told("train", "--data", "pairs", *few, "--out", "run", "--plugin", "mine")
    assert json.loads(told("evaluate", "run", "--json", "--plugin=mine").stdout.splitlines()[-1])["samples"] == 8
    refused = told("evaluate", "run", code=2).stderr
    assert refused.count("\n") == 1
    assert "data.name: 'pairs' is not legal" in refused
    assert "dyadnet.register" in refused


def test_schema_and_completion_know_what_it_registers(here: Path) -> None:
    found = json.loads(told("schema", "--plugin", "mine").stdout)
    assert "pairs" in found["$defs"]["DataSpec"]["properties"]["name"]["examples"]
    words = "dyadnet train --plugin mine --data pa"
    asked = told(_DYADNET_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD="5")
    assert asked.stdout.split() == ["pairs"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "No module named 'mine'"),
        ("raise RuntimeError('no\\ngood')", "RuntimeError: no good"),
        ("import dyadnet\ndyadnet.register('data', 'digits')(print)", "built in; choose another"),
    ],
)
def test_a_plugin_that_cannot_be_imported_ends_in_one_line(here: Path, text: str | None, why: str) -> None:
    (here / "mine.py").unlink() if text is None else (here / "mine.py").write_text(text)
    said = told("schema", "--plugin", "mine", code=2).stderr
    assert said.count("\n") == 1
    assert said.startswith("dyadnet: --plugin: 'mine' is not legal; ")
    assert why in said


@pytest.fixture
def package(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package that names a data set, and one that is not there."""
    about = here / "mine-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[dyadnet.data]\nthrees = other:threes\nbroken = nowhere:nothing\n")
    (here / "other.py").write_text(MINE.replace('@dn.register("data", "pairs")\ndef pairs', "def threes"))
    monkeypatch.syspath_prepend(here)
    yield here
    sys.modules.pop("other", None)
    if "threes" in SETS.added:
        SETS.forget("threes")


@pytest.mark.usefixtures("package")
def test_a_package_registers_by_an_entry_point() -> None:
    assert [name for name in SETS if name not in SETS.built_in] == ["threes", "broken"]
    assert load("threes").features == 3
    with pytest.raises(dn.UsageError, match=r"dyadnet.data: broken \(nowhere:nothing\) cannot be loaded: ModuleNotF"):
        load("broken")


def test_what_cannot_travel_is_refused_before_ray_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Locked(Huber):
        def __init__(self) -> None:
            self.file = (tmp_path / "file").open("w")

    monkeypatch.setattr("ray.init", None)
    with registered(LOSSES, "locked", Locked):
        network = {"layered": {"inputs": 64, "hidden": [4], "outputs": 10, "loss": "locked"}}
        assert trained(tmp_path, network=network).weights_sha256
        with pytest.raises(
            dn.UsageError, match=r"loss 'locked' cannot be sent to actors \(PicklingError: .*engine local"
        ):
            trained(tmp_path, "ray", network=network)
    assert not (tmp_path / "ray").exists()


@pytest.mark.usefixtures("ray_session")
def test_a_module_that_actors_cannot_import_ends_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "onlyhere.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    import onlyhere  # type: ignore[import-not-found]

    config = {"network": {"layered": {"hidden": [4]}}, "data": "pairs", "cluster": {"actors": 1}, "engine": "ray"}
    try:
        assert onlyhere.pairs is SETS["pairs"]
        with pytest.raises(
            NotMadeError, match=r"No module named 'onlyhere'; .*importable where actors run.* --ship-code"
        ):
            dn.train(dn.RunConfig.read(config), tmp_path / "run")
    finally:
        SETS.forget("pairs")


def test_a_module_is_sent_with_what_it_registers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``--ship-code`` has it, to a process that has no such module."""
    import ray.cloudpickle

    (tmp_path / "shipped.py").write_text(MINE.replace("(x[:, 0] > 0.5)", "above(x)") + SHIPPED)
    monkeypatch.syspath_prepend(tmp_path)
    import shipped  # type: ignore[import-not-found]

    try:
        send_modules()
        sent = ray.cloudpickle.dumps(dn.RunConfig.read({"network": {"layered": {"hidden": [4]}}, "data": "pairs"}))
    finally:
        ray.cloudpickle.unregister_pickle_by_value(shipped)
        SETS.forget("pairs")
    (tmp_path / "sent").write_bytes(sent)
    there = f"import pickle; c = pickle.load(open({str(tmp_path / 'sent')!r}, 'rb'))"
    there += "; from dyadnet.data import load; print(c.data.name, load('pairs').features)"
    done = subprocess.run([sys.executable, "-c", there], capture_output=True, text=True, check=False, cwd="/")
    assert done.stdout.split() == ["pairs", "3"], done.stderr


def test_what_is_registered_is_registered_where_a_configuration_arrives() -> None:
    with registered(SETS, "spirals", spirals):
        import ray.cloudpickle

        sent: Any = ray.cloudpickle.dumps(
            dn.RunConfig.read({"network": {"layered": {"hidden": [4]}}, "data": "spirals"})
        )
    assert "spirals" not in SETS
    try:
        assert ray.cloudpickle.loads(sent).data.name == "spirals"
        assert SETS["spirals"] is spirals
    finally:
        SETS.forget("spirals")
