"""Which runs tables and figures are made of."""

from __future__ import annotations

import itertools
from typing import Any, get_args

import pytest

from dyadnet.errors import ConfigError
from dyadnet.reproduce.experiments import CONCAVE, NAMES, WAYS, Name, study_of
from dyadnet.study import plan


@pytest.mark.parametrize("data", ["mnist", "fashion-mnist", "digits"])
@pytest.mark.parametrize("name", NAMES)
def test_every_run_of_every_reproduction_is_legal(name: Name, data: str) -> None:
    trials = plan(study_of(name, data, 2))
    assert {trial.config.data.name for trial in trials} == {data}
    assert {trial.seed for trial in trials} == {0, 1}
    assert all("curves" in trial.keep for trial in trials)
    if data != "digits":
        assert {tuple(p.size for p in trial.config.network.populations) for trial in trials} == {(500, 500, 500, 10)}
        assert {trial.config.dynamics.lanes for trial in trials} == {1}


def test_every_name_has_a_reproduction() -> None:
    assert set(get_args(Name)) == set(NAMES)


def test_table_1_and_figure_2_are_the_same_runs() -> None:
    one, other = (plan(study_of(name, "mnist", 3)) for name in ("table1", "figure2"))
    assert [trial.config for trial in one] == [trial.config for trial in other]


def test_beta_grows_by_a_twentieth_an_epoch_and_stays_where_the_problem_is_concave() -> None:
    for trial in plan(study_of("figure3", "mnist", 1)):
        learning = trial.config.learning
        beta = [learning.beta.at(epoch, learning.epochs) for epoch in range(learning.epochs)]
        assert [later - earlier for earlier, later in itertools.pairwise(beta)] == pytest.approx(
            [0.05] * (learning.epochs - 1)
        )
        steepest = trial.config.network.by_name["out"].f.steepest
        assert CONCAVE * steepest == 1.0
        assert beta[-1] < CONCAVE <= beta[-1] + 0.05 + 1e-9
        assert learning.learning_rate.at(0, learning.epochs) == learning.learning_rate.at(30, learning.epochs)


def lam_of(config: Any, epoch: float) -> list[float]:
    learning = config.learning
    if learning.lam is None:
        return [projection.lam for projection in config.network.recurrent]
    return [learning.lam[p.name].at(epoch, learning.epochs) for p in config.network.recurrent]


@pytest.mark.parametrize(("model", "target"), [("sshm", 0.0), ("hm", 1.0)])
def test_lambda_stays_at_a_half_while_the_feedforward_network_learns_and_then_goes_its_way(
    model: str, target: float
) -> None:
    trials = {trial.variant: trial.config for trial in plan(study_of("translation", "digits", 1))}
    for way in WAYS:
        config = trials[f"{model}-{way}"]
        assert config.learning.epochs == 32
        assert lam_of(config, 0.0) == lam_of(config, 19.99) == [0.5, 0.5]
        assert lam_of(config, 31.9) == [target, target]
        assert config.network == trials["ffm"].network
    assert lam_of(trials[f"{model}-jump"], 20.0) == [target, target]
    middle = 0.5 * (0.5 + target)
    assert lam_of(trials[f"{model}-at-once"], 24.0) == pytest.approx([middle, middle])
    assert lam_of(trials[f"{model}-from-output"], 24.0) == pytest.approx([0.5, target])
    assert lam_of(trials[f"{model}-from-input"], 24.0) == pytest.approx([target, 0.5])
    assert lam_of(trials[f"{model}-scratch"], 0.0) == [target, target]
    assert trials[f"{model}-scratch"].learning.epochs == 20


def test_other_data_is_refused() -> None:
    with pytest.raises(ConfigError, match="one of mnist, fashion-mnist, digits"):
        study_of("table1", "cifar", 1)
    assert study_of("table1", "mnist", 1, quick=True).base.data == "digits"
