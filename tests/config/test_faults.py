"""Faults on purpose, as a user writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import dyadnet as dn
from dyadnet.cli.main import main
from dyadnet.config import RunConfig
from dyadnet.config.faults import Fault, Faults, check_homes, parsed

NAMES = st.sampled_from(["h1", "h2.0", "a-b", "out"])
COUNTS = st.integers(1, 10**6)
FAULTS = st.one_of(
    st.builds(Fault, kind=st.sampled_from(["kill", "hang"]), block=NAMES, minibatch=COUNTS, tick=COUNTS),
    st.builds(
        Fault, kind=st.just("slow"), block=NAMES, factor=st.integers(1, 40).map(float), minibatch=COUNTS, tick=COUNTS
    ),
    st.builds(Fault, kind=st.just("cut"), link=st.lists(NAMES, min_size=2, max_size=2), minibatch=COUNTS, tick=COUNTS),
)


@given(FAULTS)
def test_a_fault_reads_as_it_is_written(fault: Fault) -> None:
    assert Fault.read(parsed(str(fault))) == fault


@pytest.mark.parametrize(
    "text",
    [
        "kill",
        "burn:block=h1,minibatch=1",
        "kill:h1",
        "kill:block=h1",
        "kill:block=h1,minibatch=soon",
        "kill:block=h1,minibatch=1,tick=1.5",
        "kill:block=h1,minibatch=1,minibatch=2",
        "kill:block=h1,minibatch=1,colour=red",
        "slow:block=h1,minibatch=1,factor=much",
    ],
)
def test_another_line_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(dn.ConfigError, match=r"^--fault: .* is not legal; .*write kill:block=h2,minibatch=40,tick=7"):
        parsed(text)


def settings(*faults: Any) -> dict[str, Any]:
    network = {"layered": {"inputs": 64, "hidden": [14, 12], "outputs": 10}}
    return {"network": network, "faults": list(faults)}


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ("kill:block=h9,minibatch=1", "no block h9; one of h1, h2, out"),
        ("kill:block=h1,minibatch=0", "greater than or equal to 1"),
        ("cut:link=h1:out,minibatch=1", "these two exchange no messages; one of h1:h2, h2:out"),
        ("cut:block=h1,minibatch=1", "cut with link"),
        ("cut:link=h1,minibatch=1", "at least 2 items"),
        ("slow:block=h1,minibatch=1", "slow with block and factor"),
        ("slow:block=h1,factor=0.5,minibatch=1", "greater than or equal to 1"),
        ("kill:link=h1:h2,minibatch=1", "kill with block"),
        ({"kind": "kill", "block": "h1"}, "minibatch: None is not legal; it has to be given"),
    ],
)
def test_what_the_network_cannot_suffer_is_refused(fault: Any, complaint: str) -> None:
    with pytest.raises(dn.ConfigError, match="faults") as caught:
        RunConfig.read(settings(fault))
    assert complaint in str(caught.value)


def test_a_fault_that_is_listed_twice_is_refused() -> None:
    with pytest.raises(dn.ConfigError, match="listed twice"):
        RunConfig.read(settings("kill:block=h1,minibatch=3", "kill:block=h1,minibatch=3,tick=1"))


def test_faults_survive_the_configurations_file() -> None:
    config = RunConfig.read(settings("kill:block=h2,minibatch=40,tick=7", "cut:link=h1:h2,minibatch=2"))
    again = RunConfig.read(yaml.safe_load(config.to_yaml()))
    assert again.faults == config.faults
    assert str(again.faults[0]) == "kill:block=h2,minibatch=40,tick=7"


def test_a_link_within_an_actor_cannot_be_cut() -> None:
    cut = Fault.read(parsed("cut:link=h1:h2,minibatch=1"))
    check_homes([cut], {"h1": 0, "h2": 1})
    with pytest.raises(dn.ConfigError, match="share an actor"):
        check_homes([cut], {"h1": 0, "h2": 0})


@given(st.lists(FAULTS, max_size=8, unique_by=str), st.lists(COUNTS, max_size=20), st.integers(0, 8))
def test_each_fires_once_in_a_runs_life(faults: list[Fault], others: list[int], replays: int) -> None:
    fired: list[str] = []
    visits = [fault.minibatch for fault in faults] + others
    for _ in range(replays + 1):
        # Every replay begins with what was recorded, whatever else was lost.
        plan = Faults(faults, list(fired), fired.append)
        for minibatch in visits:
            for fault in plan.due(minibatch):
                assert str(fault) in fired
    assert sorted(fired) == sorted(str(fault) for fault in faults)
    assert sorted(plan.fired) == sorted(fired)


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (
            ["--fault", "kill:block=h1"],
            "--fault: 'kill:block=h1' is not legal; minibatch is missing; write kill:block=",
        ),
        (["--fault", "kill:block=x,minibatch=1"], "faults: 'kill:block=x,minibatch=1,tick=1' is not legal; no block x"),
        (["--fault", "hang:block=h1,minibatch=1"], "faults: 'hang:block=h1,minibatch=1,tick=1' is not legal; only the"),
        (["--set", "recovery.actor_failures=-1"], "recovery.actor_failures: -1 is not legal"),
        (["--set", "recovery.heartbeat=3"], "recovery: {'heartbeat': 3.0} is not legal; only the engine ray"),
    ],
)
def test_mistakes_end_in_one_line(
    flags: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", "--engine", "local", "--out", str(tmp_path / "run"), *flags])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(f"dyadnet: {complaint}")
    assert not (tmp_path / "run").exists()
