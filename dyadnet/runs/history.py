"""Metrics of a run by epoch, from its record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.runs.record_lines import Epoch, Spent, numbers


def by_epoch(lines: Sequence[Epoch], spendings: Sequence[Spent]) -> dict[str, NDArray[Any]]:
    """Return metrics by name, each of shape (epochs,); see `dyadnet.Run.history`.

    Parameters
    ----------
    lines, spendings
        Lines of epochs, from the scientific and from the performance record.
    """
    rows = [numbers(line) for line in lines]
    spent = {
        line["epoch"]: line["seconds"].get("training", 0.0) + line["seconds"].get("evaluation", 0.0)
        for line in spendings
    }
    keys = dict.fromkeys(key for row in rows for key in row)
    table = {key: np.array([row.get(key, np.nan) for row in rows]) for key in keys} or {"epoch": np.zeros(0, int)}
    table["seconds"] = np.array([spent.get(epoch, np.nan) for epoch in table["epoch"].tolist()])
    return table
