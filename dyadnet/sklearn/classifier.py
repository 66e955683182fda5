"""The estimator: fits a network to samples, and predicts with what it settles to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from copy import copy
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as problem:
    raise ImportError("dyadnet.sklearn needs scikit-learn 1.6 or newer: pip install 'dyadnet[sklearn]'") from problem

from dyadnet.coordinator import Coordinator
from dyadnet.data import Dataset, Split, validation_split
from dyadnet.engine.local import LocalEngine
from dyadnet.errors import ConfigError, DivergedError, RunFolderError, UsageError
from dyadnet.observer import Unobserved
from dyadnet.relaxation import Part
from dyadnet.reports import Outcome
from dyadnet.sklearn.parameters import Parameters, plain

EXACT = {"dtype": "float64", "tolerance": 1e-10, "patience": 5000, "sweeps": 5000}
"""How a sample settles when it is predicted: to the fixed point itself, so that its neighbours in a batch and their
order change nothing."""


class DyadicClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A chain of dyadic neurons, trained by its Hebbian contrast.

    Parameters
    ----------
    hidden_layer_sizes
        Neurons of each hidden layer, or of the only one.
    lam
        λ: 0 skew-symmetric, ½ feedforward, 1 symmetric; or anything between, or one for each projection.
    loss
        ``cross-entropy`` (softmax over linear outputs) or ``squared-error`` (outputs bounded as hidden neurons are).
    activation
        Of hidden neurons; a key of `dyadnet.activations.ACTIVATIONS`.
    gain
        Initial weights have a standard deviation of gain/√n_pre.
    beta
        Strength of the nudge.
    learning_rate_init
        Of Adam; it falls to zero along a cosine over `max_iter` epochs.
    alpha
        Decoupled weight decay.
    batch_size
        Samples that settle and are learned from together; all of them if there are fewer.
    max_iter
        Epochs.
    early_stopping
        Keep `validation_fraction` of the samples aside, stop after `n_iter_no_change` epochs without a better
        accuracy on them, and keep the weights that were best (of equals, those of the smallest loss); otherwise learn
        from all samples and keep the last weights.
    scale
        Of each feature, from the samples that are learned from: ``standard`` (zero mean, unit deviation), ``minmax``
        (from 0 to 1), or None (as it is).
    warm_start
        Go on from the weights of the last fit, with the scale of the first.
    settings
        Further settings, as a run's configuration writes them; they win over all others. ``{"imperfections":
        {"channel": {"loss": 0.1}}}`` trains and predicts with lost messages. Those in `NOT_TAKEN` are refused.
    random_state
        Of every random draw.

    Attributes
    ----------
    classes_
        Labels, in the order of the outputs.
    n_features_in_
        Features of a sample.
    n_iter_
        Epochs trained.
    loss_curve_
        Mean loss over each epoch's minibatches.
    validation_scores_
        Accuracy on the samples kept aside after each epoch; only with `early_stopping`.
    offset_, factor_
        A feature x goes into the network as (x − offset_)·factor_.
    parameters_
        Trained weights by block, then by name, as `dyadnet.block.Block.parameters` has them.
    config_
        The whole configuration, a `dyadnet.RunConfig`.
    """

    classes_: NDArray[Any]

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        lam: float | Sequence[float] = 0.0,
        *,
        loss: str = "cross-entropy",
        activation: str = "tempered-hard-sigmoid",
        gain: float = 1.4,
        beta: float = 0.1,
        learning_rate_init: float = 8e-3,
        alpha: float = 1e-3,
        batch_size: int = 32,
        max_iter: int = 50,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        scale: str | None = "standard",
        warm_start: bool = False,
        settings: Mapping[str, Any] | None = None,
        random_state: Any = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.lam = lam
        self.loss = loss
        self.activation = activation
        self.gain = gain
        self.beta = beta
        self.learning_rate_init = learning_rate_init
        self.alpha = alpha
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.scale = scale
        self.warm_start = warm_start
        self.settings = settings
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from samples; if that fails or is interrupted, the estimator stays as it was.

        Parameters
        ----------
        X
            Numbers, shape (samples, features).
        y
            Labels of any kind, shape (samples,).

        Raises
        ------
        ValueError
            If samples or a parameter cannot be used.
        DivergedError
            If a relaxation runs away.
        """
        fitted = copy(self)
        with _own_words():
            fitted._fit(X, y)
        self.__dict__ = fitted.__dict__  # All at once: nobody ever holds half a fit.
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities of the classes, shape (samples, classes).

        Softmax of the settled outputs, or, for the squared error, those outputs over their sum: either loss is
        smallest where they are the probabilities of the classes.
        """
        outputs = self.outputs(X)
        if self.config_.network.loss == "cross-entropy":
            powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
            return np.asarray(powers / powers.sum(axis=1, keepdims=True))
        positive = np.maximum(outputs, 0.0)
        total = positive.sum(axis=1, keepdims=True)
        even = np.full_like(positive, 1.0 / positive.shape[1])
        return np.where(total > 0, positive / np.where(total > 0, total, 1.0), even)

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class of each sample, shape (samples,)."""
        best = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[best])

    def outputs(self, X: Any) -> NDArray[np.float64]:
        """Means of the output dyads, settled at β = 0, shape (samples, classes); raises what `fit` does."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        config = self.config_
        settles = not config.imperfections.noisy(config.network) and not config.dynamics.fixed
        dynamics = config.dynamics.model_copy(update={"lanes": 1} | (EXACT if settles else {}))
        config = config.model_copy(update={"dynamics": dynamics})
        samples = Split(self._inputs(X, dynamics.dtype), np.zeros(len(X), dtype=np.int64))
        unused = Split(samples.images[:1].repeat(2, axis=0), np.zeros(2, dtype=np.int64))
        shown = Dataset("X", unused, samples, 1.0, len(self.classes_))
        with _own_words(), closing(LocalEngine(config, shown)) as engine:
            reader = _Reader(engine)
            engine.load(self.parameters_)
            Coordinator(config, shown.shape, engine, observer=reader).evaluate("test", self.couplings_)
        return np.concatenate(reader.outputs).astype(np.float64)

    def _inputs(self, X: NDArray[np.float64], dtype: str) -> NDArray[np.float64]:
        """What goes into a network that computes in `dtype`; shape (samples, features)."""
        with np.errstate(over="ignore", invalid="ignore"):
            inputs = (X - self.offset_) * self.factor_
            finite = np.isfinite(inputs.astype(dtype))
        for row, column in np.argwhere(~finite):
            why = f"{X[row, column]:g} is too large for {dtype} once it is scaled; give the feature another unit"
            raise ValueError(f"X[:, {column}]: {why}")
        return inputs

    def _fit(self, X: Any, y: Any) -> None:
        """What `fit` does, attribute by attribute."""
        parameters = Parameters.read(plain({name: getattr(self, name) for name in Parameters.model_fields}))
        again = parameters.warm_start and hasattr(self, "parameters_")
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=1, reset=not again)
        check_classification_targets(y)
        classes, labels = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"{type(self).__name__} needs samples of at least 2 classes; y has only one class")
        if again and not np.array_equal(classes, self.classes_):
            raise ValueError(f"warm_start: y has classes {classes.tolist()}, the last fit had {self.classes_.tolist()}")
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        self.config_ = parameters.configuration(X.shape[1], len(classes), len(y), seed)
        if not again:
            self.offset_, self.factor_ = _scaling(parameters.scale, X)
        self.classes_ = classes
        self._train(Split(self._inputs(X, self.config_.dynamics.dtype), labels.astype(np.int64)), again=again)

    def _train(self, samples: Split, *, again: bool) -> None:
        config, count = self.config_, len(samples.labels)
        # A run's coordinator keeps samples aside and looks at a test part; two of the samples stand for those.
        few = Split(samples.images[:2], samples.labels[:2])
        dataset = Dataset("X", samples, few, 1.0, len(self.classes_))
        rows = np.arange(count), np.arange(2)
        if self.early_stopping:
            rows = validation_split(count, config.seed, config.data.validation)
        with closing(LocalEngine(config, dataset)) as engine:
            if again:
                engine.load(self.parameters_)
            coordinator = Coordinator(config, dataset.shape, engine)
            coordinator.train_rows, coordinator.validation_rows = rows
            self._epochs(coordinator)

    def _epochs(self, coordinator: Coordinator) -> None:
        self.loss_curve_: list[float] = []
        scores: list[float] = []
        best, since = (-np.inf, -np.inf), 0
        for epoch in range(self.config_.learning.epochs):
            line = coordinator.epoch(epoch)
            self.loss_curve_.append(line["train"]["loss"])
            merit = (line["validation"]["accuracy"], -line["validation"]["loss"])
            scores.append(merit[0])
            since = 0 if merit[0] > best[0] else since + 1
            if merit > best or not self.early_stopping:
                best = merit
                found = coordinator.engine.parameters()
                self.parameters_ = {name: {key: w.copy() for key, w in named.items()} for name, named in found.items()}
                self.couplings_ = coordinator.couplings(epoch + 1 - 1 / coordinator.minibatches)
            if self.early_stopping and since >= self.n_iter_no_change:
                break
        self.n_iter_ = len(self.loss_curve_)
        self.__dict__.pop("validation_scores_", None)
        if self.early_stopping:
            self.validation_scores_ = scores


