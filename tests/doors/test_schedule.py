"""A schedule of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

import dyadnet as dn
from dyadnet.config.json_schema import schema
from dyadnet.learning.schedules import SCHEDULES, ScheduleSpec
from tests.doors.support import SMALL, alike, registered, settings, trained


class Triangle(ScheduleSpec):
    """Up to `top` in every even epoch, down to 0 in every odd one."""

    kind: Literal["triangle"] = "triangle"
    top: float

    def at(self, epoch: float, epochs: int) -> float:
        """See `ScheduleSpec`."""
        return self.top * (1 - abs(1 - epoch % 2))

    def extremes(self, epochs: int) -> tuple[float, float]:
        """See `ScheduleSpec`."""
        return 0.0, self.top

    @property
    def stretches(self) -> bool:
        """See `ScheduleSpec`."""
        return False


class Eager(Triangle):
    """The same, which says nothing of a run's length."""

    kind: Literal["eager"] = "eager"  # type: ignore[assignment]

    @property
    def stretches(self) -> bool:
        """As it is unless a schedule says so."""
        return super(Triangle, self).stretches


@pytest.mark.usefixtures("ray_session")
def test_a_schedule(tmp_path: Path) -> None:
    triangle = {"kind": "triangle", "top": 0.02}
    pieces = [{"epochs": 1, "of": 0.5}, {"epochs": 1, "of": {"kind": "triangle", "top": 1.0}}]
    learning = {**SMALL["learning"], "learning_rate": triangle, "lam": {"kind": "piecewise", "pieces": pieces}}
    with registered(SCHEDULES, "triangle", Triangle):
        run = alike(tmp_path, learning=learning)
        longer = dn.resume(run.path, {"learning": {"epochs": 2}})
        whole = trained(tmp_path / "whole", learning={**learning, "epochs": 2})
        assert longer.weights_sha256 == whole.weights_sha256
        # Half way up in the middle of an epoch.
        assert run.config.learning.learning_rate.at(0.5, 1) == 0.01


def test_one_that_may_follow_the_length_of_a_run_keeps_it(tmp_path: Path) -> None:
    with registered(SCHEDULES, "eager", Eager):
        run = trained(tmp_path, learning={**SMALL["learning"], "learning_rate": {"kind": "eager", "top": 0.02}})
        with pytest.raises(dn.ConfigError, match=r"learning\.learning_rate stretches over the whole run"):
            dn.resume(run.path, {"learning": {"epochs": 2}})


@pytest.mark.parametrize("name", ["learning_rate", "beta", "lam"])
def test_a_name_that_nobody_registered_is_refused(name: str) -> None:
    with pytest.raises(dn.ConfigError, match=rf"learning.{name}.kind: 'triangle' .*one of constant,.*dyadnet.register"):
        settings(learning={name: {"kind": "triangle", "top": 1}})


def test_its_settings_and_extremes_are_checked() -> None:
    with registered(SCHEDULES, "triangle", Triangle):
        with pytest.raises(dn.ConfigError, match=r"learning.lam.top: None .*has to be given"):
            settings(learning={"lam": {"kind": "triangle"}})
        with pytest.raises(dn.ConfigError, match=r"learning.lam: 2.0 .*from 0 to 1 throughout"):
            settings(learning={"lam": {"kind": "triangle", "top": 2}})
        with pytest.raises(dn.ConfigError, match=r"learning.beta: 0.0 .*above 0"):
            settings(learning={"beta": {"kind": "triangle", "top": 2}})
        titles = [one.get("title") for one in schema()["$defs"]["Learning"]["properties"]["beta"]["anyOf"]]
        assert "Triangle" in titles


def test_what_is_no_schedule_is_refused() -> None:
    class Timeless(ScheduleSpec):
        kind: Literal["mine"] = "mine"

    for kind, why in {
        Timeless: "lacks at and extremes",
        Triangle: "kind has to be 'mine'",
        int: "ScheduleSpec",
    }.items():
        with pytest.raises(dn.UsageError, match=why):
            dn.register("schedule", "mine")(kind)
