"""The NumPy-only inference of docs/export.md says what dyadnet says, for every model and any graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dyadnet as dn
from dyadnet.data import load
from dyadnet.runs.export import export
from tests.checkpoint.runs import settings
from tests.docs.test_tutorial import DOCS, pieces
from tests.runs.test_export import GRAPH


@pytest.fixture(scope="module")
def outputs() -> Callable[..., Any]:
    """The function on the page, which imports nothing but NumPy and what Python has."""
    (piece,) = (piece for piece in pieces(DOCS / "export.md") if piece.title == "inference.py")
    imports = [line for line in piece.text.splitlines() if "import" in line]
    assert imports == ["import json", "import numpy as np"]
    names: dict[str, Any] = {}
    exec(compile(piece.text, "inference.py", "exec"), names)
    found: Callable[..., Any] = names["outputs"]
    return found


def chain(lam: float, **more: Any) -> dict[str, Any]:
    """A chain of two hidden layers."""
    return {"layered": {"inputs": 64, "hidden": [20, 16], "outputs": 10, "lam": lam, "gain": 1.2, **more}}


@pytest.mark.parametrize(
    "network",
    [
        chain(0.0),
        chain(0.5, activation="tanh", loss="cross-entropy"),
        chain(0.3, activation="logistic", blocks=3),
        chain(1.0, gain=0.3),
        chain(0.0, activation="leaky-relu", gain=0.6),
        GRAPH,
    ],
    ids=["sshm", "ffm", "mixed", "hm", "leaky", "graph"],
)
def test_it_settles_to_the_same_outputs(network: dict[str, Any], outputs: Callable[..., Any], tmp_path: Path) -> None:
    values = settings().model_dump(mode="json") | {"network": network}
    run = dn.train(dn.RunConfig.read(values), tmp_path / "run")
    export(tmp_path / "run", tmp_path / "weights.npz")
    x = load("digits").test.images[:40]
    assert np.abs(outputs(tmp_path / "weights.npz", x) - run.outputs(x)).max() < 1e-5


def test_it_normalises_inputs_as_the_run_did(outputs: Callable[..., Any], tmp_path: Path) -> None:
    run = dn.train(settings(data={"normalise": True}), tmp_path / "run")
    export(tmp_path / "run", tmp_path / "weights.npz")
    x = load("digits").test.images[:40]
    assert np.abs(outputs(tmp_path / "weights.npz", x) - run.outputs(x)).max() < 1e-5


def test_it_says_so_if_it_does_not_settle(outputs: Callable[..., Any], tmp_path: Path) -> None:
    dn.train(settings(), tmp_path / "run")
    export(tmp_path / "run", tmp_path / "weights.npz")
    with pytest.raises(RuntimeError, match="try a smaller step"):
        outputs(tmp_path / "weights.npz", load("digits").test.images[:2], most=3)
