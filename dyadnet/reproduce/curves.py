"""Figures 2 and 3: loss, accuracy and saturation over epochs, with a weak nudge or with growing β."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dyadnet.reporting.plots import dress, literal, over_epochs, panels, spared
from dyadnet.reproduce.experiments import CONCAVE, DATA, WEAK_BETA
from dyadnet.reproduce.numbers import as_csv, band, chosen, line, over, shortcomings, verdict, well, with_deviation
from dyadnet.reproduce.paper import BETA_INCREMENT, FIGURE2, FIGURE3, MODELS
from dyadnet.study.folder import StudyFolder, write_text
from dyadnet.study.lines import COLOURS
from dyadnet.study.maps import save
from dyadnet.study.plan import Trial
from dyadnet.study.trial import Result

Curves = dict[str, list[dict[str, Any]]]
"""Curves over epochs of each model and seed, and whether the run `diverged` after them."""
PALE: dict[str, Any] = {"alpha": 0.15, "lw": 0}
FAILED = 0.05
"""A model has failed from the epoch on at which its test accuracy falls this far below its best and stays there."""
ROUNDING = 1e-9
"""Tolerance for rounding errors in a sum of increments of β."""


def kept(trials: Sequence[Trial], results: Mapping[int, Result]) -> Curves:
    """Return the curves of every run that completed an epoch, even if it diverged later, except failed runs."""
    return {
        model: [
            result.values["curves"] | {"diverged": result.status == "diverged"}
            for _, result in chosen(trials, results, model)
            if result.status != "failed" and _epochs(result)
        ]
        for model in MODELS
    }


def _epochs(result: Result) -> int:
    """Return the number of epochs that a run completed."""
    return len((result.values.get("curves") or {}).get("beta", []))


def figure2(folder: StudyFolder, trials: Sequence[Trial], results: Mapping[int, Result]) -> None:
    """Write ``figure2.md``, ``figure2.csv`` and ``figure2.png`` to the study's folder."""
    _write(folder, trials, results, "figure2", _said_of_figure2)


def figure3(folder: StudyFolder, trials: Sequence[Trial], results: Mapping[int, Result]) -> None:
    """Write ``figure3.md``, ``figure3.csv`` and ``figure3.png`` to the study's folder."""
    _write(folder, trials, results, "figure3", _said_of_figure3)


def _write(folder: StudyFolder, trials: Sequence[Trial], results: Mapping[int, Result], name: str, said: Any) -> None:
    data, curves = folder.study.base.data or "", kept(trials, results)
    title = f"Figure {name[-1]} on {DATA.get(data, data)}"
    lines = [f"# {title}", ""]
    if data == "digits":
        lines += ["**A small version on the bundled digits, not the paper's data.**", ""]
    seeds = sorted({trial.seed for trial in trials})
    lines += [
        f"Seeds {', '.join(map(str, seeds))}; curves are means, bands standard deviations over seeds. Loss and "
        "accuracy of training (dashed) are as the epoch went on, of validation (solid) with the epoch's last weights "
        "and without a nudge; saturated: hidden neurons at either bound, on the validation part.",
        "",
        f"![{title}]({name}.png)",
        "",
        *said(curves, trials, results),
    ]
    lines += shortcomings(trials, results)
    write_text(folder.path / f"{name}.md", "\n".join([*lines, ""]))
    write_text(folder.path / f"{name}.csv", as_csv(_rows(trials, results)))
    _draw(folder.path / f"{name}.png", curves, title, over_beta=name == "figure3")


def _rows(trials: Sequence[Trial], results: Mapping[int, Result]) -> list[dict[str, Any]]:
    """Return one row per run and epoch."""
    rows = []
    for model in MODELS:
        for trial, result in chosen(trials, results, model):
            curves = result.values.get("curves") or {}
            for epoch in range(_epochs(result)):
                plain = {key: values[epoch] for key, values in curves.items() if key not in ("lambda", "seconds")}
                rows.append({"model": model, "seed": trial.seed, "epoch": epoch + 1, **plain})
    return rows


