"""Small studies for tests."""

from __future__ import annotations

from typing import Any

from dyadnet.study import Study

TINY: dict[str, Any] = {
    "name": "tiny",
    "base": {
        "data": "digits",
        "set": {
            "data": {"limit_train": 120, "limit_test": 40},
            "network.layered.hidden": [8],
            "dynamics": {"sweeps": 10, "nudged_sweeps": 5},
        },
    },
    "axes": [
        {"key": "dynamics.delay", "grid": [1, 3], "name": "delay"},
        {"key": "learning.beta", "grid": [0.1, 0.5]},
    ],
    "models": ["ffm", "sshm"],
    "seeds": 2,
    "epochs": 1,
}


def tiny(**changes: Any) -> Study:
    """A study of 20 trials, each a fraction of a second."""
    return Study.read(TINY | changes)
