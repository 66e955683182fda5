"""Draw the picture of an analysis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dyadnet.analysis.analyse import Findings
from dyadnet.reporting.plots import COLOURS, dress, literal, panels, spared, written

FGSM, PGD, NOISE = "#d98c21", "#b4441f", "#1f6fb4"


@spared
def draw(findings: Findings, path: Path, title: str) -> None:
    """Draw the error (squared error for numbers) over ε and σ, the spectrum, and singular values of the response."""
    robustness = findings.sections["robustness"]
    figure, axes = panels(2, 2, (9.5, 7.2))
    attacked, noisy, plane, singular = axes.flat
    rows: list[dict[str, Any]] = robustness["adversarial"]
    measure = robustness["measure"]
    classes = measure == "accuracy"
    named = "error (%)" if classes else "mean squared error"

    def wrong(score: float) -> float:
        return 100 * (1 - score) if classes else score

    for attack, colour in (("fgsm", FGSM), ("pgd", PGD)):
        error = [wrong(row[attack]) for row in rows]
        attacked.plot([row["epsilon"] for row in rows], error, color=colour, marker=".", label=attack.upper())
    attacked.legend(frameon=False)
    dress(attacked, named, "ε of the adversary (L∞, input units)")
    rows = robustness["noise"]
    noisy.plot([r["sigma"] for r in rows], [wrong(r[measure]) for r in rows], color=NOISE, marker=".")
    dress(noisy, named, "σ of Gaussian noise (input units)")
    for axis in (attacked, noisy):
        axis.set_ylim(0, 100 if classes else None)
    _spectrum(plane, findings.spectrum)
    values = findings.singular_values
    singular.plot(np.arange(1, len(values) + 1), values, color="#222222", label="linear, f′ left out")
    local = findings.sections["lipschitz"]["local"]["hidden"]
    singular.axhline(local["max"], color=PGD, linestyle="--", label="the largest with f′, over samples")
    singular.axhline(1.0, color="#bbbbbb", linewidth=0.8, zorder=0)
    singular.set_yscale("log")
    singular.legend(frameon=False)
    dress(singular, "singular values of the hidden response", "index")
    figure.suptitle(literal(title))
    written(figure, path)


def _spectrum(axis: Any, e: Any) -> None:
    angle = np.linspace(0, 2 * np.pi, 200)
    axis.plot(np.cos(angle), np.sin(angle), color="#bbbbbb", linewidth=0.8, zorder=0)
    axis.axvline(1.0, color=COLOURS["validation"], linewidth=0.8, linestyle="--", label="Re e = 1")
    axis.scatter(e.real, e.imag, s=6, color=COLOURS["test"], alpha=0.4, linewidths=0)
    reach = 1.1 * max(1.1, float(np.abs(e).max()))
    axis.set_xlim(-reach, reach)
    axis.set_ylim(-reach, reach)
    axis.set_aspect("equal")
    axis.legend(frameon=False, loc="lower left", fontsize="small")
    dress(axis, "imaginary part", "eigenvalues of F·W at the equilibria")
