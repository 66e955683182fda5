"""Consistency checks of a projection kind's methods. Inconsistent methods would learn nonsense, so they are refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.errors import ConfigError
from dyadnet.synapses.base import Ends, ProjectionKind

Array = NDArray[Any]

PARAMETER = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,99}")
"""Legal parameter names. They start with a letter, so that ``<block>.<name>`` cannot be the name of a block."""
ROWS, CHANGE, TOLERANCE = 2, 1e-5, 1e-5
"""Number of samples, step of finite differences, and the largest error relative to the sum of all absolute terms."""


def check(kind: ProjectionKind, ends: Ends, field: str) -> None:
    """Check that arrays have the correct shapes, and that `backward` and `contrast` are consistent with `forward`.

    The check uses random numbers in float64. It tests ⟨y, θx⟩ = ⟨θᵀy, x⟩, and the derivative of ⟨y, θx⟩ along a random
    change of all parameters.

    Parameters
    ----------
    ends
        The two ends that the kind should join.
    field
        Name of the setting in errors.

    Raises
    ------
    ConfigError
        Names the faulty method.
    """
    try:
        problem = _problem(kind, ends)
    except Exception as failure:
        why = f"it fails with {type(failure).__name__}: {failure}"
        raise ConfigError(field, kind.kind, f"a kind of projection that works; {why}") from failure
    if problem is not None:
        raise ConfigError(field, kind.kind, f"a kind of projection that works; {problem}")


def _problem(kind: ProjectionKind, ends: Ends) -> str | None:
    draws = np.random.default_rng(0)
    x, y = draws.standard_normal((ROWS, ends.n_pre)), draws.standard_normal((ROWS, ends.n_post))
    shapes = dict(kind.shapes(ends))
    for name in shapes:
        if not PARAMETER.fullmatch(name):
            return f"its parameter {name!r} needs a name of a-z, A-Z, 0-9, '_' and '-', a letter first"
    values = {name: np.asarray(a, dtype=np.float64) for name, a in kind.initial(ends, 1.0, draws).items()}
    if {name: array.shape for name, array in values.items()} != shapes:
        return f"its method initial does not make the arrays that its method shapes names, {shapes}"
    p = kind.prepared(values, ends)
    product, feedback, gradient = kind.forward(p, x), kind.backward(p, y), kind.contrast(p, y, x)
    made = [("forward", product, y.shape), ("backward", feedback, x.shape)]
    made += [(f"contrast, {name!r}", gradient.get(name, np.empty(0)), shape) for name, shape in shapes.items()]
    for method, array, shape in made:
        if np.shape(array) != shape:
            return f"its method {method}: shape {np.shape(array)} for {ROWS} rows, not {shape}"
    up, down = y * product, feedback * x
    if _differ(float(up.sum()), float(down.sum()), np.abs(up).sum()):
        return "its method backward is not the transpose of its method forward"
    changes = {name: draws.standard_normal(array.shape) for name, array in values.items()}
    slopes = (_along(kind, ends, values, changes, sign * CHANGE, x, y) for sign in (1, -1))
    slope = (next(slopes) - next(slopes)) / (2 * CHANGE)
    terms = [gradient[name] * change for name, change in changes.items()]
    size = np.abs(up).sum() + sum(np.abs(term).sum() for term in terms)
    if _differ(slope, float(sum(term.sum() for term in terms)), size):
        return "its method contrast is not the gradient of its method forward"
    return None


def _along(
    kind: ProjectionKind,
    ends: Ends,
    values: Mapping[str, Array],
    changes: Mapping[str, Array],
    step: float,
    x: Array,
    y: Array,
) -> float:
    """Return ⟨y, θx⟩ for changed parameters."""
    p = kind.prepared({name: array + step * changes[name] for name, array in values.items()}, ends)
    return float(np.sum(y * kind.forward(p, x)))


def _differ(one: float, other: float, size: float) -> bool:
    """Whether two numbers differ. The comparison is written so that NaN differs, too."""
    return not abs(one - other) <= TOLERANCE * size
