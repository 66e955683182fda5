"""Matrix products inside compiled code, over flat arenas: NumPy's own BLAS, and loops for tiny matrices.

Any numba function can call `times_transposed`, `times` and `outer` without the interpreter's lock. They are cached,
allocate nothing and load no second BLAS. Where `np.matmul` calls gemm, they make the same call, so the bits are the
same. For tiny matrices a call costs more than the work. They use a loop instead, which adds the numbers in the order
of the summed index. Only the shape of a block's weights decides between the two, never the number of rows, which
varies with stacking and lanes. The thresholds were measured with 16 to 128 rows and OpenBLAS's AVX-512 kernels.

How cached code calls the BLAS
------------------------------
numba freezes globals into cached code and does not notice when they change. Cached code of a caller even contains the
code of these functions. So compiled code must contain no constant that depends on the BLAS at hand. Instead it calls
a symbol, ``dyadnet_sgemm`` or ``dyadnet_dgemm``, with a fixed signature: that of CBLAS with 64-bit integers. Each
process defines the symbol when it imports this module, as one of:

- a function of NumPy's BLAS itself, if its integers have 64 bits (NumPy's wheels);
- a compiled bridge that narrows the integers, if they have 32 bits;
- a compiled loop, if no such function is found (with one warning): correct, but slow. The environment variable
  ``DYADNET_BLAS=loops`` selects it on purpose.

The symbol is resolved when code is linked, that is, in every process, whether it compiles or loads from the cache.
So one cache serves all three.

Reference counts
----------------
The functions are compiled without numba's reference counting. They do not need it, because they neither create nor
keep arrays. Counting is atomic and would cost about 80 ns per call between compiled functions, more than a tiny
product.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import binding, ir  # type: ignore[import-untyped]
from numba import carray, types
from numba.core import cgutils
from numba.extending import intrinsic
from threadpoolctl import threadpool_info

from dyadnet.numerics.compilation import callback
from dyadnet.numerics.kernels import apart, compiled

WIDE = ("scipy_cblas_{}gemm64_", "cblas_{}gemm64_", "cblas_{}gemm_64", "cblas_{}gemm$NEWLAPACK$ILP64")
"""Names of the function if integers have 64 bits: NumPy's wheels, OpenBLAS, MKL, Accelerate."""

NARROW = ("scipy_cblas_{}gemm", "cblas_{}gemm$NEWLAPACK", "cblas_{}gemm")
"""Names if integers have 32 bits; but NumPy may be built against an OpenBLAS whose plain names have 64 bits."""

ROW_MAJOR, PLAIN, TRANSPOSED = 101, 111, 112
"""CBLAS's codes for the order of a matrix and for whether it is transposed."""

LETTERS = {"s": types.float32, "d": types.float64}

_keep: list[Any] = []
"""Compiled C functions behind the symbols; they must live as long as the process."""


def _signature(number: Any, integer: Any) -> Any:
    """Return the signature of CBLAS's gemm: order, A's and B's form, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc."""
    flag, pointer = types.int32, types.CPointer(number)
    matrix = (pointer, integer)
    return types.void(flag, flag, flag, integer, integer, integer, number, *matrix, *matrix, number, *matrix)


def _call(builder: Any, symbol: str, values: list[Any]) -> None:
    """Call a C function without a return value by its symbol."""
    kind = ir.FunctionType(ir.VoidType(), [value.type for value in values])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, symbol), values)


def _loops(number: Any) -> Any:
    """Compile a gemm of plain loops as a C function, for alpha 1 and beta 0."""

    def gemm(order, form_a, form_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):  # type: ignore[no-untyped-def]  # pragma: no cover
        row_a, column_a = (lda, 1) if form_a == PLAIN else (1, lda)
        row_b, column_b = (ldb, 1) if form_b == PLAIN else (1, ldb)
        A = carray(a, ((m - 1) * row_a + (k - 1) * column_a + 1,))
        B = carray(b, ((k - 1) * row_b + (n - 1) * column_b + 1,))
        C = carray(c, ((m - 1) * ldc + n,))
        for i in range(m):
            for j in range(n):
                total = A[i * row_a] * B[j * column_b]
                for h in range(1, k):
                    total += A[i * row_a + h * column_a] * B[h * row_b + j * column_b]
                C[i * ldc + j] = total

    return callback(gemm, _signature(number, types.int64))


@intrinsic
def _narrow_gemm(typingctx, order, form_a, form_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):  # type: ignore[no-untyped-def]
    """Call the gemm with 32-bit integers by its own symbol."""
    letter = {types.float32: "s", types.float64: "d"}[alpha]

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        short = ir.IntType(32)
        wide = [position for position, kind in enumerate(signature.args) if kind == types.int64]
        values = [builder.trunc(v, short) if i in wide else v for i, v in enumerate(arguments)]
        _call(builder, f"dyadnet_{letter}gemm_narrow", values)
        return context.get_dummy_value()

    return _signature(alpha, types.int64), generate


