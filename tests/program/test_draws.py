"""Compiled draws: the bits of NumPy's generator, whatever is drawn, in whatever order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from numpy.typing import NDArray

from dyadnet.numerics import draws
from dyadnet.numerics.rng import Stream

Moment = tuple[int, int, int, int]

NUMBER = st.integers(0, 2**31)
MOMENTS = st.tuples(NUMBER, NUMBER, NUMBER, NUMBER)
STREAMS = st.builds(
    Stream,
    NUMBER,
    st.sampled_from(["delay", "clock", "read noise"]),
    st.text("abc", max_size=3),
    st.sampled_from(["", "m", "d"]),
)


class Kind(NamedTuple):
    """One kind of draw: how it is drawn here, and how NumPy draws it (one value where the size is None)."""

    ours: Callable[[NDArray[np.uint64]], Any]
    numpys: Callable[[np.random.Generator, int | None], Any]
    dtype: type[np.generic]


def integers(low: int, high: int) -> Kind:
    """Integers from low to high, both included."""
    return Kind(
        njit(lambda state: draws.integer(state, low, high)),
        lambda generator, size: generator.integers(low, high + 1, size=size),
        np.int64,
    )


def geometrics(p: float) -> Kind:
    """Geometric numbers."""
    return Kind(
        njit(lambda state: draws.geometric(state, p)), lambda generator, size: generator.geometric(p, size), np.int64
    )


KINDS = {
    "uniform": Kind(draws.uniform, lambda generator, size: generator.random(size), np.float64),
    "normal": Kind(draws.normal, lambda generator, size: generator.standard_normal(size), np.float64),
    "normal32": Kind(
        draws.normal32, lambda generator, size: generator.standard_normal(size, dtype=np.float32), np.float32
    ),
    "1 integer": integers(7, 7),
    "2 integers": integers(0, 1),
    "5 integers": integers(-2, 2),
    "21 integers": integers(10, 30),
    "2**31 integers": integers(-(2**30), 2**30 - 1),
    "3·2**30 integers, a quarter of the draws rejected": integers(5, 3 * 2**30 + 4),
    "2**32 integers": integers(-1, 2**32 - 2),
    "geometric, inverted": geometrics(0.05),
    "geometric, just inverted": geometrics(np.nextafter(1 / 3, 0)),
    "geometric, just searched": geometrics(1 / 3),
    "geometric, searched": geometrics(0.5),
    "geometric, certain": geometrics(1.0),
}

EVERY_KIND = pytest.mark.parametrize("kind", [pytest.param(kind, id=name) for name, kind in KINDS.items()])


def begin(stream: Stream, moment: Moment) -> tuple[NDArray[np.uint64], np.random.Generator]:
    """The state and NumPy's generator, both at the beginning of a moment."""
    state = np.full(draws.STATE, 2**64 - 1, np.uint64)
    draws.seek(state, *draws.key_words(stream), *moment)
    return state, stream.at(*moment)


def same(ours: list[Any], numpys: Any, dtype: type[np.generic]) -> bool:
    """Whether values are equal to the bit; numba gives Python a float32 as a float."""
    found, theirs = np.array(ours, dtype), np.asarray(numpys)
    assert theirs.dtype == dtype
    assert found.tolist() == ours
    return found.tobytes() == theirs.tobytes()


@EVERY_KIND
@settings(max_examples=20, deadline=None)
@given(stream=STREAMS, moment=MOMENTS)
def test_every_kind_of_draw_has_numpys_bits(kind: Kind, stream: Stream, moment: Moment) -> None:
    state, generator = begin(stream, moment)
    assert same([kind.ours(state) for _ in range(400)], kind.numpys(generator, 400), kind.dtype)


@EVERY_KIND
@pytest.mark.parametrize("seed", [0, 1])
def test_a_compiled_loop_of_very_many_draws_has_numpys_bits(kind: Kind, seed: int) -> None:
    """Every rejection and every tail: one normal number in four thousand is of the tail."""
    draw = kind.ours

    @njit  # type: ignore[untyped-decorator, unused-ignore]
    def drawn(state: Any, count: int) -> Any:
        return np.array([draw(state) for _ in range(count)])

    state, generator = begin(Stream(seed, "delay", "a→b", "m"), (seed, 3, 2, 1))
    ours, numpys = drawn(state, 200_000), kind.numpys(generator, 200_000)
    assert ours.dtype == numpys.dtype == kind.dtype
    assert ours.tobytes() == numpys.tobytes()


@settings(max_examples=150, deadline=None)
@given(
    stream=STREAMS,
    moment=MOMENTS,
    order=st.lists(st.tuples(st.sampled_from(sorted(KINDS)), st.integers(1, 5), st.booleans()), max_size=40),
)
def test_draws_of_32_and_of_64_bits_follow_one_another_in_any_order(
    stream: Stream, moment: Moment, order: list[tuple[str, int, bool]]
) -> None:
    state, generator = begin(stream, moment)
    for name, count, singly in order:
        kind = KINDS[name]
        ours = [kind.ours(state) for _ in range(count)]
        if singly:
            assert ours == [kind.numpys(generator, None) for _ in range(count)]
        else:
            assert same(ours, kind.numpys(generator, count), kind.dtype)


@settings(max_examples=30, deadline=None)
@given(stream=STREAMS, moment=MOMENTS, low=st.integers(-(2**62), 2**62), more=st.integers(0, 2**32 - 1))
def test_integers_of_any_range_have_numpys_bits(stream: Stream, moment: Moment, low: int, more: int) -> None:
    state, generator = begin(stream, moment)
    ours = [draws.integer(state, low, low + more) for _ in range(100)]
    assert same(ours, generator.integers(low, low + more + 1, size=100), np.int64)


@settings(max_examples=30, deadline=None)
@given(stream=STREAMS, moment=MOMENTS, p=st.floats(1e-300, 1))
def test_geometric_numbers_of_any_chance_have_numpys_bits(stream: Stream, moment: Moment, p: float) -> None:
    state, generator = begin(stream, moment)
    ours = [draws.geometric(state, p) for _ in range(100)]
    assert same(ours, generator.geometric(p, size=100), np.int64)


@settings(max_examples=30, deadline=None)
@given(
    stream=STREAMS,
    moment=MOMENTS,
    other=STREAMS,
    before=MOMENTS,
    drawn=st.lists(st.sampled_from(sorted(KINDS)), max_size=9),
)
def test_seeking_forgets_what_was_drawn_before(
    stream: Stream, moment: Moment, other: Stream, before: Moment, drawn: list[str]
) -> None:
    state, _ = begin(other, before)
    for name in drawn:
        KINDS[name].ours(state)
    draws.seek(state, *draws.key_words(stream), *moment)
    generator = stream.at(*moment)
    assert draws.normal32(state) == generator.standard_normal(dtype=np.float32)
    assert draws.uniform(state) == generator.random()


def test_the_only_integer_takes_no_draw() -> None:
    state, generator = begin(Stream(1, "delay"), (1, 2, 3, 4))
    before = state.copy()
    assert draws.integer(state, -3, -3) == -3
    assert np.array_equal(state, before)
    assert draws.uniform(state) == generator.random()
