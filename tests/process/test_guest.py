"""A run leaves the process that it is called from as it was, and two may go on in it at a time."""

from __future__ import annotations

import faulthandler
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from dyadnet.process.guest import as_it_was, one_thread_a_library
from dyadnet.training.api import train
from tests.checkpoint.runs import settings

GUEST = """
import faulthandler, os, random, signal, sys, threading
import dyadnet as dn

def mine(*_):
    pass

def look():
    return {
        "random": random.getstate(), "environment": dict(os.environ), "hook": sys.excepthook,
        "handlers": [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
        "dumps": faulthandler.is_enabled(), "folder": os.getcwd(), "threads": threading.active_count(),
    }

if __name__ == "__main__":
    engine, runs, out = sys.argv[1:]
    random.seed(7)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, mine)
    for index in range(int(runs)):
        before = look()
        network, data, learning = dn.layered(64, [5], 10), dn.DataSpec(limit_train=60), dn.Learning(epochs=1)
        cluster = {"actors": 1} if engine == "ray" else {}
        config = dn.RunConfig(network=network, data=data, learning=learning, engine=engine, cluster=cluster)
        dn.train(config, f"{out}/{index}")
        after = look()
        print([name for name in before if before[name] != after[name]])
"""


@pytest.mark.parametrize(("engine", "runs"), [("local", 2), ("ray", 1), pytest.param("ray", 2, marks=pytest.mark.slow)])
def test_a_program_finds_its_process_as_it_was(engine: str, runs: int, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(GUEST)
    command = [sys.executable, str(tmp_path / "program.py"), engine, str(runs), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.stdout == runs * "[]\n", done.stderr


def test_what_another_library_takes_is_given_back() -> None:
    hook, dumps = sys.excepthook, faulthandler.is_enabled()
    handler, drawn, before = signal.getsignal(signal.SIGTERM), random.getstate(), dict(os.environ)
    with as_it_was():
        random.seed(1)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.environ["OF_THEIRS"] = "1"
        os.environ["PATH"] = "elsewhere"
        del os.environ["HOME"]
        sys.excepthook = lambda *_: None
        faulthandler.enable()
    assert (sys.excepthook, signal.getsignal(signal.SIGTERM), random.getstate()) == (hook, handler, drawn)
    assert dict(os.environ) == before
    assert faulthandler.is_enabled() == dumps
    faulthandler.enable() if dumps else faulthandler.disable()


def threads() -> list[int]:
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_two_runs_in_two_threads_give_the_bits_of_one_and_give_threads_back(tmp_path: Path) -> None:
    expected = train(settings(), tmp_path / "alone").weights_sha256
    before, found = threads(), {}

    def run(name: str) -> None:
        found[name] = train(settings(learning={"epochs": 2 if name == "a" else 3}), tmp_path / name).weights_sha256

    both = [threading.Thread(target=run, args=(name,)) for name in "ab"]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert found["a"] == expected
    assert len(found) == 2
    assert threads() == before


def test_the_last_run_gives_the_threads_back() -> None:
    before = threads()
    first, second = one_thread_a_library(), one_thread_a_library()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert set(threads()) == {1}
    second.__exit__(None, None, None)
    assert threads() == before


def test_numpys_settings_are_nobodys_business(tmp_path: Path) -> None:
    np.random.seed(3)
    before, errors = np.random.get_state()[1].tolist(), np.geterr()  # type: ignore[index]
    train(settings(learning={"epochs": 1}), tmp_path / "run")
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index]
    assert np.geterr() == errors
