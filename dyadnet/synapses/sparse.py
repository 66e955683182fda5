"""Sparse synapses: each synapse is a parameter, ordered by postsynaptic, then by presynaptic neuron."""

from __future__ import annotations

import base64
import binascii
import zlib
from abc import abstractmethod
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from dyadnet.numerics import plans as c
from dyadnet.numerics.rng import Stream
from dyadnet.schema import Positive
from dyadnet.synapses.base import Ends, positions
from dyadnet.synapses.compiled import CompiledKind, Plan
from dyadnet.synapses.convolution import Windows, length, other_shape, sides

Neurons = NDArray[np.int64]
Probability = Annotated[float, Field(ge=0, le=1)]


class Sparse(CompiledKind):
    """Base class of kinds with synapses for some pairs of neurons: θ has the shape (synapses,)."""

    @abstractmethod
    def drawn(self, ends: Ends) -> tuple[Neurons, Neurons]:
        """Return the pairs, each once and in any order: postsynaptic neurons, and the presynaptic neuron of each."""

    def pairs(self, ends: Ends) -> tuple[Neurons, Neurons]:
        """Return the pairs in order: postsynaptic neurons, and the presynaptic neuron of each."""
        return _ordered(self, ends)

    def misfit(self, ends: Ends) -> str | None:
        """See `ProjectionKind.misfit`."""
        if problem := self.unfit(ends):
            return problem
        return None if len(self.pairs(ends)[0]) else "at least one synapse between these populations; it makes none"

    def unfit(self, ends: Ends) -> str | None:
        """Return why pairs cannot be created between these populations, or None."""
        return None

    def shape(self, ends: Ends) -> tuple[int, ...]:
        """Return (synapses,)."""
        return (len(self.pairs(ends)[0]),)

    def fan_in(self, ends: Ends) -> float:
        """Return the mean number of synapses per postsynaptic neuron."""
        return len(self.pairs(ends)[0]) / ends.n_post

    def part(self, ends: Ends, post: slice, pre: slice) -> Any:
        """Return the indices of the synapses."""
        return np.flatnonzero(self._between(ends, post, pre))

    def joins(self, ends: Ends, post: slice, pre: slice) -> bool:
        """Whether there is any pair between the given neurons."""
        return bool(self._between(ends, post, pre).any())

    def plan(self, ends: Ends, post: slice, pre: slice) -> Plan:
        """See `CompiledKind.plan`."""
        chosen = self._between(ends, post, pre)
        to, source = (each[chosen] for each in self.pairs(ends))
        to, source = to - post.start, source - pre.start
        n_post, n_pre = length(post), length(pre)
        order = np.lexsort((to, source))
        return np.concatenate(
            [
                [c.SPARSE, n_post, n_pre, len(to), (n_post + n_pre) * c.ABREAST],
                np.searchsorted(to, np.arange(n_post + 1)),
                source,
                np.searchsorted(source[order], np.arange(n_pre + 1)),
                to[order],
                order,
            ]
        ).astype(np.int64)

    def _between(self, ends: Ends, post: slice, pre: slice) -> NDArray[np.bool_]:
        to, source = self.pairs(ends)
        inside = (to >= post.start) & (to < post.stop) & (source >= pre.start) & (source < pre.stop)
        return np.asarray(inside)


@lru_cache(maxsize=16)
def _ordered(kind: Sparse, ends: Ends) -> tuple[Neurons, Neurons]:
    post, pre = kind.drawn(ends)
    order = np.lexsort((pre, post))
    return post[order], pre[order]


class OneToOne(Sparse):
    """Each neuron is connected to the neuron of the same index, in two populations of the same size."""

    kind: Literal["one_to_one"] = "one_to_one"

    def unfit(self, ends: Ends) -> str | None:
        """See `Sparse.unfit`."""
        same = ends.n_post == ends.n_pre
        return None if same else f"two populations of one size, not of {ends.n_pre} and {ends.n_post} neurons"

    def drawn(self, ends: Ends) -> tuple[Neurons, Neurons]:
        """Return pairs of equal indices."""
        return np.arange(ends.n_post), np.arange(ends.n_pre)


class Drawn(Sparse):
    """Base class of kinds that draw their pairs at random.

    Attributes
    ----------
    seed
        Seed of the pairs, together with the projection's name. The run's seed does not change the pairs.
    """

    seed: Annotated[int, Field(ge=0)] = 0

    def draws(self, ends: Ends) -> np.random.Generator:
        """Return the random generator of the pairs."""
        return Stream(self.seed, "synapses", ends.name, self.kind).at()