def _said_of_figure2(curves: Curves, trials: Sequence[Trial], results: Mapping[int, Result]) -> list[str]:
    """Return a table of the last epoch, and whether the paper's statements hold."""
    rows = [
        line(["", "epochs", "training loss", "validation accuracy (%)", "gap (points)", "saturated (%)"]),
        line(["---"] * 6),
    ]
    gaps, saturated = {}, {}
    for model in MODELS:
        runs = well(chosen(trials, results, model))
        last = [run["curves"] for run in runs]
        gaps[model] = over(
            run["generalisation"]["accuracy"] - run["validation_accuracy"] for run in runs if "generalisation" in run
        )
        saturated[model] = over(curve["saturated"][-1] for curve in last)
        cells = [with_deviation(over(c["train_loss"][-1] for c in last), 4)]
        cells += [with_deviation(over(c["validation_accuracy"][-1] for c in last), 2, 100)]
        cells += [with_deviation(gaps[model], 2, 100), with_deviation(saturated[model], 1, 100)]
        epochs = sorted({len(curve["beta"]) for curve in last})
        rows += [line([model.upper(), ", ".join(map(str, epochs)) or "–", *cells])]
    means = {model: value.mean for model, value in saturated.items()}
    agrees = means["sshm"] == min(means.values()) and means["hm"] == max(means.values())
    wide = {model: value.mean for model, value in gaps.items()}
    smallest = min(wide, key=lambda model: wide[model])
    return [
        *rows,
        "",
        "The gap is training minus validation accuracy, both settled freely with the weights best on validation.",
        "",
        f"- The paper: {FIGURE2[0]}. {verdict(means, agrees, _ordered(means))}",
        f"- The paper: {FIGURE2[1]}. {verdict(wide, smallest == 'sshm', f'the smallest gap is {smallest.upper()}’s')}",
    ]


def _said_of_figure3(curves: Curves, trials: Sequence[Trial], results: Mapping[int, Result]) -> list[str]:
    """Return a table of how far each model got, and whether the paper's statements hold."""
    rows = [
        line(["", "best test accuracy (%)", "at β", "fails at β", "last test accuracy (%)", "at β", "saturated (%)"]),
        line(["---"] * 7),
    ]
    failing: dict[str, tuple[float, float]] = {}
    for model in MODELS:
        runs = curves[model]
        best = [int(np.argmax(run["test_accuracy"])) for run in runs]
        fails = [failure(run) for run in runs] + [WEAK_BETA] * _at_once(chosen(trials, results, model))
        known = [beta for beta in fails if beta is not None]
        failing[model] = _half(fails)
        text = with_deviation(over(known), 2) if len(known) == len(fails) else f"{len(known)} of {len(fails)} runs fail"
        cells = [with_deviation(over(run["test_accuracy"][k] for run, k in zip(runs, best, strict=True)), 2, 100)]
        cells += [with_deviation(over(run["beta"][k] for run, k in zip(runs, best, strict=True)), 2), text]
        cells += [with_deviation(over(run["test_accuracy"][-1] for run in runs), 2, 100)]
        cells += [with_deviation(over(run["beta"][-1] for run in runs), 2)]
        rows += [line([model.upper(), *cells, with_deviation(over(run["saturated"][-1] for run in runs), 1, 100)])]
    largest = max((beta for runs in curves.values() for run in runs for beta in run["beta"]), default=0.0)
    order = sorted(failing, key=lambda model: failing[model])
    ends = [model for model in order if np.isfinite(failing[model][0])]
    said = f"no model fails up to β = {largest:.2f}"
    if ends:
        said = "from the first to fail: " + ", ".join(m.upper() for m in ends)
        said += "".join(f"; {m.upper()} does not fail" for m in order if m not in ends)
    agree = (failing["hm"] == min(failing.values()), failing["sshm"] == max(failing.values()))
    at = {model: beta for model, (beta, _) in failing.items()}
    verdicts = [verdict(at, agrees, said) for agrees in agree]
    if all(np.isinf(beta) for beta in at.values()):
        verdicts = [f"**Not seen here**: {said}."] * 2
    return [
        *rows,
        "",
        f"A model fails at the first β from which on its test accuracy stays {100 * FAILED:g} points or more below its "
        "best, or at which it diverges; of several runs, where half of them have. "
        f"With outputs of slope f′ ≤ ½ the problem for s⁻ is concave while β·f′ < 1, that is below β = {CONCAVE:g}. "
        + _beyond(largest),
        "",
        *(f"- The paper: {claim}. {judged}" for claim, judged in zip(FIGURE3, verdicts, strict=True)),
    ]


