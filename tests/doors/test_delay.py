"""A law of delay of one's own: messages take as long in every process, and as under a built-in law that is the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

import dyadnet as dn
from dyadnet.dynamics.ages import distribution
from dyadnet.dynamics.request import Phase
from dyadnet.timing.delays import DELAYS, OwnDelay, Uniform
from tests.doors.engines import SMALL, bits, counted, hosted, read, trained
from tests.program.test_executor import agree, run_of
from tests.support import cyclic

DYNAMICS: dict[str, Any] = {**SMALL["dynamics"], "fixed": True, "clock": "every-tick", "step": 0.3}
DUPLICATES = {"channel": {"duplication": 0.3, "loss": 0.2}}


@pytest.fixture
def even() -> Iterator[str]:
    """The built-in uniform law once more."""

    class Even(OwnDelay):
        kind: Literal["even"] = "even"
        low: int = 1
        high: int

        @property
        def largest(self) -> int:
            return self.high

        def sample(self, generator: np.random.Generator, size: int) -> NDArray[np.int64]:
            return generator.integers(self.low, self.high + 1, size=size)

    dn.register("delay", "even")(Even)
    yield "even"
    DELAYS.forget("even")


@pytest.mark.usefixtures("ray_session")
def test_messages_take_as_long_on_every_engine(even: str, tmp_path: Path) -> None:
    dynamics = {**SMALL["dynamics"], "delay": {"kind": even, "high": 4}}
    found = bits(tmp_path, dynamics=dynamics, imperfections=DUPLICATES)
    dynamics["delays"] = {"h1->h2": {"kind": even, "high": 5}}
    assert trained(tmp_path / "other", dynamics=dynamics, imperfections=DUPLICATES).weights_sha256 != found


@pytest.mark.parametrize("carried", [False, True])
def test_messages_take_as_long_on_any_number_of_hosts(even: str, carried: bool) -> None:
    dynamics = {**DYNAMICS, "delay": {"kind": even, "high": 4}, "lanes": 2}
    hosted(dynamics=dynamics, imperfections=DUPLICATES, carried=carried)


@pytest.mark.parametrize("draw", ["channel", "neuron"])
def test_a_law_that_draws_what_a_built_in_one_draws_gives_its_bits(even: str, tmp_path: Path, draw: str) -> None:
    runs = [
        trained(tmp_path / kind, dynamics={**DYNAMICS, "delay": {"kind": kind, "high": 4, "draw": draw}})
        for kind in ("uniform", even)
    ]
    assert runs[0].weights_sha256 == runs[1].weights_sha256


def test_every_message_draws_its_delay(even: str, tmp_path: Path) -> None:
    """Where the law leaves no choice, all is as under a constant delay; else messages overtake each other."""
    runs = [
        trained(tmp_path / f"{number}", dynamics={**DYNAMICS, "lanes": 2, "delay": delay})
        for number, delay in enumerate((3, {"kind": even, "low": 3, "high": 3}, {"kind": even, "high": 5}))
    ]
    assert runs[0].weights_sha256 == runs[1].weights_sha256 != runs[2].weights_sha256
    stale = [counted(run, "stale") for run in runs]
    assert stale[0] == stale[1] == 0 < stale[2]


def test_messages_take_as_long_as_in_the_slow_reference(even: str) -> None:
    delay = {"kind": even, "high": 4}
    config = run_of(cyclic(), DUPLICATES, delay=delay, clock={"kind": "bernoulli", "p": 0.6}, lanes=2, sweeps=20)
    agree(config, (Phase("free", 0.0, 20), Phase("nudged", 0.2, 20)))


def test_the_mean_age_under_a_law_is_estimated(even: str) -> None:
    law = read(dynamics={"delay": {"kind": even, "high": 4}}).dynamics.delay
    assert np.allclose(distribution(law), distribution(Uniform(high=4)), atol=0.03)


def test_what_is_no_delay_is_refused(even: str, tmp_path: Path) -> None:
    class Late(OwnDelay):
        kind: Literal["late"] = "late"
        most: Any = 3

        @property
        def largest(self) -> int:
            return self.most  # type: ignore[no-any-return]

        def sample(self, generator: np.random.Generator, size: int) -> NDArray[np.int64]:
            return np.full(size, 4)

    class Lacking(OwnDelay):
        kind: Literal["lacking"] = "lacking"

    with pytest.raises(dn.UsageError, match="it lacks largest and sample"):
        dn.register("delay", "lacking")(Lacking)
    with pytest.raises(dn.UsageError, match="built in"):
        dn.register("delay", "uniform")(Late)
    with pytest.raises(dn.ConfigError, match=r"delay.kind: 'odd' .*geometric, distance, even.*dyadnet.register"):
        read(dynamics={"delay": {"kind": "odd"}})
    with pytest.raises(dn.ConfigError, match=r"dynamics.delay.high: .*it has to be given"):
        read(dynamics={"delay": {"kind": even}})
    with pytest.raises(dn.ConfigError, match=r"dynamics.delay: .*no ticks in mode free"):
        read(engine="ray", dynamics={"delay": {"kind": even, "high": 3}, "mode": "free"})
    dn.register("delay", "late")(Late)
    try:
        with pytest.raises(dn.UsageError, match=r"dynamics.delay: late gave .*4.*; .*from 1 to 3, its largest"):
            trained(tmp_path, dynamics={**DYNAMICS, "delay": {"kind": "late"}})
        with pytest.raises(dn.ConfigError, match=r"dynamics.delay: .*largest .*from 1 on, not 0"):
            trained(tmp_path / "none", dynamics={**DYNAMICS, "delay": {"kind": "late", "most": 0}})
    finally:
        DELAYS.forget("late")
