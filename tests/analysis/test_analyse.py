"""``dyadnet analyse``: everything about saved weights, or one line that says why not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.cli.test_main import complaint, run

FEW = ["--samples", "6", "--epsilons", "0,0.1", "--sigmas", "0.2"]


@pytest.fixture
def sshm(runs: Mapping[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(runs["sshm"], tmp_path / "sshm"))


def analysed(folder: Path, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    assert run("analyse", str(folder), *FEW, "--json", *options) == 0
    captured = capsys.readouterr()
    assert "L_hidden" in captured.err
    found: dict[str, Any] = json.loads(captured.out.splitlines()[-1])
    return found


def test_an_analysis_leaves_its_findings_and_a_picture_with_the_run(
    sshm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.name for path in sshm.iterdir()}
    found = analysed(sshm, capsys)
    assert {path.name for path in sshm.iterdir()} == before | {"analysis.json", "analysis.png"}
    assert json.loads((sshm / "analysis.json").read_text(encoding="utf-8")) == found
    assert (sshm / "analysis.png").read_bytes().startswith(b"\x89PNG")
    assert found["couplings"] == [-1.0, -1.0]
    assert found["lipschitz"]["linear"]["hidden"] <= 1 + 1e-9
    assert found["stability"]["radius"]["max"] > 0
    assert abs(found["stability"]["rightmost"]["max"]) < 1e-9
    assert found["gradient"]["ideal"]["cosine"]["whole"] > 0.99
    assert found["gradient"]["run"]["beta"] == 0.1
    settling = found["settling"]
    assert settling["ticks"]["max"] == 2 * settling["sweeps"]["max"]
    assert settling["sweeps"]["mean"] <= settling["sweeps"]["max"]
    assert [row["epsilon"] for row in found["robustness"]["adversarial"]] == [0, 0.1]
    # What `evaluate` says of the same weights.
    assert run("evaluate", str(sshm), "--json") == 0
    evaluated = json.loads(capsys.readouterr().out)
    test = found["generalisation"]["test"]
    assert (test["accuracy"], test["loss"]) == (evaluated["accuracy"], evaluated["loss"])
    assert test["loss_gap"] == test["loss"] - found["generalisation"]["train"]["loss"]


def test_the_engine_that_a_run_was_trained_on_makes_no_difference(
    sshm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = analysed(sshm, capsys, "--out", str(tmp_path / "one"))
    change(sshm, engine="ray")
    assert analysed(sshm, capsys, "--out", str(tmp_path / "two")) == found
    assert not (sshm / "analysis.json").exists()


def test_a_run_in_real_time_is_analysed_at_rest(sshm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(sshm, engine="ray", dynamics={"mode": "free"})
    assert analysed(sshm, capsys)["settling"]["capped"] == 0


def test_other_parts_and_weights(sshm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = analysed(sshm, capsys, "--part", "validation", "--weights", "last")
    assert (found["part"], found["weights"], found["epoch"]) == ("validation", "last", 10)
    change(sshm, learning={"epochs": 12})
    assert run("analyse", str(sshm), *FEW, "--weights", "last") == 0
    assert "epoch 10 of 12" in capsys.readouterr().err


def test_what_cannot_be_analysed_is_refused_in_a_line(
    sshm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(folder: Path, *options: str) -> str:
        before = set(tmp_path.rglob("*"))
        line = complaint(capsys, "analyse", str(folder), *options)
        assert set(tmp_path.rglob("*")) == before
        return line

    assert "no run here" in refused(tmp_path / "nowhere")
    assert "one of best, last" in refused(sshm, "--weights", "worst")
    assert "validation" in refused(sshm, "--part", "exam")
    assert "1 to 360" in refused(sshm, "--samples", "361")
    assert "--epsilons" in refused(sshm, "--epsilons", "-0.1")
    assert "--sigmas" in refused(sshm, "--sigmas", "some")
    assert "this is a file" in refused(sshm, "--out", str(sshm / "config.yaml"))
    weights = sshm / "checkpoints" / "best" / "h2.npz"
    kept = weights.read_bytes()
    weights.write_bytes(kept[: len(kept) // 2])
    assert "damaged" in refused(sshm)
    with np.load(sshm / "checkpoints" / "best" / "out.npz") as out:
        arrays = {key: out[key] for key in out.files}
    weights.write_bytes(kept)
    np.savez(sshm / "checkpoints" / "best" / "out.npz", **{key: 2 * array for key, array in arrays.items()})
    assert "altered" in refused(sshm)
    weights.unlink()
    assert "not found" in refused(sshm)
    shutil.rmtree(sshm / "checkpoints")
    assert "no weights here (manifest.json is missing); a run saves them after every epoch" in refused(sshm)


def change(folder: Path, **values: Any) -> None:
    """Settings of a run's folder, replaced."""
    path = folder / "config.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    for key, value in values.items():
        config[key] = config[key] | value if key == "learning" else value
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
