"""The classifier: fit a network to labelled samples, and predict from its settled outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from dyadnet.data import Dataset, Split
from dyadnet.network.description import Asymmetric
from dyadnet.network.losses import LOSSES
from dyadnet.sklearn.chain import DyadicChain, Samples
from dyadnet.sklearn.parameters import ClassifierParameters


class DyadicClassifier(ClassifierMixin, DyadicChain):  # type: ignore[misc]
    """A classifier: a chain of dyadic neurons, trained by its Hebbian contrast.

    Parameters
    ----------
    hidden_layer_sizes
        Number of neurons in each hidden layer, or in the only one.
    lam
        λ: 0 skew-symmetric, ½ feedforward, 1 symmetric, or any value between; one value, or one for each projection.
        ``"asymmetric"``: feedback has its own weights.
    loss
        ``cross-entropy`` (softmax over linear outputs), ``squared-error`` (outputs bounded like hidden neurons), or
        another of `dyadnet.network.losses.LOSSES` for classes.
    activation
        Activation of hidden neurons; a key of `dyadnet.network.activations.ACTIVATIONS`.
    gain
        Initial weights have a standard deviation of gain/√n_pre.
    beta
        Strength of the nudge.
    learning_rate_init
        Learning rate of Adam; it decreases to zero along a cosine over `max_iter` epochs.
    alpha
        Decoupled weight decay.
    batch_size
        Minibatch size; all samples if there are fewer.
    max_iter
        Number of epochs.
    early_stopping
        Whether to hold out `validation_fraction` of the samples, stop after `n_iter_no_change` epochs without a better
        accuracy on them, and keep the best weights (among equals, those with the smallest loss). Otherwise all samples
        are used for training, and the last weights are kept.
    scale
        Scaling of each feature, derived from the training samples: ``standard`` (zero mean, unit deviation),
        ``minmax`` (from 0 to 1), or None (unchanged).
    class_weight
        How often samples of a class are used, relative to other classes: a weight for each label (default 1),
        ``balanced`` (every class equally often), or None (unchanged). It is multiplied by the samples' own weights.
    warm_start
        Whether to start from the weights of the last fit, with the scale of the first.
    settings
        Further settings, in the form of a run's configuration; they override all others. For example,
        ``{"imperfections": {"channel": {"loss": 0.1}}}`` trains and predicts with lost messages. Settings in
        `NOT_TAKEN` are refused. If they define a whole network, the parameters `OF_THE_CHAIN` are refused.
    random_state
        Seed or generator of all random draws.

    Attributes
    ----------
    classes_
        Labels, in the order of the outputs.
    n_features_in_
        Number of features of a sample.
    n_iter_
        Number of epochs trained.
    loss_curve_
        Mean loss over each epoch's minibatches.
    validation_scores_
        Accuracy on the held-out samples after each epoch; only with `early_stopping`.
    offset_, factor_
        The network's input for a feature x is (x − offset_)·factor_.
    parameters_
        Trained weights by block, then by name; see `dyadnet.learning.block.Block.parameters`.
    config_
        The whole configuration, a `dyadnet.RunConfig`.
    """

    _kind = ClassifierParameters
    classes_: NDArray[Any]

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        lam: float | Sequence[float] | Asymmetric = 0.0,
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
        class_weight: Mapping[Any, float] | str | None = None,
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
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.settings = settings
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the network to samples. If this fails or is interrupted, the estimator does not change.

        Parameters
        ----------
        X
            Numbers, shape (samples, features).
        y
            Labels of any kind, shape (samples,).
        sample_weight
            How often each sample is used, relative to the others, shape (samples,). A sample of weight 2 is used twice
            as often as one of weight 1, and one of weight 0 is never used. Held-out samples all count equally.

        Raises
        ------
        ValueError
            If samples or a parameter cannot be used.
        DivergedError
            If a relaxation diverges.
        """
        return self._learn(X, y, sample_weight)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train one epoch on samples, continuing from the present weights.

        The first call starts a new network with the scale of its samples, unless it follows a fit. The learning rate
        stays at `learning_rate_init`, and the optimiser's averages continue from call to call. If the call fails,
        nothing has changed.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes
            All labels that will occur; the first call needs them unless its samples contain them all.

        Raises
        ------
        ValueError, DivergedError
            As in `fit`, and if there is a label that was unknown at the first call.
        """
        return self._learn(X, y, sample_weight, once=True, classes=classes)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probabilities of the classes, shape (samples, classes).

        They are the softmax of the settled outputs, or, for the squared error, the outputs divided by their sum. Both
        losses are minimal if these are the true probabilities.
        """
        outputs = self.outputs(X)
        return LOSSES[self.config_.network.loss].probabilities(outputs)

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the logarithms of `predict_proba`, also where that underflows; −∞ where it is exactly 0."""
        outputs = self.outputs(X)
        return LOSSES[self.config_.network.loss].log_probabilities(outputs)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of each sample, shape (samples,)."""
        best = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[best])

    def _checked(self, X: Any, y: Any, *, reset: bool) -> tuple[NDArray[np.float64], NDArray[Any]]:
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=1, reset=reset)
        check_classification_targets(y)
        return X, y

    def _weights(
        self, sample_weight: Any, X: NDArray[np.float64], y: NDArray[Any], *, once: bool
    ) -> NDArray[np.float64] | None:
        weights = super()._weights(sample_weight, X, y, once=once)
        if self.class_weight is None:
            return weights
        if once and self.class_weight == "balanced":
            legal = "partial_fit does not see all samples at once; give a weight for each label"
            raise ValueError(f"class_weight: 'balanced' is not legal; {legal}")
        found = np.asarray(compute_sample_weight(self.class_weight, y), dtype=np.float64)
        if weights is not None:
            found *= weights
        if not found.any():
            raise ValueError("class_weight: every weight is zero; give some samples more")
        return found

    def _encoded(self, y: NDArray[Any], *, again: bool, once: bool, classes: Any = None) -> NDArray[Any]:
        found = np.unique(y)
        known = self._known(found, classes, again=again) if once else found
        if len(known) < 2:
            raise ValueError(f"{type(self).__name__} needs samples of at least 2 classes; y has only one class")
        if again and not np.array_equal(known, self.classes_):
            raise ValueError(f"warm_start: y has classes {known.tolist()}, the last fit had {self.classes_.tolist()}")
        self.classes_ = known
        return np.searchsorted(known, y).astype(np.int64)

    def _known(self, found: NDArray[Any], classes: Any, *, again: bool) -> NDArray[Any]:
        """Return all classes that `partial_fit` must know."""
        known = found if classes is None else np.unique(classes)
        if again:
            if classes is not None and not np.array_equal(known, self.classes_):
                raise ValueError(f"classes: {known.tolist()}; they were {self.classes_.tolist()} before")
            known = self.classes_
        strange = np.setdiff1d(found, known)
        if len(strange):
            raise ValueError(f"y holds {strange[0]!r:.40}, which is none of the classes {known.tolist()}")
        return known

    @property
    def _outputs(self) -> int:
        return len(self.classes_)

    def _dataset(self, samples: Samples) -> Dataset:
        split = Split(samples.images, samples.targets)
        return Dataset("X", split, Split(split.images[:2], split.labels[:2]), 1.0, len(self.classes_))
