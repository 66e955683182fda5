"""In which formats pictures are written: PNG for the screen always, and PDF or SVG for print if somebody wants it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Literal, get_args

from dyadnet.errors import ConfigError

Format = Literal["png", "pdf", "svg"]
_WANTED: ContextVar[Format] = ContextVar("format of pictures", default="png")


def formats() -> tuple[Format, ...]:
    """What every picture is written in now."""
    wanted = _WANTED.get()
    return ("png",) if wanted == "png" else ("png", wanted)


@contextlib.contextmanager
def also_as(wanted: str) -> Iterator[None]:
    """Write every picture in this format beside PNG, for as long as the context lasts.

    Raises
    ------
    ConfigError
        If it is none.
    """
    if wanted not in get_args(Format):
        raise ConfigError("--format", wanted, f"one of {', '.join(get_args(Format))}")
    token = _WANTED.set(wanted)  # type: ignore[arg-type]
    try:
        yield
    finally:
        _WANTED.reset(token)
