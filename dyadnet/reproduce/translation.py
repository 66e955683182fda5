"""Translate a trained feedforward network to a recurrent one by moving λ: accuracy kept, and work saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dyadnet.reporting.plots import dress, literal, panels, spared
from dyadnet.reproduce.experiments import DATA, WAYS
from dyadnet.reproduce.numbers import as_csv, band, chosen, line, over, shortcomings, with_deviation
from dyadnet.study.folder import StudyFolder, write_text
from dyadnet.study.maps import save
from dyadnet.study.plan import Trial
from dyadnet.study.trial import Result

NEAR = 0.005
"""A network has caught up within this distance of the best validation accuracy of the same seed from scratch."""
COLOURS = {
    "scratch": "#888888",
    "jump": "#c1542b",
    "at-once": "#1f6fb4",
    "from-output": "#2a7f62",
    "from-input": "#8a4fa3",
}


@dataclass(frozen=True)
class TranslationCurve:
    """Curves of one run, from its first epoch, or from the epoch at which λ begins to move.

    Attributes
    ----------
    test, validation, loss
        Accuracies on test and validation part after each epoch, and the validation loss.
    work
        Mean sweeps per minibatch in each epoch.
    there
        Whether λ has reached its target, after each epoch.
    before
        Test accuracy of the initial feedforward network, best on validation; None for a run from scratch.
    learned
        Work of training that feedforward network: the sum of its mean sweeps over epochs.
    """

    test: Sequence[float]
    validation: Sequence[float]
    loss: Sequence[float]
    work: Sequence[float]
    there: Sequence[bool]
    before: float | None
    learned: float

    @property
    def best(self) -> int:
        """The best epoch on validation, from 0, among those with λ at its target; the smaller loss breaks ties."""
        return _best(self.validation, self.loss, [epoch for epoch, there in enumerate(self.there) if there])

    def reaches(self, level: float) -> int | None:
        """Return the number of epochs until λ is at its target and validation accuracy has reached a level, or None."""
        found = (k for k, there in enumerate(self.there) if there and self.validation[k] >= level)
        return next((k + 1 for k in found), None)


def course(curves: Mapping[str, Any], learned_epochs: int) -> TranslationCurve:
    """Create the curves of a run. `learned_epochs` is the training time of the feedforward network, 0 from scratch."""
    start = learned_epochs
    last = curves["lambda"][-1]
    there = [bool(np.allclose(lam, last, atol=1e-9)) for lam in curves["lambda"][start:]]
    test, sweeps = curves["test_accuracy"], curves["sweeps"]
    validation, loss = curves["validation_accuracy"], curves["validation_loss"]
    before = test[_best(validation, loss, range(start))] if start else None
    learned = float(sum(sweeps[:start]))
    return TranslationCurve(test[start:], validation[start:], loss[start:], sweeps[start:], there, before, learned)


def _best(validation: Sequence[float], loss: Sequence[float], epochs: Iterable[int]) -> int:
    """Return the epoch whose weights a run keeps as its best."""
    return max(epochs, key=lambda epoch: (validation[epoch], -loss[epoch]))


def write(folder: StudyFolder, trials: Sequence[Trial], results: Mapping[int, Result]) -> None:
    """Write ``translation.md``, ``translation.csv`` and ``translation.png`` to the study's folder."""
    data, study = folder.study.base.data or "", folder.study
    learned = {t.variant: _learned_epochs(t) for t in trials}
    courses: dict[str, dict[int, TranslationCurve]] = {
        name: {
            trial.seed: course(result.values["curves"], learned[name])
            for trial, result in chosen(trials, results, name)
            if result.status == "ok"
        }
        for name in study.variants
    }
    titles = {name: variant.title or name for name, variant in study.variants.items()}
    rows = [row for name in study.variants for row in _rows(name, courses)]
    write_text(folder.path / "translation.csv", as_csv(rows))
    write_text(folder.path / "translation.md", _page(data, titles, rows, trials, results))
    _draw(folder.path / "translation.png", titles, courses, data)


def _learned_epochs(trial: Trial) -> int:
    """Return the number of epochs before λ begins to move."""
    rate = trial.config.learning.learning_rate
    return rate.pieces[0].epochs if rate.kind == "piecewise" else 0


