"""The numbers printed in the paper."""

from __future__ import annotations

from dataclasses import dataclass

MODELS = ("sshm", "ffm", "hm")
"""Models in the order of table 1."""
ALLOWANCE = 0.0015
"""Largest shortfall of a mean accuracy (fraction of 1) from the paper's that still counts as reproduced."""
BETA_INCREMENT = 0.05
"""Increase of β per epoch in figure 3."""


@dataclass(frozen=True, slots=True)
class Printed:
    """A number of table 1 with its deviation."""

    mean: float
    deviation: float


TABLE1: dict[str, dict[str, dict[str, Printed]]] = {
    "mnist": {
        "sshm": {"accuracy": Printed(98.46, 0.04), "hidden": Printed(1.0, 7e-7), "output": Printed(0.41, 0.05)},
        "ffm": {"accuracy": Printed(98.37, 0.09), "hidden": Printed(116.4, 12.9), "output": Printed(95.75, 7.44)},
        "hm": {"accuracy": Printed(97.97, 0.12), "hidden": Printed(931.0, 492.0), "output": Printed(24.07, 10.41)},
    },
    "fashion-mnist": {
        "sshm": {"accuracy": Printed(89.45, 0.07), "hidden": Printed(1.0, 3e-7), "output": Printed(0.53, 0.03)},
        "ffm": {"accuracy": Printed(89.11, 0.17), "hidden": Printed(141.6, 43.6), "output": Printed(138.17, 43.12)},
        "hm": {"accuracy": Printed(89.16, 0.25), "hidden": Printed(1257.1, 576.7), "output": Printed(31.83, 16.88)},
    },
}
"""Test accuracy in per cent, L_hidden and L_output, by data set, model and column."""
ORDER = {"hidden": ("sshm", "ffm", "hm"), "output": ("sshm", "hm", "ffm")}
"""Models from the smallest to the largest constant, on both data sets."""
FIGURE2 = (
    "the skew-symmetric network saturates least and the symmetric one most",
    "the skew-symmetric network generalises best: its gap between training and validation is the smallest",
)
FIGURE3 = ("the symmetric network is the first to fail as β grows", "the skew-symmetric one learns at the largest β")
"""The paper's statements about its figures, whose numbers are not in a table."""
