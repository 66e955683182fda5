"""Definitions of studies: what is refused, and in which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from dyadnet.config.overrides import flattened
from dyadnet.errors import ConfigError
from dyadnet.study import plan, read_study
from dyadnet.study.plan import quick
from dyadnet.study.ready import find, names
from tests.study.definitions import TINY, tiny

BETA = {"key": "learning.beta", "grid": [0.1]}


def refused(**changes: Any) -> str:
    """The line that a definition is refused with."""
    with pytest.raises(ConfigError) as caught:
        plan(tiny(**changes))
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"axis": []}, ["axis", "unknown key"]),
        ({"axes": []}, ["axes"]),
        ({"axes": [{"key": "learning.beta", "grid": []}]}, ["axes.0.grid"]),
        ({"axes": [{"key": "learning.beta"}]}, ["axes.0", "grid"]),
        ({"axes": [BETA | {"random": {"kind": "uniform", "low": 0, "high": 1}}]}, ["axes.0", "either a grid"]),
        ({"axes": [{"key": "learning.beta", "grid": [0.1, 0.2, 0.1]}]}, ["0.1 is there twice"]),
        ({"axes": [{"key": "learning.betta", "grid": [0.1]}]}, ["learning.betta", "unknown key"]),
        ({"axes": [{"key": "learning.beta", "grid": [0.1, -1.0]}]}, ["learning.beta", "-1.0", "learning.beta = -1.0"]),
        ({"axes": [BETA, BETA]}, ["axes.1.key", "another axis sets learning.beta"]),
        ({"axes": [BETA, BETA | {"name": "other"}]}, ["axes.1.key", "another axis sets learning.beta"]),
        ({"axes": [BETA, {"key": "dynamics.delay", "grid": [1], "name": "learning.beta"}]}, ["two axes"]),
        ({"axes": [BETA | {"name": "seed"}]}, ["a column of this name"]),
        ({"axes": [{"key": "seed", "grid": [1]}]}, ["under 'seeds'"]),
        ({"axes": [{"key": "engine", "grid": ["ray"]}]}, ["one process"]),
        ({"axes": [{"key": "network.layered.lam", "grid": [0.1]}]}, ["'models' sets it"]),
        ({"axes": [{"key": "learning.epochs", "grid": [1]}]}, ["'epochs' sets it"]),
        ({"variants": {"a": {"set": {"learning": {"beta": 1.0}}}}}, ["axes.1.key", "variants.a.set"]),
        ({"variants": {"reference": {}}}, ["reference", "base alone"]),
        ({"metrics": ["speed"]}, ["metrics", "speed", "test_accuracy"]),
        ({"models": ["hm", "hm"]}, ["models", "twice"]),
        ({"models": ["rnn"]}, ["models.0", "rnn"]),
        ({"seeds": []}, ["seeds"]),
        ({"seeds": 0}, ["seeds"]),
        ({"samples": 3}, ["samples", "no axis is random"]),
        ({"axes": [{"key": "learning.beta", "random": {"kind": "uniform", "low": 0.1, "high": 1}}]}, ["samples"]),
        ({"axes": [{"key": "learning.beta", "random": {"kind": "uniform", "low": 2, "high": 1}}]}, ["above low"]),
        ({"axes": [BETA | {"ticks": ["a", "b"]}]}, ["one tick for each of the 1"]),
        ({"axes": [{"key": "dynamics.delay", "grid": [1], "scale": "log"}, BETA], "name": "a/b"}, ["name", "folder"]),
        ({"base": TINY["base"] | {"set": {"dynamics.mode": "free"}}}, ["dynamics.mode"]),
    ],
)
def test_a_mistake_is_named(changes: dict[str, Any], words: list[str]) -> None:
    complaint = refused(**changes)
    assert all(word in complaint for word in words), complaint
    assert "\n" not in complaint


def test_grids_are_crossed_with_models_variants_and_seeds() -> None:
    trials = plan(tiny(variants={"a": {}, "b": {"set": {"dynamics.step": 0.1}}}))
    assert len(trials) == 2 * 2 * (1 + 2 * 4)
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert {(trial.variant, trial.model, trial.seed) for trial in trials} == {
        (variant, model, seed) for variant in ("reference", "a", "b") for model in ("ffm", "sshm") for seed in (0, 1)
    }
    for trial in trials:
        assert trial.config.engine == "local"
        assert trial.config.seed == trial.seed
        assert trial.config.dynamics.step == (0.1 if trial.variant == "b" else "auto")
        assert trial.config.network.recurrent[0].lam == {"ffm": 0.5, "sshm": 0.0}[trial.model]
        if trial.point:
            assert trial.config.dynamics.delay.largest == trial.point["delay"]
            assert trial.config.learning.beta.at(0, 1) == trial.point["learning.beta"]


def test_random_draws_depend_on_the_studys_seed_alone() -> None:
    beta = {"key": "learning.beta", "random": {"kind": "loguniform", "low": 0.01, "high": 1}}
    delay = {"key": "dynamics.delay", "random": {"kind": "uniform", "low": 1, "high": 9, "integer": True}}
    choice = {"key": "dynamics.clock", "random": {"kind": "choice", "values": ["every-tick", "red-black"]}}

    def draws(key: str, *axes: dict[str, Any], **changes: Any) -> list[Any]:
        trials = plan(tiny(axes=list(axes), samples=20, models=["ffm"], seeds=1, reference=False, **changes))
        return [trial.point[key] for trial in trials]

    alone = draws("learning.beta", beta)
    assert alone == draws("learning.beta", choice, delay, beta)
    assert alone != draws("learning.beta", beta, draws=1)
    assert len(set(alone)) == 20
    assert all(0.01 <= value <= 1 for value in alone)
    assert set(draws("dynamics.delay", delay)) <= set(range(1, 10))
    assert set(draws("dynamics.clock", choice)) == {"every-tick", "red-black"}


def test_a_base_may_be_a_file_beside_the_study(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({"learning": {"minibatch": 7}, "data": {"limit_train": 50}}))
    study = {"base": {"config": "run.yaml"}, "axes": [BETA], "models": ["hm"]}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(study))
    read = read_study(tmp_path / "mine.yaml")
    assert read.name == "mine"
    assert {trial.config.learning.minibatch for trial in plan(read)} == {7}


def test_settings_may_be_nested_or_dotted() -> None:
    nested = {"dynamics": {"delay": {"kind": "uniform", "high": 3}, "step": 0.1}}
    assert flattened(nested) == {"dynamics.delay": {"kind": "uniform", "high": 3}, "dynamics.step": 0.1}


@pytest.mark.parametrize("name", names())
def test_every_trial_of_every_ready_made_study_is_legal(name: str) -> None:
    study = read_study(find(name))
    assert study.title
    assert study.description
    assert len(study.seeds) == 3
    trials = plan(study)
    configs = {repr(trial.config) for trial in trials}
    assert len(configs) >= len(trials) - len(study.seeds) * max(len(study.models), 1) * len(study.variants or [0])
    assert 0 < len(plan(quick(study))) < len(trials)