class PairwiseBernoulli(Drawn):
    """Each pair of neurons has a synapse with probability `p`.

    Attributes
    ----------
    p
        Probability from 0 to 1.
    """

    kind: Literal["pairwise_bernoulli"] = "pairwise_bernoulli"
    p: Probability

    def drawn(self, ends: Ends) -> tuple[Neurons, Neurons]:
        """Draw pairs, one postsynaptic neuron after the other."""
        draws = self.draws(ends)
        return _listed(np.flatnonzero(draws.random(ends.n_pre) < self.p) for _ in range(ends.n_post))


class FixedIndegree(Drawn):
    """Each postsynaptic neuron has synapses from `k` randomly drawn presynaptic neurons.

    Attributes
    ----------
    k
        Number of synapses, at most the number of presynaptic neurons.
    """

    kind: Literal["fixed_indegree"] = "fixed_indegree"
    k: Positive

    def unfit(self, ends: Ends) -> str | None:
        """See `Sparse.unfit`."""
        return None if self.k <= ends.n_pre else f"k of at most {ends.n_pre}, the presynaptic neurons, not {self.k}"

    def drawn(self, ends: Ends) -> tuple[Neurons, Neurons]:
        """Draw pairs, one postsynaptic neuron after the other."""
        draws = self.draws(ends)
        return _listed(draws.choice(ends.n_pre, self.k, replace=False) for _ in range(ends.n_post))


class FixedOutdegree(Drawn):
    """Each presynaptic neuron has synapses to `k` randomly drawn postsynaptic neurons.

    Attributes
    ----------
    k
        Number of synapses, at most the number of postsynaptic neurons.
    """

    kind: Literal["fixed_outdegree"] = "fixed_outdegree"
    k: Positive

    def unfit(self, ends: Ends) -> str | None:
        """See `Sparse.unfit`."""
        return None if self.k <= ends.n_post else f"k of at most {ends.n_post}, the postsynaptic neurons, not {self.k}"

    def drawn(self, ends: Ends) -> tuple[Neurons, Neurons]:
        """Draw pairs, one presynaptic neuron after the other."""
        draws = self.draws(ends)
        pre, post = _listed(draws.choice(ends.n_post, self.k, replace=False) for _ in range(ends.n_pre))
        return post, pre


class PairwiseDistance(Drawn):
    """A pair of neurons has a synapse with probability p·exp(−distance²/(2·sigma²)).

    Neurons lie in a unit square, see `dyadnet.synapses.base.positions`.

    Attributes
    ----------
    p
        Probability at distance 0.
    sigma
        Width of the distribution, in sides of the square.
    """

    kind: Literal["pairwise_distance"] = "pairwise_distance"
    p: Probability = 1.0
    sigma: Annotated[float, Field(gt=0)]

    def drawn(self, ends: Ends) -> tuple[Neurons, Neurons]:
        """Draw pairs, one postsynaptic neuron after the other."""
        draws, theirs = self.draws(ends), positions(ends.pre)

        def chosen(at: NDArray[np.float64]) -> Neurons:
            squares = np.sum((theirs - at) ** 2, axis=1)
            probability = self.p * np.exp(-squares / (2 * self.sigma**2))
            return np.flatnonzero(draws.random(ends.n_pre) < probability)

        return _listed(chosen(at) for at in positions(ends.post))


class Local(Windows, Sparse):
    """A convolution without weight sharing: each position of the window has its own weights.

    There are no synapses from the padding. The postsynaptic population has the shape (filters, height, width).
    """

    kind: Literal["local"] = "local"

    def unfit(self, ends: Ends) -> str | None:
        """See `Sparse.unfit`."""
        if problem := self.unfit_window(ends):
            return problem
        return other_shape((ends.post[0], *self.moved(ends.pre)), ends)

    def drawn(self, ends: Ends) -> tuple[Neurons, Neurons]:
        """Return pairs by the positions of the window."""
        (filters, down, across), (inputs, height, width) = ends.post, ends.pre
        margins, kernel = self.margins(), sides(self.kernel)
        rows = np.arange(down)[:, None] * self.stride + np.arange(kernel[0]) - margins[0]
        columns = np.arange(across)[:, None] * self.stride + np.arange(kernel[1]) - margins[1]
        # Axes: down, across, channels, kernel's height and width.
        row, column = rows[:, None, None, :, None], columns[None, :, None, None, :]
        pre = (np.arange(inputs)[:, None, None] * height + row) * width + column
        inside = np.broadcast_to((row >= 0) & (row < height) & (column >= 0) & (column < width), pre.shape)
        place = np.broadcast_to(np.arange(down * across).reshape(down, across, 1, 1, 1), pre.shape)
        here, there = place[inside], pre[inside]
        post = np.arange(filters)[:, None] * (down * across) + here
        return post.reshape(-1).astype(np.int64), np.tile(there, filters).astype(np.int64)


