"""A real Prometheus with the shipped configuration watches runs that train, diverge and stall."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dyadnet as dn
from dyadnet.config import RunConfig
from dyadnet.errors import DyadnetError
from dyadnet.runs.watcher import Silent
from tests.deploy.manifests import documented, panel_queries, rule_queries
from tests.deploy.server import PATIENCE, Prometheus, hurried, serving, until
from tests.telemetry.runs import lines, settings

pytestmark = [
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs Prometheus (Debian package prometheus)"),
    pytest.mark.usefixtures("ray_session"),
]
EPOCHS = 15
PACE = 0.7
"""Seconds between two epochs of a run, at least: however fast the machine, the server sees it count."""
LINGER = 12.0
"""Seconds that a run is scraped after its end: longer than an alert waits, however soon the run ends."""
RUNS = ("lockstep", "free", "numbers", "noise")
PARTS = ("train", "validation", "test")
EXCUSED = {
    "DyadnetDiverging": "these runs do not diverge; a test below makes it fire",
    "DyadnetStalled": "these runs do not stall; a test below makes it fire",
    "DyadnetFailed": "these runs do not fail; a test below makes it fire",
    "DyadnetMessagesRefused": "every message is well-formed here; rules_test.yml makes it fire",
    "DyadnetActorRestarted": "no actor dies here; rules_test.yml makes it fire",
    "DyadnetCheckpointStale": "an epoch is over within seconds; rules_test.yml makes it fire",
}
"""Alerts that cannot fire in an undisturbed run, each with the reason."""


class Slowly(Silent):
    """Takes its time over every epoch; a run waits at its checkpoints until its record is kept."""

    def epoch(self, line: dict[str, Any]) -> None:
        """See `ProgressCallback`."""
        time.sleep(PACE)


class Watch:
    """The server, and runs in threads that it watches."""

    def __init__(self, server: Prometheus, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.began = time.time()
        self.types: dict[str, str] = {}
        self.ended_badly: dict[str, str] = {}

    @contextlib.contextmanager
    def running(self, name: str, **sections: Any) -> Iterator[None]:
        """A run that lists itself; has ended, well or not, on the way out."""
        metrics = {"port": 0, "norms": 1, "linger": LINGER, "file_sd": str(self.server.targets)}
        config = RunConfig.read(settings(**{"metrics": metrics, **sections}))

        def work() -> None:
            try:
                dn.train(config, self.folder / name, watcher=Slowly())
            except DyadnetError as problem:
                self.ended_badly[name] = str(problem)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            thread.join(180)
        assert not thread.is_alive()

    def finished(self, *names: str) -> None:
        """Wait for the ends of runs, and note the types that their targets told: a server forgets them with those."""
        left = set(names)

        def over() -> bool:
            ended = {name for name in left if self.in_state(name, "finished")}
            if ended:
                self.types |= self.server.types()
                left.difference_update(ended)
            assert not left & self.ended_badly.keys(), self.ended_badly
            return not left

        until(over, len(names) * PATIENCE)

    def fired(self, alert: str, run: str) -> bool:
        """Whether an alert of a run fires or has fired."""
        return self.server.seen(f'ALERTS{{alertname="{alert}", alertstate="firing", run="{run}"}}', self.began)

    def in_state(self, name: str, state: str) -> bool:
        """Whether the server has heard of a run in a state."""
        return 1.0 in self.server.values(f'dyadnet_run_state{{run="{name}", state="{state}"}}')


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory, ray_session: None) -> Iterator[Watch]:
    """A server that has seen undisturbed runs: in lockstep, free, and with numbers and images as targets."""
    folder = tmp_path_factory.mktemp("prometheus")
    with serving(folder) as server:
        watch = Watch(server, folder)
        plain = {"port": 0, "norms": 1, "linger": 4.0, "file_sd": str(server.targets)}
        exact = plain | {"linger": LINGER, "cosine": 3}
        common: dict[str, Any] = {"engine": "ray", "cluster": {"actors": 2}}
        # Too few sweeps to settle, so that phases are capped, and that alert fires.
        capped: dict[str, Any] = {"dynamics": {"sweeps": 3}, "learning": {"epochs": EPOCHS}}
        free = {"dynamics": {"mode": {"kind": "free", "budget": 0.2}}, "learning": {"epochs": EPOCHS // 2}}
        inputs = np.random.default_rng(0).standard_normal((300, 4))
        network = {"layered": {"inputs": 4, "hidden": [8], "outputs": 2, "output_activation": "linear"}}
        np.savez(folder / "numbers.npz", x_train=inputs, y_train=inputs[:, :2], x_test=inputs, y_test=inputs[:, :2])
        numbers = {"name": str(folder / "numbers.npz")}
        noisy = {"name": "digits", "task": "denoise", "limit_train": 60, "limit_test": 20}
        pixels = {"layered": {"inputs": 64, "hidden": [8], "outputs": 64, "output_activation": "linear"}}
        # Side by side: most of the time is waiting.
        with (
            watch.running("lockstep", **common, **capped, metrics=exact),
            watch.running("free", **common, **free, metrics=plain),
            watch.running("numbers", data=numbers, network=network, learning={"epochs": 4}),
            watch.running("noise", data=noisy, network=pixels, learning={"epochs": 4}),
        ):
            watch.finished("lockstep", "free", "numbers", "noise")
        yield watch


def test_every_documented_metric_is_there_with_its_type(watch: Watch) -> None:
    types = documented()
    assert len(types) > 40
    # OpenMetrics names a counter without its ending.
    found = {name: watch.types.get(name) or watch.types.get(name.removesuffix("_total")) for name in types}
    assert found == types
    for name, kind in types.items():
        assert watch.server.seen(f"{name}_bucket" if kind == "histogram" else name, watch.began), name


def test_counters_agree_with_the_record_at_the_end(watch: Watch) -> None:
    record = [line for line in lines(watch.folder / "lockstep", "metrics.jsonl") if line["kind"] == "epoch"]

    def counted(metric: str, **labels: str) -> float:
        matchers = ", ".join(f'{name}="{value}"' for name, value in {"run": "lockstep", **labels}.items())
        return sum(watch.server.values(f"max_over_time(dyadnet_{metric}{{{matchers}}}[10m])"))

    assert counted("epochs_total") == len(record) == EPOCHS
    assert counted("minibatches_total") == EPOCHS * counted("epoch_minibatches")
    for part in PARTS:
        assert counted("samples_total", part=part) == sum(line[part]["samples"] for line in record)
        assert counted("capped_phases_total", part=part) == sum(line[part]["capped"] for line in record)
    edges = [edge for line in record for part in PARTS for edge in line[part]["edges"].values()]
    assert counted("messages_total") == sum(edge["messages"] for edge in edges)
    for block in record[0]["train"]["blocks"]:
        updates = sum(line[part]["blocks"][block]["updates"] for line in record for part in PARTS)
        assert counted("updates_total", block=block) == updates
    assert counted("diverged_total") == 0


def test_every_query_of_the_dashboard_returns_data(watch: Watch) -> None:
    silent = [
        (title, expression)
        for title, expression in panel_queries()
        if not any(
            watch.server.seen(expression.replace("$run", run).replace("$__rate_interval", "5s"), watch.began)
            for run in RUNS
        )
    ]
    assert silent == []


def test_every_rule_returns_data_unless_there_is_a_reason(watch: Watch) -> None:
    names = [name for name, _ in rule_queries()]
    assert set(EXCUSED) <= set(names)
    silent = {name for name, text in rule_queries() if not watch.server.seen(hurried(text), watch.began)}
    # Those with an excuse may be slow to go silent again on a machine that is busy.
    assert silent <= set(EXCUSED)
    assert "DyadnetDiverging" in silent


def test_the_alert_of_unsettled_phases_has_fired(watch: Watch) -> None:
    assert watch.fired("DyadnetCapped", "lockstep")


@pytest.fixture(scope="module")
def struck(watch: Watch) -> Iterator[Watch]:
    """The same server while one run diverges and an actor of another is stopped."""
    # Nobody takes its place, and it is noticed late enough for the alert to come first.
    recovery = {"actor_failures": 0, "heartbeat": 10}
    still: dict[str, Any] = {"engine": "ray", "learning": {"epochs": 5000}, "recovery": recovery}
    wild = {"dynamics": {"step": 2.0, "patience": 5}}
    with watch.running("still", **still), watch.running("wild", **wild):
        until(lambda: watch.in_state("still", "training"))
        place = next(line for line in lines(watch.folder / "still", "machinery.jsonl") if line["kind"] == "placement")
        os.kill(place["actors"]["h2"]["pid"], signal.SIGSTOP)
        yield watch


def test_the_diverging_alert_fires_when_a_run_diverges(struck: Watch) -> None:
    until(lambda: struck.fired("DyadnetDiverging", "wild"))
    assert struck.server.seen('dyadnet_run_state{run="wild", state="diverged"} == 1', struck.began)


def test_the_stalled_alert_fires_when_an_actor_is_stopped(struck: Watch) -> None:
    until(lambda: struck.fired("DyadnetStalled", "still"))
    until(lambda: struck.fired("DyadnetFailed", "still"))
