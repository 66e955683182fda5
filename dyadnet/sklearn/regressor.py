"""The regressor: fit a network to samples with numeric targets, and predict from its settled outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils.validation import validate_data

from dyadnet.data import Dataset, Numbers, Split
from dyadnet.network.description import Asymmetric
from dyadnet.sklearn.chain import DyadicChain, Samples, scaled, scaling
from dyadnet.sklearn.parameters import RegressorParameters


class DyadicRegressor(RegressorMixin, DyadicChain):  # type: ignore[misc]
    """A regressor: a chain of dyadic neurons, trained by its Hebbian contrast on the squared error.

    Outputs are linear.

    Parameters
    ----------
    hidden_layer_sizes
        Number of neurons in each hidden layer, or in the only one.
    lam
        λ: 0 skew-symmetric, ½ feedforward, 1 symmetric, or any value between; one value, or one for each projection.
        ``"asymmetric"``: feedback has its own weights.
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
        Whether to hold out `validation_fraction` of the samples, stop after `n_iter_no_change` epochs without a smaller
        loss on them, and keep the best weights. Otherwise all samples are used for training, and the last weights are
        kept.
    scale
        Scaling of each feature, derived from the training samples: ``standard`` (zero mean, unit deviation),
        ``minmax`` (from 0 to 1), or None (unchanged).
    target_scale
        Scaling of each target: ``standard`` or None. Predictions are in the targets' own unit.
    warm_start
        Whether to start from the weights of the last fit, with the scales of the first.
    settings
        Further settings, in the form of a run's configuration; they override all others. For example,
        ``{"imperfections": {"channel": {"loss": 0.1}}}`` trains and predicts with lost messages. Settings in
        `NOT_TAKEN` are refused. If they define a whole network, the parameters `OF_THE_CHAIN` are refused.
    random_state
        Seed or generator of all random draws.

    Attributes
    ----------
    n_features_in_
        Number of features of a sample.
    n_outputs_
        Number of values of a target.
    n_iter_
        Number of epochs trained.
    loss_curve_
        Mean loss over each epoch's minibatches: half the squared error of scaled targets, summed over outputs.
    validation_scores_
        R² on the held-out samples after each epoch; only with `early_stopping`.
    offset_, factor_
        The network's input for a feature x is (x − offset_)·factor_.
    target_offset_, target_factor_
        The prediction of an output that settles at s is s/target_factor_ + target_offset_.
    parameters_
        Trained weights by block, then by name; see `dyadnet.learning.block.Block.parameters`.
    config_
        The whole configuration, a `dyadnet.RunConfig`.
    """

    _kind = RegressorParameters
    n_outputs_: int

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        lam: float | Sequence[float] | Asymmetric = 0.0,
        *,
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
        target_scale: str | None = "standard",
        warm_start: bool = False,
        settings: Mapping[str, Any] | None = None,
        random_state: Any = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.lam = lam
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
        self.target_scale = target_scale
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
            Numbers, shape (samples,) or (samples, outputs).
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

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train one epoch on samples, continuing from the present weights.

        The first call starts a new network with the scales of its samples and targets, unless it follows a fit. The
        learning rate stays at `learning_rate_init`, and the optimiser's averages continue from call to call. If the
        call fails, nothing has changed.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Raises
        ------
        ValueError, DivergedError
            As in `fit`.
        """
        return self._learn(X, y, sample_weight, once=True)

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Predict numbers in the targets' unit, of shape (samples,), or (samples, outputs) if y had two dimensions."""
        found = self.outputs(X) / self.target_factor_ + self.target_offset_
        return np.asarray(found[:, 0] if self._flat else found)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _checked(self, X: Any, y: Any, *, reset: bool) -> tuple[NDArray[np.float64], NDArray[Any]]:
        X, y = validate_data(
            self, X, y, dtype=np.float64, ensure_min_samples=1, multi_output=True, y_numeric=True, reset=reset
        )
        return X, np.asarray(y, dtype=np.float64)

    def _encoded(self, y: NDArray[Any], *, again: bool, once: bool) -> NDArray[Any]:
        columns = y.reshape(len(y), -1)
        if again and columns.shape[1] != self.n_outputs_:
            raise ValueError(f"y has {columns.shape[1]} numbers a sample, the last fit had {self.n_outputs_}")
        if not again:
            self.target_offset_, self.target_factor_ = scaling(self.target_scale, columns)
        self.n_outputs_, self._flat = columns.shape[1], y.ndim == 1
        return scaled("y", columns, self.target_offset_, self.target_factor_, "float32", "target")

    @property
    def _outputs(self) -> int:
        return self.n_outputs_

    def _dataset(self, samples: Samples) -> Dataset:
        split = Split(samples.images, samples.targets)
        numbers = Numbers((self.n_outputs_,), float(samples.targets.min()), float(samples.targets.max()))
        few = Split(split.images[:2], split.labels[:2])
        return Dataset("X", split, few, 1.0, 0, numbers=numbers)
