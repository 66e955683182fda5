"""Names: one rule, checked where a name is written, and every name that it takes is taken everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from dyadnet.config import RunConfig
from dyadnet.errors import ConfigError
from dyadnet.network.serialization import network_from
from tests.checkpoint.runs import settings
from tests.cli.test_main import run


@pytest.mark.parametrize("name", ["_h", "-h", "α", "couché", "h²", "h" * 101, "a b", "a.b", "", "a/b", "a->b", "input"])
def test_a_name_that_some_room_refuses_is_refused_where_it_is_written(name: str) -> None:
    values = {
        "inputs": 64,
        "populations": [{"name": name, "size": 5}, {"name": "out", "size": 10}],
        "projections": [{"pre": "input", "post": name}, {"pre": name, "post": "out", "lam": 0.0}],
    }
    with pytest.raises(ConfigError, match=r"network\.populations\[0\]\.name"):
        RunConfig.read({"network": values})


def test_names_that_differ_in_case_only_would_be_one_file() -> None:
    values = {
        "inputs": 64,
        "populations": [{"name": "Out", "size": 5}, {"name": "out", "size": 10}],
        "projections": [{"pre": "input", "post": "Out"}, {"pre": "Out", "post": "out", "lam": 0.0}],
    }
    with pytest.raises(ConfigError, match=r"populations\[1\]\.name: 'out'.*whatever the case"):
        RunConfig.read({"network": values})


@pytest.mark.parametrize("name", ["h", "9", "h-1", "h_", "H1", "manifest", "h" * 100, "1e3"])
def test_every_name_that_is_taken_is_taken_to_the_end(name: str, tmp_path: Path) -> None:
    values = {
        "inputs": 64,
        "populations": [{"name": name, "size": 6, "blocks": 2}, {"name": "out", "size": 10}],
        "projections": [{"pre": "input", "post": name}, {"pre": name, "post": "out", "lam": 0.0}],
    }
    config = settings(network=network_from(values), learning={"epochs": 1})
    (tmp_path / "c.yaml").write_text(config.to_yaml())
    assert run("train", str(tmp_path / "c.yaml"), "--out", str(tmp_path / "run")) == 0
    assert run("evaluate", str(tmp_path / "run")) == 0
    assert run("export", str(tmp_path / "run")) == 0
    assert run("resume", str(tmp_path / "run"), "--epochs", "2") == 0
