"""A step rule of one's own: it chooses η on every engine, is told what it needs, and is refused where it cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

import pytest
from pydantic import Field

import dyadnet as dn
from dyadnet.config.steps import STEPS, Circumstances, OwnStep
from dyadnet.dynamics.step_size import extremes, largest_stable_step
from dyadnet.schema import Spec
from tests.doors.engines import bits, hosted, read, trained

CLOCK = {"clock": "every-tick", "sweeps": 6, "nudged_sweeps": 6}


@pytest.fixture
def half() -> Iterator[str]:
    """Half of the largest stable step, or another part."""

    class Half(OwnStep):
        kind: Literal["half"] = "half"
        part: float = Field(0.5, gt=0, le=1)

        def step(self, radius: float, about: Circumstances) -> float:
            assert radius > 0
            return self.part * largest_stable_step(extremes(radius, about.sign), about.lag)

    dn.register("step", "half")(Half)
    yield "half"
    STEPS.forget("half")


@pytest.mark.usefixtures("ray_session")
def test_a_rule_chooses_the_step_on_every_engine(half: str, tmp_path: Path) -> None:
    found = bits(tmp_path, dynamics={**CLOCK, "step": {"kind": half, "part": 0.25}})
    line = trained(tmp_path / "other", dynamics={**CLOCK, "step": {"kind": half}})
    assert line.weights_sha256 != found


def test_a_rule_chooses_the_step_on_any_number_of_hosts(half: str) -> None:
    hosted(dynamics={**CLOCK, "step": {"kind": half}})


def test_a_rule_is_told_what_it_has_to_suit(tmp_path: Path) -> None:
    told: list[tuple[float, Circumstances]] = []

    class Curious(OwnStep):
        needs_radius: ClassVar[bool] = False
        kind: Literal["curious"] = "curious"

        def step(self, radius: float, about: Circumstances) -> float:
            told.append((radius, about))
            return 0.125

    dn.register("step", "curious")(Curious)
    run = trained(tmp_path, dynamics={**CLOCK, "step": {"kind": "curious"}, "delay": 3})
    assert set(told) == {(0.0, Circumstances(lag=2, sign=-1, red_black=False, synchronous=True))}
    assert run.config.dynamics.model_dump()["step"] == {"kind": "curious"}
    STEPS.forget("curious")
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    assert all('"step": 0.125' in line for line in lines if '"kind": "minibatch"' in line)


def test_what_is_no_rule_is_refused(half: str) -> None:
    class NoStep(OwnStep):
        kind: Literal["none"] = "none"

    class Another(Spec):
        kind: Literal["none"] = "none"

    for thing, why in ((NoStep, "it lacks step"), (Another, "derives from dyadnet.config.steps.OwnStep")):
        with pytest.raises(dn.UsageError, match=why):
            dn.register("step", "none")(thing)
    with pytest.raises(dn.UsageError, match="built in"):
        dn.register("step", "auto")(NoStep)
    with pytest.raises(dn.ConfigError, match=r"dynamics.step.kind: 'halve' .*half; .*dyadnet.register"):
        read(dynamics={"step": {"kind": "halve"}})
    with pytest.raises(dn.ConfigError, match=r"dynamics.step.part: 2"):
        read(dynamics={"step": {"kind": half, "part": 2}})
    with pytest.raises(dn.ConfigError, match=r"dynamics.prospective: 'auto' .*step rule"):
        read(dynamics={"step": {"kind": half}, "prospective": "auto"})
    with pytest.raises(dn.ConfigError, match=r"dynamics.step: .*no ticks in mode free"):
        read(engine="ray", dynamics={"step": {"kind": half}, "mode": "free"})


def test_a_step_that_is_none_ends_the_run(tmp_path: Path) -> None:
    class Wild(OwnStep):
        kind: Literal["wild"] = "wild"

        def step(self, radius: float, about: Circumstances) -> float:
            return 3.0

    dn.register("step", "wild")(Wild)
    with pytest.raises(dn.UsageError, match=r"dynamics.step: rule wild gave 3.0; .* at most 2"):
        trained(tmp_path, dynamics={**CLOCK, "step": {"kind": "wild"}})
    STEPS.forget("wild")
