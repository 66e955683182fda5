"""Signals at any moment: one true line, a promise of a checkpoint only if there is one, nothing left over."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dyadnet.errors import StoppedError
from dyadnet.process.signals import SIGNALS, deaf, interruptible
from dyadnet.runs.folder import read_config
from dyadnet.training.api import resume, train
from dyadnet.training.opening import checkpoints_in
from tests.checkpoint.runs import Watching, outcome, settings, uninterrupted

INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
LONG = ["--epochs", "500", "--hidden", "16,16"]


def started(*arguments: str) -> subprocess.Popen[str]:
    """The command line, in a process that hears Ctrl-C also where tests run in the background."""
    return subprocess.Popen(
        [sys.executable, "-m", "dyadnet", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(INT, signal.SIG_DFL),
    )


def heard(process: subprocess.Popen[str]) -> None:
    """Wait until a process hears signals: before it has loaded its first module nobody can."""
    while process.poll() is None:
        status = dict(line.split(":\t") for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
        hears = int(status["SigCgt"], 16) | int(status["SigIgn"], 16)
        if all(hears >> number - 1 & 1 for number in SIGNALS):
            return
        time.sleep(0.005)


def told_after(process: subprocess.Popen[str], number: int) -> str:
    """What a process says that is sent a signal."""
    process.send_signal(number)
    return process.communicate(timeout=60)[1]


def check_true(process: subprocess.Popen[str], run: Path) -> str:
    """Whether what a stopped run says is so; its last line."""
    told = process.communicate(timeout=60)[1]
    assert "Traceback" not in told, told
    last = [line for line in told.splitlines() if line.strip()][-1]
    if last == "dyadnet: stopped" or last.startswith("dyadnet: stopped before anything"):
        assert process.returncode == 1
        assert not run.exists()
        return last
    if "go on" in last:
        assert process.returncode == (75 if "a checkpoint is written" in last else 1)
        assert checkpoints_in(read_config(run), run)
        assert f"dyadnet resume {run}" in last
        return last
    raise AssertionError(told)


@pytest.mark.parametrize(("over", "code"), [("", -INT), ("signals.over(1)", 1)])
def test_an_interrupt_that_was_answered_within_a_library_does_not_set_the_exit_code(
    over: str, code: int, tmp_path: Path
) -> None:
    lines = [
        "import ctypes, sys",
        "from dyadnet import signals",
        "ctypes.pythonapi.PyRun_SimpleString(b'raise KeyboardInterrupt')",
        over,
        "sys.exit(1)",
    ]
    (tmp_path / "interrupted.py").write_text("\n".join(lines))
    command = [sys.executable, "-m", "interrupted"]
    found = subprocess.run(
        command,
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
        check=False,
        preexec_fn=lambda: signal.signal(INT, signal.SIG_DFL),
    )
    assert found.returncode == code


@pytest.mark.parametrize(
    ("number", "after"), [(INT, 0.0), (HUP, 0.2), (TERM, 0.4), (INT, 0.7), (HUP, 1.1), (TERM, 1.5), (INT, 2.4)]
)
def test_a_run_that_is_stopped_says_what_is_so(number: int, after: float, tmp_path: Path) -> None:
    process = started("train", "--engine", "local", *LONG, "--out", str(tmp_path / "run"))
    heard(process)
    time.sleep(after)
    process.send_signal(number)
    check_true(process, tmp_path / "run")


def test_two_at_once_leave_as_little(tmp_path: Path) -> None:
    run = tmp_path / "of" / "mine"
    process = started("train", *LONG, "--actors", "1", "--out", str(run))
    while not run.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(INT)
    process.send_signal(TERM)
    assert "nothing is left of it" in check_true(process, run)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("number", "after"), [(INT, 0.4), pytest.param(TERM, 1.2, marks=pytest.mark.slow), (HUP, 1.8)])
def test_a_run_of_actors_that_is_stopped_as_it_starts_leaves_nothing(number: int, after: float, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = started("train", *LONG, "--actors", "1", "--out", str(run))
    while not run.exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(after)
    process.send_signal(number)
    check_true(process, run)


@pytest.mark.parametrize("number", SIGNALS)
def test_every_signal_stops_a_run_that_goes_on_to_the_same_bits(number: int, tmp_path: Path) -> None:
    expected = uninterrupted(settings(), tmp_path / "never")
    with pytest.raises(StoppedError, match="a checkpoint is written"):
        train(settings(), tmp_path / "run", Watching(5, lambda: os.kill(os.getpid(), number)))
    assert outcome(resume(tmp_path / "run"), tmp_path / "run") == expected


@pytest.mark.parametrize("number", SIGNALS)
def test_a_programs_own_handlers_are_back_afterwards(number: int, tmp_path: Path) -> None:
    def mine(number: int, frame: object) -> None:
        """The program's."""

    before = signal.signal(number, mine)
    try:
        train(settings(learning={"epochs": 1}), tmp_path / "run")
        assert signal.getsignal(number) is mine
    finally:
        signal.signal(number, before)


