"""Curves of a run that stay short, however long the run: once full, every second point is let go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

POINTS = 400


class History:
    """Points of several quantities over a common axis, ``at``.

    Parameters
    ----------
    points
        Between half as many and so many are kept, evenly spread.
    """

    def __init__(self, points: int = POINTS) -> None:
        self._points = points
        self._every = 1
        self._seen = 0
        self._kept: list[Mapping[str, Any]] = []

    def add(self, point: Mapping[str, Any]) -> None:
        """Take in a point, which is kept or not."""
        if self._seen % self._every == 0:
            # Never changed in place, so that a copy stays as it is.
            self._kept = [*self._kept, point]
            if len(self._kept) == self._points:
                self._kept = self._kept[::2]
                self._every *= 2
        self._seen += 1

    def rewind(self, at: float) -> None:
        """Forget what lies after a place on the axis: a run goes on from before it."""
        self._kept = [point for point in self._kept if point["at"] <= at]

    @property
    def points(self) -> list[Mapping[str, Any]]:
        """What is kept, in order."""
        return list(self._kept)
