"""What an installed dyadnet does far from its checkout: a run on actors, a study and the estimator.

Run by the Python of an environment in which nothing but a wheel is installed, with the extra ``sklearn``::

    python -I tests/wheel.py

It knows nothing of the tests beside it, so that it can be copied anywhere.
"""

import contextlib
import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

SMALL = """
data: {limit_train: 100, limit_test: 50}
network: {layered: {hidden: [12]}}
learning: {epochs: 1}
"""
STUDY = """
base: {data: digits, set: {data.limit_train: 100, data.limit_test: 50, learning.epochs: 1}}
axes: [{key: dynamics.delay, grid: [1, 2]}]
"""


def dyadnet(*arguments: str) -> dict[str, object]:
    """The object that a command prints."""
    command = [sys.executable, "-I", "-m", "dyadnet", *arguments, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Try it; any failure is an exception."""
    import dyadnet as package
    import dyadnet_actors

    for found in (package, dyadnet_actors):
        assert "site-packages" in str(found.__file__), f"{found.__file__}: not from a wheel"
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("small.yaml").write_text(SMALL)
        Path("study.yaml").write_text(STUDY)
        run = dyadnet("train", "small.yaml", "--out", "run")
        assert run["state"] == "finished", run
        local = dyadnet("train", "small.yaml", "--engine", "local", "--out", "local")
        assert run["weights_sha256"] == local["weights_sha256"]
        assert Path("run/report.html").stat().st_size > 10_000
        study = dyadnet("study", "study.yaml", "--out", "study")
        assert study["ok"] == study["trials"], study
        assert Path("study/summary.md").exists()
        _estimator()
    print(f"dyadnet {version('dyadnet')}, Python {sys.version.split()[0]}: a run, a study and the estimator work")


def _estimator() -> None:
    from sklearn.datasets import load_iris

    from dyadnet.sklearn import DyadicClassifier

    X, y = load_iris(return_X_y=True)
    fitted = DyadicClassifier(hidden_layer_sizes=(8,), max_iter=5, random_state=0).fit(X, y)
    assert fitted.predict(X).shape == y.shape


if __name__ == "__main__":
    main()
