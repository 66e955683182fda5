"""Group runs that differ only in the seed, so that a report can show their mean and spread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from dyadnet.checkpoint.continuing import FREE

ASIDE = ("seed", "probe", "record", *(setting for setting in FREE if not setting.startswith("learning.")))
"""Settings in which runs of one group may differ: the seed, and settings that do not affect a run's weights."""


def groups(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Group runs by their common settings, in the order of the first run of each group.

    Parameters
    ----------
    runs
        Values of each run from `dyadnet.reporting.contents`.

    Returns
    -------
    list of dict
        ``name``, and ``runs``: indices of the runs. A run whose settings are unknown forms its own group. Runs of one
        group have the same state and different seeds.
    """
    members: dict[Any, list[int]] = {}
    seen: Counter[Any] = Counter()
    for index, run in enumerate(runs):
        kind = (run["state"], _kind(run["settings"])) if run["settings"] else index
        seen[kind, run["settings"].get("seed")] += 1
        members.setdefault((kind, seen[kind, run["settings"].get("seed")]), []).append(index)
    names = [_common([runs[index]["name"] for index in own]) for own in members.values()]
    return [
        {"name": name if name and names.count(name) == 1 else runs[own[0]]["name"], "runs": own}
        for name, own in zip(names, members.values(), strict=True)
    ]


def _kind(settings: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the settings that all runs of a group share."""
    return tuple((key, value) for key, value in settings.items() if not _aside(key))


def _aside(key: str) -> bool:
    return any(key == setting or key.startswith(f"{setting}.") for setting in ASIDE)


def _common(names: list[str]) -> str:
    """Return the common prefix of a group's names, without separators and the word "seed" at its end."""
    if len(names) == 1:
        return names[0]
    shared = next((place for place, letters in enumerate(zip(*names, strict=False)) if len(set(letters)) > 1), None)
    begin = min(names, key=len)[:shared].rstrip("0123456789")
    return begin.removesuffix("seed").rstrip("-_./= ")