class Pairs(Sparse):
    """Explicitly given pairs of neurons.

    Attributes
    ----------
    pairs
        A list or an array of (postsynaptic, presynaptic) neurons, counted from 0, or a mask: a boolean matrix of the
        shape (n_post, n_pre).
    file
        An ``.npy`` file with one of these. It is read once.
    packed
        The pairs as a configuration stores them, so that it needs no file: base64 of the compressed numbers.
    mask
        Shape of the mask, if the pairs were given as one.
    """

    kind: Literal["pairs"] = "pairs"
    packed: str
    mask: tuple[int, int] | None = None

    @model_validator(mode="before")
    @classmethod
    def _packed(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        values = dict(values)
        given = [name for name in ("pairs", "file", "packed") if values.get(name) is not None]
        if len(given) != 1:
            raise ValueError(f"one of pairs, file and packed should be given, not {' and '.join(given) or 'none'}")
        if given == ["packed"]:
            _unpacked(values["packed"])
            return values
        array = _loaded(values.pop("file")) if given == ["file"] else values.pop("pairs")
        pairs = _checked(array)
        values["packed"] = _pack(pairs)
        if (mask := np.asarray(array)).dtype == bool:
            values["mask"] = mask.shape
        return values

    def unfit(self, ends: Ends) -> str | None:
        """See `Sparse.unfit`."""
        if self.mask is not None and self.mask != (ends.n_post, ends.n_pre):
            return f"a mask of the shape {(ends.n_post, ends.n_pre)}, (post, pre), not {self.mask}"
        for name, side, size in zip(("post", "pre"), self.drawn(ends), (ends.n_post, ends.n_pre), strict=True):
            if len(side) and side.max() >= size:
                return f"{name}synaptic neurons from 0 to {size - 1}, not {side.max()}"
        return None

    @property
    def count(self) -> int:
        """Number of pairs."""
        return len(_unpacked(self.packed))

    def drawn(self, ends: Ends) -> tuple[Neurons, Neurons]:
        """Return the pairs as they were given."""
        post, pre = _unpacked(self.packed).T
        return post.copy(), pre.copy()


def _listed(others: Iterator[Neurons]) -> tuple[Neurons, Neurons]:
    """Convert the partners of each neuron to pairs: the neurons in order, and the partner of each."""
    each = list(others)
    return np.repeat(np.arange(len(each)), [len(part) for part in each]), np.concatenate([*each, np.zeros(0, int)])


def _loaded(file: Any) -> NDArray[Any]:
    if not isinstance(file, str | Path):
        raise ValueError("file should be the path of an .npy file")
    try:
        loaded = np.load(file, allow_pickle=False)
    except OSError as problem:
        raise ValueError(f"file should be an .npy file that can be read; {file}: {problem.strerror}") from None
    except (ValueError, EOFError):
        raise ValueError(f"file should be an .npy file of numbers; {file} is none, or is cut off") from None
    if not isinstance(loaded, np.ndarray):
        raise ValueError("file should be an .npy file with one array, not an .npz")
    return loaded


def _checked(given: Any) -> Neurons:
    """Check an array of pairs or a mask, and return pairs of shape (pairs, 2)."""
    try:
        array = np.asarray(given)
    except ValueError:
        array = np.zeros(0)
    if array.dtype == bool and array.ndim == 2:
        return np.argwhere(array).astype(np.int64)
    if array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in "iu":
        raise ValueError(
            "pairs should be whole numbers of the shape (pairs, 2), or a mask of True and False, "
            f"not {array.dtype} of the shape {array.shape}"
        )
    if len(array) and (array.min() < 0 or array.max() >= 2**31):
        raise ValueError("pairs should be numbers of neurons, from 0 on")
    found, counts = np.unique(array, axis=0, return_counts=True)
    if len(found) < len(array):
        twice = tuple(found[np.argmax(counts)].tolist())
        raise ValueError(f"each of the pairs should be there once; {twice} is there {counts.max()} times")
    return array.astype(np.int64)


def _pack(pairs: Neurons) -> str:
    return base64.b64encode(zlib.compress(pairs.astype("<i4").tobytes(), 9)).decode()


@lru_cache(maxsize=16)
def _unpacked(packed: str) -> Neurons:
    try:
        numbers = np.frombuffer(zlib.decompress(base64.b64decode(packed, validate=True)), dtype="<i4")
        return _checked(numbers.reshape(-1, 2).astype(np.int64))
    except (binascii.Error, zlib.error, ValueError, TypeError) as problem:
        raise ValueError(f"packed should be as a configuration keeps pairs; {problem}") from None
