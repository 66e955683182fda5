"""Every piece of Python of ``docs/extending/`` runs as it is written, and so do its entry points."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import dyadnet as dn
from dyadnet.data import SETS
from dyadnet.learning.optimisers import OPTIMISERS
from dyadnet.learning.schedules import SCHEDULES
from dyadnet.network.activations import ACTIVATIONS
from dyadnet.network.losses import LOSSES
from dyadnet.registry import Registry, registered
from dyadnet.runs.watcher import Silent
from tests.doors.support import settings, trained

REGISTRIES: dict[str, Registry[Any]] = {
    registry.kind: registry for registry in (ACTIVATIONS, LOSSES, OPTIMISERS, SCHEDULES, SETS)
}
TEXTS = Path(__file__).parents[2] / "docs" / "extending"
FENCE = re.compile(r"```(python|toml)(?: title=\"([^\"]+)\")?\n(.*?)```", re.DOTALL)


def blocks(kind: str) -> list[tuple[str, str, str]]:
    """Language, title and text of a section's code."""
    return FENCE.findall((TEXTS / f"{kind}.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", ["activation", "loss", "optimiser", "schedule", "data"])
def test_a_section_registers_one_of_its_kind(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ((_, _, text),) = blocks(kind)
    before = [one[:2] for one in registered()]
    try:
        exec(compile(text, f"{kind}.md", "exec", dont_inherit=True), {"__name__": "page"})
    finally:
        new = [one[:2] for one in registered() if one[:2] not in before]
        for of, name in new:
            REGISTRIES[of].forget(name)
    assert [of for of, _ in new] == [kind]


def install(kind: str, folder: Path) -> None:
    """Put a section's module into a folder, with the metadata that an installer writes of its entry point."""
    found = {title: text for _, title, text in blocks(kind)}
    (module,) = (title for title in found if title.endswith(".py"))
    (folder / module).write_text(found[module], encoding="utf-8")
    about = folder / f"{kind}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {kind}\nVersion: 1.0\n")
    _, group, line = re.split(r"\[project.entry-points.\"(.*)\"\]\n", found["pyproject.toml"])
    (about / "entry_points.txt").write_text(f"[{group}]\n{line.replace(chr(34), '')}")


def test_an_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install("engine", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    notes: list[str] = []

    class Told(Silent):
        def note(self, message: str) -> None:
            notes.append(message)

    config = settings().model_copy(update={"engine": "aloud"})
    assert dn.train(config, tmp_path / "run", Told()).weights_sha256 == trained(tmp_path).weights_sha256
    assert notes == ["60 samples, 1 epochs"]


def test_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install("command", tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    run = trained(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "dyadnet", "size", str(run.path)], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["18"], done.stderr