class _Reader(Unobserved):
    """Keeps what the output dyads say after each relaxation."""

    def __init__(self, engine: LocalEngine) -> None:
        self.outputs: list[NDArray[Any]] = []
        (self._lane,) = engine.dyads[engine.config.network.output]

    def relaxed(self, part: Part, outcome: Outcome) -> None:
        """See `dyadnet.observer.Observer`."""
        self.outputs.append(np.array(self._lane.readout[0]))


@contextmanager
def _own_words() -> Iterator[None]:
    """A run's complaints in the estimator's terms: what is no parameter is one of `settings`."""
    try:
        yield
    except DivergedError as problem:
        advice = problem.advice.replace("--set dynamics.step=auto", 'settings={"dynamics": {"step": "auto"}}')
        raise DivergedError(problem.block, problem.tick, problem.why, advice) from None
    except RunFolderError as problem:
        raise ValueError(f"warm_start: {problem}") from None
    except UsageError as problem:
        own = not isinstance(problem, ConfigError) or problem.field.partition(".")[0] in Parameters.model_fields
        raise ValueError(str(problem) if own else f"settings.{problem}") from None


def _scaling(scale: str | None, X: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Offset and factor of each feature; one that never changes (up to rounding) is measured in its own size."""
    if scale is None:
        return np.zeros(X.shape[1]), np.ones(X.shape[1])
    # Measured in powers of two, numbers keep their digits, and no square overflows or underflows; 0 and 1 stay.
    largest = np.abs(X).max(axis=0)
    exponent = np.frexp(largest)[1] - (largest > 0)
    X = np.ldexp(X, -exponent)
    offset, size = (X.mean(axis=0), X.std(axis=0)) if scale == "standard" else (X.min(axis=0), np.ptp(X, axis=0))
    size = np.where(size > 1e-12 * np.abs(X).max(axis=0), size, 1.0)
    with np.errstate(over="ignore"):
        return np.ldexp(offset, exponent), np.ldexp(1.0 / size, -exponent)
