"""A run with metrics is the same run, and can be found and looked at from its beginning until after its end."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

import dyadnet as dn
from dyadnet.cli.main import main
from dyadnet.config import RunConfig
from dyadnet.telemetry.discovery import listed
from tests.telemetry.runs import Found, fetch, lines, running, scraped, settings, state, until, value


def train(values: dict[str, Any], out: Path, watcher: Any = None) -> dn.Run:
    """A run in this thread."""
    return dn.train(RunConfig.read(values), out, watcher)


def test_metrics_change_no_bit_and_no_line_of_the_record(tmp_path: Path) -> None:
    def look(address: str) -> None:
        assert scraped(address)

    off = train(settings(metrics={"port": None}), tmp_path / "off")
    on = train(
        settings(metrics={"port": 0, "norms": 1}),
        tmp_path / "on",
        Found(3, look),
    )
    assert on.weights_sha256 == off.weights_sha256
    assert (tmp_path / "on" / "metrics.jsonl").read_bytes() == (tmp_path / "off" / "metrics.jsonl").read_bytes()
    kinds = [[line["kind"] for line in lines(tmp_path / run, "machinery.jsonl")] for run in ("off", "on")]
    assert kinds[1] == ["metrics", *kinds[0]]


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_comparing_with_the_exact_gradient_changes_no_bit_either(lam: float, tmp_path: Path) -> None:
    network = {"layered": {"lam": lam}}
    off = train(settings(network=network, metrics={"port": None}), tmp_path / "off")
    found: list[float] = []

    def look(address: str) -> None:
        found.append(value(scraped(address), "gradient_cosine"))

    watched = settings(network=network, metrics={"cosine": 2}, dynamics={"lanes": 2})
    train(watched, tmp_path / "lanes", Found(5, look))
    on = train(settings(network=network, metrics={"cosine": 2}), tmp_path / "on", Found(5, look))
    assert on.weights_sha256 == off.weights_sha256
    assert (tmp_path / "on" / "metrics.jsonl").read_bytes() == (tmp_path / "off" / "metrics.jsonl").read_bytes()
    assert all(0.97 < cosine <= 1.0 + 1e-9 for cosine in found)
    assert found[0] == pytest.approx(found[1], abs=1e-3)


@pytest.mark.parametrize("dynamics", [{"mode": "free"}, {"initial": "previous"}])
def test_an_exact_gradient_that_cannot_be_had_is_refused(dynamics: dict[str, Any]) -> None:
    with pytest.raises(dn.ConfigError, match=r"metrics\.cosine: 2 is not legal; "):
        RunConfig.read(settings(engine="ray", dynamics=dynamics, metrics={"cosine": 2}))


def test_the_address_is_told_and_recorded(tmp_path: Path) -> None:
    watcher = Found()
    train(settings(), tmp_path / "run", watcher)
    recorded = lines(tmp_path / "run", "machinery.jsonl")[0]["address"]
    assert watcher.address == f"http://{recorded}"
    with pytest.raises(OSError, match="refused"):
        fetch(f"{watcher.address}/healthz")


class Scraper(Found):
    """Scrapes after every minibatch."""

    def __init__(self) -> None:
        super().__init__()
        self.samples: list[float] = []

    def minibatch(self, epoch: int, index: int, loss: float, accuracy: float, sweeps: float) -> None:
        """See `ProgressCallback`."""
        self.samples.append(value(scraped(self.address), "samples_total", part="train"))


def test_values_change_while_it_trains(tmp_path: Path) -> None:
    scraper = Scraper()
    train(settings(learning={"epochs": 1}), tmp_path / "run", scraper)
    assert scraper.samples == [*range(20, 180, 20), 180]


def test_counters_agree_with_the_record_where_the_network_is_imperfect(tmp_path: Path) -> None:
    """What is evaluated without imperfections beside it has lines of its own in the record, and is not counted."""
    noisy = {"channel": {"loss": {"p": 0.1}}}
    with running(settings(imperfections=noisy, metrics={"linger": 2}), tmp_path / "run") as address:
        until(lambda: state(address) == "finished")
        found = scraped(address)
    record = [line for line in lines(tmp_path / "run", "metrics.jsonl") if line["kind"] == "epoch"]
    assert "test_ideal" in record[0]
    for part in ("train", "validation", "test"):
        assert value(found, "samples_total", part=part) == sum(line[part]["samples"] for line in record)


def test_a_run_without_a_port_serves_nothing(tmp_path: Path) -> None:
    watcher = Found()
    train(settings(metrics={"port": None}), tmp_path / "run", watcher)
    assert not watcher.there.is_set()


def test_a_port_in_use_ends_the_run_before_it_begins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running(settings(metrics={"linger": 1.0}), tmp_path / "first") as address:
        port = address.rsplit(":", 1)[1]
        (tmp_path / "c.yaml").write_text(json.dumps(settings()))
        with pytest.raises(SystemExit) as caught:
            main(["train", str(tmp_path / "c.yaml"), "--metrics-port", port, "--out", str(tmp_path / "second")])
    assert caught.value.code == 2
    assert capsys.readouterr().err.strip().endswith("name another, or 0 for any that is free")
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize(
    ("flag", "given", "complaint"),
    [
        ("--metrics-port", "70000", "metrics.port: 70000 is not legal; it should be less than or equal to 65535"),
        ("--metrics-linger", "-1", "metrics.linger: -1.0 is not legal; it should be greater than or equal to 0"),
        ("--metrics-host", "", "metrics.host: '' is not legal"),
    ],
)
def test_bad_settings_are_refused(
    flag: str, given: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["train", flag, given, "--engine", "local", "--out", str(tmp_path / "run")])
    assert caught.value.code == 2
    assert complaint in capsys.readouterr().err


def test_a_run_lists_itself_while_it_goes_and_leaves_others_alone(tmp_path: Path) -> None:
    path = tmp_path / "targets" / "runs.json"
    seen: list[Any] = []
    with listed(path, "10.0.0.1:9"):
        train(
            settings(metrics={"file_sd": str(path)}),
            tmp_path / "run",
            Found(2, lambda address: seen.append((address, json.loads(path.read_text())))),
        )
        ((address, during),) = seen
        other = {"targets": ["10.0.0.1:9"], "labels": {"job": "dyadnet"}}
        assert during == [other, {"targets": [address.removeprefix("http://")], "labels": {"job": "dyadnet"}}]
        assert json.loads(path.read_text()) == [other]
    assert json.loads(path.read_text()) == []
    assert [entry.name for entry in path.parent.iterdir() if entry.suffix == ".tmp"] == []


def test_a_discovery_file_of_another_kind_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "runs.json"
    path.write_text("no list")
    with pytest.raises(dn.ConfigError, match=r"metrics\.file_sd: .* is not legal; a new file, or a list of targets"):
        train(settings(metrics={"file_sd": str(path)}), tmp_path / "run")
    assert path.read_text() == "no list"
    assert not (tmp_path / "run").exists()


def test_a_diverging_run_says_so_while_it_lingers(tmp_path: Path) -> None:
    values = settings(dynamics={"step": 2.0, "patience": 5}, metrics={"linger": 1.5})
    found: list[Any] = []

    def look(address: str) -> None:
        def later() -> None:
            until(lambda: state(address) == "diverged")
            found.append((scraped(address), fetch(f"{address}/healthz")))

        threading.Thread(target=later, daemon=True).start()

    with pytest.raises(dn.DivergedError):
        train(values, tmp_path / "run", Found(0, look))
    ((last, health),) = found
    assert value(last, "diverged_total") == 1
    assert value(last, "run_state", state="diverged") == 1
    assert health[0] == 503
    assert "diverging in block" in json.loads(health[2])["runs"][0]["why"]
