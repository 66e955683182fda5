"""``dyadnet reproduce`` from the command line: whole, repeated, and with other settings in the same folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dyadnet.cli.main import main


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    code = 0
    try:
        main(["reproduce", *arguments])
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.usefixtures("ray_session")
def test_table_and_figure_share_their_runs_and_nothing_is_run_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    common = ["--quick", "--seeds", "1", "--epochs", "1", "--out", str(out), "--json"]
    code, said, _ = run(capsys, "table1", *common)
    assert code == 0
    ended = json.loads(said.splitlines()[-1])
    assert (ended["trials"], ended["ran"], ended["ok"]) == (3, 3, 3)
    assert Path(ended["page"]).read_text().startswith("# Table 1 on the digits")
    before = {path.name: path.stat().st_mtime_ns for path in (out / "trials").iterdir()}
    code, said, _ = run(capsys, "figure2", *common)
    assert (code, json.loads(said.splitlines()[-1])["ran"]) == (0, 0)
    assert {path.name for path in out.iterdir()} >= {
        f"{name}.{kind}" for name in ("table1", "figure2") for kind in ("md", "csv", "png")
    }
    other = ["--quick", "--seeds", "1", "--epochs", "2", "--out", str(out)]
    code, _, complaint = run(capsys, "table1", *other)
    assert code == 2
    assert complaint.startswith("dyadnet: epochs: 2 is not legal; it was 1 when the study began")
    assert "name another folder with --out, or undo the change" in complaint
    assert len(complaint.strip().splitlines()) == 1
    code, _, complaint = run(capsys, "figure3", *other)
    assert code == 2
    assert {path.name: path.stat().st_mtime_ns for path in (out / "trials").iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["table2"], "NAME: 'table2' is not legal; one of table1, figure2, figure3, translation"),
        (["table1", "--data", "cifar"], "--data: 'cifar' is not legal; one of mnist, fashion-mnist, digits"),
        (["table1", "--data", ""], "--data: '' is not legal; one of mnist, fashion-mnist, digits"),
        (["table1", "--quick", "--data", "mnist"], "--quick is on the digits"),
        (["table1", "--data-dir", "/nowhere"], "/nowhere"),
    ],
)
def test_mistakes_are_told_in_one_line(
    arguments: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, said = run(capsys, *arguments, "--out", str(tmp_path / "out"))
    assert code == 2
    assert complaint in said
    assert len(said.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
