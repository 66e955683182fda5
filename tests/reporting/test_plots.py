"""Pictures: names are drawn as they are, a program's matplotlib is left as it was, and no picture ends a run."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from dyadnet.reporting.plots import curves, literal, panels, probed, spared, written
from dyadnet.training.api import train
from tests.checkpoint.runs import Watching, settings

NAMES = ["cost_$5_{vs$", "a$$b", "$x^2$", "\\$", "\\alpha_{", "100%", "$\\frac{1$", "ab$"]


def line(epoch: int, block: str) -> dict[str, Any]:
    part = {"loss": 0.5, "accuracy": 0.5, "sweeps": 3.0, "most_sweeps": 4, "blocks": {block: {"saturated": 0.1}}}
    return {"kind": "epoch", "epoch": epoch, "radius": 1.0, "train": part, "validation": part, "test": part}


@pytest.mark.parametrize("name", NAMES)
def test_names_are_drawn_as_they_are(name: str, tmp_path: Path) -> None:
    figure, ((axis,),) = panels(1, 1, (2, 2))
    shown = axis.set_title(literal(name))
    written(figure, tmp_path / "a.png")
    told, how = shown._preprocess_math(shown.get_text())
    assert (told, how) == (name, False)
    curves([line(1, name), line(2, name)], tmp_path / "curves.png", name)
    series: dict[str, Any] = {f"{name}/ticks": np.arange(2)}
    series |= {f"{name}/{key}": np.zeros((2, 1, 1)) for key in ("plus", "minus", "mean", "difference")}
    probed(series, tmp_path / "probed.png", name)
    assert (tmp_path / "curves.png").exists()


@pytest.mark.parametrize("theirs", [{"text.usetex": True}, {"text.parse_math": False}, {"font.size": 40.0}])
def test_settings_of_a_users_matplotlib_end_nothing_and_stay(theirs: Any, tmp_path: Path) -> None:
    with mpl.rc_context(theirs):
        before = dict(mpl.rcParams)
        curves([line(1, "h1"), line(2, "h1")], tmp_path / "curves.png", "run")
        assert dict(mpl.rcParams) == before
    assert (tmp_path / "curves.png").exists()


@pytest.mark.pictures
def test_a_program_finds_its_matplotlib_as_it_was(tmp_path: Path) -> None:
    mpl.use("svg")
    plt.close("all")
    mine = plt.figure()
    before = mpl.get_backend(), plt.get_fignums(), dict(mpl.rcParams)
    train(settings(), tmp_path / "run")
    assert (mpl.get_backend(), plt.get_fignums(), dict(mpl.rcParams)) == before
    assert plt.gcf() is mine
    assert (tmp_path / "run" / "curves.png").exists()
    plt.close("all")


@pytest.mark.pictures
def test_a_picture_that_cannot_be_drawn_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(figure: Figure, *arguments: Any, **options: Any) -> None:
        raise RuntimeError("Failed to process\n  string with tex")

    monkeypatch.setattr(Figure, "savefig", refused)
    watching = Watching()
    train(settings(), tmp_path / "run", watching)
    assert watching.warnings == ["no pictures: RuntimeError: Failed to process string with tex"]
    assert (tmp_path / "run" / "report.html").exists()


@pytest.mark.pictures
def test_interrupting_what_is_drawn_after_the_end_undoes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(figure: Figure, *arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Figure, "savefig", interrupted)
    watching = Watching()
    assert train(settings(), tmp_path / "run", watching).best_epoch >= 1
    (told,) = watching.warnings
    assert told.startswith(
        "stopped while drawing pictures, after the training was over; for the report: dyadnet report "
    )


@pytest.mark.parametrize(
    "problem", [ValueError("$\\frac{1$\n^\nParseException"), OSError(28, "No space"), ImportError("agg")]
)
def test_studies_and_analyses_go_on_without_a_picture(problem: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    @spared
    def draw() -> None:
        raise problem

    draw()
    told = capsys.readouterr().err
    assert told.startswith("warning: no picture: ")
    assert told.count("\n") == 1


def test_two_threads_may_draw(tmp_path: Path) -> None:
    def draw(number: int) -> None:
        curves([line(1, "h1"), line(2, "h1")], tmp_path / f"{number}.png", str(number))

    threads = [threading.Thread(target=draw, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(tmp_path.iterdir())) == 3


def test_of_no_epochs_there_is_no_picture(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    curves([{"kind": "minibatch", "epoch": 1}], tmp_path / "curves.png", "stopped at once")
    assert not (tmp_path / "curves.png").exists()
    assert not list(recwarn)
