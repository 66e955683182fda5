"""What is printed never ends what is done, and what users named is printed as they wrote it."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from dyadnet.cli.main import main
from dyadnet.cli.progress import Bar
from dyadnet.process.console import LastingStream, UnprintedError, for_people
from tests.checkpoint.runs import settings

SHORT = ["--engine", "local", "--epochs", "2", "--hidden", "8", "--set", "data.limit_train=60"]
TRAINED = [sys.executable, "-c", "from dyadnet.cli.main import main; main()", "train", *SHORT]


def trained(run: Path, *options: str, shell: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Train in another process; `shell` says where its output goes."""
    command = [*TRAINED, "--out", str(run), *options]
    line = '"$@" ' + shell
    return subprocess.run(
        ["bash", "-c", f"{line}; exit ${{PIPESTATUS[0]}}", "bash", *command],
        capture_output=True,
        text=True,
        errors="replace",
        env=os.environ | environment,
        timeout=120,
    )


def epochs(run: Path) -> int:
    return (run / "metrics.jsonl").read_text().count('"kind": "epoch"')


@pytest.mark.parametrize("gone", ["2>&1 | true", "2>/dev/full", "2>&-", "0<&- 1>&- 2>&-"])
def test_training_goes_on_without_anybody_who_reads(gone: str, tmp_path: Path) -> None:
    assert trained(tmp_path / "run", shell=gone).returncode == 0
    assert epochs(tmp_path / "run") == 2
    assert (tmp_path / "run" / "report.html").exists()


def test_training_goes_on_after_its_terminal_is_gone(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*TRAINED, "--out", str(tmp_path / "run")], stderr=theirs, stdout=theirs)
    os.close(theirs)
    os.close(ours)
    assert process.wait(120) == 0
    assert epochs(tmp_path / "run") == 2


@pytest.mark.parametrize(
    "encoding", ["ascii", *(pytest.param(richer, marks=pytest.mark.slow) for richer in ("latin-1", "cp437"))]
)
def test_no_encoding_is_too_poor(encoding: str, tmp_path: Path) -> None:
    done = trained(tmp_path / "run", "--json", PYTHONIOENCODING=f"{encoding}:strict")
    assert done.returncode == 0
    assert "epoch   2 " in done.stderr
    assert json.loads(done.stdout)["out"] == str(tmp_path / "run")


def test_a_result_that_cannot_be_printed_is_one_line_and_no_success(tmp_path: Path) -> None:
    done = trained(tmp_path / "run", "--json", shell=">/dev/full")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last == "dyadnet: standard output: it cannot be written (No space left on device); send it elsewhere"
    assert epochs(tmp_path / "run") == 2


@pytest.mark.parametrize("command", ["doctor --json", "study list", "--help", "study list --json"])
def test_who_has_read_enough_is_no_mistake(command: str) -> None:
    python = f'"{sys.executable}" -c "from dyadnet.cli.main import main; main()"'
    line = f"{python} {command} 2>/dev/full | true; exit ${{PIPESTATUS[0]}}"
    assert subprocess.run(["bash", "-c", line], timeout=60).returncode == 0


class Closing:
    """Raises at every touch."""

    encoding = "utf-8"

    def __init__(self, problem: Exception) -> None:
        self._problem = problem

    def write(self, text: str) -> int:
        raise self._problem

    def flush(self) -> None:
        raise self._problem

    def isatty(self) -> bool:
        raise self._problem


@pytest.mark.parametrize(
    "problem",
    [
        BrokenPipeError(32, "Broken pipe"),
        OSError(5, "Input/output error"),
        OSError(28, "No space"),
        ValueError("closed"),
    ],
)
def test_a_stream_lasts_whatever_becomes_of_where_it_goes(problem: Exception) -> None:
    stream = LastingStream(lambda: Closing(problem))
    assert stream.write("text") == 4
    stream.flush()
    assert not stream.isatty()
    with pytest.raises((SystemExit, UnprintedError)):
        LastingStream(lambda: Closing(problem), results=True).write("text")


def test_a_stream_to_nowhere_takes_everything() -> None:
    stream = LastingStream(lambda: None, results=True)
    stream.write("text")
    stream.flush()
    assert not stream.isatty()


NAMES = ["[/b]", "[bold]run", "a[red]b[/red]", ":smile:", "[link=x]", "\\[/]"]


@pytest.mark.parametrize("name", NAMES)
def test_what_users_named_is_printed_as_it_is(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with Bar() as bar:
        bar.warning(f"{name} is taken")
        bar.note(name)
    told = capsys.readouterr().err
    assert f"warning: {name} is taken\n{name}\n" in told


@pytest.mark.parametrize("name", NAMES)
def test_a_complaint_names_what_was_given(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", "--data", name, "--engine", "local"])
    assert ended.value.code == 2
    assert repr(name) in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["train", "a", name])
    assert ended.value.code == 2
    assert name in capsys.readouterr().err


@pytest.mark.parametrize("name", NAMES)
def test_tables_show_names_as_they_are(name: str) -> None:
    from dyadnet_actors.cli.screen import overview, waiting

    told = io.StringIO()
    console = for_people(width=200)
    console.file = told
    glance = {"places": {name: {"address": name, "pid": 1}}}
    console.print(waiting({name: f"waits for {name}"}, glance))
    console.print(overview([(f"run-{name}", {})]))
    assert told.getvalue().count(name) == 4


def test_a_live_bar_does_not_print_into_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    told = io.StringIO()
    told.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", told)
    monkeypatch.setenv("TERM", "xterm")
    with Bar() as bar:
        bar.started(settings(), 7)
        bar.warning("one line")
        print("another", file=sys.stderr)
    assert told.getvalue().count("one line") == 1
    assert told.getvalue().count("another") == 1
