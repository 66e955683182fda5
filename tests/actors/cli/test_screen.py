"""What ``status`` and ``top`` draw says what the glances say; which run a user means."""

from __future__ import annotations

import io
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from dyadnet.config import RunConfig
from dyadnet.engines.local import LocalEngine
from dyadnet.errors import UsageError
from dyadnet.telemetry.snapshot import Snapshot
from dyadnet.telemetry.view import view
from dyadnet.training.api import load_data
from dyadnet.training.coordinator import Coordinator
from dyadnet_actors.cli.screen import ACTIVITIES, BARS, board, chains, duration, overview, rates, sparkline, waiting
from dyadnet_actors.cluster.discovery import ClusterRun, chosen
from tests.actors.clusters import DYADNET, clean_environment
from tests.telemetry.runs import settings


def drawn(what: RenderableType, width: int = 120) -> str:
    """As text."""
    text = io.StringIO()
    Console(width=width, file=text).print(what)
    return text.getvalue()


@pytest.fixture(scope="module")
def glance() -> dict[str, Any]:
    """Of a real run of two epochs, at its end."""
    config = RunConfig.read(settings())
    dataset = load_data(config)
    snapshot = Snapshot(config, "a-run")
    Coordinator(config, dataset.sizes, LocalEngine(config, dataset), None, None, snapshot).run()
    return view(snapshot) | {"out": "runs/a-run", "places": {}}


def test_the_board_shows_every_block_and_its_numbers(glance: dict[str, Any]) -> None:
    text = drawn(board(glance, rates(glance)))
    assert "a-run" in text
    for name, block in glance["blocks"].items():
        row = next(line for line in text.splitlines() if line.strip(" │").startswith(name))
        assert f"{block['residual']:.3g}" in row
        assert f"{block['saturated']:.0%}" in row
    assert f"{glance['accuracy']['validation']:.2%}" in text


def test_a_run_that_has_only_begun_can_be_drawn() -> None:
    glance = view(Snapshot(RunConfig.read(settings()), "new")) | {"out": "runs/new", "places": {}}
    assert "starting" in drawn(board(glance, rates(glance)))
    assert "starting" in drawn(overview([("coordinator-1", glance)]))


def test_rates_are_of_what_happened_between_two_glances(glance: dict[str, Any]) -> None:
    later = glance | {"now": glance["now"] + 2.0, "minibatches": glance["minibatches"] + 10}
    later["blocks"] = {name: block | {"updates": block["updates"] + 50} for name, block in glance["blocks"].items()}
    seconds = {"computing": 1.0, "waiting": 3.0}
    before = glance | {"actors": {"h1": {"seconds": seconds, "ages": {"h2": [10, 1.0]}}}}
    later["actors"] = {"h1": {"seconds": {"computing": 2.5, "waiting": 3.5}, "ages": {"h2": [30, 2.0]}}}
    found = rates(later, before)
    assert found.minibatches == pytest.approx(5.0)
    assert found.updates == pytest.approx(dict.fromkeys(glance["blocks"], 25.0))
    assert found.activities["h1"] == pytest.approx({"computing": 0.75, "waiting": 0.25})
    assert found.ages["h1"] == pytest.approx(0.05)


def test_every_run_has_a_line_that_fits_a_narrow_terminal(glance: dict[str, Any]) -> None:
    text = drawn(overview([("coordinator-0123456789ab", glance), ("coordinator-ba9876543210", {})]), width=80)
    lines = text.splitlines()
    assert "…" not in text
    assert "a-run" in lines[1]
    assert "2/2" in lines[1]
    assert "ba9876543210" in lines[2]
    assert "no answer" in lines[2]