def _half(fails: Sequence[float | None]) -> tuple[float, float]:
    """Return the β at which half of the runs have failed, and the mean β of failure, which breaks ties.

    The first is infinite if fewer than half fail, the second if any run does not fail. Both are NaN without runs.
    """
    known = sorted(np.inf if beta is None else beta for beta in fails)
    return (known[(len(known) - 1) // 2], float(np.mean(known))) if known else (np.nan, np.nan)


def _at_once(pairs: Iterable[tuple[Trial, Result]]) -> int:
    """Return the number of runs that diverged in their first epoch, and therefore have no curve."""
    return sum(result.status == "diverged" and not _epochs(result) for _, result in pairs)


def _beyond(largest: float) -> str:
    """Return a sentence that compares the largest β with the one from which on the problem is not concave."""
    if largest >= CONCAVE:
        return f"From β = {CONCAVE:g} on it is not concave: what lies beyond the line is shown for what it is."
    last = largest + BETA_INCREMENT >= CONCAVE - ROUNDING
    return f"β grows up to {largest:.2f}{', the last value below it' if last else ''}."


def failure(run: Mapping[str, Any]) -> float | None:
    """Return the β from which on a run's test accuracy stays far below its best, or at which it diverges.

    Return None if the accuracy recovers or never falls that far.
    """
    accuracy = np.asarray(run["test_accuracy"])
    low = accuracy <= accuracy.max() - FAILED
    low[: int(np.argmax(accuracy))] = False
    if not low[-1]:
        return float(run["beta"][-1]) + BETA_INCREMENT if run["diverged"] else None
    high = np.flatnonzero(~low)
    return float(run["beta"][int(high[-1]) + 1])


def _ordered(means: Mapping[str, float]) -> str:
    return " < ".join(f"{model.upper()} {100 * means[model]:.1f} %" for model in sorted(means, key=lambda m: means[m]))


@spared
def _draw(path: Path, curves: Curves, title: str, *, over_beta: bool) -> None:
    figure, (axes,) = panels(1, 4, (13.5, 3.4))
    loss, accuracy, gap, saturated = axes
    lowest, widest = np.inf, 0.1
    for model, runs in curves.items():
        if not runs:
            continue
        longest = max(runs, key=lambda run: len(run["beta"]))
        x = np.asarray(longest["beta"] if over_beta else range(1, len(longest["beta"]) + 1))
        drawn = [(loss, "train_loss", "--", 1.0), (loss, "validation_loss", "-", 1.0)]
        drawn += [(accuracy, "train_accuracy", "--", 100.0), (accuracy, "validation_accuracy", "-", 100.0)]
        drawn += [(saturated, "saturated", "-", 100.0)]
        for panel, key, style, factor in drawn:
            mean, deviation = band([run[key] for run in runs])
            label = model.upper() if style == "-" else None
            panel.plot(x, factor * mean, style, color=COLOURS[model], lw=1.4, label=label)
            low, high = factor * (mean - deviation), factor * (mean + deviation)
            floor, ceiling = (0.5 * factor * mean, None) if panel is loss else (0.0, 100.0)
            panel.fill_between(x, np.clip(low, floor, None), np.clip(high, None, ceiling), color=COLOURS[model], **PALE)
            if panel is accuracy:
                lowest = min(lowest, float(100 * mean[len(mean) // 4 :].min()))
        pairs = [(run["train_accuracy"], run["validation_accuracy"]) for run in runs]
        mean, deviation = band([[100 * (one - other) for one, other in zip(*pair, strict=True)] for pair in pairs])
        late = slice(len(mean) // 4, None)
        widest = max([widest, *np.abs(mean[late] + deviation[late]), *np.abs(mean[late] - deviation[late])])
        gap.plot(x, mean, color=COLOURS[model], lw=1.4)
        gap.fill_between(x, mean - deviation, mean + deviation, color=COLOURS[model], **PALE)
    labels = ("loss", "accuracy (%)", "training − validation accuracy (points)", "saturated hidden neurons (%)")
    for panel, label in zip(axes, labels, strict=True):
        if over_beta:
            dress(panel, label, "β, 0.05 more in each epoch")
            panel.axvline(CONCAVE, color="#888888", lw=0.9, ls=":")
        else:
            over_epochs(panel, label)
    loss.set_yscale("log")
    loss.legend(frameon=False, fontsize=8)
    # The range of the first epochs, in which accuracies rise quickly, would hide the others.
    gap.set_ylim(-widest, 1.1 * widest)
    if not over_beta:
        accuracy.set_ylim(max(lowest - 1, 0) if np.isfinite(lowest) else 0, 100.5)
    figure.suptitle(literal(f"{title} (solid: validation, dashed: training)"))
    save(figure, path)
