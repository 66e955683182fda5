"""The formats in which pictures are written: always PNG for the screen, and PDF or SVG for print on request."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Literal, get_args

from dyadnet.errors import ConfigError

Format = Literal["png", "pdf", "svg"]
_WANTED: ContextVar[Format] = ContextVar("format of pictures", default="png")


def formats() -> tuple[Format, ...]:
    """Return the formats in which every picture is written at the moment."""
    wanted = _WANTED.get()
    return ("png",) if wanted == "png" else ("png", wanted)


@contextlib.contextmanager
def also_as(wanted: str) -> Iterator[None]:
    """Write every picture in this format in addition to PNG while the context is active.

    Raises
    ------
    ConfigError
        If the format is unknown.
    """
    if wanted not in get_args(Format):
        raise ConfigError("--format", wanted, f"one of {', '.join(get_args(Format))}")
    token = _WANTED.set(wanted)  # type: ignore[arg-type]
    try:
        yield
    finally:
        _WANTED.reset(token)