def test_at_80_columns_everything_can_be_read(glance: dict[str, Any]) -> None:
    long = "fashion-mnist-sshm-20261129-120000"
    shares = {"seconds": {"computing": 1.0, "waiting": 2.0, "held": 1.0}, "ages": {}}
    place = {"address": "192.168.100.101", "pid": 4194304}
    busy = glance | {"run": long, "actors": {"h1+h2": shares, "out": shares}, "places": {"h1+h2": place, "out": place}}
    live = drawn(board(busy, rates(busy), 80), width=80)
    assert "…" not in live
    assert max(map(len, live.splitlines())) <= 80
    headings = next(line for line in live.splitlines() if "residual" in line)
    titles = ("block", "neurons", "residual", "tolerance", "saturated", "updates/s", "age", "waiting")
    assert headings.strip("│ ").split() == list(titles)
    assert live.count("192.168.100.101 pid 4194304") == 2
    assert all(word in live for word in ACTIVITIES)
    listed = drawn(overview([("coordinator-0123456789ab", busy)]), width=80)
    assert "…" not in listed
    # A long name goes on in the next line.
    assert "".join(line[:20].strip() for line in listed.splitlines()[1:]) == long


def test_numbers_side_by_side_are_of_one_epoch(glance: dict[str, Any]) -> None:
    ended = glance["ended"]
    assert ended["epoch"] == 2
    assert glance["accuracy"] | ended["accuracy"] == glance["accuracy"]
    # In the third epoch the part that is trained on has other numbers, and the others have none yet.
    later = glance | {"accuracy": glance["accuracy"] | {"train": 0.777}, "planned": 3, "epoch": 3, "minibatches": 20}
    text = drawn(board(later, rates(later)))
    assert f"{ended['accuracy']['train']:.2%}" in text
    assert "77.70%" not in text
    assert "epoch 3/3" in text
    assert "minibatch 2/9" in text


def test_hung_actors_are_told_from_busy_ones(glance: dict[str, Any]) -> None:
    text = drawn(waiting({"h1": "waits for h2", "out": "does not answer within 5 s: hung"}, glance))
    assert "waits for h2" in text
    assert "hung" in text


@given(st.lists(st.none() | st.floats(1e-6, 1e6), max_size=300), st.integers(1, 80))
def test_a_sparkline_fits_its_width_and_uses_its_heights(values: list[float | None], width: int) -> None:
    line = sparkline(values, width)
    assert len(line) == min(width, sum(value is not None for value in values))
    assert set(line) <= set(BARS)


@pytest.mark.parametrize(("seconds", "said"), [(0, "0:00"), (61.4, "1:01"), (3599, "59:59"), (3661, "1:01:01")])
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


RUNS = [
    ClusterRun(f"coordinator-{key}", {"run": name})
    for key, name in (("aa1", "digits"), ("ab2", "digits-hm"), ("c3", "mnist"))
]


@pytest.mark.parametrize(
    ("wanted", "key"),
    [("digits", "aa1"), ("digits-", "ab2"), ("m", "c3"), ("ab2", "ab2"), ("coordinator-c3", "c3"), ("c3", "c3")],
)
def test_a_run_is_meant_by_its_name_its_coordinator_or_a_beginning(wanted: str, key: str) -> None:
    assert chosen(RUNS, wanted).coordinator == f"coordinator-{key}"


@pytest.mark.parametrize(
    ("runs", "wanted", "said"),
    [
        (RUNS, "dig", r"ambiguous: digits \(coordinator-aa1\), digits-hm \(coordinator-ab2\)"),
        (RUNS, "x", "no run 'x' on this cluster; there is: digits, digits-hm, mnist"),
        (RUNS, None, "name a run; there are: digits, digits-hm, mnist"),
        ([], None, "no run is on this cluster"),
        ([], "x", "there is: nothing"),
    ],
)
def test_any_other_name_is_refused_with_what_runs(runs: list[ClusterRun], wanted: str | None, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        chosen(runs, wanted)


def test_without_a_cluster_it_is_one_line() -> None:
    # In a process of its own: this one may be connected to the cluster that other tests share.
    command = [DYADNET, "status", "--address", "127.0.0.1:1"]
    ended = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 2
    assert "no cluster answers there" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_in_free_running_mode_nobody_is_said_to_wait() -> None:
    found = {"still": 0.1, "text": "h2 waits for state of h1 of tick 3"}
    assert "h2 waits for state" in drawn(chains(found))
    assert "nobody waits for anybody: the run is free-running" in drawn(chains(found, "free"))
    assert "h2 waits for state" in drawn(chains(found | {"still": 1e6}, "free"))
