"""Compilation by numba with a cache that may fail: code that cannot be cached is compiled again, which is only slower.

Numba's own cache has three weaknesses. It raises an error at import if it can write neither to the folder of the source
nor to a home folder, as in a container with its own user. It loads compiled code that a full disk has truncated. And it
checks only the source file of the function itself: compiled code also contains constants and functions of other files,
and would stay in the cache when those change.

Compiled code contains the functions that it calls, and the functions that these call. So a function that is called in
ten places is optimised ten times, and again in each of their callers. A function that is compiled *apart* is not part
of its callers. They call it by a symbol, which each process resolves anew.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numba
import numpy as np
from llvmlite import binding  # type: ignore[import-untyped]
from numba.core import cgutils
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.ccallback import CFunc
from numba.core.extending import _Intrinsic

NOWHERE = "nowhere to be written, so that every process compiles anew; name a folder by NUMBA_CACHE_DIR"

SYMBOL = re.compile(rb"dyadnet_apart_[\w.]+?_[0-9a-f]{32}")
_apart: dict[str, tuple[str, str, Any]] = {}
"""Module, name and argument types of the function behind each symbol."""


@cache
def stamp() -> str:
    """Return a digest of all sources of compiled code: files with compiled functions and files that those read."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256(f"numba {numba.__version__}, numpy {np.__version__}".encode())
    for file in sorted(file for room in ("numerics", "program") for file in (package / room).rglob("*.py")):
        digest.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


class StampedLocator:
    """Numba's locator of a function's cached code, with `stamp` added to the stamp of the function's own file."""

    def __init__(self, locator: Any) -> None:
        self._locator = locator
        self._stamp = locator.get_source_stamp(), stamp()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._locator, name)

    def get_source_stamp(self) -> tuple[Any, str]:
        """Return the stamp that cached code must match; it was taken when the function was defined."""
        return self._stamp


def _codes(library: Any) -> Iterator[bytes]:
    """Yield the code in a library as numba writes it: bytes in nested tuples."""
    if isinstance(library, bytes):
        yield library
    elif isinstance(library, tuple | list):
        for part in library:
            yield from _codes(part)


class StampedCode(CompileResultCacheImpl):  # type: ignore[misc]
    """Numba's serialiser of compiled code, which writes the stamp into the code file.

    Numba stamps only its index, and writes the index before the code. If the process dies or the disk is full in
    between, a new index points to old code.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._locator = StampedLocator(self.locator)

    def reduce(self, data: Any) -> Any:
        """Return what is written: the stamp, the functions that the code calls by symbols, and numba's reduced code."""
        reduced = super().reduce(data)
        needed = {name.decode() for name in SYMBOL.findall(b"\n".join(_codes(reduced[0])))}
        return self.locator.get_source_stamp(), [_apart[name] for name in sorted(needed)], reduced

    def rebuild(self, target_context: Any, reduced_data: Any) -> Any:
        """Rebuild compiled code from what was written; first compile or load all functions that it calls by symbols.

        Raises
        ------
        ValueError
            If the code has another stamp.
        """
        written, needed, reduced = reduced_data
        if written != self.locator.get_source_stamp():
            raise ValueError("code of other sources")
        for module, name, types in needed:
            getattr(import_module(module), name).made(types)
        return super().rebuild(target_context, reduced)


class StampedCache(FunctionCache):  # type: ignore[misc]
    """Numba's cache of one function, invalidated by any change of `stamp`."""

    _impl_class = StampedCode


class SparingCache:
    """A cache of one function whose errors are ignored: the function then works without the cache.

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
        """Return compiled code from the cache; None if there is none, or if it is damaged: then it is deleted."""
        try:
            return self._cache.load_overload(signature, target)
        except Exception:
            with contextlib.suppress(Exception):
                self._cache.flush()
            return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Save compiled code, if it can be written."""
        with contextlib.suppress(Exception):
            self._cache.save_overload(signature, compiled)


def _keep(compiled: Any, function: Callable[..., Any]) -> None:
    """Give a function a cache; it stays without a cache if no folder can be written."""
    with contextlib.suppress(RuntimeError, OSError):
        compiled._cache = SparingCache(StampedCache(function))


def compiled(function: Callable[..., Any], **options: Any) -> Any:
    """Compile a function when it is first called, without the interpreter's lock and with numpy's error model.

    Parameters
    ----------
    options
        Further options of `numba.njit`.
    """
    dispatcher = numba.njit(nogil=True, error_model="numpy", **options)(function)
    _keep(dispatcher, function)
    return dispatcher


class Apart(_Intrinsic):  # type: ignore[misc]
    """A compiled function that is not inlined into its callers, so that they compile faster.

    A call costs some nanoseconds more, and the caller is compiled without knowledge of the function's code.

    Parameters
    ----------
    dispatcher
        The result of `compiled`.
    """

    def __init__(self, dispatcher: Any) -> None:
        self.dispatcher = dispatcher
        own = inspect.signature(dispatcher.py_func)

        def definition(typing: Any, *given: Any, **named: Any) -> tuple[Any, Any]:
            return self._defined(own.bind(*given, **named).args)

        first = inspect.Parameter("typing", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        definition.__signature__ = own.replace(parameters=[first, *own.parameters.values()])  # type: ignore[attr-defined]
        super().__init__(dispatcher.py_func.__name__, definition)
        functools.update_wrapper(self, dispatcher.py_func)
        self._symbols: dict[Any, tuple[str, Any]] = {}
        self._register()

    def __call__(self, *arguments: Any) -> Any:
        """Call the function from Python."""
        return self.dispatcher(*arguments)

    def made(self, types: tuple[Any, ...]) -> tuple[str, Any]:
        """Compile or load the function for these argument types; return its symbol and its return type."""
        if types not in self._symbols:
            self.dispatcher.compile(types)
            found = self.dispatcher.overloads[types]
            function = self.dispatcher.py_func
            digest = hashlib.sha256(repr(types).encode()).hexdigest()[:32]
            symbol = f"dyadnet_apart_{function.__module__}.{function.__name__}_{digest}"
            binding.add_symbol(symbol, found.library.get_pointer_to_function(found.fndesc.llvm_func_name))
            _apart[symbol] = function.__module__, function.__name__, types
            self._symbols[types] = symbol, found.signature.return_type
        return self._symbols[types]

    def _defined(self, given: tuple[Any, ...]) -> tuple[Any, Any]:
        types = tuple(numba.types.unliteral(one) for one in given)
        symbol, returned = self.made(types)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            convention = context.call_conv
            kind = convention.get_function_type(signature.return_type, signature.args)
            function = cgutils.get_or_insert_function(builder.module, kind, symbol)
            called = convention.call_function(builder, function, signature.return_type, signature.args, arguments)
            status, value = called
            with cgutils.if_unlikely(builder, status.is_error):
                convention.return_status_propagate(builder, status)
            return value

        return returned(*types), generate


def callback(function: Callable[..., Any], signature: Any) -> Any:
    """Compile a function at once as a C callback."""
    made = CFunc(function, (signature.args, signature.return_type), locals={}, options={})
    _keep(made, function)
    made.compile()
    return made


def is_kept(dispatcher: Any, kind: str) -> bool:
    """Whether the cache has a function's code for numbers of a kind, such as float32."""
    with contextlib.suppress(Exception):
        return any(kind in str(key) for key in dispatcher._cache._cache_file._load_index())
    return False


def place(dispatcher: Any) -> str:
    """Return the folder of a function's cached code, or a sentence that says that there is none."""
    return str(getattr(dispatcher._cache, "cache_path", None) or NOWHERE)
