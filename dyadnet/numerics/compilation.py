"""Compilation by numba: what is compiled is kept where it can be, and done anew, only slower, where it cannot.

Numba itself refuses to load where neither its source's folder nor a home can be written, as in a container with a user
of its own, and takes what a full disk has cut off for compiled code. It also looks at the file of a function alone:
compiled code contains constants and functions of other files too, and would be kept when those change.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.ccallback import CFunc

NOWHERE = "nowhere to be written, so that every process compiles anew; name a folder by NUMBA_CACHE_DIR"


@cache
def stamp() -> str:
    """Digest of all that any compiled code may come from: the files with compiled functions and what those read."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256(f"numba {numba.__version__}, numpy {np.__version__}".encode())
    for file in sorted(file for room in ("numerics", "program") for file in (package / room).rglob("*.py")):
        digest.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


class StampedLocator:
    """Where a function's compiled code is kept, with `stamp` beside that of its own file."""

    def __init__(self, locator: Any) -> None:
        self._locator = locator
        self._stamp = locator.get_source_stamp(), stamp()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._locator, name)

    def get_source_stamp(self) -> tuple[Any, str]:
        """What has to be the same for compiled code to be taken, as it was when the function was read."""
        return self._stamp


class StampedCode(CompileResultCacheImpl):  # type: ignore[misc]
    """Numba's form of compiled code, with its stamp inside.

    Numba stamps its index, and writes that before the code: a process or a disk that ends in between leaves a new
    index with old code.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._locator = StampedLocator(self.locator)

    def reduce(self, data: Any) -> Any:
        """What is written."""
        return self.locator.get_source_stamp(), super().reduce(data)

    def rebuild(self, target_context: Any, reduced_data: Any) -> Any:
        """What was written, if it has this stamp."""
        written, reduced = reduced_data
        if written != self.locator.get_source_stamp():
            raise ValueError("code of other sources")
        return super().rebuild(target_context, reduced)


class StampedCache(FunctionCache):  # type: ignore[misc]
    """Numba's cache of one function that notices any change of `stamp`."""

    _impl_class = StampedCode


class SparingCache:
    """A cache of one function, without which it goes, too.

    Parameters
    ----------
    cache
        A `StampedCache`.
    """

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def load_overload(self, signature: Any, target: Any) -> Any:
        """What was compiled before; None if there is nothing, or it is damaged: that is thrown away."""
        try:
            return self._cache.load_overload(signature, target)
        except Exception:
            with contextlib.suppress(Exception):
                self._cache.flush()
            return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep what was compiled, if there is room."""
        with contextlib.suppress(Exception):
            self._cache.save_overload(signature, compiled)


def _keep(compiled: Any, function: Callable[..., Any]) -> None:
    """Give a function a cache; it stays without one if there is no place for it."""
    with contextlib.suppress(RuntimeError, OSError):
        compiled._cache = SparingCache(StampedCache(function))


def compiled(function: Callable[..., Any], **options: Any) -> Any:
    """Compile a function when it is called, without the interpreter's lock and with numpy's arithmetic.

    Parameters
    ----------
    options
        Further ones of `numba.njit`.
    """
    dispatcher = numba.njit(nogil=True, error_model="numpy", **options)(function)
    _keep(dispatcher, function)
    return dispatcher


def callback(function: Callable[..., Any], signature: Any) -> Any:
    """Compile a function at once that can be called from C."""
    made = CFunc(function, (signature.args, signature.return_type), locals={}, options={})
    _keep(made, function)
    made.compile()
    return made


def place(dispatcher: Any) -> str:
    """Where a function's compiled code is kept, in words."""
    return str(getattr(dispatcher._cache, "cache_path", None) or NOWHERE)
