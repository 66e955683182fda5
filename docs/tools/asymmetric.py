"""The numbers and pictures of docs/results/asymmetric.md.

    python docs/tools/asymmetric.py gradient          # trains the digits, seconds
    python docs/tools/asymmetric.py mnist RUNS        # of runs in RUNS/asymmetric, RUNS/ffm, RUNS/sshm, RUNS/hm

Along the training of an asymmetric network, `gradient` measures the cosine to the exact gradient of the run's own
contrast, of an ideal one at a small β, and of what the same network would learn from if its nudge spread over W, as in
vector-field equilibrium propagation, and not over Wᵀ. That one is worked out by linear algebra in the limit β → 0.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

import dyadnet as dn
from dyadnet.analysis.assembled import assemble
from dyadnet.analysis.gradient import EXACT, EXACT_BETA, Contrast, contrast, cosine
from dyadnet.analysis.stability import modes
from dyadnet.analysis.trained import Trained, ideal
from dyadnet.config.overrides import merged
from dyadnet.config.presets import preset
from dyadnet.data import Dataset, load
from dyadnet.study.lines import COLOURS, MARKERS

Array = NDArray[np.float64]
OUT = Path(__file__).parents[1] / "results" / "asymmetric"
ROWS = np.arange(100)
EPOCHS = 20
SMALL_BETA = 0.01
SEED = 0
MODELS = ("asymmetric", "hm", "ffm", "sshm")


class Measures(dn.Callback):
    """Measures the gradient before training and after some epochs."""

    def __init__(self, config: dn.RunConfig, dataset: Dataset) -> None:
        self.config, self.dataset = config, dataset
        self.rows: list[dict[str, float]] = []

    def on_epoch_end(self, run: Any, record: Mapping[str, Any]) -> None:
        """See `dyadnet.Callback`."""
        if record["epoch"] in (1, 2, 3, 5, 7, 10, 15, 20):
            self.rows.append({"epoch": record["epoch"]} | self.measured(dn.load(run.path, weights="last").weights))

    def measured(self, weights: Mapping[str, Array]) -> dict[str, float]:
        """Of weights as a run has them."""
        parameters: dict[str, dict[str, Array]] = {p.name: {} for p in self.config.network.populations}
        for name, values in weights.items():
            kind, _, at = name.partition("/")
            pre, _, post = name.partition("->")
            parameters[at if kind == "bias" else post]["bias" if kind == "bias" else pre] = values
        exact = self._contrast(EXACT, EXACT_BETA, parameters)
        of_run = self._contrast({}, 0.1, parameters)
        small = self._contrast({}, SMALL_BETA, parameters)
        skewed, adjoint, rightmost = self._linear(parameters)
        found = {
            "run": cosine(of_run.whole, exact.whole),
            "small": cosine(small.whole, exact.whole),
            "vector field": cosine(skewed, adjoint),
            "rightmost": rightmost,
        }
        for low, high in (("h1", "h2"), ("h2", "out")):
            forward, back = weights[f"{low}->{high}"].astype(float), weights[f"{high}->{low}"].astype(float)
            found[f"{low}-{high}"] = cosine(forward.ravel(), back.T.ravel())
        return found

    def _contrast(self, dynamics: dict[str, Any], beta: float, parameters: Any) -> Contrast:
        config = ideal(self.config, (0.0,) * 4, **dynamics)
        return contrast(config, self.dataset, ROWS, beta, parameters)

    def _linear(self, parameters: Any) -> tuple[Array, Array, float]:
        """∂ℓ/∂W by linear response through W and through Wᵀ, on the graph's entries; the largest real part."""
        trained = Trained(ideal(self.config, (0.0,) * 4, **EXACT), parameters)
        x = self.dataset.train.images[ROWS].astype(float) * self.dataset.scale
        targets = np.eye(10)[self.dataset.train.labels[ROWS]]
        settled = trained.settle(x, targets)
        assembled = assemble(trained.engine.blocks)
        W = assembled.W
        m = np.concatenate([trained.engine.lanes(name)[0].state[0] for name in trained.engine.blocks], axis=1)
        found = [np.zeros_like(W), np.zeros_like(W)]
        rightmost = -np.inf
        for state, slope, target in zip(m, settled.slopes, targets, strict=True):
            error = np.zeros(len(W))
            error[-10:] = state[-10:] - target
            for total, through in zip(found, (W, W.T), strict=True):
                total += np.outer(np.linalg.solve(np.eye(len(W)) - slope[:, None] * through, slope * error), state)
            rightmost = max(rightmost, float(modes(assembled, slope).real.max()))
        trained.engine.close()
        return found[0][W != 0], found[1][W != 0], rightmost


