"""Matrix products over arenas: right numbers, np.matmul's bits, and a way that depends on shapes alone."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite import binding  # type: ignore[import-untyped]
from numba import cfunc, types
from numpy.typing import NDArray

from dyadnet.numerics import blas

Array = NDArray[Any]

DTYPES = (np.float32, np.float64)
PRODUCTS = ("times_transposed", "times", "outer")
SIZES = st.integers(1, 40)
OFFSETS = st.integers(0, 20)

REAL = not blas.available().startswith("loops")


def arena(matrix: Array, offset: int) -> Array:
    """A flat array with the matrix somewhere in it and NaN around it."""
    flat = np.full(offset + matrix.size + 5, np.nan, matrix.dtype)
    flat[offset : offset + matrix.size] = matrix.ravel()
    return flat


def operands(name: str, rows: int, a: int, b: int, dtype: Any, seed: int = 0) -> tuple[Array, Array]:
    """Two random matrices as the product of that name takes them: inner and columns, or m and n, are a and b."""
    generator = np.random.default_rng(seed)
    second = {"times_transposed": (b, a), "times": (a, b), "outer": (rows, b)}[name]
    return generator.normal(size=(rows, a)).astype(dtype), generator.normal(size=second).astype(dtype)


def expected(name: str, first: Array, second: Array) -> Array:
    """The same product by NumPy."""
    return {
        "times_transposed": lambda: first @ second.T,
        "times": lambda: first @ second,
        "outer": lambda: first.T @ second,
    }[name]()


def product(name: str, first: Array, second: Array, offsets: tuple[int, int, int] = (0, 0, 0)) -> Array:
    """The product through arenas, where nothing around the result may change."""
    rows, a = first.shape
    b = second.shape[0] if name == "times_transposed" else second.shape[1]
    shape = (a, b) if name == "outer" else (rows, b)
    x, w, y = offsets
    result = arena(np.zeros(shape, first.dtype), y)
    arguments = (rows, a, arena(second, w), w, b, result, y)
    getattr(blas, name)(arena(first, x), x, *arguments)
    size = shape[0] * shape[1]
    assert np.isnan(result[:y]).all()
    assert np.isnan(result[y + size :]).all()
    return result[y : y + size].reshape(shape)


def same_bits(one: Array, other: Array) -> bool:
    """Whether two arrays are the same, byte for byte."""
    return one.shape == other.shape and one.dtype == other.dtype and one.tobytes() == other.tobytes()


@pytest.mark.parametrize("name", PRODUCTS)
@settings(deadline=None)
@given(SIZES, SIZES, SIZES, st.sampled_from(DTYPES), st.tuples(OFFSETS, OFFSETS, OFFSETS), st.integers(0, 1000))
def test_products_are_right_to_rounding(
    name: str, rows: int, a: int, b: int, dtype: Any, offsets: tuple[int, int, int], seed: int
) -> None:
    first, second = operands(name, rows, a, b, dtype, seed)
    exact = expected(name, first.astype(np.float64), second.astype(np.float64))
    terms = expected(name, abs(first).astype(np.float64), abs(second).astype(np.float64))
    bound = 64 * np.finfo(dtype).eps * terms
    assert (abs(product(name, first, second, offsets) - exact) <= bound).all()


@pytest.mark.skipif(not REAL, reason="NumPy's BLAS was not found")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("rows", [2, 7, 64, 200])
@pytest.mark.parametrize(("a", "b"), [(100, 100), (500, 500), (10, 500), (500, 10), (6, 6), (2, 64), (13, 7)])
def test_bits_are_those_of_matmul(name: str, dtype: Any, rows: int, a: int, b: int) -> None:
    first, second = operands(name, rows, a, b, dtype)
    assert same_bits(product(name, first, second), expected(name, first, second))


@settings(deadline=None, max_examples=50)
@given(
    st.sampled_from(PRODUCTS),
    st.sampled_from(DTYPES),
    st.integers(1, 70),
    st.integers(1, 70),
    st.integers(1, 70),
    st.tuples(OFFSETS, OFFSETS, OFFSETS),
)
def test_bits_do_not_depend_on_where_matrices_lie(
    name: str, dtype: Any, rows: int, a: int, b: int, offsets: tuple[int, int, int]
) -> None:
    first, second = operands(name, rows, a, b, dtype)
    assert same_bits(product(name, first, second, offsets), product(name, first, second))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PRODUCTS)
def test_loops_add_in_order_for_any_rows(name: str, dtype: Any) -> None:
    """No sum is split over several registers, and no multiplication is fused with an addition, at any length."""
    shapes = [(a, b) for a in range(1, 8) for b in range(1, 8)]
    if name == "outer":
        looped = [shape for shape in shapes if blas.outer_looped(*shape)]
    else:
        looped = [shape for shape in shapes if blas.looped(*shape)]
    assert (1, 1) in looped
    for a, b in looped:
        for rows in (*range(1, 40), 64, 127, 128, 129, 300):
            first, second = operands(name, rows, a, b, dtype, rows)
            left = first.T if name == "outer" else first
            right = second.T if name == "times_transposed" else second
            total = left[:, :1] * right[:1]
            for k in range(1, left.shape[1]):
                total = total + left[:, k : k + 1] * right[k : k + 1]
            assert same_bits(product(name, first, second), total)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize(("a", "b"), [(1, 1), (1, 2), (2, 1), (3, 3), (5, 5), (9, 20)])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_not_lost(name: str, dtype: Any, a: int, b: int, bad: float) -> None:
    first, second = operands(name, 33, a, b, dtype)
    first[17, 0] = bad
    result = product(name, first, second)
    touched = result[0] if name == "outer" else result[17]
    assert not np.isfinite(touched).any()
    untouched = result[1:] if name == "outer" else np.delete(result, 17, axis=0)
    assert np.isfinite(untouched).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize(("a", "b"), [(1, 1), (3, 3), (20, 20)])
def test_without_rows_nothing_is_done(name: str, dtype: Any, a: int, b: int) -> None:
    empty, result = np.zeros(1, dtype), np.full(a * b, 7, dtype)
    getattr(blas, name)(empty, 0, 0, a, np.ones(a * b, dtype), 0, b, result, 0)
    assert (result == 7).all()


def test_it_says_what_it_uses() -> None:
    assert "gemm" in blas.available() or blas.available().startswith("loops")


@pytest.mark.parametrize(("letter", "dtype"), [("s", np.float32), ("d", np.float64)])
@pytest.mark.parametrize("form_a", [blas.PLAIN, blas.TRANSPOSED])
@pytest.mark.parametrize("form_b", [blas.PLAIN, blas.TRANSPOSED])
def test_the_bridge_to_32_bit_integers(letter: str, dtype: Any, form_a: int, form_b: int) -> None:
    """A stand-in for such a BLAS: the loops, compiled for 32-bit integers. Called with numbers that need narrowing."""
    number = blas.LETTERS[letter]
    short = cfunc(blas._signature(number, types.int32))(blas._loops(number)._pyfunc)
    symbol = f"dyadnet_{letter}gemm_narrow"
    before = binding.address_of_symbol(symbol)
    binding.add_symbol(symbol, short.address)
    bridge = blas._bridge(number)
    if before is not None:
        binding.add_symbol(symbol, before)
    generator = np.random.default_rng(0)
    A = generator.normal(size=(3, 4) if form_a == blas.PLAIN else (4, 3)).astype(dtype)
    B = generator.normal(size=(4, 5) if form_b == blas.PLAIN else (5, 4)).astype(dtype)
    C = np.full((3, 5), np.nan, dtype)
    call = bridge.ctypes
    pointer = call.argtypes[7]

    def at(array: Array) -> Any:
        return ctypes.cast(array.ctypes.data, pointer)

    call(blas.ROW_MAJOR, form_a, form_b, 3, 5, 4, 1, at(A), A.shape[1], at(B), B.shape[1], 0, at(C), 5)
    exact = (A if form_a == blas.PLAIN else A.T) @ (B if form_b == blas.PLAIN else B.T)
    np.testing.assert_allclose(C, exact, rtol=1e-4, atol=1e-6)


@pytest.fixture
def symbols(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What would be registered; this process keeps its symbols."""
    kept: dict[str, int] = {}
    monkeypatch.setattr(binding, "add_symbol", kept.__setitem__)
    monkeypatch.delenv("DYADNET_BLAS", raising=False)
    return kept