def _rows(name: str, courses: Mapping[str, Mapping[int, TranslationCurve]]) -> list[dict[str, Any]]:
    """Return one row per seed: accuracies in per cent, and epochs and sweeps until the level was reached."""
    scratch = courses.get(f"{name.split('-')[0]}-scratch", {})
    rows = []
    for seed, one in courses[name].items():
        own = scratch.get(seed)
        level = None if own is None else max(own.validation) - NEAR
        epochs = None if level is None else one.reaches(level)
        sweeps = None if epochs is None else float(sum(one.work[:epochs]))
        rows.append(
            {
                "variant": name,
                "seed": seed,
                "before": None if one.before is None else 100 * one.before,
                "lowest": 100 * min(one.test),
                "after": 100 * one.test[one.best],
                "epochs_there": one.best + 1,
                "level": None if level is None else 100 * level,
                "epochs_to_level": epochs,
                "sweeps_to_level": sweeps,
                "sweeps_before": one.learned,
            }
        )
    return rows


def _page(
    data: str,
    titles: Mapping[str, str],
    rows: Sequence[Mapping[str, Any]],
    trials: Sequence[Trial],
    results: Mapping[int, Result],
) -> str:
    seeds = sorted({trial.seed for trial in trials})
    heads = ["", "feedforward before (%)", "lowest on the way (%)", "after (%)", "epochs to the level"]
    heads += ["sweeps to the level", "with the feedforward network's"]
    lines = [f"# From a feedforward network to a recurrent one, on {DATA.get(data, data)}", ""]
    lines += [
        f"Seeds {', '.join(map(str, seeds))}; mean ± standard deviation of test accuracies. *After*: of the epoch best "
        f"on validation of those with λ where it is to be. The *level* is {100 * NEAR:g} points below the best "
        "validation accuracy of the same model and seed from scratch; *epochs* count from when λ begins to move "
        "(from scratch: from the beginning), and λ must have arrived. *Sweeps* are those of a minibatch, summed over "
        "these epochs; in the last column those of training the feedforward network are added, of which each costs "
        "half as much work or less, because two of its four streams are silent.",
        "",
        line(heads),
        line(["---"] * len(heads)),
    ]
    for name, title in titles.items():
        mine = [row for row in rows if row["variant"] == name]
        cells = [with_deviation(over(row[key] for row in mine), 2) for key in ("before", "lowest", "after")]
        reached = [row for row in mine if row["epochs_to_level"] is not None]
        few = "" if len(reached) == len(mine) or not reached else f" ({len(reached)} of {len(mine)} runs)"
        cells += [with_deviation(over(row["epochs_to_level"] for row in reached), 1) + few]
        cells += [with_deviation(over(row["sweeps_to_level"] for row in reached), 0)]
        cells += [with_deviation(over(row["sweeps_to_level"] + row["sweeps_before"] for row in reached), 0)]
        lines += [line([title, *cells])]
    lines += ["", "![The way](translation.png)"]
    lines += shortcomings(trials, results)
    return "\n".join([*lines, ""])


@spared
def _draw(
    path: Path, titles: Mapping[str, str], courses: Mapping[str, Mapping[int, TranslationCurve]], data: str
) -> None:
    """Draw test accuracy since λ begins to move, with one panel per target; runs from scratch are grey."""
    figure, (axes,) = panels(1, 2, (10, 3.6))
    for panel, model in zip(axes, ("sshm", "hm"), strict=True):
        lowest = 100.0
        for way in ("scratch", *WAYS):
            runs = list(courses.get(f"{model}-{way}", {}).values())
            if not runs:
                continue
            mean, deviation = band([run.test for run in runs])
            x = np.arange(1, len(mean) + 1)
            label = "from scratch" if way == "scratch" else WAYS[way]
            panel.plot(x, 100 * mean, color=COLOURS[way], marker=".", lw=1.3, label=label)
            low, high = 100 * (mean - deviation), 100 * (mean + deviation)
            panel.fill_between(x, low, high, color=COLOURS[way], alpha=0.12, lw=0)
            lowest = min(lowest, float(100 * mean.min()))
        before = over(run.before for run in courses.get(f"{model}-at-once", {}).values())
        if before.count:
            panel.axhline(100 * before.mean, color="#333333", lw=0.9, ls="--", label="the feedforward network before")
        dress(panel, "test accuracy (%)", f"epoch since λ leaves ½, towards {model.upper()}")
        panel.set_ylim(max(lowest - 2, 0), 100)
    axes[0].legend(frameon=False, fontsize=7.5, loc="lower right")
    figure.suptitle(literal(f"From a feedforward network to a recurrent one, on {DATA.get(data, data)}"))
    save(figure, path)
