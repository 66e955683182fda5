"""What trained weights say of samples: outputs of a network that settles without a nudge."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.config import RunConfig
from dyadnet.config.dynamics import FreeRunning, Lockstep
from dyadnet.data import Dataset, Split
from dyadnet.dynamics.outcome import Outcome
from dyadnet.dynamics.request import Part
from dyadnet.engines.local import LocalEngine
from dyadnet.runs.observer import Unobserved
from dyadnet.runs.weights import Parameters
from dyadnet.training.coordinator import Coordinator

EXACT = {"dtype": "float64", "tolerance": 1e-10, "patience": 5000, "sweeps": 5000}
"""How a sample settles when it is predicted: to the fixed point itself, so that its neighbours in a batch and their
order change nothing."""


def precise(config: RunConfig) -> RunConfig:
    """The run's configuration with `EXACT` dynamics; under noise or a fixed number of sweeps only on one lane.

    A run in real time is read out in virtual time: both settle to the same fixed point.
    """
    settles = not config.imperfections.noisy(config.network) and not config.dynamics.fixed
    mode = Lockstep() if isinstance(config.dynamics.mode, FreeRunning) else config.dynamics.mode
    dynamics = config.dynamics.model_copy(update={"lanes": 1, "mode": mode} | (EXACT if settles else {}))
    learning = config.learning.model_copy(update={"early_stopping": None})
    return config.model_copy(update={"dynamics": dynamics, "learning": learning})


def outputs(
    config: RunConfig, parameters: Parameters, couplings: tuple[float, ...], inputs: NDArray[Any], scale: float = 1.0
) -> NDArray[np.float64]:
    """Means of the output dyads, settled at β = 0 in this process.

    Parameters
    ----------
    config
        As `precise` makes it.
    parameters
        By block, then by name.
    couplings
        κ of each projection between populations.
    inputs
        Samples, shape (samples, features).
    scale
        What they are multiplied by to become network inputs.

    Returns
    -------
    ndarray
        Shape (samples, outputs).
    """
    classes = config.network.classes
    samples = Split(inputs, np.zeros(len(inputs), dtype=np.int64))
    unused = Split(inputs[:1].repeat(2, axis=0), np.zeros(2, dtype=np.int64))
    shown = Dataset("X", unused, samples, scale, classes)
    with closing(LocalEngine(config, shown)) as engine:
        reader = _Reader(engine)
        engine.load(parameters)
        Coordinator(config, shown.sizes, engine, observer=reader).evaluate("test", couplings)
    return np.concatenate(reader.outputs).astype(np.float64)


class _Reader(Unobserved):
    """Keeps what the output dyads say after each relaxation."""

    def __init__(self, engine: LocalEngine) -> None:
        self.outputs: list[NDArray[Any]] = []
        (self._lane,) = engine.group.all_lanes(engine.config.network.output)

    def relaxed(self, part: Part, outcome: Outcome) -> None:
        """See `dyadnet.runs.observer.MetricsCallback`."""
        self.outputs.append(self._lane.readout[0])