def test_a_missing_blas_is_said_once(symbols: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blas, "_libraries", lambda: iter(()))
    with pytest.warns(UserWarning, match="not found") as said:
        assert blas._register() == "loops: NumPy's BLAS was not found"
    assert len(said) == 1
    assert set(symbols) == {"dyadnet_sgemm", "dyadnet_dgemm"}


@pytest.mark.parametrize(
    ("names", "built", "bridged"),
    [
        ("cblas_{}gemm64_", "", False),
        ("cblas_{}gemm$NEWLAPACK$ILP64", "", False),
        ("cblas_{}gemm", "", True),
        ("cblas_{}gemm", "OpenBLAS USE64BITINT", False),
    ],
)
def test_integers_are_as_wide_as_the_name_says(
    symbols: dict[str, int], monkeypatch: pytest.MonkeyPatch, names: str, built: str, bridged: bool
) -> None:
    addresses = {names.format("s"): 64, names.format("d"): 128}
    monkeypatch.setattr(blas, "_address", lambda library, name: addresses.get(name))
    monkeypatch.setattr(blas, "_libraries", lambda: iter([("libother.so", None)]))
    monkeypatch.setattr(np, "show_config", lambda mode: {"Build Dependencies": {"blas": {"configuration": built}}})
    monkeypatch.setattr(blas, "_bridge", lambda number: cfunc(types.void())(lambda: None))
    assert blas._register() == f"{names.format('s')} of NumPy's libother.so"
    direct = {f"dyadnet_{letter}gemm{'_narrow' if bridged else ''}": 64 * (1 + (letter == "d")) for letter in "sd"}
    assert symbols.items() >= direct.items()
    assert ("dyadnet_sgemm_narrow" in symbols) == bridged
    assert "dyadnet_sgemm" in symbols


