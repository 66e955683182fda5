"""Settings that a run begins with where nobody says otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from dyadnet.config import RunConfig
from dyadnet.config.presets import NAMES, known, preset
from dyadnet.config.start import starting_point
from dyadnet.data import KNOWN_IMAGES
from dyadnet.errors import ConfigError
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


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", NAMES)
def test_a_preset_has_a_name_and_its_network_fits_its_data(name: str, model: str) -> None:
    config = RunConfig.read(starting_point(None, model, None, None, named=name))
    assert model_of(config) == model
    assert config.data.name == next(one.data for one in known() if one.name == name)
    features, classes = KNOWN_IMAGES.get(config.data.name, (64, 10))
    outputs = features if config.data.task == "denoise" else classes
    assert (config.network.inputs, config.network.classes) == (features, outputs)
    assert not config.network.from_data


def test_the_files_of_presets_say_what_they_are_of_models_that_there_are() -> None:
    for one in known():
        assert one.about
        assert set(one.reached) <= set(MODELS)


@pytest.mark.parametrize("name", ["conv-mnist", "conv-cifar", "denoise-fashion"])
def test_models_of_a_preset_have_the_same_layers(name: str) -> None:
    layers = [preset(name, model)["network"]["layers"] for model in MODELS]
    assert layers == [layers[0]] * len(MODELS)


def test_a_preset_takes_other_data_flags_and_lambda(tmp_path: Path) -> None:
    other = starting_point(None, None, 0.25, "kmnist", named="conv-mnist")
    assert other["data"]["name"] == "kmnist"
    assert {p.lam for p in RunConfig.read(other).network.recurrent} == {0.25}
    letters = starting_point(None, None, None, "emnist-letters", named="mnist")
    assert RunConfig.read(letters).network.classes == 26
    with pytest.raises(ConfigError, match=r"--preset: 'conv-mnits' is not legal; .*did you mean conv-mnist\?"):
        starting_point(None, None, None, None, named="conv-mnits")
    with pytest.raises(ConfigError, match=r"--preset: 'conv-mnist' is not legal; give a file of settings or a preset"):
        starting_point(tmp_path / "run.yaml", None, None, None, named="conv-mnist")
