"""Show an analysis as a table."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from dyadnet.numerics.scores import told


def table(result: dict[str, Any]) -> Table:
    """Create a table of everything in ``analysis.json``, one row per quantity."""
    found = Table(title=f"{result['run']}, {result['weights']} weights, epoch {result['epoch']}", show_header=False)
    found.add_column("section", style="bold")
    found.add_column("quantity")
    found.add_column("value", justify="right")
    for section, rows in (
        ("generalisation", _generalisation(result["generalisation"])),
        ("settling", _settling(result["settling"])),
        ("gradient", _gradient(result["gradient"])),
        ("Lipschitz", _lipschitz(result["lipschitz"])),
        ("stability", _stability(result["stability"])),
        ("robustness", _robustness(result["robustness"])),
    ):
        for number, (quantity, value) in enumerate(rows):
            found.add_row("" if number else section, quantity, value)
        found.add_section()
    return found


Rows = list[tuple[str, str]]


def _generalisation(values: dict[str, Any]) -> Rows:
    rows = []
    for part, one in values.items():
        score = f"{one['accuracy_gap']:+.2%}" if "accuracy_gap" in one else f"{one.get('r2_gap', 0.0):+.4f}"
        gap = "" if part == "train" else f" (gap {score}, {one['loss_gap']:+.4f})"
        rows.append((part, f"{told(one)}, loss {one['loss']:.4f}{gap}"))
    return rows


def _settling(values: dict[str, Any]) -> Rows:
    return [
        ("sweeps, mean and most", f"{values['sweeps']['mean']:.1f}, {values['sweeps']['max']:.0f}"),
        ("ticks, mean and most", f"{values['ticks']['mean']:.1f}, {values['ticks']['max']:.0f}"),
        ("not settled at the cap", f"{values['capped']} of {values['samples']}"),
        ("step", f"{values['step']:.3g} at μ = {values['radius']:.3g} ({values['why']})"),
    ]


def _gradient(values: dict[str, Any]) -> Rows:
    rows = []
    for name, what in (("run", "cosine of the run's update"), ("ideal", "cosine of an ideal update")):
        one = values[name]
        cosines = ", ".join(f"{key} {value:.4f}" for key, value in one["cosine"].items())
        rows.append((f"{what}, β = {one['beta']:g}", cosines))
    return rows


def _lipschitz(values: dict[str, Any]) -> Rows:
    linear, local = values["linear"], values["local"]
    return [
        ("L_hidden, linear (the paper's)", f"{linear['hidden']:.4g}"),
        ("L_output, linear (the paper's)", f"{linear['output']:.4g}"),
        ("L_hidden with f′, mean and most", f"{local['hidden']['mean']:.4g}, {local['hidden']['max']:.4g}"),
        ("L_output with f′, mean and most", f"{local['output']['mean']:.4g}, {local['output']['max']:.4g}"),
        *_unsettled(values["capped"]),
    ]


def _stability(values: dict[str, Any]) -> Rows:
    steps = ", ".join(f"{step:.3g} at {delay}" for delay, step in values["largest_stable_step"].items())
    return [
        ("largest |e| of F·W, mean and most", f"{values['radius']['mean']:.3g}, {values['radius']['max']:.3g}"),
        ("largest real part, most", f"{values['rightmost']['max']:.3g}"),
        ("largest stable η, synchronous, by delay", steps),
    ]


def _robustness(values: dict[str, Any]) -> Rows:
    measure = values.get("measure", "accuracy")
    form, what = (".2%", "accuracy") if measure == "accuracy" else (".4g", "squared error")
    rows = [
        (f"{what}, adversary ε = {row['epsilon']:g}", f"FGSM {row['fgsm']:{form}}, PGD {row['pgd']:{form}}")
        for row in values["adversarial"]
    ]
    rows += [(f"{what}, noise σ = {row['sigma']:g}", f"{row[measure]:{form}}") for row in values["noise"]]
    rows.append(("samples without an input gradient", f"{values['masked']:.2%}"))
    return rows + _unsettled(values["capped"])


def _unsettled(capped: int) -> Rows:
    """Return a warning row if some relaxations had not settled."""
    return [("relaxations that had not settled", str(capped))] if capped else []