def _bridge(number: Any) -> Any:
    """Compile a C function: a gemm with 64-bit integers that calls the gemm with 32-bit integers."""

    def gemm(order, form_a, form_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):  # type: ignore[no-untyped-def]  # pragma: no cover
        _narrow_gemm(order, form_a, form_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)

    return callback(gemm, _signature(number, types.int64))


def _libraries() -> Iterator[tuple[str, ctypes.CDLL]]:
    """Yield names and BLAS libraries, NumPy's own first; a name is empty if only the symbols are known."""
    # A lookup through NumPy's extension module also searches the libraries that it is linked with (not on Windows).
    yield "", ctypes.CDLL(importlib.import_module("numpy._core._multiarray_umath").__file__)
    paths = [Path(library["filepath"]) for library in threadpool_info() if library["user_api"] == "blas"]
    for path in sorted(paths, key=lambda path: not any(part.startswith("numpy") for part in path.parts)):
        yield path.name, ctypes.CDLL(str(path))


def _address(library: ctypes.CDLL, name: str) -> int | None:
    """Return the address of a symbol of a library; None if the library does not have it."""
    function = getattr(library, name, None)
    return None if function is None else ctypes.cast(function, ctypes.c_void_p).value


def _find() -> tuple[str, bool, dict[str, int]] | None:
    """Find gemm: return the pattern of its name, whether integers have 64 bits, and addresses by letter; or None."""
    built = str(np.show_config(mode="dicts")["Build Dependencies"].get("blas", ""))
    for _, library in _libraries():
        for pattern in WIDE + NARROW:
            found = {letter: _address(library, pattern.format(letter)) for letter in LETTERS}
            addresses = {letter: address for letter, address in found.items() if address is not None}
            if len(addresses) == len(LETTERS):
                return pattern, pattern in WIDE or "USE64BITINT" in built, addresses
    return None


def _owner(name: str, address: int) -> str:
    """Return the file name of the library that contains a function, or "BLAS" if it is unknown."""
    for path, library in _libraries():
        if path and _address(library, name) == address:
            return path
    return "BLAS"


def _register() -> str:
    """Define our symbols before any code that calls them is compiled or loaded; return a description of them."""
    forced = os.environ.get("DYADNET_BLAS") == "loops"
    found = None if forced else _find()
    if found is None:
        for letter, number in LETTERS.items():
            _keep.append(_loops(number))
            binding.add_symbol(f"dyadnet_{letter}gemm", _keep[-1].address)
        if forced:
            return "loops (DYADNET_BLAS=loops)"
        warnings.warn("NumPy's BLAS was not found: matrix products in compiled code are slow loops", stacklevel=2)
        return "loops: NumPy's BLAS was not found"
    pattern, wide, addresses = found
    for letter, address in addresses.items():
        if wide:
            binding.add_symbol(f"dyadnet_{letter}gemm", address)
        else:
            binding.add_symbol(f"dyadnet_{letter}gemm_narrow", address)
            _keep.append(_bridge(LETTERS[letter]))
            binding.add_symbol(f"dyadnet_{letter}gemm", _keep[-1].address)
    name = pattern.format("s")
    return f"{name} of NumPy's {_owner(name, addresses['s'])}"


_used = _register()


def available() -> str:
    """Return which function multiplies matrices that are not tiny, and its library; or a note that loops do."""
    return _used


@intrinsic
def _gemm(typingctx, form_a, form_b, m, n, k, A, a, lda, B, b, ldb, C, c, ldc):  # type: ignore[no-untyped-def]
    """C[c:] = op(A[a:]) @ op(B[b:]), row by row, through our symbol."""
    letter = {types.float32: "s", types.float64: "d"}[C.dtype]
    flag, size = types.int32, types.int64

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        form_a, form_b, m, n, k, A, a, lda, B, b, ldb, C, c, ldc = arguments
        number = context.get_value_type(signature.args[5].dtype)

        def pointer(position: int, array: Any, offset: Any) -> Any:
            of = context.make_array(signature.args[position])(context, builder, array)
            return builder.gep(of.data, [offset])

        values = [
            ir.Constant(ir.IntType(32), ROW_MAJOR), form_a, form_b, m, n, k, ir.Constant(number, 1.0),
            pointer(5, A, a), lda, pointer(8, B, b), ldb, ir.Constant(number, 0.0), pointer(11, C, c), ldc,
        ]  # fmt: skip
        _call(builder, f"dyadnet_{letter}gemm", values)
        return context.get_dummy_value()

    return types.void(flag, flag, size, size, size, A, size, size, B, size, size, C, size, size), generate


