"""Every command and every piece of Python of the README, the tutorial and the how-to pages runs as it is written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"
HOW_TO = ("in-three-lines", "own-data", "images", "regression", "denoising", "own-network", "own-imperfection")
PAGES = [DOCS / "tutorial.md", *(DOCS / "how-to" / f"{name}.md" for name in HOW_TO)]
PAGES += [DOCS / "scikit-learn.md", DOCS / "export.md", DOCS / "runs.md", DOCS / "callbacks.md", DOCS / "baseline.md"]
PAGES += [DOCS.parent / "README.md"]
FENCE = re.compile(r"(<!-- not run[^>]*-->\n)?```(bash|python|yaml)(?: title=\"([^\"]+)\")?\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Piece:
    """A piece of code on a page."""

    language: str
    title: str
    text: str
    line: int
    runs: bool


def pieces(page: Path) -> Iterator[Piece]:
    """What a page says to run, in its order; YAML with a title is a file to write."""
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        skip, language, title, code = found.groups()
        runs = skip is None and (language != "yaml" or title is not None)
        yield Piece(language, title or "", code, text[: found.start()].count("\n") + 1, runs)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_runs_as_it_is_written(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    names: dict[str, Any] = {"__name__": "page"}
    ran = 0
    for piece in pieces(page):
        if not piece.runs:
            continue
        where = f"{page.name}, line {piece.line}"
        if piece.language == "yaml":
            Path(piece.title).write_text(piece.text, encoding="utf-8")
        elif piece.language == "python":
            exec(compile("\n" * piece.line + piece.text, str(page), "exec"), names)
        else:
            script = ["bash", "-euo", "pipefail", "-c", piece.text]
            done = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{where}:\n{done.stdout}\n{done.stderr}"
        ran += 1
    assert ran


def test_the_tutorial_leaves_out_nothing_but_how_to_install() -> None:
    (left_out,) = (piece for piece in pieces(PAGES[0]) if not piece.runs)
    assert "pip install" in left_out.text
