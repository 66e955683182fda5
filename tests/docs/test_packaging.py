"""What leaves the checkout: the wheel, its description on a package index, the changelog and what GitHub reads."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from docs.tools.index_page import absolute

ROOT = Path(__file__).parents[2]
BASE = "https://example.org/dyadnet/v1.2.3"
LINK = re.compile(r"\]\(([^)]+)\)")


def project() -> dict[str, object]:
    """What pyproject.toml says."""
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"])


def test_on_a_package_index_pictures_show_and_links_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = absolute(text, f"{BASE}/raw", f"{BASE}/blob")
    before, after = LINK.findall(text), LINK.findall(found)
    assert len(before) == len(after) > 10
    assert all(target.startswith("https://") for target in after)
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", found)
    assert len(pictures) >= 2
    for picture in pictures:
        assert (ROOT / picture.removeprefix(f"{BASE}/raw/")).is_file(), picture
    pages = set(after) - set(pictures)
    for page in (page for page in pages if page.startswith(BASE)):
        assert (ROOT / page.removeprefix(f"{BASE}/blob/").partition("#")[0]).exists(), page
    assert absolute("[a](https://a.org) [b](#there)", "raw", "blob") == "[a](https://a.org) [b](#there)"


def test_the_changelog_begins_with_this_version_and_dates_all_others() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    dated = r"\d+\.\d+\.\d+ \(\d{4}-\d\d-\d\d\)"
    assert re.fullmatch(rf"{re.escape(str(project()['version']))} \((unreleased|\d{{4}}-\d\d-\d\d)\)", headings[0])
    assert len(headings) > 1
    assert all(re.fullmatch(dated, heading) for heading in headings[1:])


def test_the_citation_is_of_this_version_and_license() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation), "what CFF 1.2.0 requires"
    assert citation["cff-version"] == "1.2.0"
    assert (citation["title"], citation["version"]) == (project()["name"], project()["version"])
    assert citation["license"] == project()["license"]
    assert citation["abstract"] == project()["description"]


def test_the_workflow_tries_the_wheel_on_every_python_that_is_supported() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "wheel.yml").read_text(encoding="utf-8"))
    tried = workflow["jobs"]["wheel"]["strategy"]["matrix"]["python"]
    classifiers = project()["classifiers"]
    assert isinstance(classifiers, list)
    named = [line.rpartition(" ")[2] for line in classifiers if re.search(r":: 3\.\d+$", line)]
    assert tried == named
    steps = " ".join(str(step.get("run")) for job in workflow["jobs"].values() for step in job["steps"])
    assert "tests/wheel.py" in steps
    assert "docs/tools/index_page.py" in steps
    assert "make lint" in steps
    # Nothing that a fork sends may write anything.
    assert workflow["permissions"] == {"contents": "read"}


def test_issue_templates_ask_for_what_is_needed() -> None:
    folder = ROOT / ".github" / "ISSUE_TEMPLATE"
    for name in ("bug.yml", "idea.yml"):
        form = yaml.safe_load((folder / name).read_text(encoding="utf-8"))
        assert {"name", "description", "body"} <= set(form)
        ids = [part["id"] for part in form["body"] if part["type"] != "markdown"]
        assert len(ids) == len(set(ids)) > 0
    assert "dyadnet doctor" in (folder / "bug.yml").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_wheel_works_in_a_fresh_environment_without_the_checkout(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parents[1] / "wheel.py", tmp_path / "trying.py")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--quiet", "--no-deps", "-w", str(tmp_path), str(ROOT)], check=True)
    (wheel,) = tmp_path.glob("dyadnet-*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "fresh")], check=True)
    python = str(tmp_path / "fresh" / "bin" / "python")
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *constraints, f"{wheel}[sklearn]"], check=True)
    done = subprocess.run([python, "-I", "trying.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("a run, a study and the estimator work\n")