_pasted = partial(compiled, forceinline=True)

_u = np.uint64
"""Indices are unsigned: a signed index is checked for being negative, which prevents vectorisation of loops."""


@_pasted
def looped(inner, columns):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Whether `times` and `times_transposed` multiply weights of this shape by a loop: at most two by two."""
    return inner <= 2 and columns <= 2


@_pasted
def turned(inner, columns):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Whether weights of this shape, (columns, inner), are worth a transposed copy for their forward product.

    OpenBLAS is up to three times as fast without a transposition, except for many rows with a few long columns.
    """
    return not looped(inner, columns) and not (columns <= 16 and inner >= 4 * columns)


@_pasted
def outer_looped(m, n):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Whether `outer` sums products of this shape by a loop."""
    return m * n <= 2


@compiled
def tiny(X, x, rows, inner, W, w, columns, transposed, Y, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Multiply weights of the shapes of `looped`; each shape is written out, so that it vectorises over rows."""
    if inner == 1 and columns == 1:
        one = W[_u(w)]
        for i in range(rows):
            Y[_u(y + i)] = X[_u(x + i)] * one
    elif inner == 1:
        one, two = W[_u(w)], W[_u(w + 1)]
        for i in range(rows):
            Y[_u(y + 2 * i)] = X[_u(x + i)] * one
            Y[_u(y + 2 * i + 1)] = X[_u(x + i)] * two
    elif columns == 1:
        one, two = W[_u(w)], W[_u(w + 1)]
        for i in range(rows):
            Y[_u(y + i)] = X[_u(x + 2 * i)] * one + X[_u(x + 2 * i + 1)] * two
    else:
        across = 1 if transposed else 2
        a, b = W[_u(w)], W[_u(w + across)]
        c, d = W[_u(w + 3 - across)], W[_u(w + 3)]
        for i in range(rows):
            one, two = X[_u(x + 2 * i)], X[_u(x + 2 * i + 1)]
            Y[_u(y + 2 * i)] = one * a + two * b
            Y[_u(y + 2 * i + 1)] = one * c + two * d


@_pasted
def _product(X, x, rows, inner, W, w, columns, transposed, Y, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Compute X @ Wᵀ or X @ W by the method that the shape of W calls for."""
    if rows < 1:
        return
    if looped(inner, columns):
        tiny(X, x, rows, inner, W, w, columns, transposed, Y, y)
        return
    if inner == 1 or columns == 1:
        # W is a vector, and both forms are the same product; np.matmul calls gemv for a column, or sums nothing.
        transposed = columns == 1 and inner >= 32
    if transposed:
        _gemm(PLAIN, TRANSPOSED, rows, columns, inner, X, x, inner, W, w, inner, Y, y, columns)
    else:
        _gemm(PLAIN, PLAIN, rows, columns, inner, X, x, inner, W, w, columns, Y, y, columns)


@apart
def times_transposed(X, x, rows, inner, W, w, columns, Y, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Y[y:] as (rows, columns) = X[x:] as (rows, inner) @ (W[w:] as (columns, inner)).T: the forward product θ·m.

    Parameters
    ----------
    X, W, Y : 1-D contiguous arrays of one dtype, float32 or float64
    x, w, y : int
        Where the matrices begin in them. Y's matrix overlaps neither of the others.
    rows, inner, columns : int
        At least 1. If rows is 0, nothing is done.
    """
    _product(X, x, rows, inner, W, w, columns, True, Y, y)


@apart
def times(X, x, rows, inner, W, w, columns, Y, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Compute Y[y:] as (rows, columns) = X[x:] as (rows, inner) @ W[w:] as (inner, columns): the feedback θᵀ·d.

    The parameters are those of `times_transposed`.
    """
    _product(X, x, rows, inner, W, w, columns, False, Y, y)


@apart
def outer(L, l, rows, m, R, r, n, G, g):  # type: ignore[no-untyped-def]  # pragma: no cover  # noqa: E741
    """Sum outer products over rows: G[g:] as (m, n) = (L[l:] as (rows, m)).T @ R[r:] as (rows, n).

    The parameters are like those of `times_transposed`. If rows is 0, G stays as it is.
    """
    if rows < 1:
        return
    if not outer_looped(m, n):
        _gemm(TRANSPOSED, PLAIN, m, n, rows, L, l, m, R, r, n, G, g, n)
        return
    for i in range(m):
        for j in range(n):
            total = L[_u(l + i)] * R[_u(r + j)]
            for k in range(1, rows):
                total += L[_u(l + k * m + i)] * R[_u(r + k * n + j)]
            G[_u(g + i * n + j)] = total
