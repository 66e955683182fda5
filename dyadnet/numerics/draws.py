"""Draws from Philox inside compiled code, with exactly the bits of NumPy's generator.

`dyadnet.numerics.rng.Stream.at` gives a generator for the draws of one moment. Here the same generator is an array of
`STATE` words that the caller owns: `seek` puts it where ``Stream.at`` begins. Each other function draws the next value
of the corresponding method of `numpy.random.Generator`. Draws of 32 and of 64 bits may follow one another in any
order, as in NumPy: a draw of 32 bits takes the low half of a word and leaves the upper half for the next.

Sources
-------
Philox4x64-10: J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3",
SC '11; words and halves in the order of NumPy's ``numpy/random/src/philox/philox.h``.

Integers: D. Lemire, "Fast random integer generation in an interval", ACM Trans. Model. Comput. Simul. 29, 2019.

Normal and exponential numbers: the ziggurat of G. Marsaglia and W. W. Tsang, J. Stat. Softw. 5(8), 2000, as in NumPy's
``numpy/random/src/distributions/distributions.c``, which is also the source of the geometric numbers.

Every integer below is unsigned and 64 bits wide, constants included: numba combines a signed and an unsigned integer
into a float. ``fastmath`` is off, so that the order of operations is NumPy's.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

# The tables of the ziggurats. They are NumPy's, which exports no public copy. Numba's own `Generator` reads them from
# this module, which numba does not document. They are used nowhere else in dyadnet.
from numba.np.random import _constants as tables

from dyadnet.numerics.kernels import compiled
from dyadnet.numerics.rng import Stream

# A function that is given an array counts references to it, atomically, which takes longer than a draw. Without numba's
# run time nothing is counted (nothing below allocates), and everything but the rounds is inlined into its caller.
_pasted = partial(compiled, forceinline=True)

STATE = 12
"""Words of a generator's state: the counter (4), the key (2), the block drawn last (4), how many of its words are used,
and the upper half of a word that waits for the next 32-bit draw, with bit 32 set if there is one.
"""

_KEY = 4
_BLOCK = 6
_USED = 10
_WAITING = 11

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_WORDS = np.uint64(4)
_FIRST = np.uint64(_BLOCK)
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_IS_WAITING = np.uint64(1 << 32)

_MULTIPLIER_0 = np.uint64(0xD2E7470EE14C6C93)
_MULTIPLIER_1 = np.uint64(0xCA5A826395121157)
_BUMP_0 = np.uint64(0x9E3779B97F4A7C15)
_BUMP_1 = np.uint64(0xBB67AE8584CAA73B)
_ROUNDS = 10

_THREE = np.uint64(3)
_EIGHT = np.uint64(8)
_NINE = np.uint64(9)
_ELEVEN = np.uint64(11)
_BYTE = np.uint64(0xFF)
_BITS_52 = np.uint64(0x000FFFFFFFFFFFFF)

_WIDTHS, _INSIDE, _HEIGHTS = tables.wi_double, tables.ki_double, tables.fi_double
_WIDTHS_32, _INSIDE_32, _HEIGHTS_32 = tables.wi_float, tables.ki_float.astype(np.uint64), tables.fi_float
_WIDTHS_EXP, _INSIDE_EXP, _HEIGHTS_EXP = tables.we_double, tables.ke_double, tables.fe_double
_TAIL, _TAIL_INVERSE = tables.ziggurat_nor_r, tables.ziggurat_nor_inv_r
_TAIL_32, _TAIL_INVERSE_32 = np.float32(tables.ziggurat_nor_r_f), np.float32(tables.ziggurat_nor_inv_r_f)
_TAIL_EXP = tables.ziggurat_exp_r

_LARGEST = np.int64(np.iinfo(np.int64).max)
_BEYOND = 2.0**63
_STEP = 2.0**-53
_STEP_32 = np.float32(2.0**-24)


def key_words(stream: Stream) -> tuple[np.uint64, np.uint64]:
    """Return the two key words of a stream, for `seek`. Call it once per stream: it builds a whole generator."""
    key = stream.at().bit_generator.state["state"]["key"]
    return key[0], key[1]


@intrinsic
def _high_product(typing, left, right):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the upper 64 bits of the product of two uint64: one instruction if the processor has it."""

    def build(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(arguments[0], wide), builder.zext(arguments[1], wide))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), build


