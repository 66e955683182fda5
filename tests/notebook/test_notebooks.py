"""The notebooks of the documentation are what their scripts say, and run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from docs.tools import notebook_pages
from docs.tools.notebooks import FOLDER, THUMBNAILS, cells, executed, pictures

SCRIPTS = sorted(FOLDER.glob("*.py"))


def kept(script: Path) -> Any:
    """The notebook as it was when it last ran."""
    return json.loads(script.with_suffix(".ipynb").read_text(encoding="utf-8"))


def test_there_are_eight_notebooks_all_of_them_in_the_gallery() -> None:
    gallery = (FOLDER / "index.md").read_text(encoding="utf-8")
    assert len(SCRIPTS) == 8
    assert all(f"]({script.stem}.ipynb)" in gallery for script in SCRIPTS)
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == {script.stem for script in SCRIPTS}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_kept_notebook_is_what_its_script_says(script: Path) -> None:
    found = kept(script)
    assert [(cell["cell_type"], "".join(cell["source"])) for cell in found["cells"]] == list(
        cells(script.read_text(encoding="utf-8"))
    ), f"run it anew: make notebooks ARGS={script.stem}"
    outputs = [output for cell in found["cells"] for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert (THUMBNAILS / f"{script.stem}.png").read_bytes().startswith(b"\x89PNG")
    assert script.with_suffix(".ipynb").stat().st_size < 300_000, "git has to bear it"


def test_cells_of_a_script_are_read_in_order() -> None:
    script = "# %% [markdown]\n# # Title\n#\n# text\n\n# %%\n# a comment\nx = 1\n\n\n# %%\nx\n"
    assert list(cells(script)) == [("markdown", "# Title\n\ntext"), ("code", "# a comment\nx = 1"), ("code", "x")]


def test_a_page_shows_text_pictures_and_html_of_a_notebook() -> None:
    text, images = notebook_pages.page("map", kept(FOLDER / "map.py"))
    assert text.startswith("# A robustness map")
    assert "```python\nfrom pathlib import Path" in text
    assert "30 of 30 runs ended well" in text
    assert [name for name in images if f"]({name})" in text] == list(images) == ["map-0.png"]
    text, _ = notebook_pages.page("own-data", kept(FOLDER / "own-data.py"))
    outputs = [part for part in text.split("\n\n") if part.startswith('<div class="output">')]
    assert len(outputs) == 3, "configuration, progress and run"
    assert all(part.endswith("</div>") for part in outputs), "an empty line would end one"


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_notebook_runs(script: Path) -> None:
    for package in ("nbclient", "ipykernel", "optuna"):
        pytest.importorskip(package, reason="the extra notebooks is not installed")
    found = executed(script)
    assert pictures(found)
    shown = json.dumps([cell.get("outputs", []) for cell in found.cells], ensure_ascii=False)
    if script.stem == "free-running":
        assert "engine ray, the default: this run uses a Ray of its own and starts 3 actors" in shown
    if script.stem == "own-data":
        assert "epoch 25 of 25" in shown
        assert "<b>RunConfig</b>" in shown
