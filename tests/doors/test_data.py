"""A data set of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dyadnet as dn
from dyadnet.cli.completion import among
from dyadnet.config.json_schema import schema
from dyadnet.config.start import starting_point
from dyadnet.data import SETS, available, load
from tests.doors.support import alike, registered

SMALL = {"network": {"layered": {"hidden": [5], "lam": 0.0}}, "data": "spirals"}


def spirals(data_dir: Path | None) -> Any:
    """Two classes in a plane."""
    turn = np.linspace(0, 6, 60)
    arm = np.stack([turn * np.cos(turn), turn * np.sin(turn)], axis=1) / 6
    return np.concatenate([arm, -arm]), np.repeat([0, 1], 60)


@pytest.mark.usefixtures("ray_session")
def test_a_data_set(tmp_path: Path) -> None:
    with registered(SETS, "spirals", spirals):
        run = alike(tmp_path, **SMALL)
        assert run.config.data.name == "spirals"
        assert (run.config.network.inputs, run.config.network.classes) == (2, 2)
        assert set(run.predict(spirals(None)[0]).tolist()) <= {0, 1}
        assert 0 <= dn.evaluate(run.path)["accuracy"] <= 1
    with pytest.raises(dn.ConfigError, match=r"data.name: 'spirals' .*one of digits, .*dyadnet.register"):
        dn.evaluate(run.path)


def test_a_preset_takes_its_sizes_and_lists_offer_it() -> None:
    with registered(SETS, "spirals", spirals):
        chain = starting_point(None, "sshm", None, "spirals")["network"]["layered"]
        assert (chain["inputs"], chain["outputs"]) == (2, 2)
        assert among(SETS)("sp") == ["spirals"]
        assert "spirals" in schema()["$defs"]["DataSpec"]["properties"]["name"]["examples"]
        assert available()["spirals"] == f"registered by {__name__}"


def test_it_gets_the_folder_of_data(tmp_path: Path) -> None:
    def kept(data_dir: Path | None) -> Any:
        assert data_dir is not None
        return np.load(data_dir / "x.npy"), np.load(data_dir / "y.npy")

    samples, labels = spirals(None)
    np.save(tmp_path / "x.npy", samples)
    np.save(tmp_path / "y.npy", labels)
    with registered(SETS, "kept", kept):
        assert load("kept", tmp_path).sizes.train + load("kept", tmp_path).sizes.test == 120


def test_what_it_returns_is_checked() -> None:
    with (
        registered(SETS, "wrong", lambda data_dir: np.zeros(3)),
        pytest.raises(dn.DataError, match="'wrong': one ndarr"),
    ):
        load("wrong")
    for labels in (["cat", "dog"], [1, 2]):
        own = np.zeros((40, 2)), np.repeat(labels, 20)
        with registered(SETS, "named", lambda data_dir, own=own: own), pytest.raises(dn.DataError, match="from 0 on"):
            load("named")


def test_what_is_no_data_set_is_refused() -> None:
    for name in ("memory", "mine.npz", "folder/mine"):
        with pytest.raises(dn.UsageError, match="choose another"):
            dn.register("data", name)(spirals)
    with pytest.raises(dn.UsageError, match="load\\(data_dir\\)"):
        dn.register("data", "mine")(3)
