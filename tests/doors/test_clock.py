"""A clock of one's own: it fires alike in every process, and as a built-in one where it says the same."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

import dyadnet as dn
from dyadnet.config.dynamics import CLOCKS
from dyadnet.dynamics.request import Phase
from dyadnet.timing.clocks import Firing, OwnClock
from tests.doors.engines import SMALL, bits, hosted, read, trained
from tests.program.test_executor import agree, run_of
from tests.support import cyclic

DYNAMICS: dict[str, Any] = {**SMALL["dynamics"], "step": 0.3}


@pytest.fixture
def chancy() -> Iterator[str]:
    """The built-in Bernoulli clock once more."""

    class Chancy(OwnClock):
        kind: Literal["chancy"] = "chancy"
        p: float = 0.5

        @property
        def interval(self) -> int:
            return math.ceil(1 / self.p)

        @property
        def rate(self) -> float:
            return self.p

        def fires(self, tick: int, moment: Firing) -> bool:
            return bool(moment.generator(tick).random() < self.p)

    dn.register("clock", "chancy")(Chancy)
    yield "chancy"
    CLOCKS.forget("chancy")


@pytest.fixture
def bursts() -> Iterator[str]:
    """Every third tick but for the first hidden layer, which fires twice and rests twice."""

    class Bursts(OwnClock):
        kind: Literal["bursts"] = "bursts"

        @property
        def interval(self) -> int:
            return 3

        def fires(self, tick: int, moment: Firing) -> bool:
            return (tick // 2) % 2 == 0 if moment.block == "h1" else tick % 3 == 0

    dn.register("clock", "bursts")(Bursts)
    yield "bursts"
    CLOCKS.forget("bursts")


@pytest.mark.usefixtures("ray_session")
def test_a_clock_fires_alike_on_every_engine(bursts: str, tmp_path: Path) -> None:
    found = bits(tmp_path, dynamics={**DYNAMICS, "clock": bursts, "delay": {"kind": "uniform", "high": 3}})
    dynamics = {**DYNAMICS, "clock": {"kind": "periodic", "period": 3}, "delay": {"kind": "uniform", "high": 3}}
    assert trained(tmp_path / "other", dynamics=dynamics).weights_sha256 != found


@pytest.mark.parametrize("carried", [False, True])
def test_a_clock_fires_alike_on_any_number_of_hosts(bursts: str, chancy: str, carried: bool) -> None:
    dynamics = {**DYNAMICS, "clock": bursts, "clocks": {"out": {"kind": chancy, "p": 0.7}}, "delay": 2, "lanes": 2}
    hosted(dynamics=dynamics, carried=carried)


@pytest.mark.parametrize("lanes", [1, 2])
def test_a_clock_that_says_what_a_built_in_one_says_gives_its_bits(chancy: str, tmp_path: Path, lanes: int) -> None:
    runs = [
        trained(tmp_path / kind, dynamics={**DYNAMICS, "lanes": lanes, "clock": {"kind": kind, "p": 0.4}})
        for kind in ("bernoulli", chancy)
    ]
    assert runs[0].weights_sha256 == runs[1].weights_sha256


def test_a_clock_fires_as_in_the_slow_reference(bursts: str, chancy: str) -> None:
    config = run_of(cyclic(), clock=bursts, clocks={"b": {"kind": chancy, "p": 0.7}}, lanes=2, sweeps=5, delay=2)
    agree(config, (Phase("free", 0.0, 5), Phase("nudged", 0.2, 5)))


def test_what_is_no_clock_is_refused(chancy: str, tmp_path: Path) -> None:
    class Mute(OwnClock):
        kind: Literal["mute"] = "mute"

        @property
        def interval(self) -> int:
            return 0

        def fires(self, tick: int, moment: Firing) -> bool:
            return 1  # type: ignore[return-value]

    class Slow(Mute):
        kind: Literal["slow"] = "slow"  # type: ignore[assignment]

        @property
        def interval(self) -> int:
            return 2

    with pytest.raises(dn.UsageError, match="built in"):
        dn.register("clock", "periodic")(Mute)
    with pytest.raises(dn.UsageError, match="its field kind has to be 'other'"):
        dn.register("clock", "other")(Mute)
    with pytest.raises(dn.ConfigError, match=r"dynamics.clock.kind: 'chance' .*bernoulli, chancy.*dyadnet.register"):
        read(dynamics={"clock": "chance"})
    with pytest.raises(dn.ConfigError, match=r"dynamics.clock: .*no ticks in mode free"):
        read(engine="ray", dynamics={"clock": chancy, "mode": "free"})
    for kind, thing in (("mute", Mute), ("slow", Slow)):
        dn.register("clock", kind)(thing)
    try:
        with pytest.raises(dn.ConfigError, match=r"dynamics.clock: .*interval .*from 1 on, not 0"):
            trained(tmp_path / "mute", dynamics={"clock": "mute"})
        with pytest.raises(dn.UsageError, match=r"dynamics.clock: slow says 1 of h1; it should be True or False"):
            trained(tmp_path / "slow", dynamics={"clock": "slow"})
    finally:
        CLOCKS.forget("mute")
        CLOCKS.forget("slow")
