"""The legal parameters of the estimators, and their conversion to a run's configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, field_validator

from dyadnet.config import RunConfig
from dyadnet.config.dynamics import FreeRunning
from dyadnet.config.overrides import flattened, merged
from dyadnet.errors import ConfigError, guessed
from dyadnet.network.activations import ACTIVATIONS
from dyadnet.network.description import ASYMMETRIC, Asymmetric
from dyadnet.network.losses import CLASSES, LOSSES
from dyadnet.schema import Positive, Spec
from dyadnet.study.definition import overlaps

NOT_TAKEN = {
    **dict.fromkeys(
        ("data.name", "data.dir", "data.limit_train", "data.limit_test", "data.memory"), "the samples are X and y"
    ),
    **dict.fromkeys(
        ("data.normalise", "data.augment", "data.task", "data.noise"), "X is a table of features, which `scale` scales"
    ),
    "learning.early_stopping": "early_stopping and n_iter_no_change are parameters of their own",
    "baseline": "this estimator is of dyads; scikit-learn's MLPClassifier and MLPRegressor are by back-propagation",
    "init_from": "warm_start goes on from the weights of the last fit",
    **dict.fromkeys(("engine", "cluster", "recovery", "faults"), "everything runs in this process"),
    **dict.fromkeys(("checkpoint", "record", "probe", "metrics"), "a fit writes and serves nothing while it goes"),
}
"""Settings of a run that would have no effect here, with the reasons."""
OF_THE_CHAIN = {"hidden_layer_sizes", "lam", "activation", "gain", "loss"}
"""Parameters that describe a chain of layers."""


class EstimatorParameters(Spec):
    """Legal parameters of all estimators; values are not converted to other types."""

    model_config = {**Spec.model_config, "strict": True}

    hidden_layer_sizes: list[int]
    lam: float | list[float] | Asymmetric
    activation: str
    gain: Annotated[float, Field(ge=0)]
    beta: Annotated[float, Field(gt=0)]
    learning_rate_init: Annotated[float, Field(ge=0)]
    alpha: Annotated[float, Field(ge=0)]
    batch_size: Positive
    max_iter: Positive
    early_stopping: bool
    validation_fraction: Annotated[float, Field(gt=0, lt=1)]
    n_iter_no_change: Positive
    scale: Literal["standard", "minmax"] | None
    warm_start: bool
    settings: dict[str, Any] | None

    @field_validator("hidden_layer_sizes", mode="before")
    @classmethod
    def _sizes(cls, value: Any) -> Any:
        sizes = value if isinstance(value, list) else [value]
        if not all(type(size) is int and size >= 1 for size in sizes):
            raise ValueError("a whole number of at least 1, or one for each hidden layer")
        return sizes

    @field_validator("lam", mode="before")
    @classmethod
    def _fractions(cls, value: Any) -> Any:
        if value == ASYMMETRIC:
            return value
        for number in value if isinstance(value, list) else [value]:
            if type(number) not in (int, float) or not 0 <= number <= 1:
                raise ValueError(f"a number from 0 to 1, one for each projection, or {ASYMMETRIC}")
        return value

    @field_validator("activation")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in ACTIVATIONS:
            raise ValueError(ACTIVATIONS.legal(value))
        return value

    @property
    def whole_network(self) -> bool:
        """Whether the settings define a whole network in place of the chain of layers."""
        graph = (self.settings or {}).get("network")
        return isinstance(graph, dict) and "layered" not in graph

    @property
    def outputs(self) -> dict[str, Any]:
        """Settings of the output neurons, in the form of ``network.layered``."""
        raise NotImplementedError

    def configuration(
        self, features: int, outputs: int, samples: int, seed: int, *, constant: bool = False
    ) -> RunConfig:
        """Create the whole configuration of a fit.

        Parameters
        ----------
        constant
            Whether to keep the learning rate constant instead of decreasing it over `max_iter` epochs.
        """
        settings = self.settings or {}
        for key, value in flattened(settings).items():
            section = key.partition(".")[0]
            if section not in RunConfig.model_fields:
                legal = f"unknown key; remove it or check its spelling{guessed(section, RunConfig.model_fields)}"
                raise ConfigError(f"settings.{key}", value, legal)
            for path, why in NOT_TAKEN.items():
                if overlaps(key, path):
                    raise ConfigError(key, value, f"{why}; leave it out")
        chain = {"inputs": features, "hidden": self.hidden_layer_sizes, "outputs": outputs, **self.outputs}
        chain |= self.model_dump(include={"lam", "activation", "gain"})
        rate = self.learning_rate_init
        values: dict[str, Any] = {
            "network": {"layered": chain},
            "data": {"name": "X", "validation": self.validation_fraction},
            "learning": {
                "epochs": self.max_iter,
                "minibatch": min(self.batch_size, samples),
                "learning_rate": rate if constant else {"kind": "cosine", "start": rate, "end": 0.0},
                "optimiser": {"kind": "adam", "weight_decay": self.alpha},
                "beta": self.beta,
            },
            "engine": "local",
            "seed": seed,
        }
        if self.whole_network:
            del values["network"]
        config = RunConfig.read(merged(values, settings))
        if isinstance(config.dynamics.mode, FreeRunning):
            raise ConfigError("dynamics.mode", "free", "the local engine has virtual time only")
        return config


class ClassifierParameters(EstimatorParameters):
    """Legal parameters of `dyadnet.sklearn.DyadicClassifier`."""

    loss: str
    class_weight: Literal["balanced"] | dict[Any, Annotated[float, Field(ge=0)]] | None

    @field_validator("loss")
    @classmethod
    def _of_classes(cls, value: str) -> str:
        if value not in LOSSES or CLASSES not in LOSSES[value].targets:
            raise ValueError(LOSSES.legal(value))
        return value

    @property
    def outputs(self) -> dict[str, Any]:
        """Settings of the outputs: linear for cross-entropy, else bounded like hidden neurons."""
        return {"loss": self.loss}


class RegressorParameters(EstimatorParameters):
    """Legal parameters of `dyadnet.sklearn.DyadicRegressor`."""

    target_scale: Literal["standard"] | None

    @property
    def outputs(self) -> dict[str, Any]:
        """Settings of the outputs: linear, so that they can reach any number."""
        return {"loss": "squared-error", "output_activation": "linear"}


def plain(value: Any) -> Any:
    """Convert NumPy scalars to Python numbers, and NumPy arrays and all sequences to lists."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(item) for item in value]
    return value
