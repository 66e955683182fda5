"""The scikit-learn estimators do what scikit-learn asks of them, and are still networks of dyads."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from sklearn.datasets import load_diabetes, load_digits, load_wine
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from dyadnet.config import DataSpec, RunConfig
from dyadnet.engines.local import LocalEngine
from dyadnet.errors import DivergedError
from dyadnet.sklearn import NOT_TAKEN, DyadicClassifier, DyadicRegressor
from dyadnet.training.coordinator import Coordinator
from tests.support import data

X, y = load_wine(return_X_y=True)
SMALL: dict[str, Any] = {"hidden_layer_sizes": (12,), "max_iter": 8, "random_state": 0}
RUNS_AWAY: dict[str, Any] = {"gain": 8.0, "settings": {"dynamics": {"step": 1.0, "clock": "every-tick"}}}
"""Parameters with which two hidden layers do not settle."""


def not_passed(estimator: Any) -> dict[str, str]:
    """Checks that cannot pass, and why."""
    why = "a weight says how often a sample is learned from, in an order that is drawn"
    return {"check_sample_weight_equivalence_on_dense_data": why}


@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [DyadicClassifier(hidden_layer_sizes=(16,), max_iter=15), DyadicRegressor(hidden_layer_sizes=(16,), max_iter=15)],
    expected_failed_checks=not_passed,
)
def test_scikit_learns_own_checks_pass(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0, 0.25, "asymmetric"])
@pytest.mark.parametrize("loss", ["cross-entropy", "squared-error"])
def test_every_model_learns_data_that_are_no_pictures(lam: Any, loss: str) -> None:
    classifier = DyadicClassifier((30,), lam, loss=loss, max_iter=30, random_state=0)
    assert cross_val_score(classifier, X, y, cv=3).mean() > 0.9


def test_it_learns_digits_in_their_own_unit_and_names_their_labels() -> None:
    images, labels = load_digits(return_X_y=True)
    names = np.array([f"digit {label}" for label in labels])
    train, test, train_names, test_names = train_test_split(images, names, random_state=0)
    classifier = DyadicClassifier(max_iter=10, random_state=0).fit(train, train_names)
    assert classifier.score(test, test_names) > 0.95
    assert classifier.predict(test[:3]).dtype == names.dtype


def test_probabilities_are_those_of_the_settled_network() -> None:
    classifier = DyadicClassifier(**SMALL).fit(X, y)
    outputs, proba = classifier.outputs(X), classifier.predict_proba(X)
    assert np.allclose(proba.sum(axis=1), 1.0)
    assert np.allclose(np.log(proba) - outputs, (np.log(proba) - outputs)[:, :1])
    engine = LocalEngine(classifier.config_, data(classifier.config_.network))
    try:
        engine.load(classifier.parameters_)
    finally:
        engine.close()


def test_squared_error_probabilities_are_even_where_no_output_is_active() -> None:
    classifier = DyadicClassifier(**SMALL, loss="squared-error").fit(X, y)
    for named in classifier.parameters_.values():
        for array in named.values():
            array[...] = -1.0
    assert np.allclose(classifier.predict_proba(X[:2] * 0), 1 / 3)


def test_the_same_random_state_gives_the_same_bits() -> None:
    one, other = (DyadicClassifier(**SMALL).fit(X, y) for _ in range(2))
    assert np.array_equal(one.outputs(X), other.outputs(X))
    third = DyadicClassifier(**{**SMALL, "random_state": 1}).fit(X, y)
    assert not np.array_equal(one.outputs(X), third.outputs(X))


@pytest.mark.parametrize("scale", ["standard", "minmax", None])
def test_features_are_scaled_as_said(scale: str | None) -> None:
    values = np.column_stack([np.linspace(10, 20, 40), np.full(40, 3.0)])
    labels = (values[:, 0] > 15).astype(int)
    classifier = DyadicClassifier(**SMALL, scale=scale).fit(values, labels)
    inputs = (values - classifier.offset_) * classifier.factor_
    expected = {"standard": (0.0, 1.0), "minmax": (0.5, 0.296), None: (15.0, 2.959)}[scale]
    assert np.allclose((inputs[:, 0].mean(), inputs[:, 0].std()), expected, atol=1e-3)
    assert np.allclose(inputs[:, 1], 3.0 if scale is None else 0.0)


@pytest.mark.parametrize("scale", ["standard", "minmax"])
@pytest.mark.parametrize("exponent", [-1000, -43, 40, 1000])
def test_a_features_unit_changes_no_bit(scale: str, exponent: int) -> None:
    plain, scaled = (DyadicClassifier(**SMALL, scale=scale) for _ in range(2))
    unit = 2.0**exponent
    assert np.array_equal(plain.fit(X, y).outputs(X), scaled.fit(X * unit, y).outputs(X * unit))


@pytest.mark.parametrize("scale", ["standard", "minmax"])
@pytest.mark.parametrize("size", [1.7e-200, 1.0, 1.7e18, 1.7e200])
def test_a_feature_that_is_constant_up_to_rounding_becomes_nothing(scale: str, size: float) -> None:
    values = np.column_stack([X[:, 0], size * (1 + 1e-15 * (np.arange(len(X)) % 3))])
    classifier = DyadicClassifier(**SMALL, scale=scale).fit(values, y)
    assert np.abs((values - classifier.offset_) * classifier.factor_)[:, 1].max() < 1e-12


def test_a_feature_that_cannot_be_scaled_is_named() -> None:
    wide = np.column_stack([X[:, 0], np.zeros(len(X))])
    wide[:2, 1] = -1.7e308, 1.7e308
    with pytest.raises(ValueError, match=r"X\[:, 1\]: .* is too large"):
        DyadicClassifier(**SMALL, scale="minmax").fit(wide, y)
    narrow = np.column_stack([X[:, 0], y * 1e-310])
    with pytest.raises(ValueError, match=r"X\[:, 1\]: .* is too large"):
        DyadicClassifier(**SMALL).fit(narrow, y)
    with pytest.raises(ValueError, match=r"X\[:, 0\]: .* is too large for float32 once it is scaled"):
        DyadicClassifier(**SMALL, scale=None).fit(X * 1e39, y)
    classifier = DyadicClassifier(**SMALL).fit(X * 1e-100, y)
    with pytest.raises(ValueError, match=r"X\[:, 0\]: .* is too large"):
        classifier.predict(X * 1e300)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"hidden_layer_sizes": (20, 20), **RUNS_AWAY}, DivergedError),
        ({"beta": 0.0}, ValueError),
        ({"settings": {"dynamics": {"clock": "nightly"}}}, ValueError),
        ({"warm_start": True, "hidden_layer_sizes": (9,)}, ValueError),
    ],
)
def test_a_fit_that_fails_leaves_the_last_one(changed: dict[str, Any], error: type[Exception]) -> None:
    classifier = DyadicClassifier(**SMALL).fit(X, y)
    outputs, fitted = classifier.outputs(X), _fitted(classifier)
    other = X if "warm_start" in changed else X[:, :3]
    with pytest.raises(error):
        classifier.set_params(**changed).fit(other * 100 + 50, y)
    assert _fitted(classifier) == fitted
    assert np.array_equal(classifier.outputs(X), outputs)


@pytest.mark.parametrize("warm_start", [False, True])
def test_a_fit_that_is_interrupted_leaves_the_last_one(warm_start: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = DyadicClassifier(**SMALL, warm_start=warm_start).fit(X, y)
    outputs, fitted = classifier.outputs(X), _fitted(classifier)
    _interrupt_at_the_second_epoch(monkeypatch)
    other = X[:, ::-1] if warm_start else X[:, :3]
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(other, y)
    assert _fitted(classifier) == fitted
    assert np.array_equal(classifier.outputs(X), outputs)


def test_a_first_fit_that_is_interrupted_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = DyadicClassifier(**SMALL)
    _interrupt_at_the_second_epoch(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(X, y)
    assert _fitted(classifier) == {}
    with pytest.raises(NotFittedError):
        classifier.predict(X)


def test_a_fit_leaves_nothing_of_the_last_one() -> None:
    classifier = DyadicClassifier(**SMALL, early_stopping=True).fit(X, y)
    classifier.set_params(early_stopping=False).fit(X, y)
    assert not hasattr(classifier, "validation_scores_")


def test_warm_start_goes_on_where_the_last_fit_stopped() -> None:
    classifier = DyadicClassifier(**SMALL, warm_start=True, learning_rate_init=2e-3).fit(X, y)
    before = classifier.loss_curve_[-1]
    assert classifier.fit(X, y).loss_curve_[0] < before + 0.05
    assert classifier.loss_curve_[-1] < before
    with pytest.raises(ValueError, match="classes"):
        classifier.fit(X, np.where(y == 0, 7, y))
    with pytest.raises(ValueError, match=r"warm_start: .* another network"):
        classifier.set_params(hidden_layer_sizes=(9,)).fit(X, y)


def test_early_stopping_stops_and_keeps_the_best() -> None:
    classifier = DyadicClassifier(
        (20,), early_stopping=True, validation_fraction=0.3, n_iter_no_change=3, max_iter=60, random_state=0
    ).fit(X, y)
    assert classifier.n_iter_ == len(classifier.validation_scores_) < 60
    assert max(classifier.validation_scores_[-3:]) <= max(classifier.validation_scores_[:-3])


def test_any_setting_of_a_run_may_be_given() -> None:
    settings = {"imperfections": {"channel": {"loss": 0.2}}, "dynamics": {"delay": 3}, "learning": {"epochs": 4}}
    classifier = DyadicClassifier(**SMALL, settings=settings).fit(X, y)
    assert classifier.n_iter_ == 4
    assert classifier.config_.imperfections.channel.loss.p == 0.2
    assert not np.array_equal(classifier.outputs(X), DyadicClassifier(**SMALL).fit(X, y).outputs(X))


def test_the_network_may_be_any_graph() -> None:
    graph = {
        "inputs": X.shape[1],
        "populations": [{"name": "a", "size": 12}, {"name": "out", "size": 3, "activation": "linear"}],
        "projections": [{"pre": "input", "post": "a"}, {"pre": "a", "post": "out", "lam": 0.0}],
        "loss": "cross-entropy",
    }
    of_graph = DyadicClassifier(max_iter=8, random_state=0, settings={"network": graph}).fit(X, y)
    assert of_graph.config_.network.populations[0].name == "a"
    for name, value in {"hidden_layer_sizes": (12,), "lam": 0.5, "gain": 1.0, "activation": "tanh"}.items():
        with pytest.raises(
            ValueError, match=rf"^{name}: .* settings\.network is the whole network; leave this one out"
        ):
            of_graph.set_params(**{name: value}).fit(X, y)
        of_graph.set_params(**{name: getattr(DyadicClassifier(), name)})


def test_the_network_may_be_layers() -> None:
    images, labels = load_digits(return_X_y=True)
    layers = {"inputs": [1, 8, 8], "layers": ["conv 4 3x3", "pool 2", "dense 10"], "activation": "tanh", "gain": 1.4}
    classifier = DyadicClassifier(max_iter=6, random_state=0, settings={"network": layers | {"loss": "cross-entropy"}})
    assert classifier.fit(images[:300], labels[:300]).score(images[:300], labels[:300]) > 0.3
    assert classifier.config_.network.by_name["conv1"].shape == (4, 3, 3)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"data": {"limit_train": 10}}, "settings.data.limit_train: 10 is not legal; the samples are X and y"),
        ({"data": {"augment": {"flip": True}}}, "settings.data.augment.flip: True is not legal; X is a table"),
        ({"data": {"normalise": True}}, "settings.data.normalise: True is not legal; X is a table of features"),
        ({"data": {"name": "mnist", "validation": 0.2}}, "settings.data.name: 'mnist' is not legal"),
        ({"engine": "ray"}, "settings.engine: 'ray' is not legal"),
        ({"cluster": {"actors": 2}}, "settings.cluster.actors: 2 is not legal"),
        ({"faults": ["kill:block=h1,minibatch=1,tick=1"]}, "settings.faults: "),
        ({"metrics": {"port": 0}}, "settings.metrics.port: 0 is not legal"),
        ({"checkpoint": "off"}, "settings.checkpoint: 'off' is not legal"),
        ({"probe": {"neurons": {"h1": [0]}}}, "settings.probe.neurons.h1: [0] is not legal"),
    ],
)
def test_a_setting_without_effect_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=r"leave it out") as caught:
        DyadicClassifier(**SMALL, settings=settings).fit(X, y)
    assert words in str(caught.value)


def test_every_setting_of_a_run_is_taken_or_refused() -> None:
    taken = {"network", "dynamics", "imperfections", "learning", "seed", "data.validation"}
    every = (set(RunConfig.model_fields) - {"data"}) | {f"data.{name}" for name in DataSpec.model_fields}
    assert taken | set(NOT_TAKEN) - {"learning.early_stopping"} == every
    assert taken.isdisjoint(NOT_TAKEN)


def test_it_goes_through_noise_as_it_was_trained() -> None:
    settings = {"imperfections": {"channel": {"additive": {"mean": 0.05}}}, "dynamics": {"sweeps": 20}}
    classifier = DyadicClassifier(**SMALL, settings=settings).fit(X, y)
    assert classifier.score(X, y) > 0.9


def test_it_fits_into_a_pipeline_and_a_grid() -> None:
    pipeline = make_pipeline(FunctionTransformer(np.log1p), DyadicClassifier(**SMALL))
    grid = GridSearchCV(pipeline, {"dyadicclassifier__lam": [0.0, 0.5]}, cv=2).fit(X, y)
    assert grid.best_score_ > 0.8
    assert np.array_equal(pickle.loads(pickle.dumps(grid)).predict(X), grid.predict(X))


@pytest.mark.parametrize(
    ("numpys", "plain"),
    [
        ({"lam": np.int64(1)}, {"lam": 1}),
        ({"lam": np.float32(0.5)}, {"lam": 0.5}),
        ({"lam": np.array(0.5)}, {"lam": 0.5}),
        ({"lam": np.array([0.25])}, {"lam": [0.25]}),
        ({"beta": np.float32(0.125), "gain": np.array(2)}, {"beta": 0.125, "gain": 2.0}),
        ({"alpha": np.float32(0.125)}, {"alpha": 0.125}),
        ({"learning_rate_init": np.float32(0.0625)}, {"learning_rate_init": 0.0625}),
        ({"max_iter": np.array(3), "batch_size": np.int8(20)}, {"max_iter": 3, "batch_size": 20}),
        ({"hidden_layer_sizes": np.array([12])}, {"hidden_layer_sizes": (12,)}),
        ({"hidden_layer_sizes": np.int64(12)}, {"hidden_layer_sizes": (12,)}),
        ({"hidden_layer_sizes": 12}, {"hidden_layer_sizes": (12,)}),
        ({"early_stopping": np.True_}, {"early_stopping": True}),
        ({"settings": {"learning": {"beta": np.float32(0.125)}}}, {"settings": {"learning": {"beta": 0.125}}}),
    ],
)
def test_a_number_of_numpy_is_a_number(numpys: dict[str, Any], plain: dict[str, Any]) -> None:
    one, other = (DyadicClassifier(**{**SMALL, **given}).fit(X, y) for given in (numpys, plain))
    assert one.config_ == other.config_
    assert np.array_equal(one.outputs(X), other.outputs(X))


def test_a_grid_may_be_an_array() -> None:
    grid = GridSearchCV(DyadicClassifier(**SMALL), {"lam": np.array([0, 1]), "hidden_layer_sizes": [8, (8, 8)]}, cv=2)
    assert grid.fit(X, y).best_score_ > 0.8


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"scale": "robust"}, "scale: 'robust' is not legal"),
        ({"max_iter": 0}, "max_iter: 0 is not legal; it should be"),
        ({"max_iter": 2.5}, "max_iter: 2.5 is not legal; it should be"),
        ({"batch_size": True}, "batch_size: True is not legal; it should be"),
        ({"n_iter_no_change": "3"}, "n_iter_no_change: '3' is not legal; it should be"),
        ({"lam": 1.5}, "lam: 1.5 is not legal; it should be a number from 0 to 1"),
        ({"lam": np.nan}, "lam: nan is not legal; it should be a number from 0 to 1"),
        ({"lam": None}, "lam: None is not legal; it should be a number from 0 to 1"),
        ({"lam": "0.5"}, "lam: '0.5' is not legal; it should be a number from 0 to 1"),
        ({"lam": [True]}, "lam: [True] is not legal; it should be a number from 0 to 1"),
        ({"lam": [0.0, 0.5]}, "lam: [0.0, 0.5] is not legal; give one number, or one for each of the 1 projections"),
        ({"beta": 0}, "beta: 0 is not legal; it should be greater than 0"),
        ({"beta": "0.1"}, "beta: '0.1' is not legal; it should be a valid number"),
        ({"gain": np.inf}, "gain: inf is not legal; it should be"),
        ({"gain": -1.0}, "gain: -1.0 is not legal; it should be"),
        ({"learning_rate_init": -1.0}, "learning_rate_init: -1.0 is not legal; it should be"),
        ({"learning_rate_init": None}, "learning_rate_init: None is not legal; it should be"),
        ({"alpha": -1.0}, "alpha: -1.0 is not legal; it should be"),
        ({"validation_fraction": 1.0}, "validation_fraction: 1.0 is not legal; it should be less than 1"),
        ({"activation": "step"}, "activation: 'step' is not legal; it should be one of tempered-hard-sigmoid"),
        ({"loss": "hinge"}, "loss: 'hinge' is not legal; it should be"),
        ({"early_stopping": "no"}, "early_stopping: 'no' is not legal; it should be"),
        ({"hidden_layer_sizes": 0}, "hidden_layer_sizes: 0 is not legal; it should be a whole number"),
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes: [0] is not legal; it should be a whole number"),
        ({"hidden_layer_sizes": "55"}, "hidden_layer_sizes: '55' is not legal; it should be a whole number"),
        ({"hidden_layer_sizes": (2.7,)}, "hidden_layer_sizes: [2.7] is not legal; it should be a whole number"),
        ({"hidden_layer_sizes": (True,)}, "hidden_layer_sizes: [True] is not legal; it should be a whole number"),
        ({"hidden_layer_sizes": None}, "hidden_layer_sizes: None is not legal; it should be a whole number"),
        ({"settings": 5}, "settings: 5 is not legal; it should be"),
        ({"settings": {"dynamic": {}}}, "settings.dynamic: {} is not legal; unknown key"),
        ({"settings": {"lam": 0.5}}, "settings.lam: 0.5 is not legal; unknown key"),
        ({"settings": {"network": {"layered": {"hidden": [5, 5]}}}, "lam": [0.5]}, "lam: [0.5] is not legal; give one"),
        ({"settings": {"learning": {"beta": 0}}}, "settings.learning.beta: 0.0 is not legal"),
        ({"settings": {"dynamics": {"mode": "free"}}}, "settings.dynamics.mode: 'free' is not legal; the local engine"),
    ],
)
def test_a_bad_parameter_is_a_value_error_that_names_it(parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=r"(?s).*") as caught:
        DyadicClassifier(**{**SMALL, **parameters}).fit(X, y)
    assert str(caught.value).startswith(words)


def test_wrong_shapes_give_scikit_learns_usual_errors() -> None:
    classifier = DyadicClassifier(**SMALL)
    with pytest.raises(NotFittedError):
        classifier.predict(X)
    with pytest.raises(ValueError, match="Expected 2D array"):
        classifier.fit(X[:, 0], y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        classifier.fit(X, y[:-1])
    with pytest.raises(ValueError, match="NaN"):
        classifier.fit(np.where(X > 1000, np.nan, X), y)
    with pytest.raises(ValueError, match="only one class"):
        classifier.fit(X, np.zeros(len(X)))
    classifier.fit(X, y)
    with pytest.raises(ValueError, match="expecting 13 features"):
        classifier.predict(X[:, 1:])


def test_a_relaxation_that_runs_away_says_what_to_set() -> None:
    classifier = DyadicClassifier((20, 20), max_iter=30, random_state=0, **RUNS_AWAY)
    with pytest.raises(DivergedError) as caught:
        classifier.fit(X, y)
    assert 'try settings={"dynamics": {"step": "auto"}}, a smaller step' in str(caught.value)
    assert "--set" not in str(caught.value)


DIABETES = load_diabetes(return_X_y=True)


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_every_model_learns_numbers(lam: float) -> None:
    regressor = DyadicRegressor((20,), lam, max_iter=20, random_state=0)
    assert cross_val_score(regressor, *DIABETES, cv=3).mean() > 0.38


def test_a_regressor_predicts_in_the_targets_own_unit() -> None:
    samples, targets = DIABETES
    several = np.column_stack([targets, -1000 * targets, np.full(len(targets), 7.0)])
    regressor = DyadicRegressor(**SMALL).fit(samples, several)
    found = regressor.predict(samples)
    assert found.shape == several.shape
    assert np.allclose(found.mean(axis=0), several.mean(axis=0), rtol=0.1)
    assert np.allclose(found, regressor.outputs(samples) / regressor.target_factor_ + regressor.target_offset_)
    assert regressor.fit(samples, targets).predict(samples).shape == targets.shape
    raw = DyadicRegressor(**SMALL, target_scale=None).fit(samples, (targets > 140).astype(float))
    assert (raw.target_offset_.tolist(), raw.target_factor_.tolist()) == ([0.0], [1.0])


@pytest.mark.parametrize("exponent", [-1000, 40, 1000])
def test_a_targets_unit_changes_no_bit(exponent: int) -> None:
    samples, targets = DIABETES
    plain, scaled = (DyadicRegressor(**SMALL) for _ in range(2))
    unit = 2.0**exponent
    assert np.array_equal(plain.fit(samples, targets).predict(samples) * unit,
                          scaled.fit(samples, targets * unit).predict(samples))  # fmt: skip


def test_a_regressor_stops_early_by_its_loss() -> None:
    regressor = DyadicRegressor((20,), early_stopping=True, n_iter_no_change=3, max_iter=60, random_state=0)
    regressor.fit(*DIABETES)
    assert regressor.n_iter_ == len(regressor.validation_scores_) < 60
    assert regressor.score(*DIABETES) > 0.4


def test_bounded_outputs_of_a_regressor_are_refused_where_targets_are_beyond_them() -> None:
    settings = {"network": {"layered": {"output_activation": "tanh"}}}
    with pytest.raises(ValueError, match="use linear"):
        DyadicRegressor(**SMALL, settings=settings).fit(*DIABETES)


@pytest.mark.parametrize("estimator", [DyadicClassifier, DyadicRegressor])
def test_a_weight_says_how_often_a_sample_counts(estimator: Any) -> None:
    one, other, third = (estimator(**SMALL) for _ in range(3))
    weights = np.where(np.arange(len(X)) % 2, 1.0, 0.0)
    # Samples without a weight are as if they were not there, and equal weights are none.
    assert np.array_equal(one.fit(X, y, weights).outputs(X), other.fit(X[1::2], y[1::2]).outputs(X))
    assert np.array_equal(third.fit(X, y, 3.0 + 0 * y).outputs(X), estimator(**SMALL).fit(X, y).outputs(X))
    assert not np.array_equal(one.fit(X, y, 1 + 9 * (y == 2)).outputs(X), third.outputs(X))


def test_weights_move_predictions_where_samples_disagree() -> None:
    samples, labels = np.zeros((60, 2)), np.arange(60) % 2
    heavy = np.where(labels == 1, 9.0, 1.0)
    chain: dict[str, Any] = {
        "hidden_layer_sizes": (6,),
        "learning_rate_init": 0.03,
        "batch_size": 10,
        "max_iter": 100,
        "random_state": 0,
    }
    proba = DyadicClassifier(**chain).fit(samples, labels, heavy).predict_proba(samples[:1])
    assert proba[0, 1] == pytest.approx(0.9, abs=0.05)
    balanced = DyadicClassifier(**chain, class_weight={0: 9.0}).fit(samples, labels).predict_proba(samples[:1])
    assert balanced[0, 0] == pytest.approx(0.9, abs=0.05)
    mean = DyadicRegressor(**chain).fit(samples, labels, heavy).predict(samples[:1])
    assert mean[0] == pytest.approx(0.9, abs=0.1)


def test_balanced_classes_count_alike() -> None:
    few = np.r_[np.flatnonzero(y != 2), np.flatnonzero(y == 2)[:6]]
    classifier = DyadicClassifier(**SMALL, class_weight="balanced").fit(X[few], y[few])
    counts = np.bincount(y[few])
    explicit = DyadicClassifier(**SMALL).fit(X[few], y[few], (len(few) / (3 * counts))[y[few]])
    assert np.array_equal(classifier.outputs(X), explicit.outputs(X))


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (-1.0 * y, "sample_weight: -2 is among them; give weights of at least 0"),
        (0.0 * y, "sample_weight: every weight is zero"),
        (np.ones(3), r"sample_weight: shape (3,); X has 178 samples"),
        (np.where(y == 1, np.nan, 1.0), "Input sample_weight contains NaN"),
    ],
)
def test_weights_that_are_none_are_refused(weights: Any, words: str) -> None:
    for estimator in (DyadicClassifier, DyadicRegressor):
        with pytest.raises(ValueError, match=r"(?s).*") as caught:
            estimator(**SMALL).fit(X, y, weights)
        assert str(caught.value).startswith(words)


def test_logarithms_of_probabilities_do_not_underflow() -> None:
    classifier = DyadicClassifier(**SMALL).fit(X, y)
    assert np.allclose(np.exp(classifier.predict_log_proba(X)), classifier.predict_proba(X))
    for named in classifier.parameters_.values():
        for array in named.values():
            array *= 1e3
    assert np.isfinite(classifier.predict_log_proba(X)).all()
    squared = DyadicClassifier(**SMALL, loss="squared-error").fit(X, y)
    assert np.array_equal(np.exp(squared.predict_log_proba(X)) > 0, squared.predict_proba(X) > 0)


@pytest.mark.parametrize("estimator", [DyadicClassifier, DyadicRegressor])
def test_partial_fit_goes_on_from_call_to_call(estimator: Any) -> None:
    learner = estimator(hidden_layer_sizes=(12,), learning_rate_init=4e-3, random_state=0)
    for _ in range(12):
        learner.partial_fit(X, y)
    assert learner.n_iter_ == len(learner.loss_curve_) == 12
    assert learner.loss_curve_[-1] < 0.5 * learner.loss_curve_[0]
    assert learner.score(X, y) > 0.8
    kept = pickle.loads(pickle.dumps(learner))
    assert np.array_equal(kept.partial_fit(X, y).outputs(X), learner.partial_fit(X, y).outputs(X))


def test_partial_fit_keeps_adams_averages_and_the_order_of_draws() -> None:
    steady = {"learning": {"learning_rate": 8e-3, "epochs": 3}, "dynamics": {"step": 0.5}}
    whole = DyadicClassifier(**SMALL, settings=steady).fit(X, y)
    parts = DyadicClassifier(**SMALL, settings=steady)
    for _ in range(3):
        parts.partial_fit(X, y)
    assert parts.loss_curve_ == whole.loss_curve_
    assert np.array_equal(parts.outputs(X), whole.outputs(X))


def test_partial_fit_knows_all_classes_from_the_first_call() -> None:
    classifier = DyadicClassifier(**SMALL).partial_fit(X[y < 2], y[y < 2], classes=[0, 1, 2])
    assert classifier.partial_fit(X[y == 2], y[y == 2]).predict_proba(X).shape == (len(X), 3)
    with pytest.raises(ValueError, match=r"y holds .*7.*, which is none of the classes"):
        classifier.partial_fit(X, np.where(y == 2, 7, y))
    with pytest.raises(ValueError, match=r"classes: \[0, 1\]; they were \[0, 1, 2\] before"):
        classifier.partial_fit(X[y < 2], y[y < 2], classes=[0, 1])
    with pytest.raises(ValueError, match=r"partial_fit: .* another network"):
        classifier.set_params(hidden_layer_sizes=(9,)).partial_fit(X, y)
    with pytest.raises(ValueError, match="class_weight: 'balanced' is not legal; partial_fit"):
        DyadicClassifier(**SMALL, class_weight="balanced").partial_fit(X, y)
    with pytest.raises(ValueError, match="early_stopping: partial_fit keeps no samples aside"):
        DyadicClassifier(**SMALL, early_stopping=True).partial_fit(X, y)


def test_one_sample_at_a_time_may_be_learned_from() -> None:
    regressor = DyadicRegressor(**SMALL).partial_fit(X[:20], y[:20])
    for row in range(20, 24):
        regressor.partial_fit(X[row : row + 1], y[row : row + 1])
    assert regressor.n_iter_ == 5


def _fitted(classifier: DyadicClassifier) -> dict[str, int]:
    """Which object each fitted attribute is."""
    return {name: id(value) for name, value in vars(classifier).items() if name.endswith("_")}


def _interrupt_at_the_second_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    epoch = Coordinator.epoch

    def interrupted(self: Coordinator, index: int) -> dict[str, Any]:
        if index == 1:
            raise KeyboardInterrupt
        return epoch(self, index)

    monkeypatch.setattr(Coordinator, "epoch", interrupted)
