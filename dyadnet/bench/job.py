"""Trains a little whenever it is asked to, and answers how long that took: the half of ``dyadnet bench versions``.

Run as a script by the interpreter of any version of dyadnet, so it uses only what all of them have. It reads one JSON
object a line from standard input and answers with one; see `train` and `try_out` for what may be asked.
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
    """A module by its name, or by the one that it had up to version 0.2."""
    try:
        return import_module(module)
    except ModuleNotFoundError:
        return import_module(before)


Coordinator = _either("dyadnet.training.coordinator", "dyadnet.coordinator").Coordinator
LocalEngine = _either("dyadnet.engines.local", "dyadnet.engine.local").LocalEngine
preset = _either("dyadnet.config.presets", "dyadnet.presets").preset
Silent: type = _either("dyadnet.runs.watcher", "dyadnet.watcher").Silent

MINIBATCH = 128
"""Of synthetic data."""
GAINS = {"hm": 0.35}
"""Of initial weights, where a model does not learn with those of `configuration`: as in its presets."""


class Training(Silent):  # type: ignore[misc]
    """One run, epoch by epoch; evaluation is short, and not timed."""

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
        # Up to version 0.1 its sizes were called shape.
        sizes = dataset.sizes if hasattr(dataset, "sizes") else dataset.shape
        self._coordinator = Coordinator(config, sizes, self._engine, watcher=self)
        rows = self._coordinator.train_rows
        self._coordinator.train_rows = rows[: minibatches * config.learning.minibatch]
        self._coordinator.validation_rows = self._coordinator.validation_rows[:1]
        self._epochs = 0
        self._over: float | None = None

    def evaluating(self, epoch: int, part: str) -> None:
        """The training part of an epoch is over."""
        self._over = self._over or time.perf_counter()

    def epoch_of_training(self) -> dict[str, Any]:
        """Train for an epoch."""
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
    """An epoch of a preset, or of a chain with synthetic data; the next call goes on, for so many epochs at most."""
    return Training(what, model, minibatches, epochs, chain).epoch_of_training


def try_out(study: str, trials: int) -> Callable[[], dict[str, Any]]:
    """The first trials of a study, as it is after ``--quick``, one after the other, each with all that it takes."""
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
    """Answer until there is nothing more to answer."""
    print(json.dumps({"dyadnet": dyadnet.__file__}), flush=True)
    known: dict[str, Callable[[], dict[str, Any]]] = {}
    for line in sys.stdin:
        if line not in known:
            asked = json.loads(line)
            known[line] = try_out(**asked["study"]) if "study" in asked else train(**asked["train"])
        print(json.dumps(known[line]()), flush=True)


if __name__ == "__main__":
    main()