WAY = """
from llvmlite import binding
from numba import carray, cfunc, types
import numpy as np
from dyadnet.numerics import blas

@cfunc(blas._signature(types.float32, types.int64))
def marked(order, form_a, form_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):
    carray(c, (1,))[0] = -1

binding.add_symbol("dyadnet_sgemm", marked.address)
ones, result = np.ones(20000, np.float32), np.zeros(20000, np.float32)
for name, looped in ("times", blas.looped), ("times_transposed", blas.looped), ("outer", blas.outer_looped):
    for a in range(1, 9):
        for b in range(1, 9):
            for rows in (1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 64, 100, 128, 129, 1000):
                getattr(blas, name)(ones, 0, rows, a, ones, 0, b, result, 0)
                assert (result[0] != -1) == looped(a, b), (name, a, b, rows)
"""

CACHE = """
import json
import numpy as np
from dyadnet.numerics import blas

X, W, Y = np.random.default_rng(0).normal(size=(3, 4000))
blas.times(X, 1, 40, 37, W, 2, 41, Y, 3)
blas.outer(X, 1, 40, 37, W, 2, 41, Y, 1643)
exact = np.concatenate([
    (X[1:1481].reshape(40, 37) @ W[2:1519].reshape(37, 41)).ravel(),
    (X[1:1481].reshape(40, 37).T @ W[2:1642].reshape(40, 41)).ravel(),
])
error = float(abs(Y[3:3160] - exact).max())
functions = blas.times.dispatcher, blas.outer.dispatcher, blas.tiny
print(json.dumps([blas.available(), error, sum(sum(f.stats.cache_misses.values()) for f in functions)]))
"""


def separately(script: str, cache: Path, **environment: str) -> str:
    """What a script prints in a process of its own."""
    inherited = {name: value for name, value in os.environ.items() if name != "DYADNET_BLAS"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**inherited, "NUMBA_CACHE_DIR": str(cache), **environment},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_way_does_not_depend_on_rows(tmp_path: Path) -> None:
    """BLAS is replaced by a function that leaves a mark."""
    separately(WAY, tmp_path)


def test_one_cache_serves_every_process_and_every_blas(tmp_path: Path) -> None:
    first = json.loads(separately(CACHE, tmp_path))
    second = json.loads(separately(CACHE, tmp_path))
    loops = json.loads(separately(CACHE, tmp_path, DYADNET_BLAS="loops"))
    assert first[2] > 0
    assert second[2] == loops[2] == 0
    assert first[:2] == second[:2]
    if REAL:
        assert first[:2] == [blas.available(), 0.0]
    assert loops[0].startswith("loops")
    assert 0 < loops[1] < 1e-12  # sums in another order: it was a loop, and a right one