@_pasted
def seek(state, key0, key1, tick, phase, lane, relaxation):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Put a generator where ``Stream.at(tick, phase, lane, relaxation)`` begins; its earlier state is discarded.

    Parameters
    ----------
    state : (STATE,) array of uint64
    key0, key1 : uint64
        See `key_words`.
    tick, phase, lane, relaxation : int
        Not negative.
    """
    state[0] = _ZERO
    state[1] = np.uint64(tick)
    state[2] = (np.uint64(phase) << _HALF) | np.uint64(lane)
    state[3] = np.uint64(relaxation)
    state[_KEY] = np.uint64(key0)
    state[_KEY + 1] = np.uint64(key1)
    state[_USED] = _WORDS
    state[_WAITING] = _ZERO


@compiled
def _block(a, b, c, d, key0, key1):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return four random words for four counter words: ten rounds of Philox."""
    for _ in range(_ROUNDS):
        high0, low0 = _high_product(_MULTIPLIER_0, a), _MULTIPLIER_0 * a
        high1, low1 = _high_product(_MULTIPLIER_1, c), _MULTIPLIER_1 * c
        a, b, c, d = high1 ^ b ^ key0, low1, high0 ^ d ^ key1, low0
        key0 += _BUMP_0
        key1 += _BUMP_1
    return a, b, c, d


@_pasted
def _word(state):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the next 64 bits.

    Only the first word of the counter is incremented, because no moment needs 2**66 words.
    """
    used = state[_USED]
    if used < _WORDS:
        state[_USED] = used + _ONE
        return state[_FIRST + used]
    count = state[0] + _ONE
    a, b, c, d = _block(count, state[1], state[2], state[3], state[_KEY], state[_KEY + 1])
    state[0] = count
    state[_BLOCK + 1] = b
    state[_BLOCK + 2] = c
    state[_BLOCK + 3] = d
    state[_USED] = _ONE
    return a


@compiled
def first_words(key0, key1, tick, phase, lane, relaxation):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the first four words that a generator draws after `seek`."""
    place = (np.uint64(phase) << _HALF) | np.uint64(lane)
    return _block(_ONE, np.uint64(tick), place, np.uint64(relaxation), np.uint64(key0), np.uint64(key1))


@_pasted
def below(word):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the integer below 2**53 that `uniform` makes of a word: u < p where it is less than ``certainty(p)``."""
    return np.int64(word >> _ELEVEN)


def certainty(p: float) -> int:
    """Return p·2**53, rounded up; see `below`."""
    return math.ceil(math.ldexp(p, 53))


@_pasted
def _half_word(state):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the next 32 bits, in a uint64: the low half of a word, and the upper half of that word the next time."""
    waiting = state[_WAITING]
    if waiting != _ZERO:
        state[_WAITING] = _ZERO
        return waiting & _LOW
    word = _word(state)
    state[_WAITING] = (word >> _HALF) | _IS_WAITING
    return word & _LOW


@_pasted
def uniform(state):  # type: ignore[no-untyped-def]  # pragma: no cover
    """A float64 in [0, 1), as ``Generator.random``."""
    return np.int64(_word(state) >> _ELEVEN) * _STEP


@_pasted
def _uniform32(state):  # type: ignore[no-untyped-def]  # pragma: no cover
    """A float32 in [0, 1) from 24 bits."""
    return np.float32(np.int64(_half_word(state) >> _EIGHT)) * _STEP_32


