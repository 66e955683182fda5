"""The recipes for other people's tools run as they are written, and leave with each tool what the page says.

Run by ``make test-extras``, which installs the tools.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import dyadnet as dn
from tests.actors.clusters import TOKEN, clean_environment

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "other-tools.md"
RECIPES = dict(re.findall(r"```python title=\"with_(\w+)\.py\"\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))


def ran(tool: str, folder: Path) -> str:
    """What a recipe prints, as a program in a folder of its own."""
    program = folder / f"with_{tool}.py"
    program.write_text(RECIPES[tool], encoding="utf-8")
    # Without, Ray leaves a token in the home folder.
    environment = clean_environment() | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    command = [sys.executable, program.name]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_recipe_is_a_program_and_has_a_test() -> None:
    assert set(RECIPES) == {"tensorboard", "mlflow", "wandb", "optuna", "ray_tune"}
    for tool, text in RECIPES.items():
        compile(text, f"with_{tool}.py", "exec")
        assert f"def test_{tool}(" in Path(__file__).read_text(encoding="utf-8")


@pytest.mark.extras
def test_tensorboard(tmp_path: Path) -> None:
    ran("tensorboard", tmp_path)
    assert list((tmp_path / "runs" / "shown" / "tensorboard").glob("events.out.tfevents.*"))


@pytest.mark.extras
def test_mlflow(tmp_path: Path) -> None:
    ran("mlflow", tmp_path)
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (run,) = mlflow.search_runs(experiment_names=["dyads"], output_format="list")
    assert run.info.status == "FINISHED"
    assert run.data.params["learning.epochs"] == "3"
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "validation_accuracy")
    expected = dn.load(tmp_path / "runs" / "logged").history["validation_accuracy"]
    assert [(metric.step, metric.value) for metric in history] == list(enumerate(expected, 1))


@pytest.mark.extras
def test_wandb(tmp_path: Path) -> None:
    ran("wandb", tmp_path)
    (kept,) = (tmp_path / "wandb").glob("offline-run-*/run-*.wandb")
    assert b"validation_accuracy" in kept.read_bytes()


@pytest.mark.extras
def test_optuna(tmp_path: Path) -> None:
    told = ran("optuna", tmp_path)
    runs = [dn.load(path) for path in sorted((tmp_path / "runs").iterdir())]
    assert len(runs) == 6
    states = [run.status.state for run in runs]
    assert set(states) == {"finished", "stopped"}
    # Who is pruned trains for fewer epochs, and says so.
    for run in runs:
        assert (len(run.history["epoch"]) < 4) == run.status.why.startswith("pruned")
    best = max(run.history["validation_accuracy"].max() for run in runs if run.status.state == "finished")
    assert float(told.split()[-1]) == best


@pytest.mark.extras
def test_ray_tune(tmp_path: Path) -> None:
    told = ran("ray_tune", tmp_path)
    lam, accuracy = re.findall(r"^\{'lam': ([\d.]+)\} ([\d.]+)$", told, re.MULTILINE)[-1]
    assert float(lam) in (0.0, 0.5, 1.0)
    assert float(accuracy) > 0.5
