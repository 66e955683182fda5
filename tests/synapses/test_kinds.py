"""Kinds of projections as array functions: θ, its transpose, and the gradient of what they are multiplied to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dyadnet.synapses.base import Ends
from dyadnet.synapses.compiled import CompiledKind
from tests.synapses.kinds import LARGEST, LINEAR, built

ROWS = 70
"""More than are multiplied at a time."""


def parameters(kind: CompiledKind, ends: Ends, draws: np.random.Generator) -> dict[str, NDArray[Any]]:
    return kind.initial(ends, 1.0, draws)


def loops(kind: Any, ends: Ends, weights: NDArray[Any], x: NDArray[Any]) -> NDArray[Any]:
    """A convolution of one row before pooling, number by number."""
    channels, height, width = ends.pre
    (above, left), (down, across) = kind.margins(), kind.moved(ends.pre)
    image = np.zeros((channels, height + 2 * above, width + 2 * left))
    image[:, above : above + height, left : left + width] = x.reshape(ends.pre)
    filters, _, kernel_height, kernel_width = weights.shape
    result = np.zeros((filters, down, across))
    for f in range(filters):
        for a in range(down):
            for b in range(across):
                i, j = a * kind.stride, b * kind.stride
                window = image[:, i : i + kernel_height, j : j + kernel_width]
                result[f, a, b] = np.sum(weights[f] * window)
    return result


@pytest.mark.parametrize("name", LINEAR)
@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**32))
def test_backward_is_the_transpose_of_forward_and_both_are_the_dense_matrix(name: str, seed: int) -> None:
    (kind, ends), draws = built(name), np.random.default_rng(seed)
    p = kind.prepared(parameters(kind, ends, draws), ends)
    x, y = draws.standard_normal((ROWS, ends.n_pre)), draws.standard_normal((ROWS, ends.n_post))
    theta = kind.dense(p, ends)
    np.testing.assert_allclose(kind.forward(p, x), x @ theta.T, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(kind.backward(p, y), y @ theta, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", [*LINEAR, *LARGEST])
def test_contrast_is_the_gradient(name: str) -> None:
    (kind, ends), draws = built(name), np.random.default_rng(0)
    values = parameters(kind, ends, draws)
    x, y = draws.standard_normal((ROWS, ends.n_pre)), draws.standard_normal((ROWS, ends.n_post))
    found = kind.contrast(kind.prepared(values, ends), y, x)
    assert {key: array.shape for key, array in found.items()} == kind.shapes(ends)
    for key, gradient in found.items():
        change = draws.standard_normal(gradient.shape)

        def product(step: float, key: str = key, change: NDArray[Any] = change) -> float:
            moved = values | {key: values[key] + step * change}
            return float(np.sum(y * kind.forward(kind.prepared(moved, ends), x)))

        slope = (product(1e-6) - product(-1e-6)) / 2e-6
        np.testing.assert_allclose(np.sum(gradient * change), slope, rtol=1e-6)


@pytest.mark.parametrize("name", [name for name in LINEAR | LARGEST if "convolution" in name and "trans" not in name])
def test_a_convolution_is_what_loops_make(name: str) -> None:
    (kind, ends), draws = built(name), np.random.default_rng(1)
    values, x = parameters(kind, ends, draws), draws.standard_normal((5, ends.n_pre))
    found = kind.forward(kind.prepared(values, ends), x)
    for row, result in zip(found, x, strict=True):
        expected = loops(kind, ends, values[""], result)
        pool = kind.pool  # type: ignore[attr-defined]
        windows = expected.reshape(len(expected), expected.shape[1] // pool, pool, -1, pool).swapaxes(2, 3)
        pooled = windows.max((3, 4)) if "largest" in name else windows.mean((3, 4))
        np.testing.assert_allclose(row, pooled.reshape(-1), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", LARGEST)
def test_feedback_passes_through_the_largest(name: str) -> None:
    (kind, ends), draws = built(name), np.random.default_rng(2)
    p = kind.prepared(parameters(kind, ends, draws), ends)
    x, y = draws.standard_normal((3, ends.n_pre)), draws.standard_normal((3, ends.n_post))
    change = draws.standard_normal(x.shape)
    slope = np.sum(y * (kind.forward(p, x + 1e-6 * change) - kind.forward(p, x - 1e-6 * change))) / 2e-6
    np.testing.assert_allclose(np.sum(kind.backward(p, y, x) * change), slope, rtol=1e-6)


def test_local_synapses_of_shared_weights_are_a_convolution() -> None:
    (local, ends), draws = built("local"), np.random.default_rng(3)
    shared, _ = built("strided")
    convolution = shared.model_copy(update={"kernel": 3, "stride": 2, "padding": 1})
    weights = draws.standard_normal(convolution.shape(ends))
    theta = convolution.dense(convolution.prepared({"": weights}, ends), ends)
    post, pre = local.pairs(ends)  # type: ignore[attr-defined]
    own = local.dense(local.prepared({"": theta[post, pre]}, ends), ends)
    np.testing.assert_array_equal(own, theta)


@pytest.mark.parametrize("name", [*LINEAR, *LARGEST])
def test_types_are_kept(name: str) -> None:
    (kind, ends), draws = built(name), np.random.default_rng(4)
    values = {key: array.astype(np.float32) for key, array in parameters(kind, ends, draws).items()}
    p = kind.prepared(values, ends)
    x, y = (draws.standard_normal((2, n)).astype(np.float32) for n in (ends.n_pre, ends.n_post))
    results = [kind.forward(p, x), kind.backward(p, y), *kind.contrast(p, y, x).values()]
    assert {array.dtype for array in results} == {np.dtype(np.float32)}


# Rules of sparse synapses


def matrix(name: str, post: int = 40, pre: int = 60, **changed: Any) -> NDArray[Any]:
    """Which pairs a rule makes between larger populations."""
    kind, _ = built(name)
    kind = kind.model_copy(update=changed)
    ends = Ends((post,), (pre,), "a->b")
    found = np.zeros((post, pre), dtype=int)
    np.add.at(found, kind.pairs(ends), 1)  # type: ignore[attr-defined]
    assert found.max() <= 1
    return found


def test_rules_make_as_many_synapses_as_their_names_say() -> None:
    assert matrix("fixed_indegree").sum(axis=1).tolist() == [5] * 40
    assert matrix("fixed_outdegree").sum(axis=0).tolist() == [4] * 60
    np.testing.assert_array_equal(matrix("one_to_one", 30, 30), np.eye(30))
    assert abs(matrix("pairwise_bernoulli", 400, 600).mean() - 0.3) < 4 * np.sqrt(0.3 * 0.7 / 240_000)
    assert matrix("pairwise_bernoulli", p=1.0).all()


def test_pairs_depend_on_the_seed_of_the_kind_and_on_the_projection() -> None:
    kind, ends = built("pairwise_bernoulli")
    other = Ends(ends.post, ends.pre, "c->d")
    first = kind.part(ends, slice(0, 9), slice(0, 11))
    assert len(first) == kind.shape(ends)[0]
    pairs = [
        np.stack(one.pairs(where)).tolist()  # type: ignore[attr-defined]
        for one, where in [(kind, ends), (kind, other), (kind.model_copy(update={"seed": 1}), ends)]
    ]
    assert pairs[0] != pairs[1]
    assert pairs[0] != pairs[2]


def test_near_neurons_have_more_synapses() -> None:
    kind, ends = built("pairwise_distance")
    from dyadnet.synapses.sparse import positions

    post, pre = kind.pairs(ends)  # type: ignore[attr-defined]
    there, here = positions(ends.post), positions(ends.pre)
    joined = np.linalg.norm(there[post] - here[pre], axis=1).mean()
    every = np.linalg.norm(there[:, None] - here[None], axis=2).mean()
    assert joined < 0.75 * every


# Parts


@pytest.mark.parametrize("name", [*LINEAR, *LARGEST])
def test_parts_of_a_projection_make_up_the_whole(name: str) -> None:
    kind, ends = built(name)
    draws = np.random.default_rng(5)
    shape = kind.shape(ends)
    weights = draws.standard_normal(shape)
    whole = kind.dense(kind.prepared({"": weights} if weights.size else {}, ends), ends)
    found = np.zeros_like(whole)
    for post in halves(ends.post):
        for pre in halves(ends.pre):
            if not kind.joins(ends, post, pre):
                continue
            plan, part = kind.plan(ends, post, pre), np.ascontiguousarray(weights[kind.part(ends, post, pre)])
            p = part if plan is None else (plan, part.reshape(-1), {"": part.shape})
            rows = np.eye(pre.stop - pre.start)
            found[post, pre] = kind.forward(p, rows).T
    np.testing.assert_allclose(found, whole, atol=1e-13)


def halves(shape: tuple[int, ...]) -> list[slice]:
    area = int(np.prod(shape[1:]))
    middle = shape[0] // 2 * area
    return [slice(0, middle), slice(middle, shape[0] * area)]
