"""Settings that a run begins with where nobody says otherwise."""

from __future__ import annotations

import pytest

from dyadnet.config import RunConfig
from dyadnet.config.presets import preset
from dyadnet.network.description import MODELS
from dyadnet.telemetry.snapshot import model_of


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("data", ["digits", "mnist", "fashion-mnist"])
def test_every_preset_is_legal_and_of_its_model(data: str, model: str) -> None:
    config = RunConfig.read(preset(data, model))
    assert config.data.name == data
    assert model_of(config) == model


@pytest.mark.parametrize("model", MODELS)
def test_a_users_own_data_begins_with_the_settings_of_the_digits(model: str) -> None:
    assert preset("mine.npz", model) == preset("digits", model) | {"data": {"name": "mine.npz"}}


@pytest.mark.parametrize("model", ["sshm", "hm"])
def test_fashion_mnist_lays_what_is_its_own_over_the_settings_of_mnist(model: str) -> None:
    general, own = preset("mnist", model), preset("fashion-mnist", model)
    assert own["learning"].pop("epochs") > general["learning"].pop("epochs")
    for learning in (general["learning"], own["learning"]):
        learning["learning_rate"].pop("start")
        learning["optimiser"].pop("weight_decay", None)
    assert own == general | {"data": {"name": "fashion-mnist"}}


def test_fashion_mnist_has_nothing_of_its_own_for_the_feedforward_network() -> None:
    assert preset("fashion-mnist", "ffm") == preset("mnist", "ffm") | {"data": {"name": "fashion-mnist"}}
