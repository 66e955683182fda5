"""Curves of bounded length: whenever the buffer is full, every second point is dropped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

POINTS = 400


class History:
    """Points of several quantities over a common axis, ``at``.

    Parameters
    ----------
    points
        Capacity; between half as many and this number of points are kept, evenly spaced.
    """

    def __init__(self, points: int = POINTS) -> None:
        self._points = points
        self._every = 1
        self._seen = 0
        self._kept: list[Mapping[str, Any]] = []

    def add(self, point: Mapping[str, Any]) -> None:
        """Add a point; depending on the present spacing, it is kept or dropped."""
        if self._seen % self._every == 0:
            # Create a new list, so that copies stay unchanged.
            self._kept = [*self._kept, point]
            if len(self._kept) == self._points:
                self._kept = self._kept[::2]
                self._every *= 2
        self._seen += 1

    def rewind(self, at: float) -> None:
        """Drop all points after a position on the axis, because the run resumes from there."""
        self._kept = [point for point in self._kept if point["at"] <= at]

    @property
    def points(self) -> list[Mapping[str, Any]]:
        """The kept points, in order."""
        return list(self._kept)