def write(name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """A table as CSV."""
    OUT.mkdir(parents=True, exist_ok=True)
    with (OUT / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()} for row in rows)


def gradient() -> None:
    """Cosines along the training of the digits."""
    values = merged(preset("digits", "asymmetric"), {"engine": "local", "seed": SEED, "learning": {"epochs": EPOCHS}})
    config, dataset = dn.RunConfig.read(values), load("digits")
    measures = Measures(config, dataset)
    with tempfile.TemporaryDirectory() as folder:
        dn.train(config, f"{folder}/run", callbacks=[measures], report=False)
    write("gradient", measures.rows)
    for row in measures.rows:
        print(row)


def mnist(runs: Path) -> None:
    """Accuracy by epoch of a run of each model, and the picture of both tables."""
    rows = []
    for model in MODELS:
        history = dn.load(runs / model).history
        for index, epoch in enumerate(history["epoch"]):
            row = {"model": model, "epoch": int(epoch)}
            keys = (
                "test_accuracy",
                "validation_accuracy",
                "train_accuracy",
                "train_loss",
                "train_sweeps",
                "train_capped",
                "radius",
            )
            rows.append(row | {key: float(history[key][index]) for key in keys})
    write("mnist", rows)
    with (OUT / "gradient.csv").open(encoding="utf-8") as file:
        measured = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.4), layout="constrained")
    for model in MODELS:
        own = [row for row in rows if row["model"] == model]
        accuracy = [100 * row["test_accuracy"] for row in own]
        left.plot([r["epoch"] for r in own], accuracy, color=COLOURS[model], marker=MARKERS[model], ms=4, label=model)
    left.set(xlabel="epoch", ylabel="test accuracy, %", title="MNIST, 784-500-500-500-10, one seed")
    left.set_xticks(sorted({row["epoch"] for row in rows}))
    left.legend(frameon=False)
    epochs = [row["epoch"] for row in measured]
    for key, label, colour in (
        ("small", f"contrast, β = {SMALL_BETA:g}", "#1f6fb4"),
        ("run", "contrast, β = 0.1", "#8a5aa8"),
        ("vector field", "vector-field EP, β → 0", "#c1542b"),
        ("h1-h2", "θ up to θᵀ back, h1-h2", "#999999"),
        ("h2-out", "θ up to θᵀ back, h2-out", "#444444"),
    ):
        right.plot(epochs, [row[key] for row in measured], color=colour, marker="o", ms=3, label=label)
    right.set(xlabel="epoch", ylabel="cosine", title="digits, one seed: cosine to the exact gradient")
    right.set_xticks(range(0, EPOCHS + 1, 5))
    right.legend(frameon=False, fontsize=8)
    figure.savefig(OUT / "asymmetric.png", dpi=150)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("gradient", "mnist"))
    parser.add_argument("runs", nargs="?", type=Path, help="folder of the four runs, for mnist")
    given = parser.parse_args()
    if given.what == "gradient":
        gradient()
    elif given.runs is None:
        parser.error("mnist needs the folder of its runs")
    else:
        mnist(given.runs)


if __name__ == "__main__":
    main()
