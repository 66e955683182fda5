"""Runs that differ in nothing but the seed belong together: a report tells their mean and how far they lie apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from dyadnet.checkpoint.continuing import FREE

ASIDE = ("seed", "probe", "record", *(setting for setting in FREE if not setting.startswith("learning.")))
"""Settings that runs of one group may differ in: the seed, and what does not change a bit of a run's weights."""


def groups(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Runs by what they have in common, in the order of their first ones.

    Parameters
    ----------
    runs
        What `dyadnet.reporting.contents` says of each.

    Returns
    -------
    list of dict
        ``name``, and ``runs``: which of them, by index. A run whose settings are not known is alone, and so is one of
        a seed that a group has already, or one that ended otherwise.
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
    """What a run's group has in common."""
    return tuple((key, value) for key, value in settings.items() if not _aside(key))


def _aside(key: str) -> bool:
    return any(key == setting or key.startswith(f"{setting}.") for setting in ASIDE)


def _common(names: list[str]) -> str:
    """What the names of a group begin with, without what leads over to the seed."""
    if len(names) == 1:
        return names[0]
    shared = next((place for place, letters in enumerate(zip(*names, strict=False)) if len(set(letters)) > 1), None)
    begin = min(names, key=len)[:shared].rstrip("0123456789")
    return begin.removesuffix("seed").rstrip("-_./= ")