def test_what_nohup_has_ignored_stays_ignored(tmp_path: Path) -> None:
    before = signal.signal(HUP, signal.SIG_IGN)
    try:
        with interruptible():
            os.kill(os.getpid(), HUP)
        train(settings(learning={"epochs": 1}), tmp_path / "run", Watching(3, lambda: os.kill(os.getpid(), HUP)))
    finally:
        signal.signal(HUP, before)


def strike(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize(("within", "expected"), [(interruptible, KeyboardInterrupt), (deaf, None)])
def test_a_signal_interrupts_what_can_be_and_nothing_else(
    number: int, within: Callable[[], object], expected: type[BaseException] | None
) -> None:
    def hear() -> None:
        with within():  # type: ignore[attr-defined]
            strike(number)

    if expected is None:
        hear()
    else:
        with pytest.raises(expected):
            hear()


def test_an_interrupt_that_a_library_made_its_own_error_of_is_one_still() -> None:
    def library() -> None:
        try:
            strike(INT)
        except KeyboardInterrupt:
            raise ValueError("error calling function") from None

    with pytest.raises(KeyboardInterrupt), interruptible():
        library()
    with pytest.raises(ValueError, match="own"), interruptible():
        raise ValueError("an error of its own")


def test_signals_that_come_together_are_one() -> None:
    cleaned = []

    def work() -> None:
        with interruptible():
            try:
                strike(INT)
            finally:
                strike(TERM)
                cleaned.append(True)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert cleaned


def test_an_interrupt_that_python_dropped_comes_once_more() -> None:
    class Fleeting:
        def __del__(self) -> None:
            strike(INT)
            time.sleep(0)

    def wait() -> None:
        with interruptible():
            Fleeting()
            time.sleep(20)

    before = sys.unraisablehook
    with pytest.raises(KeyboardInterrupt):
        wait()
    assert sys.unraisablehook is before


@pytest.mark.parametrize("arguments", [["evaluate", "runs"], ["study", "list"], ["doctor"]])
def test_loading_takes_a_second_in_which_signals_are_heard(arguments: list[str]) -> None:
    process = started(*arguments)
    heard(process)
    process.send_signal(TERM)
    told = process.communicate(timeout=60)[1]
    assert re.fullmatch(r"dyadnet: stopped before anything had begun\n", told), told
    assert process.returncode == 1


def test_a_study_in_which_nothing_has_ended_is_gone(tmp_path: Path) -> None:
    process = started("study", "delay-loss", "--quick", "--out", str(tmp_path / "study"))
    while not (tmp_path / "study").exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(0.3)
    told = told_after(process, HUP).strip().splitlines()[-1]
    assert re.fullmatch(r"dyadnet: stopped before any of the \d+ trials had ended; nothing is left of it", told)
    assert process.returncode == 1
    assert list(tmp_path.iterdir()) == []
