"""A loss of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import dyadnet as dn
from dyadnet.config.json_schema import schema
from dyadnet.network.losses import CLASSES, LOSSES, Loss
from dyadnet.sklearn import DyadicClassifier
from tests.doors.support import alike, registered, settings, trained

CHAIN = {"inputs": 64, "hidden": [8], "outputs": 10}


class Huber(Loss):
    """½e² where |e| ≤ ¼, ¼(|e| − ⅛) elsewhere; wants outputs that reach everywhere."""

    output: ClassVar[str | None] = "linear"

    def value(self, s: Any, y: Any) -> Any:
        """See `Loss`."""
        error = np.abs(s.astype(np.float64) - y)
        return np.sum(np.where(error < 0.25, error**2 / 2, 0.25 * (error - 0.125)), axis=1)

    def gradient(self, s: Any, y: Any) -> Any:
        """See `Loss`."""
        return np.clip(s - y, -0.25, 0.25)


@pytest.mark.usefixtures("ray_session")
def test_a_loss_is_nudged_and_reported(tmp_path: Path) -> None:
    with registered(LOSSES, "huber", Huber):
        network = dn.layered(64, [8], 10, lam=0.0, loss="huber")
        assert network.by_name["out"].activation == "linear"
        run = alike(tmp_path, network=network)
        assert run.weights_sha256 != trained(tmp_path / "other").weights_sha256
        assert dn.evaluate(run.path)["loss"] == pytest.approx(run.history["test_loss"][-1], rel=1e-5)
        assert "huber" in schema()["$defs"]["_LayeredSpec"]["properties"]["loss"]["examples"]
    with pytest.raises(dn.ConfigError, match=r"layered.loss: 'huber' .*squared-error, cross-entropy; .*register"):
        settings(network={"layered": {**CHAIN, "loss": "huber"}})


def test_its_gradient_becomes_the_nudge_of_both_compartments() -> None:
    m, d = np.array([[0.9, 0.3]], dtype=np.float32), np.array([[1e-6, -2e-3]], dtype=np.float32)
    y = np.array([[1.0, 0.0]], dtype=np.float32)
    mean, difference = Huber().nudge(m, d, y)
    assert mean.dtype == difference.dtype == np.float32
    # In the middle the slope is 1, and where the gradient is cut off it is 0.
    assert np.allclose(mean, [[-0.1, 0.25]], rtol=1e-6)
    assert np.allclose(difference, [[1e-6, 0.0]], rtol=1e-6, atol=0)


def test_what_a_loss_wants_is_checked(tmp_path: Path) -> None:
    class Hinge(Huber):
        output = None
        targets = (CLASSES,)

    with registered(LOSSES, "huber", Huber()), registered(LOSSES, "hinge", Hinge):
        with pytest.raises(dn.ConfigError, match="huber wants a linear output, not tanh"):
            dn.layered(64, [8], 10, loss="huber", output_activation="tanh")
        samples = np.random.default_rng(0).random((40, 3))
        numbers = dn.RunConfig(network=dn.layered(hidden=[4], lam=0.0, loss="hinge"), engine="local")
        with pytest.raises(
            dn.ConfigError, match=r"'hinge' .*targets of memory are numbers; use squared-error or huber"
        ):
            dn.train(numbers, tmp_path / "run", data=(samples, samples[:, 0]))


def test_a_classifier_takes_it() -> None:
    samples = np.random.default_rng(0).random((60, 3))
    with registered(LOSSES, "huber", Huber):
        found = DyadicClassifier([6], loss="huber", max_iter=3).fit(samples, samples[:, 0] > 0.5)
        assert np.allclose(found.predict_proba(samples).sum(axis=1), 1)
    with pytest.raises(ValueError, match=r"loss.*dyadnet.register"):
        DyadicClassifier([6], loss="huber").fit(samples, samples[:, 0] > 0.5)


def test_what_is_no_loss_is_refused() -> None:
    class Untaught(Loss):
        def value(self, s: Any, y: Any) -> Any:
            return s

    class Lost(Untaught):
        targets = ("labels",)
        gradient = Untaught.value

    class Quick(Untaught):
        compiled = 1
        gradient = Untaught.value

    refused = {
        Untaught: "lacks gradient, or nudge",
        int: "derives from",
        Loss: "abstract",
        Lost: "labels",
        Quick: "None",
    }
    for kind, why in refused.items():
        with pytest.raises(dn.UsageError, match=why):
            dn.register("loss", "mine")(kind)
    assert "mine" not in LOSSES
