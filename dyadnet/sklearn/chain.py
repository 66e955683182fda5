"""The common base of the estimators: a chain of dyadic neurons that is fitted to samples in this process."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from copy import copy
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from dyadnet.checkpoint.position import Position
from dyadnet.config import RunConfig
from dyadnet.data import Dataset, DataShape, validation_split
from dyadnet.engines.local import LocalEngine
from dyadnet.errors import ConfigError, DivergedError, RunFolderError, UsageError
from dyadnet.numerics.scores import SCORES, merit, variance
from dyadnet.sklearn.parameters import OF_THE_CHAIN, EstimatorParameters, plain
from dyadnet.training.coordinator import Coordinator, Outset
from dyadnet.training.inference import outputs, precise


@dataclass(frozen=True)
class Samples:
    """The training samples of an estimator.

    Attributes
    ----------
    images
        Features, shape (samples, features).
    targets
        One value, or a row of values, per sample.
    weights
        How often each sample is used, relative to the others; None: all equally often.
    """

    images: NDArray[np.float64]
    targets: NDArray[Any]
    weights: NDArray[np.float64] | None

    @property
    def weighty(self) -> Samples:
        """The samples with a positive weight."""
        if self.weights is None or self.weights.all():
            return self
        kept = self.weights > 0
        return Samples(self.images[kept], self.targets[kept], self.weights[kept])


@dataclass(frozen=True)
class Progress:
    """The state from which `partial_fit` continues.

    Attributes
    ----------
    position
        The coordinator's counters.
    blocks
        The learned state of each block; see `dyadnet.learning.block.Block.snapshot`.
    """

    position: Position
    blocks: Mapping[str, dict[str, Any]]


class DyadicChain(BaseEstimator):  # type: ignore[misc]
    """A chain of dyadic neurons, trained by its Hebbian contrast. This is the abstract base of the estimators.

    Subclasses define the handling of targets: `_checked` validates them, `_encoded` converts them to the network's
    targets, and `_dataset` creates a data set from them.
    """

    _kind: ClassVar[type[EstimatorParameters]]
    """The schema of the estimator's parameters."""

    early_stopping: bool
    n_iter_no_change: int
    random_state: Any
    config_: RunConfig
    loss_curve_: list[float]

    def _learn(self, X: Any, y: Any, sample_weight: Any, *, once: bool = False, **more: Any) -> Self:
        """Implement `fit`, or with `once` `partial_fit`. If it fails or is interrupted, nothing has changed."""
        fitted = copy(self)
        with self._own_words("partial_fit" if once else "warm_start"):
            fitted._fit(X, y, sample_weight, once=once, **more)
        self.__dict__ = fitted.__dict__  # Replace everything at once, so that no half-finished fit is visible.
        return self

    def outputs(self, X: Any) -> NDArray[np.float64]:
        """Return the means of the output dyads, settled at β = 0, shape (samples, outputs). Errors are as in `fit`."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        config = precise(self.config_)
        with self._own_words("warm_start"):
            return outputs(config, self.parameters_, self.couplings_, self._inputs(X, config.dynamics.dtype))

    def _checked(self, X: Any, y: Any, *, reset: bool) -> tuple[NDArray[np.float64], NDArray[Any]]:
        """Validate samples and targets with scikit-learn, and return them."""
        raise NotImplementedError

    def _encoded(self, y: NDArray[Any], *, again: bool, once: bool) -> NDArray[Any]:
        """Convert targets to those of the network, and set the attributes that describe them."""
        raise NotImplementedError

    @property
    def _outputs(self) -> int:
        """Number of outputs of the network."""
        raise NotImplementedError

    def _dataset(self, samples: Samples) -> Dataset:
        """Create a data set of the samples. Its test part is a placeholder of two samples."""
        raise NotImplementedError

    def _weights(
        self, sample_weight: Any, X: NDArray[np.float64], y: NDArray[Any], *, once: bool
    ) -> NDArray[np.float64] | None:
        """Return the weight of each sample; None: all equal."""
        if sample_weight is None:
            return None
        if isinstance(sample_weight, Real):
            sample_weight = np.full(len(X), sample_weight)
        weights = check_array(sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
        if weights.shape != (len(X),):
            raise ValueError(f"sample_weight: shape {weights.shape}; X has {len(X)} samples, give a weight for each")
        if weights.min() < 0 or not weights.any():
            found = f"{weights.min():g} is among them" if weights.any() else "every weight is zero"
            raise ValueError(f"sample_weight: {found}; give weights of at least 0, and some of them more")
        return np.array(weights)

    def _inputs(self, X: NDArray[np.float64], dtype: str) -> NDArray[np.float64]:
        """Return the scaled inputs of a network that computes in `dtype`, shape (samples, features)."""
        return scaled("X", X, self.offset_, self.factor_, dtype, "feature")

    def _parameters(self) -> EstimatorParameters:
        given = plain({name: getattr(self, name) for name in self._kind.model_fields})
        parameters = self._kind.read(given)
        if parameters.whole_network:
            usual = inspect.signature(type(self)).parameters
            for name in sorted(OF_THE_CHAIN & usual.keys()):
                if given[name] != plain(usual[name].default):
                    raise ConfigError(name, given[name], "settings.network is the whole network; leave this one out")
        return parameters

    def _fit(self, X: Any, y: Any, sample_weight: Any, *, once: bool, **more: Any) -> None:
        """Fit this object, setting its attributes one by one."""
        parameters = self._parameters()
        if once and parameters.early_stopping:
            raise ValueError("early_stopping: partial_fit keeps no samples aside; set it to False, or use fit")
        again = (once or parameters.warm_start) and hasattr(self, "parameters_")
        X, y = self._checked(X, y, reset=not again)
        samples = Samples(X, y, self._weights(sample_weight, X, y, once=once)).weighty
        targets = self._encoded(samples.targets, again=again, once=once, **more)
        progress: Progress | None = getattr(self, "_progress", None) if once and again else None
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        seed = seed if progress is None else self.config_.seed
        config = parameters.configuration(X.shape[1], self._outputs, len(targets), seed, constant=once)
        if progress is not None and config.learning.optimiser != self.config_.learning.optimiser:
            progress = None
        self.config_ = config
        if not again:
            self.offset_, self.factor_ = scaling(parameters.scale, samples.images)
        inputs = self._inputs(samples.images, config.dynamics.dtype)
        self._train(Samples(inputs, targets, samples.weights), again=again, once=once, progress=progress)

    def _train(self, samples: Samples, *, again: bool, once: bool, progress: Progress | None) -> None:
        config, dataset, count = self.config_, self._dataset(samples), len(samples.targets)
        rows = np.arange(count), np.arange(min(count, 2))
        if self.early_stopping:
            rows = validation_split(count, config.seed, config.data.validation)
        with closing(LocalEngine(config, dataset)) as engine:
            if again:
                engine.load(self.parameters_)
            if progress is not None:
                for name, block in engine.blocks.items():
                    block.restore(progress.blocks[name])
            # The coordinator needs at least two samples to split; the rows are replaced below.
            shape = replace(_shape(dataset, rows), train=max(count, 2))
            start = None if progress is None else progress.position
            coordinator = Coordinator(config, shape, engine, outset=Outset(position=start))
            coordinator.train_rows, coordinator.validation_rows = rows
            if samples.weights is not None:
                coordinator.train_weights = samples.weights[rows[0]]
            if once:
                self._one_epoch(coordinator, engine, 0 if start is None else start.epoch, again=again)
            else:
                self._epochs(coordinator)

    def _one_epoch(self, coordinator: Coordinator, engine: LocalEngine, epoch: int, *, again: bool) -> None:
        line = coordinator.epoch(epoch)
        self.loss_curve_ = [*(self.loss_curve_ if again else []), line["train"]["loss"]]
        self.n_iter_ = len(self.loss_curve_)
        self._keep(coordinator, epoch)
        blocks = {name: block.snapshot() for name, block in engine.blocks.items()}
        # The next engine does not have the vector for a warm start of the estimate of ρ.
        self._progress = Progress(replace(coordinator.position(epoch + 1, 0), radius=0.0, since_radius=0), blocks)

    def _epochs(self, coordinator: Coordinator) -> None:
        self.loss_curve_ = []
        told: list[float] = []
        best, since = (-np.inf, -np.inf), 0
        for epoch in range(self.config_.learning.epochs):
            line = coordinator.epoch(epoch)
            self.loss_curve_.append(line["train"]["loss"])
            now, classes = merit(line), "accuracy" in line["validation"]
            told.append(next(line["validation"][name] for name in SCORES if name in line["validation"]))
            better = now[0] > best[0] if classes else now > best
            since = 0 if better else since + 1
            if now > best or not self.early_stopping:
                best = now
                self._keep(coordinator, epoch)
            if self.early_stopping and since >= self.n_iter_no_change:
                break
        self.n_iter_ = len(self.loss_curve_)
        for name in ("validation_scores_", "_progress"):
            self.__dict__.pop(name, None)
        if self.early_stopping:
            self.validation_scores_ = told

    def _keep(self, coordinator: Coordinator, epoch: int) -> None:
        """Store the weights at the end of an epoch."""
        found = coordinator.engine.parameters()
        self.parameters_ = {name: {key: w.copy() for key, w in named.items()} for name, named in found.items()}
        self.couplings_ = coordinator.couplings(epoch + 1 - 1 / coordinator.minibatches)

    @contextmanager
    def _own_words(self, again: str) -> Iterator[None]:
        """Convert a run's errors to the estimator's terms; settings that are not parameters belong to `settings`.

        Parameters
        ----------
        again
            Name of the feature that continues from the last fit, for messages.
        """
        try:
            yield
        except DivergedError as problem:
            advice = problem.advice.replace("--set dynamics.step=auto", 'settings={"dynamics": {"step": "auto"}}')
            raise DivergedError(problem.block, problem.tick, problem.why, advice) from None
        except RunFolderError as problem:
            raise ValueError(f"{again}: {problem}") from None
        except UsageError as problem:
            text = str(problem).removeprefix("network.layered.")
            own = not isinstance(problem, ConfigError) or re.split("[.:]", text)[0] in self._kind.model_fields
            raise ValueError(text if own else f"settings.{problem}") from None


def _shape(dataset: Dataset, rows: tuple[NDArray[np.int64], NDArray[np.int64]]) -> DataShape:
    """Return the sizes of a data set; for numbers, with their variances in the rows for training and validation."""
    shape = dataset.sizes
    if shape.numbers is None:
        return shape
    parts = {part: dataset.train.labels[chosen] for part, chosen in zip(("train", "validation"), rows, strict=True)}
    parts["test"] = dataset.test.labels
    variances = {part: variance(targets) for part, targets in parts.items()}
    return replace(shape, numbers=replace(shape.numbers, variances=variances))


def scaled(
    name: str,
    values: NDArray[np.float64],
    offset: NDArray[np.float64],
    factor: NDArray[np.float64],
    dtype: str,
    what: str,
) -> NDArray[np.float64]:
    """Scale columns for the network.

    Raises
    ------
    ValueError
        If a scaled value is not finite in `dtype`; the error names its column.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        found = (values - offset) * factor
        finite = np.isfinite(found.astype(dtype))
    for row, column in np.argwhere(~finite):
        why = f"{values[row, column]:g} is too large for {dtype} once it is scaled; give the {what} another unit"
        raise ValueError(f"{name}[:, {column}]: {why}")
    return found


def scaling(scale: str | None, X: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return offset and factor of each column; a constant column (up to rounding) is divided by its magnitude."""
    if scale is None:
        return np.zeros(X.shape[1]), np.ones(X.shape[1])
    # Scale by powers of two, which is exact, so that no square overflows or underflows; 0 and 1 do not change.
    largest = np.abs(X).max(axis=0)
    exponent = np.frexp(largest)[1] - (largest > 0)
    X = np.ldexp(X, -exponent)
    offset, size = (X.mean(axis=0), X.std(axis=0)) if scale == "standard" else (X.min(axis=0), np.ptp(X, axis=0))
    size = np.where(size > 1e-12 * np.abs(X).max(axis=0), size, 1.0)
    with np.errstate(over="ignore"):
        return np.ldexp(offset, exponent), np.ldexp(1.0 / size, -exponent)
