"""What a notebook shows of networks, settings, runs and of how a run goes."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

import dyadnet as dn
from dyadnet.config import RunConfig
from dyadnet.notebook import html, progress, usual_watcher
from dyadnet.notebook.progress import NotebookProgress
from dyadnet.process.console import in_notebook
from dyadnet.runs.watcher import Silent
from dyadnet.study import Result, plan
from dyadnet.study.progress import StudyBar
from tests.study.definitions import tiny
from tests.telemetry.runs import settings


def texts(shown: Any) -> list[str]:
    """Texts of a piece of HTML, or of what a notebook shows of an object, which is well-formed."""
    page: str = shown if isinstance(shown, str) else shown._repr_html_()
    return [text.strip() for text in ElementTree.fromstring(page.replace("<br>", "<br/>")).itertext() if text.strip()]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> dn.Run:
    """A finished one."""
    return dn.train(RunConfig.read(settings()), tmp_path_factory.mktemp("runs") / "<b>run</b> & more", report=False)


def test_a_network_shows_its_populations_and_projections() -> None:
    found = texts(dn.layered(64, [14, 12], 10, lam=[0.5, 0.0]))
    assert "64 inputs, 3 populations, 36 neurons, 1,184 synapses" in found
    assert [found[found.index(name) + 1] for name in ("h1", "h2", "out")] == ["14", "12", "10"]
    assert found[found.index("h1 → h2") + 1] == "0.5"
    unsized = texts(dn.layered(hidden=[14]))
    assert "inputs from the data, 2 populations" in unsized
    assert unsized[unsized.index("out") + 1] == "from the data"
    many = texts(dn.layered(64, [5] * 30, 10))
    assert "and 19 more" in many


def test_a_network_shows_shapes_and_kinds() -> None:
    layers: list[Any] = ["conv 4 3x3", "pool 2 max", {"layer": "conv 6 2x2", "name": "b"}, "sparse 5 0.5", "dense"]
    found = texts(dn.from_layers(layers, inputs=(2, 8, 8)))
    assert [found[found.index(name) + 1] for name in ("conv1", "b", "sparse3")] == ["4×3×3", "6×2×2", "5"]
    assert found[found.index("input → conv1 (convolution, kernel 3x3, max_pool 2)") + 1] == "–"
    assert "b → sparse3 (pairwise_bernoulli, p 0.5)" in found
    assert "2×8×8 inputs, 4 populations" in found
    pairs = dn.Network(
        3,
        (dn.Population("a", 2), dn.Population("out", 2)),
        (dn.Projection("input", "a", kind={"kind": "pairs", "pairs": [[0, 1]]}), dn.Projection("a", "out", 0.5)),
    )
    assert "input → a (1 pairs)" in texts(pairs)


def test_a_configuration_shows_what_differs_from_the_defaults() -> None:
    found = texts(RunConfig.read(settings()))
    assert found[found.index("learning.epochs") + 1] == "2"
    assert "dynamics.tolerance" not in found
    assert any(text.startswith("network:") for text in found)


def test_a_run_shows_how_it_stands_whatever_its_name(run: dn.Run) -> None:
    page = run._repr_html_()
    assert "<b>run</b> & more" in " ".join(texts(page))
    assert "&lt;b&gt;run" in page
    assert f"{run.test_accuracy:.2%}" in page
    assert len(re.findall("<polyline", page)) == 2


def test_a_run_without_an_epoch_says_so(run: dn.Run, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(run.config.to_yaml())
    (tmp_path / "metrics.jsonl").write_text("")
    assert "no epoch has ended" in dn.load(tmp_path)._repr_html_()


@pytest.mark.parametrize("values", [[], [float("nan")], [1.0], [2.0, 2.0], [3.0, float("nan"), 1.0]])
def test_a_curve_is_drawn_of_whatever_is_known(values: list[float]) -> None:
    drawn = html.curve(values)
    points = re.findall(r"[\d.]+,[\d.]+", drawn)
    assert len(points) == sum(value == value for value in values)
    assert all(0 <= float(y) <= html.HIGH for _, y in (point.split(",") for point in points))


def test_progress_moves_with_the_run_and_tells_what_there_is_to_know(tmp_path: Path) -> None:
    shown: list[str] = []
    watcher = NotebookProgress(shown.append)
    watcher.note("a <note>")
    run = dn.train(RunConfig.read(settings()), tmp_path / "run", watcher, report=False)
    bars = [re.search(r'value="(\d+)" max="(\d+)"', page) for page in shown]
    done = [int(bar[1]) / int(bar[2]) for bar in bars if bar]
    assert len(done) == len(shown)
    assert done == sorted(done)
    assert done[-1] == 1.0
    last = " ".join(texts(shown[-1]))
    assert "epoch 2 of 2" in last
    assert f"test {run.history['test_accuracy'][-1]:.2%}" in last
    assert "a <note>" in last


def test_progress_is_drawn_now_and_then_within_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("dyadnet.notebook.progress.time.monotonic", lambda: now[0])
    shown: list[str] = []
    watcher = NotebookProgress(shown.append)
    watcher.started(RunConfig.read(settings()), 100)
    for index in range(100):
        now[0] = index * progress.EVERY / 10
        watcher.minibatch(0, index, 1.0, 0.5, 3.0)
    assert 9 <= len(shown) <= 12


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A kernel that this process seems to be, and what it shows."""
    shown: list[str] = []
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    handle = SimpleNamespace(update=shown.append)
    display = SimpleNamespace(HTML=str, display=lambda page, display_id: handle)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return shown


def test_a_study_moves_a_bar_and_prints_no_lines(
    notebook: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("dyadnet.study.progress.TOLD_EVERY", 0.0)
    trials = plan(tiny(models=["ffm"], seeds=2, reference=False, axes=[{"key": "learning.beta", "grid": [0.1]}]))
    with StudyBar(trials, {}, 1) as bar:
        for number, trial in enumerate(trials):
            assert f'value="{number}" max="2"' in notebook[-1]
            bar.ended(trial, Result("ok", "", {"seconds": 50.0}))
    assert "2 of 2 trials · 2 ok" in texts(notebook[-1])[0]
    assert capsys.readouterr().err == ""


def test_a_terminal_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (None, SimpleNamespace(get_ipython=lambda: None), SimpleNamespace(get_ipython=lambda: object())):
        monkeypatch.setitem(sys.modules, "IPython", module)
        assert not in_notebook()
        assert isinstance(usual_watcher(), Silent)


def named(**more: Any) -> RunConfig:
    """A configuration that names its engine only if that is among `more`."""
    values = {key: value for key, value in settings().items() if key != "engine"}
    return RunConfig.read(values | more)


def test_in_a_notebook_a_run_that_names_no_engine_says_what_it_starts(
    notebook: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dyadnet import train as module_of_train
    from dyadnet.training.in_process import launch

    monkeypatch.setattr(sys.modules[module_of_train.__module__], "engine", lambda name: launch)
    dn.train(named(), tmp_path / "default", report=False)
    assert "engine ray, the default: this run uses a Ray of its own and starts 3 actors" in notebook[-1]
    told = " ".join(notebook)
    assert "to the same bits" in told
    notebook.clear()
    dn.train(named(engine="local"), tmp_path / "local", report=False)
    assert "engine ray" not in " ".join(notebook)
    assert "epoch 2 of 2" in notebook[-1]


def test_a_run_stands_wherever_its_folder_may(run: dn.Run) -> None:
    assert dn.evaluate(run)["accuracy"] == run.test_accuracy
    assert Path(run) == run.path
