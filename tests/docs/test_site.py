"""The documentation builds without a warning, with every page and every documented name in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="the extra docs is not installed")
    pytest.importorskip("mkdocstrings", reason="the extra docs is not installed")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").with_suffix("")
        assert (tmp_path / name / "index.html").exists() or name.name == "index", name
    for names in (ROOT / "docs" / "api").glob("*.md"):
        html = (tmp_path / "api" / names.stem / "index.html").read_text(encoding="utf-8")
        for line in names.read_text(encoding="utf-8").splitlines():
            if line.startswith("::: "):
                assert f'id="{line.removeprefix("::: ")}"' in html, line
