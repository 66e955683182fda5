"""The scikit-learn classifier does what scikit-learn asks of one, and is still a network of dyads."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from sklearn.datasets import load_digits, load_wine
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from dyadnet.engine.local import LocalEngine
from dyadnet.errors import DivergedError
from dyadnet.sklearn import DyadicClassifier
from tests.support import data

X, y = load_wine(return_X_y=True)
SMALL: dict[str, Any] = {"hidden_layer_sizes": (12,), "max_iter": 8, "random_state": 0}


@parametrize_with_checks([DyadicClassifier(hidden_layer_sizes=(16,), max_iter=15)])  # type: ignore[untyped-decorator]
def test_scikit_learns_own_checks_pass(estimator: DyadicClassifier, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0, 0.25])
@pytest.mark.parametrize("loss", ["cross-entropy", "squared-error"])
def test_every_model_learns_data_that_are_no_pictures(lam: float, loss: str) -> None:
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


def test_warm_start_goes_on_where_the_last_fit_stopped() -> None:
    classifier = DyadicClassifier(**SMALL, warm_start=True, learning_rate_init=2e-3).fit(X, y)
    before = classifier.loss_curve_[-1]
    assert classifier.fit(X, y).loss_curve_[0] < before + 0.05
    assert classifier.loss_curve_[-1] < before
    with pytest.raises(ValueError, match="classes"):
        classifier.fit(X, np.where(y == 0, 7, y))
    with pytest.raises(ValueError, match="another network"):
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
    ("parameters", "words"),
    [
        ({"scale": "robust"}, "scale: 'robust' is not legal"),
        ({"max_iter": 0}, "max_iter"),
        ({"batch_size": True}, "batch_size"),
        ({"lam": 1.5}, "lam"),
        ({"lam": [0.0, 0.5]}, "one for each of the 1 projections"),
        ({"beta": 0}, "beta"),
        ({"activation": "step"}, "activation"),
        ({"hidden_layer_sizes": (0,)}, "hidden"),
        ({"settings": {"dynamic": {}}}, "dynamic"),
        ({"settings": {"dynamics": {"mode": "free"}}}, "virtual time only"),
    ],
)
def test_a_bad_parameter_is_a_value_error_that_names_it(parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=r"(?s).*") as caught:
        DyadicClassifier(**{**SMALL, **parameters}).fit(X, y)
    assert words in str(caught.value)


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


def test_a_relaxation_that_runs_away_says_so() -> None:
    settings = {"dynamics": {"step": 1.0, "clock": "every-tick"}}
    classifier = DyadicClassifier((20, 20), gain=8.0, settings=settings, max_iter=30, random_state=0)
    with pytest.raises(DivergedError, match="try --set"):
        classifier.fit(X, y)
