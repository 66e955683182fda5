"""An imperfection of one's own: it changes messages alike on every engine, and what it counts is told everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import generate_latest

import dyadnet as dn
from dyadnet.dynamics.outcome import COUNTED
from dyadnet.imperfections.own import EFFECTS, Counter, OwnEffect, StreamName
from dyadnet.reporting.contents import contents
from dyadnet.reporting.reading import read as read_folder
from dyadnet.telemetry.collector import RunsCollector
from dyadnet.telemetry.snapshot import Snapshot
from tests.doors.engines import SMALL, bits, counted, hosted, read, trained

MANY: dict[str, Any] = {**SMALL["dynamics"], "lanes": 2, "clock": {"kind": "bernoulli", "p": 0.6}}


@pytest.fixture
def flips() -> Iterator[str]:
    """Some numbers change their sign."""

    class Flips(OwnEffect):
        kind: Literal["flips"] = "flips"
        p: float = 0.02
        counter: ClassVar[Counter] = Counter("flipped", "Numbers whose sign was changed.")

        def apply(
            self, values: NDArray[Any], draw: np.random.Generator, stream: StreamName
        ) -> tuple[NDArray[Any], int]:
            flipped = draw.random(values.shape) < self.p
            values[flipped] *= -1
            return values, int(np.count_nonzero(flipped))

    dn.register("imperfection", "flips")(Flips)
    yield "flips"
    EFFECTS.forget("flips")


@pytest.fixture
def nothing() -> Iterator[str]:
    """Every message is as it was, and counted."""

    class Nothing(OwnEffect):
        kind: Literal["nothing"] = "nothing"
        noisy: ClassVar[bool] = False
        counter: ClassVar[Counter] = Counter("seen", "Messages, each once a stream.")

        def apply(
            self, values: NDArray[Any], draw: np.random.Generator, stream: StreamName
        ) -> tuple[NDArray[Any], int]:
            return values, 1

    dn.register("imperfection", "nothing")(Nothing)
    yield "nothing"
    EFFECTS.forget("nothing")


@pytest.mark.usefixtures("ray_session")
def test_an_imperfection_changes_messages_alike_on_every_engine(flips: str, nothing: str, tmp_path: Path) -> None:
    own: dict[str, Any] = {"channel": {"own": [{"kind": flips}, {"kind": nothing}], "loss": 0.1, "duplication": 0.1}}
    found = bits(tmp_path, dynamics={**MANY, "delay": {"kind": "uniform", "high": 3}}, imperfections=own)
    own["channel"]["own"][0]["p"] = 0.1
    other = trained(tmp_path / "other", dynamics={**MANY, "delay": {"kind": "uniform", "high": 3}}, imperfections=own)
    assert other.weights_sha256 != found
    assert counted(trained(tmp_path / "three", 3, dynamics=MANY, imperfections=own), "flipped") == counted(
        trained(tmp_path / "none", dynamics=MANY, imperfections=own), "flipped"
    )


@pytest.mark.parametrize("carried", [False, True])
def test_an_imperfection_changes_messages_alike_on_any_number_of_hosts(flips: str, nothing: str, carried: bool) -> None:
    own = {"channel": {"own": [{"kind": flips}, {"kind": nothing}], "loss": 0.1, "duplication": 0.1}}
    lines = hosted(dynamics={**MANY, "delay": {"kind": "uniform", "high": 3}}, imperfections=own, carried=carried)
    (epoch,) = (line for line in lines if line.get("kind") == "epoch")
    assert sum(edge["flipped"] for edge in epoch["train"]["edges"].values()) > 0


@pytest.mark.parametrize("draw", ["message", "neuron"])
@pytest.mark.parametrize("built_in", [{}, {"send_on_delta": 0.01, "duplication": 0.3}, {"additive": {"mean": 0.1}}])
def test_one_that_changes_nothing_gives_the_bits_of_none(
    nothing: str, tmp_path: Path, draw: str, built_in: dict[str, Any]
) -> None:
    dynamics = {**MANY, "fixed": True, "average": 0, "delay": {"kind": "uniform", "high": 3, "draw": draw}, "step": 0.3}
    runs = [
        trained(tmp_path / f"{len(own)}", dynamics=dynamics, imperfections={"channel": {**built_in, "own": own}})
        for own in ([], [{"kind": nothing}])
    ]
    assert runs[0].weights_sha256 == runs[1].weights_sha256
    assert counted(runs[1], "seen") > 0
    assert all(counted(runs[0], count) == counted(runs[1], count) for count in COUNTED)
    assert '"seen"' not in (runs[0].path / "metrics.jsonl").read_text(encoding="utf-8")


def test_what_it_counts_is_in_the_record_in_prometheus_and_in_the_report(flips: str, tmp_path: Path) -> None:
    own = {"channels": {"h1->h2": {"own": [{"kind": flips, "p": 0.5}]}}}
    run = trained(tmp_path, dynamics=MANY, imperfections=own)
    total = counted(run, "flipped")
    page = contents(read_folder(run.path))
    shown = {row["channel"]: row["flipped"] for row in page["channels"]}
    assert sum(shown.values()) == total > 0
    assert {channel for channel, count in shown.items() if count} == {"h1>h2 state", "h2>h1 feedback"}
    snapshot = Snapshot(run.config, "mine")
    snapshot.counts[:, -1] = 7
    scraped = generate_latest(RunsCollector(lambda: [snapshot]).registry()).decode()
    assert "# HELP dyadnet_messages_flipped_total Numbers whose sign was changed." in scraped
    (line,) = (
        s for s in scraped.splitlines() if s.startswith("dyadnet_messages_flipped_total") and 'edge="h1>h2"' in s
    )
    assert line.endswith(" 7.0")


def test_under_noise_of_ones_own_phases_have_fixed_lengths(flips: str, nothing: str) -> None:
    def noisy(kind: str) -> bool:
        config = read(imperfections={"channel": {"own": [{"kind": kind}]}})
        assert not config.imperfections.ideal()
        return config.imperfections.noisy(config.network)

    assert noisy(flips)
    assert not noisy(nothing)


def test_what_is_no_imperfection_is_refused(flips: str, tmp_path: Path) -> None:
    class Uncounted(OwnEffect):
        kind: Literal["bad"] = "bad"

        def apply(
            self, values: NDArray[Any], draw: np.random.Generator, stream: StreamName
        ) -> tuple[NDArray[Any], int]:
            return values[:1], 0

    class Taken(Uncounted):
        counter: ClassVar[Counter] = Counter("stale", "Nothing.")

    class Cut(Uncounted):
        counter: ClassVar[Counter] = Counter("cut", "Nothing.")

    with pytest.raises(dn.UsageError, match="it lacks counter"):
        dn.register("imperfection", "bad")(Uncounted)
    with pytest.raises(dn.UsageError, match="its counter is 'stale'"):
        dn.register("imperfection", "bad")(Taken)
    with pytest.raises(dn.ConfigError, match=r"imperfections.channel.own.0.kind: 'flip' .*flips; .*dyadnet.register"):
        read(imperfections={"channel": {"own": [{"kind": "flip"}]}})
    with pytest.raises(dn.ConfigError, match=r"imperfections.channel.own.0: .*kind, the name of a registered"):
        read(imperfections={"channel": {"own": [0.1]}})
    mode = {"kind": "free", "settle": False, "updates": 10}
    with pytest.raises(dn.ConfigError, match=r"imperfections.channel.own: .*in mode free"):
        read(
            engine="ray",
            dynamics={"mode": mode, "sweeps": 150, "nudged_sweeps": 50},
            imperfections={"channel": {"own": [{"kind": flips}]}},
        )
    dn.register("imperfection", "bad")(Cut)
    with pytest.raises(dn.UsageError, match=r"imperfections.channel.own: bad gave float32 of shape \(1, 8\)"):
        trained(tmp_path, dynamics=MANY, imperfections={"channel": {"own": [{"kind": "bad"}]}})
    EFFECTS.forget("bad")
