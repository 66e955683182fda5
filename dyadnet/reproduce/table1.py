"""Table 1: test accuracy, generalisation gap and Lipschitz constants, compared with the paper's numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dyadnet.reporting.plots import dress, literal, panels, spared
from dyadnet.reproduce.experiments import DATA
from dyadnet.reproduce.numbers import Over, as_csv, chosen, line, over, shortcomings, verdict, well, with_deviation
from dyadnet.reproduce.paper import ALLOWANCE, MODELS, ORDER, TABLE1
from dyadnet.study.folder import StudyFolder, write_text
from dyadnet.study.lines import COLOURS
from dyadnet.study.maps import save
from dyadnet.study.plan import Trial
from dyadnet.study.trial import Result

CONSTANTS = {"hidden": "L_hidden", "output": "L_output"}
EPSILON, ROUNDED = 5e-6, 1e-3
"""Largest excess over 1 that rounding can cause for a constant of at most 1, and the distance that counts as 1."""


def measured(trials: Sequence[Trial], results: Mapping[int, Result]) -> dict[str, dict[str, Over]]:
    """Return every number of the table, by model and column; accuracies and gaps are fractions of 1."""
    found: dict[str, dict[str, Over]] = {}
    for model in MODELS:
        runs = well(chosen(trials, results, model))
        columns = {"accuracy": over(run["test_accuracy"] for run in runs)}
        columns["gap"] = over(run["generalisation"]["accuracy"] - run["test_accuracy"] for run in runs)
        for kind in ("linear", "local"):
            for name in CONSTANTS:
                columns[f"{kind}_{name}"] = over(run["constants"][kind][name] for run in runs)
        found[model] = columns
    return found


def write(folder: StudyFolder, trials: Sequence[Trial], results: Mapping[int, Result]) -> None:
    """Write ``table1.md``, ``table1.csv`` and ``table1.png`` to the study's folder."""
    data = folder.study.base.data or ""
    found = measured(trials, results)
    write_text(folder.path / "table1.md", page(data, found, trials, results))
    write_text(folder.path / "table1.csv", as_csv(_rows(data, found)))
    _draw(folder.path / "table1.png", data, found)


def page(
    data: str, found: Mapping[str, Mapping[str, Over]], trials: Sequence[Trial], results: Mapping[int, Result]
) -> str:
    """Return the table as Markdown, with the conclusions."""
    paper = TABLE1.get(data, TABLE1["mnist"])
    small = data not in TABLE1
    said = "paper (MNIST)" if small else "paper"
    seeds = sorted({trial.seed for trial in trials})
    lines = [f"# Table 1 on {DATA.get(data, data)}", ""]
    if small:
        lines += ["**A small version on the bundled digits; the paper's numbers beside it are of MNIST.**", ""]
    config = trials[0].config
    sizes = [config.network.inputs, *(p.size for p in config.network.populations)]
    lines += [
        f"{'-'.join(map(str, sizes))}, seeds {', '.join(map(str, seeds))}; mean ± standard deviation over seeds. "
        "Accuracies are of the weights best on validation; the gap is accuracy on the whole training part, settled "
        "freely with those weights, minus test accuracy. L leaves f′ out, as the paper's does; the last two columns "
        "are with f′, ‖(D − W)⁻¹‖ with D = diag(1/f′), mean over test samples: what the network does.",
        "",
    ]
    heads = ["", "test accuracy (%)", said, *([] if small else ["target", "met"]), "gap (points)"]
    for name in CONSTANTS.values():
        heads += [name, said]
    lines += [line([*heads, *(f"{name} with f′" for name in CONSTANTS.values())]), line(["---"] * (len(heads) + 2))]
    for model in MODELS:
        ours = found[model]
        cells = [model.upper(), f"**{with_deviation(ours['accuracy'], 2, 100)}**"]
        cells += [_printed(paper, model, "accuracy")]
        if not small:
            target = paper[model]["accuracy"].mean - 100 * ALLOWANCE
            cells += [f"{target:.2f}", _met(100 * ours["accuracy"].mean, target)]
        cells += [with_deviation(ours["gap"], 2, 100)]
        for name in CONSTANTS:
            cells += [with_deviation(ours[f"linear_{name}"], 2), _printed(paper, model, name)]
        lines += [line([*cells, *(with_deviation(ours[f"local_{name}"], 2) for name in CONSTANTS)])]
    lines += ["", *_claims(found)]
    lines += shortcomings(trials, results)
    return "\n".join([*lines, ""])


