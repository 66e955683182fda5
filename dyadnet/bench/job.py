"""The worker script of ``dyadnet bench versions``: train on request and return the time that it took.

The interpreter of any version of dyadnet runs this script, so it uses only what all versions have. It reads one JSON
object per line from standard input and answers each with one line; see `train` and `try_out` for the requests.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import dyadnet
from dyadnet.bench.networks import configuration, images
from dyadnet.config import RunConfig
from dyadnet.data import load
from dyadnet.study.definition import read_study
from dyadnet.study.plan import plan, quick
from dyadnet.study.ready import find
from dyadnet.study.trial import run_trial


def _either(module: str, before: str) -> Any:
    """Import a module by its name, or by its name up to version 0.2."""
    try:
        return import_module(module)
    except ModuleNotFoundError:
        return import_module(before)


Coordinator = _either("dyadnet.training.coordinator", "dyadnet.coordinator").Coordinator
LocalEngine = _either("dyadnet.engines.local", "dyadnet.engine.local").LocalEngine
preset = _either("dyadnet.config.presets", "dyadnet.presets").preset
Silent: type = _either("dyadnet.runs.watcher", "dyadnet.watcher").Silent

MINIBATCH = 128
"""Minibatch size for synthetic data."""
GAINS = {"hm": 0.35}
"""Gains of initial weights, as in the presets, for models that do not learn with the gain of `configuration`."""


class Training(Silent):  # type: ignore[misc]
    """Trains one run epoch by epoch. Evaluation is short and is not timed."""

    def __init__(
        self, what: str, model: str, minibatches: int, epochs: int, chain: tuple[int, list[int]] | None
    ) -> None:
        if chain is None:
            values = preset(what, model)
            values["engine"] = "local"
            values["learning"]["epochs"] = max(values["learning"]["epochs"], epochs)
            config, dataset = RunConfig.read(values), load(what)
        else:
            inputs, hidden = chain
            config = configuration(model, inputs, hidden, gain=GAINS.get(model, 1.4), minibatch=MINIBATCH)
            # A tenth of all samples is kept for validation.
            dataset = images(inputs, minibatches * MINIBATCH * 10 // 9 + 10)
        dataset = dataset.limited(test=1)
        self._engine = LocalEngine(config, dataset)
        # Up to version 0.1, `sizes` was called `shape`.
        sizes = dataset.sizes if hasattr(dataset, "sizes") else dataset.shape
        self._coordinator = Coordinator(config, sizes, self._engine, watcher=self)
        rows = self._coordinator.train_rows
        self._coordinator.train_rows = rows[: minibatches * config.learning.minibatch]
        self._coordinator.validation_rows = self._coordinator.validation_rows[:1]
        self._epochs = 0
        self._over: float | None = None

    def evaluating(self, epoch: int, part: str) -> None:
        """Store the time at which the training of an epoch ended."""
        self._over = self._over or time.perf_counter()

    def epoch_of_training(self) -> dict[str, Any]:
        """Train for an epoch and return the answer to the request."""
        self._over = None
        started = time.perf_counter()
        line = self._coordinator.epoch(self._epochs)
        self._epochs += 1
        assert self._over is not None
        return {
            "count": len(self._coordinator.train_rows),
            "seconds": self._over - started,
            "sweeps": line["train"]["sweeps"],
            "weights": line["weights_sha256"],
        }


def train(
    what: str, model: str, minibatches: int, epochs: int, chain: tuple[int, list[int]] | None
) -> Callable[[], dict[str, Any]]:
    """Return a function that trains one more epoch of a preset, or of a chain with synthetic data, at each call.

    It can be called `epochs` times.
    """
    return Training(what, model, minibatches, epochs, chain).epoch_of_training


def try_out(study: str, trials: int) -> Callable[[], dict[str, Any]]:
    """Return a function that runs the first trials of a study, reduced as by ``--quick``, one after the other."""
    chosen = plan(quick(read_study(find(study))))[:trials]
    datasets = {}
    for trial in chosen:
        data = trial.config.data
        key = data.name, data.limit_train, data.limit_test
        if key not in datasets:
            datasets[key] = load(data.name, data.dir).limited(data.limit_train, data.limit_test)

    def run() -> dict[str, Any]:
        started = time.perf_counter()
        results = []
        for trial in chosen:
            data = trial.config.data
            results.append(run_trial(trial.config, datasets[data.name, data.limit_train, data.limit_test]))
        seconds = time.perf_counter() - started
        if failed := [result.error for result in results if result.status == "failed"]:
            raise RuntimeError(failed[0])
        sweeps = [result.values["sweeps_mean"] for result in results if result.status == "ok"]
        return {
            "count": len(results),
            "seconds": seconds,
            "sweeps": sum(sweeps) / max(len(sweeps), 1),
            "weights": [result.values.get("weights_sha256") for result in results],
        }

    return run


def main() -> None:
    """Answer requests until standard input ends."""
    print(json.dumps({"dyadnet": dyadnet.__file__}), flush=True)
    known: dict[str, Callable[[], dict[str, Any]]] = {}
    for line in sys.stdin:
        if line not in known:
            asked = json.loads(line)
            known[line] = try_out(**asked["study"]) if "study" in asked else train(**asked["train"])
        print(json.dumps(known[line]()), flush=True)


if __name__ == "__main__":
    main()
