"""An optimiser of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import yaml

import dyadnet as dn
from dyadnet.config.json_schema import schema
from dyadnet.learning.optimisers import OPTIMISERS, SGD, Adam, Momentum, OptimiserSpec
from tests.doors.support import SMALL, alike, registered, settings, trained


class Lion(OptimiserSpec):
    """The sign of a moving average (Chen et al., 2023)."""

    kind: Literal["lion"] = "lion"
    keep: float = 0.9

    def start(self, weights: Any) -> Any:
        """An average, and a count that no weight has the shape of."""
        return {"average": np.zeros_like(weights), "steps": np.zeros(())}

    def step(self, weights: Any, gradient: Any, state: Any, rate: float, count: int, decay: bool) -> None:
        """See `OptimiserSpec`."""
        state["average"] = self.keep * state["average"] + (1 - self.keep) * gradient
        state["steps"] += 1
        # A scalar is as good as an array without axes.
        state["steps"] = state["steps"] + 0
        assert state["steps"] == count
        weights -= rate * np.sign(state["average"])


LEARNING = {**SMALL["learning"], "optimiser": {"kind": "lion", "keep": 0.5}}


@pytest.mark.usefixtures("ray_session")
def test_an_optimiser(tmp_path: Path) -> None:
    with registered(OPTIMISERS, "lion", Lion):
        run = alike(tmp_path, learning=LEARNING)
        others = [trained(tmp_path / name, learning={**LEARNING, "optimiser": name}) for name in ("lion", "sgd")]
        assert len({run.weights_sha256, *(other.weights_sha256 for other in others)}) == 3


@pytest.mark.parametrize("engine", ["local", "ray"])
@pytest.mark.usefixtures("ray_session")
def test_its_state_is_in_checkpoints(engine: str, tmp_path: Path) -> None:
    with registered(OPTIMISERS, "lion", Lion):
        whole = trained(tmp_path / "whole", engine, learning={**LEARNING, "epochs": 2, "learning_rate": 0.01})
        run = trained(tmp_path / "half", engine, learning={**LEARNING, "learning_rate": 0.01})
        again = dn.resume(run.path, {"learning": {"epochs": 2}})
        assert again.weights_sha256 == whole.weights_sha256
    assert yaml.safe_load((run.path / "config.yaml").read_text())["learning"]["optimiser"] == LEARNING["optimiser"]
    with pytest.raises(dn.UsageError, match=r"optimiser.*'lion' is not legal; .*dyadnet.register"):
        dn.resume(run.path, {"learning": {"epochs": 3}})


@pytest.mark.parametrize("kind", [SGD, Momentum, Adam])
def test_what_is_built_in_is_never_called(
    kind: type[OptimiserSpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    monkeypatch.setattr(kind, "step", lambda *arguments, **named: calls.append(arguments))
    learning = {**SMALL["learning"], "optimiser": kind.model_fields["kind"].default}
    trained(tmp_path / "compiled", learning=learning, record={"report": False, "every": 1000})
    # The first is measured, by block.
    measured = len(calls)
    trained(tmp_path / "measured", learning=learning, record={"report": False, "every": 1})
    assert len(calls) - measured == 3 * measured


def test_a_configuration_has_it_in_every_way() -> None:
    with registered(OPTIMISERS, "lion", Lion):
        assert dn.Learning.read({"optimiser": "lion"}).optimiser.model_dump() == {"kind": "lion", "keep": 0.9}
        config = settings(learning={"optimiser": Lion(keep=0.5)})
        assert config == settings(learning={"optimiser": {"kind": "lion", "keep": 0.5}})
        assert dn.RunConfig.read(config.model_dump(mode="json")) == config
        titles = [one.get("title") for one in schema()["$defs"]["Learning"]["properties"]["optimiser"]["anyOf"]]
        assert "Lion" in titles
        with pytest.raises(dn.ConfigError, match=r"learning.optimiser.kept: .*unknown key"):
            settings(learning={"optimiser": {"kind": "lion", "kept": 1}})
    with pytest.raises(
        dn.ConfigError, match=r"optimiser.kind: 'lion' is not legal; one of sgd, momentum, adam;.*regist"
    ):
        settings(learning={"optimiser": "lion"})


def test_a_state_that_changes_its_form_is_refused(tmp_path: Path) -> None:
    class Grows(Lion):
        kind: Literal["grows"] = "grows"  # type: ignore[assignment]

        def step(self, weights: Any, gradient: Any, state: Any, rate: float, count: int, decay: bool) -> None:
            state["average"] = state["average"].astype(np.float64)

    with (
        registered(OPTIMISERS, "grows", Grows),
        pytest.raises(dn.DyadnetError, match=r"'grows': its state was .*float32.*float64.*keep its form"),
    ):
        trained(tmp_path, learning={**LEARNING, "optimiser": "grows"})


def test_a_gradient_that_it_keeps_stays_what_it_was(tmp_path: Path) -> None:
    class Late(Lion):
        kind: Literal["late"] = "late"  # type: ignore[assignment]
        copied: bool = False

        def step(self, weights: Any, gradient: Any, state: Any, rate: float, count: int, decay: bool) -> None:
            weights -= rate * state["average"]
            state["average"] = gradient.copy() if self.copied else gradient

    with registered(OPTIMISERS, "late", Late):
        kept = [{**LEARNING, "learning_rate": 0.01, "optimiser": Late(copied=copied)} for copied in (False, True)]
        runs = [trained(tmp_path / str(number), learning=learning) for number, learning in enumerate(kept)]
        assert runs[0].weights_sha256 == runs[1].weights_sha256 != trained(tmp_path / "other").weights_sha256


def test_what_is_no_optimiser_is_refused() -> None:
    class Fast(Adam):
        kind: Literal["mine"] = "mine"  # type: ignore[assignment]

    class Idle(OptimiserSpec):
        kind: Literal["mine"] = "mine"

    class Undefined(Lion):
        kind: Literal["mine"] = "mine"  # type: ignore[assignment]
        power: "Nowhere"  # type: ignore[name-defined]  # noqa: F821, UP037

    refused: dict[type, str] = {
        Undefined: "cannot be found; import it",
        Lion: "kind has to be 'mine'",
        Fast: "form = None",
        Idle: "lacks start and step",
    }
    for kind, why in (refused | {int: "derives from dyadnet.learning.optimisers.OptimiserSpec"}).items():
        with pytest.raises(dn.UsageError, match=why):
            dn.register("optimiser", "mine")(kind)
    assert "mine" not in OPTIMISERS
