"""Metrics of runs on Ray: served by the coordinator's actor, agreeing with the record, changing no bit."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

import dyadnet as dn
from dyadnet.config import RunConfig
from tests.telemetry.runs import Found, fetch, lines, running, scraped, settings, state, until, value

pytestmark = pytest.mark.usefixtures("ray_session")


def test_a_run_on_ray_is_served_and_stays_the_same(tmp_path: Path) -> None:
    expected = dn.train(RunConfig.read(settings(metrics={"port": None})), tmp_path / "local")
    values = settings(engine="ray", metrics={"linger": 2.0, "cosine": 3}, cluster={"actors": 2})
    with running(values, tmp_path / "ray") as address:
        assert "<title>dyadnet</title>" in fetch(f"{address}/")[2]
        until(lambda: state(address) == "finished")
        found = scraped(address)
    records = [(tmp_path / run / "metrics.jsonl").read_bytes() for run in ("local", "ray")]
    assert records[0] == records[1]
    assert lines(tmp_path / "ray", "metrics.jsonl")[-1]["weights_sha256"] == expected.weights_sha256
    machinery = lines(tmp_path / "ray", "machinery.jsonl")
    assert machinery[0] == {"kind": "metrics", "address": address.removeprefix("http://")}
    epochs = [line for line in machinery if line["kind"] == "epoch"]
    actors = list(machinery[1]["actors"])
    assert len(actors) == 2
    for actor in actors:
        place = machinery[1]["actors"][actor]
        assert value(found, "actor_info", actor=actor, address=place["address"], pid=str(place["pid"])) == 1
        assert value(found, "actor_incarnation", actor=actor) == 0
        for activity in ("computing", "waiting"):
            recorded = sum(line["actors"][actor][activity] for line in epochs)
            assert 0 < value(found, "actor_seconds_total", actor=actor, activity=activity) <= 1.001 * recorded
        sent = sum(line["actors"][actor]["bytes"] for line in epochs)
        assert 0 < value(found, "actor_wire_bytes_total", actor=actor) <= sent
    parts = ("train", "validation", "test")
    record = [line for line in lines(tmp_path / "ray", "metrics.jsonl") if line["kind"] == "epoch"]
    sent = sum(edge["messages"] for line in record for part in parts for edge in line[part]["edges"].values())
    assert sum(v for (name, _), v in found.items() if name == "dyadnet_messages_total") == sent
    assert 0.97 < value(found, "gradient_cosine") < 1.0


def test_a_port_in_use_is_refused_on_ray_too(tmp_path: Path) -> None:
    seen: list[Any] = []

    def second(address: str) -> None:
        port = int(address.rsplit(":", 1)[1])
        values = settings(engine="ray", metrics={"port": port})
        try:
            dn.train(RunConfig.read(values), tmp_path / "second")
        except dn.ConfigError as problem:
            seen.append(str(problem))

    dn.train(RunConfig.read(settings()), tmp_path / "first", Found(1, second))
    assert "it is in use on 127.0.0.1" in seen[0]
    assert not (tmp_path / "second").exists()


def test_ages_are_counted_where_nobody_waits(tmp_path: Path) -> None:
    values = settings(
        engine="ray",
        dynamics={"mode": {"kind": "free", "budget": 0.2}},
        learning={"epochs": 1},
        data={"limit_train": 60, "limit_test": 20},
        # Long enough for a look, on a busy machine, too.
        metrics={"linger": 4.0},
    )
    found: list[Any] = []
    looking: list[threading.Thread] = []

    def look(address: str) -> None:
        def later() -> None:
            until(lambda: state(address) == "finished")
            found.append(scraped(address))

        looking.append(threading.Thread(target=later))
        looking[0].start()

    dn.train(RunConfig.read(values), tmp_path / "run", Found(0, look))
    looking[0].join()
    (last,) = found
    edges = {dict(labels)["edge"] for name, labels in last if name == "dyadnet_message_age_seconds_count"}
    assert edges == {"h1>h2", "h2>h1", "h2>out", "out>h2"}
    (epoch,) = [line for line in lines(tmp_path / "run", "machinery.jsonl") if line["kind"] == "epoch"]
    for target in ("h1", "h2", "out"):
        for source, line in epoch["actors"][target]["edges"].items():
            counted = value(last, "message_age_seconds_count", edge=f"{source}>{target}")
            assert counted == sum(line["age_ms"]) > 0
    assert value(last, "delay_seconds") == pytest.approx(1e-3 * epoch["pace"]["delay_ms"])
    assert not any(name == "dyadnet_message_age_ticks" for name, _ in last)
