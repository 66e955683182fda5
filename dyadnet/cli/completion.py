"""Shell completion of names of models, data sets, studies and settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

if TYPE_CHECKING:
    from dyadnet.schema import Spec

Completion = Callable[[str], list[str]]
"""Function from the beginning of a word to all its completions."""
WEIGHTS = ("best", "last")
PARTS = ("test", "validation", "train")


def among(names: Iterable[str] | Callable[[], Iterable[str]]) -> Completion:
    """Return a completion from given names, or from a function that returns names when the shell asks."""

    def completed(incomplete: str) -> list[str]:
        found = names() if callable(names) else names
        return [name for name in found if name.startswith(incomplete)]

    return completed


def engines() -> list[str]:
    """Return the names of the installed engines."""
    from dyadnet.training.api import ENGINES

    return sorted(point.name for point in entry_points(group=ENGINES))


def studies() -> list[str]:
    """Return the names of the ready-made studies, and the word ``list``."""
    from dyadnet.study.ready import names

    return [*names(), "list"]


def choices(spec: type[Spec], field: str) -> list[str]:
    """Return the literal words that a setting accepts."""
    found: list[str] = []
    waiting: list[Any] = [spec.model_fields[field].annotation]
    while waiting:
        one = waiting.pop(0)
        if get_origin(one) is Literal:
            found += [word for word in get_args(one) if isinstance(word, str)]
        else:
            waiting += get_args(one)
    return found


def settings_from(*sections: str) -> Completion:
    """Return a completion of dotted setting paths, one level at a time: ``learning.`` before ``learning.epochs``.

    Parameters
    ----------
    sections
        Sections to which the paths are limited; default: all.
    """

    def completed(incomplete: str) -> list[str]:
        level = incomplete.count(".")
        within = [path for path in _paths() if not sections or path.startswith(sections)]
        return sorted({_level(path, level) for path in within if path.startswith(incomplete)})

    return completed


def _level(path: str, level: int) -> str:
    parts = path.split(".")
    return ".".join(parts[: level + 1]) + ("." if len(parts) > level + 1 else "")


def _paths() -> Iterator[str]:
    from dyadnet.config import RunConfig
    from dyadnet.network.serialization import SPECS
    from dyadnet.schema import paths

    yield from paths(RunConfig)
    layered, *others = SPECS
    yield from (f"network.layered.{name}" for name in paths(layered))
    yield from dict.fromkeys(f"network.{name}" for other in others for name in paths(other))