def _claims(found: Mapping[str, Mapping[str, Over]]) -> list[str]:
    """Return the paper's statements on the constants, and whether these runs agree."""
    skew = found["sshm"]["linear_hidden"].mean
    one = abs(skew - 1) < ROUNDED and skew < 1 + EPSILON
    lines = [f"- The paper: SSHM's L_hidden is 1. {verdict({'sshm': skew}, one, f'{skew:.7f}')}"]
    for name, order in ORDER.items():
        values = {model: found[model][f"linear_{name}"].mean for model in order}
        ours = sorted(order, key=lambda model: values[model])
        claim = f"the order of {CONSTANTS[name]} is {_ascending(order)}"
        lines += [f"- The paper: {claim}. {verdict(values, ours == list(order), _ascending(ours))}"]
    return lines


def _ascending(models: Iterable[str]) -> str:
    return " < ".join(model.upper() for model in models)


def _met(ours: float, target: float) -> str:
    if ours != ours:
        return "–"
    return "yes" if round(ours, 2) >= round(target, 2) else f"no, {target - ours:.2f} short"


def _printed(paper: Mapping[str, Any], model: str, name: str) -> str:
    value = paper[model][name]
    return f"{value.mean:g} ± {value.deviation:g}"


def _rows(data: str, found: Mapping[str, Mapping[str, Over]]) -> list[dict[str, Any]]:
    """Return one row per model and column."""
    rows = []
    for model in MODELS:
        for name, value in found[model].items():
            factor = 100.0 if name in ("accuracy", "gap") else 1.0
            key = name.removeprefix("linear_")
            printed = TABLE1.get(data, {}).get(model, {}).get(key) if not name.startswith("local") else None
            rows.append(
                {
                    "data": data,
                    "model": model,
                    "column": name,
                    "mean": factor * value.mean,
                    "deviation": factor * value.deviation,
                    "runs": value.count,
                    "paper_mean": None if printed is None else printed.mean,
                    "paper_deviation": None if printed is None else printed.deviation,
                }
            )
    return rows


@spared
def _draw(path: Path, data: str, found: Mapping[str, Mapping[str, Over]]) -> None:
    """Draw accuracy, and both constants on logarithmic axes: dots with deviations, and hollow squares of the paper."""
    shown = {"accuracy": "test accuracy (%)", "linear_hidden": "L_hidden", "linear_output": "L_output"}
    figure, (axes,) = panels(1, 3, (10, 3.2))
    for panel, (name, label) in zip(axes, shown.items(), strict=True):
        factor = 100.0 if name == "accuracy" else 1.0
        for place, model in enumerate(MODELS):
            value = found[model][name]
            spread = 0.0 if value.count < 2 else factor * value.deviation
            style = {"color": COLOURS[model], "capsize": 3, "ms": 6}
            panel.errorbar(place - 0.1, factor * value.mean, spread, fmt="o", label="here", **style)
            printed = TABLE1.get(data, TABLE1["mnist"])[model][name.removeprefix("linear_")]
            source = "paper" if data in TABLE1 else "paper, MNIST"
            panel.errorbar(place + 0.1, printed.mean, printed.deviation, fmt="s", mfc="none", label=source, **style)
        dress(panel, label, "")
        panel.set_xticks(range(len(MODELS)), [model.upper() for model in MODELS])
        panel.set_xlim(-0.5, len(MODELS) - 0.5)
        if name != "accuracy":
            panel.set_yscale("log")
    handles, labels = axes[0].get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    axes[0].legend(unique.values(), unique.keys(), frameon=False, fontsize=8)
    figure.suptitle(literal(f"Table 1 on {DATA.get(data, data)}"))
    save(figure, path)
