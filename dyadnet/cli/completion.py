"""What a shell writes to the end after Tab: names of models, data sets, studies and settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

if TYPE_CHECKING:
    from dyadnet.schema import Spec

Completion = Callable[[str], list[str]]
"""From the beginning of a word to all words that it may become."""
WEIGHTS = ("best", "last")
PARTS = ("test", "validation", "train")


def among(names: Iterable[str] | Callable[[], Iterable[str]]) -> Completion:
    """Completes to some names, or to those that a function gives once a shell asks."""

    def completed(incomplete: str) -> list[str]:
        found = names() if callable(names) else names
        return [name for name in found if name.startswith(incomplete)]

    return completed


def engines() -> list[str]:
    """Names of the engines that are installed."""
    from dyadnet.training.api import ENGINES

    return sorted(point.name for point in entry_points(group=ENGINES))


def studies() -> list[str]:
    """Names of the ready-made studies, and the word that lists them."""
    from dyadnet.study.ready import names

    return [*names(), "list"]


def choices(spec: type[Spec], field: str) -> list[str]:
    """The words that a setting may be."""
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
    """Completes to dotted paths of settings, a level at a time: ``learning.`` before ``learning.epochs``.

    Parameters
    ----------
    sections
        Of which they may be; of any unless given.
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