@_pasted
def integer(state, low, high):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return an int64 from low to high, both included, as the next one of ``Generator.integers(low, high + 1)``.

    If low equals high, nothing is drawn. There may be at most 2**32 values, ``high − low`` < 2**32. For more values
    NumPy uses another method, which is not implemented here; the limit is not checked.
    """
    start = np.uint64(low)
    count = np.uint64(high) - start + _ONE
    if count == _ONE:
        return np.int64(start)
    product = _half_word(state) * count
    if product & _LOW < count:
        threshold = (_LOW + _ONE - count) % count
        while product & _LOW < threshold:
            product = _half_word(state) * count
    return np.int64(start + (product >> _HALF))


@_pasted
def first_integer(state, key0, key1, tick, phase, lane, relaxation, low, high):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return what `integer` draws first after `seek`; `state` is changed."""
    start = np.uint64(low)
    count = np.uint64(high) - start + _ONE
    if count == _ONE:
        return np.int64(start)
    word = first_words(key0, key1, tick, phase, lane, relaxation)[0]
    product = (word & _LOW) * count
    if product & _LOW < count:
        # It may have to be drawn again.
        seek(state, key0, key1, tick, phase, lane, relaxation)
        return integer(state, low, high)
    return np.int64(start + (product >> _HALF))


@_pasted
def _exponential(state):  # type: ignore[no-untyped-def]  # pragma: no cover
    """A float64, as ``Generator.standard_exponential``."""
    while True:
        bits = _word(state) >> _THREE
        layer = bits & _BYTE
        bits >>= _EIGHT
        x = np.int64(bits) * _WIDTHS_EXP[layer]
        if bits < _INSIDE_EXP[layer]:
            return x
        if layer == _ZERO:
            return _TAIL_EXP - math.log1p(-uniform(state))
        below = _HEIGHTS_EXP[layer]
        if (_HEIGHTS_EXP[layer - _ONE] - below) * uniform(state) + below < math.exp(-x):
            return x


@_pasted
def geometric(state, p):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return an int64 of at least 1, as ``Generator.geometric(p)``: the number of trials until the first success.

    Parameters
    ----------
    p : float64
        Above 0, at most 1.
    """
    p_ = np.float64(p)
    if p_ >= 1 / 3:
        trials = np.int64(1)
        chance = p_
        total = p_
        q = 1.0 - p_
        u = uniform(state)
        while u > total:
            chance *= q
            total += chance
            trials += np.int64(1)
        return trials
    number = np.ceil(-_exponential(state) / math.log1p(-p_))
    return _LARGEST if number >= _BEYOND else np.int64(number)


@_pasted
def normal(state):  # type: ignore[no-untyped-def]  # pragma: no cover
    """A float64, as ``Generator.standard_normal()``."""
    while True:
        word = _word(state)
        layer = word & _BYTE
        bits = (word >> _NINE) & _BITS_52
        x = np.int64(bits) * _WIDTHS[layer]
        if (word >> _EIGHT) & _ONE:
            x = -x
        if bits < _INSIDE[layer]:
            return x
        if layer == _ZERO:
            while True:
                beyond = -_TAIL_INVERSE * math.log1p(-uniform(state))
                y = -math.log1p(-uniform(state))
                if y + y > beyond * beyond:
                    return -(_TAIL + beyond) if (bits >> _EIGHT) & _ONE else _TAIL + beyond
        below = _HEIGHTS[layer]
        if (_HEIGHTS[layer - _ONE] - below) * uniform(state) + below < math.exp(-0.5 * x * x):
            return x


@_pasted
def normal32(state):  # type: ignore[no-untyped-def]  # pragma: no cover
    """A float32, as ``Generator.standard_normal(dtype=np.float32)``."""
    while True:
        word = _half_word(state)
        layer = word & _BYTE
        bits = word >> _NINE
        x = np.float32(np.int64(bits)) * _WIDTHS_32[layer]
        if (word >> _EIGHT) & _ONE:
            x = -x
        if bits < _INSIDE_32[layer]:
            return x
        if layer == _ZERO:
            while True:
                beyond = -_TAIL_INVERSE_32 * math.log1p(-_uniform32(state))
                y = -math.log1p(-_uniform32(state))
                if y + y > beyond * beyond:
                    return -(_TAIL_32 + beyond) if (bits >> _EIGHT) & _ONE else _TAIL_32 + beyond
        below = _HEIGHTS_32[layer]
        wide = np.float64(x)
        if np.float64((_HEIGHTS_32[layer - _ONE] - below) * _uniform32(state) + below) < math.exp(-0.5 * wide * wide):
            return x
