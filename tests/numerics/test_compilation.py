"""Nowhere to write and damaged caches: everything works, slower, or one line names the variable."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numba import float64

import dyadnet
from dyadnet.engines.first_use import announce_compilation
from dyadnet.numerics.compilation import NOWHERE, callback, compiled, place
from dyadnet.runs.watcher import Silent
from tests.checkpoint.runs import room_for, settings

PROGRAM = """
import sys
import numpy as np
from dyadnet.numerics.kernels import square
print(int(square(np.ones(2))), square.stats.cache_hits and sum(square.stats.cache_hits.values()))
"""


def counted(cache: Path) -> tuple[int, int]:
    """What a kernel gives in a process of its own, and how often it was found compiled."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    result, hits = done.stdout.split()
    return int(result), int(hits.replace("Counter()", "0"))


def junk(path: Path) -> None:
    path.write_text("junk")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache in which a kernel is found compiled; to be copied before it is damaged."""
    cache = tmp_path_factory.mktemp("sound")
    assert counted(cache) == (2, 0)
    assert counted(cache) == (2, 1)
    return cache


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("damage", [junk, half, pytest.param(empty, marks=pytest.mark.slow)])
def test_a_damaged_cache_is_written_anew(
    suffix: str, damage: Callable[[Path], None], sound: Path, tmp_path: Path
) -> None:
    cache = shutil.copytree(sound, tmp_path / "damaged")
    files = list(cache.rglob(f"*{suffix}"))
    assert files
    for file in files:
        damage(file)
    assert counted(cache) == (2, 0)
    assert counted(cache) == (2, 1)


def test_a_cache_that_is_copied_is_used(sound: Path, tmp_path: Path) -> None:
    """Else the test above would find nothing to damage that anybody reads."""
    assert counted(shutil.copytree(sound, tmp_path / "copied")) == (2, 1)


def test_a_cache_that_cannot_be_mended_is_done_without(sound: Path, tmp_path: Path) -> None:
    cache = shutil.copytree(sound, tmp_path / "damaged")
    for file in cache.rglob("*.nbi"):
        folder(file)
    assert counted(cache) == (2, 0)


def package(folder: Path, power: int) -> None:
    """A tiny dyadnet: the real compilation, one function, and a constant in another file."""
    numerics, program = folder / "dyadnet" / "numerics", folder / "dyadnet" / "program"
    for room in (numerics, program):
        room.mkdir(parents=True, exist_ok=True)
    for file in (folder / "dyadnet" / "__init__.py", numerics / "__init__.py", program / "__init__.py"):
        file.touch()
    for name in ("compilation.py", "kernels.py"):
        shutil.copy(Path(dyadnet.__file__).parent / "numerics" / name, numerics / name)
    (program / "tables.py").write_text(f"POWER = {power}\n")
    (program / "executor.py").write_text(EXECUTOR)


EXECUTOR = """
import numpy as np
from dyadnet.numerics.kernels import compiled
from dyadnet.program.tables import POWER

@compiled
def power(x):
    return x**POWER
"""


def powered(folder: Path, *, start: str = "") -> list[str]:
    """What the tiny package's function gives in a process of its own, and how often it was found compiled.

    Without bytecode: Python would take that of a file of the same length and second for the new file's.
    """
    call = "from dyadnet.program.executor import power; print(int(power(3.0)), sum(power.stats.cache_hits.values()))"
    command = [sys.executable, "-c", start + call]
    environment = os.environ | {"PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(folder / "kept")}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_a_change_in_another_file_is_noticed(tmp_path: Path) -> None:
    package(tmp_path, 2)
    assert powered(tmp_path) == ["9", "0"]
    assert powered(tmp_path) == ["9", "1"]
    package(tmp_path, 3)
    assert powered(tmp_path) == ["27", "0"]
    assert powered(tmp_path) == ["27", "1"]
    with (tmp_path / "dyadnet" / "numerics" / "kernels.py").open("a") as file:
        file.write("# One line more.\n")
    assert powered(tmp_path) == ["27", "0"]
    (tmp_path / "dyadnet" / "program" / "views.py").touch()
    assert powered(tmp_path) == ["27", "0"]
    assert powered(tmp_path) == ["27", "1"]


@pytest.mark.parametrize("name", ["numba", "numpy"])
def test_another_numba_or_numpy_is_noticed(name: str, tmp_path: Path) -> None:
    package(tmp_path, 2)
    assert powered(tmp_path) == ["9", "0"]
    assert powered(tmp_path, start=f"import {name}; {name}.__version__ += '.1'; ") == ["9", "0"]


def test_a_new_index_with_old_code_is_not_taken(tmp_path: Path) -> None:
    """The index is written first: a process may have ended before the code."""
    package(tmp_path, 2)
    assert powered(tmp_path) == ["9", "0"]
    (code,) = tmp_path.rglob("executor.power*.nbc")
    old = code.read_bytes()
    package(tmp_path, 3)
    assert powered(tmp_path) == ["27", "0"]
    code.write_bytes(old)
    assert powered(tmp_path) == ["27", "0"]
    assert powered(tmp_path) == ["27", "1"]


APART = """
import numpy as np
from dyadnet.numerics.kernels import apart, compiled
from dyadnet.program.tables import POWER

@apart
def power(x, sign):
    'A power.'
    if x < 0:
        raise ValueError('below zero')
    return sign * x**POWER

@apart
def both(x):
    return power(x, sign=1) + power(x, -1.5)

@compiled
def thrice(x):
    return 3 * both(x)
"""
"""A function calls one apart, and that another, with arguments of two types."""


def apart(
    folder: Path, call: str = "print(thrice(2.0), *(sum(f.stats.cache_hits.values()) for f in all))"
) -> list[str]:
    """What functions give that are compiled apart, in a process of its own, and how often each was found compiled."""
    (folder / "dyadnet" / "program" / "executor.py").write_text(APART)
    start = (
        "from dyadnet.program.executor import both, power, thrice\nall = thrice, both.dispatcher, power.dispatcher\n"
    )
    environment = os.environ | {"PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(folder / "kept")}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    command = [sys.executable, "-c", start + call]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_what_is_compiled_apart_is_found_with_what_calls_it(tmp_path: Path) -> None:
    package(tmp_path, 2)
    assert apart(tmp_path) == ["-6.0", "0", "0", "0"]
    assert apart(tmp_path) == ["-6.0", "1", "1", "2"]
    package(tmp_path, 3)
    assert apart(tmp_path) == ["-12.0", "0", "0", "0"]
    assert apart(tmp_path) == ["-12.0", "1", "1", "2"]


@pytest.mark.parametrize("name", ["power", "both"])
def test_what_is_compiled_apart_may_be_missing_from_the_cache(name: str, tmp_path: Path) -> None:
    package(tmp_path, 2)
    apart(tmp_path)
    for file in tmp_path.rglob(f"executor.{name}*"):
        file.unlink()
    found = apart(tmp_path)
    assert found == ["-6.0", "1", *(["1", "0"] if name == "power" else ["0", "2"])]
    assert apart(tmp_path) == ["-6.0", "1", "1", "2"]


def test_python_calls_what_is_compiled_apart(tmp_path: Path) -> None:
    package(tmp_path, 2)
    call = """
print(power.__name__, power.__doc__, power(2.0, 1), both(2.0))
for called in (lambda: power(-1.0, 1), lambda: thrice(-1.0)):
    try:
        called()
    except ValueError as problem:
        print(problem)
"""
    assert apart(tmp_path, call) == ["power", "A", "power.", "4.0", "-2.0", "below", "zero", "below", "zero"]


def test_what_is_compiled_apart_is_no_part_of_its_callers(tmp_path: Path) -> None:
    """Else nothing would be gained."""
    package(tmp_path, 2)
    call = """
thrice(2.0)
for one in (thrice, both.dispatcher):
    lines = one.inspect_llvm(one.signatures[0]).splitlines()
    for word in ("declare", "define"):
        print(sum(line.startswith(word) and ("power" in line or "both" in line) for line in lines))
"""
    declared, defined, declared_below, _ = map(int, apart(tmp_path, call))
    assert (declared, defined, declared_below) == (1, 0, 2)


def test_a_run_says_that_it_compiles_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, 2)
    call = "from dyadnet.numerics.compilation import is_kept\n"
    call += "print(*(is_kept(one, kind) for one in all for kind in ('float64', 'float32')))\nthrice(2.0)"
    assert apart(tmp_path, call) == ["False"] * 6
    assert apart(tmp_path, call) == ["True", "False"] * 3
    package(tmp_path, 3)
    assert apart(tmp_path, call) == ["False"] * 6
    notes: list[str] = []
    watcher = Silent()
    monkeypatch.setattr(watcher, "note", notes.append)
    for kept, said in ((True, 0), (False, 1)):
        monkeypatch.setattr("dyadnet.engines.first_use.is_kept", lambda one, kind, kept=kept: kept)
        announce_compilation(settings(), watcher)
        assert len(notes) == said
    assert notes == ["compiling the core for float32: a minute or two, once on this machine"]


def twice(x):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Twice an array, or a number."""
    return x + x


def test_a_full_disk_keeps_nothing_and_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path))
    function = compiled(twice)
    assert place(function).startswith(str(tmp_path))
    with room_for(100):
        assert function(np.ones(3)).tolist() == [2, 2, 2]


def test_no_place_for_a_cache_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numba.core.caching._CacheLocator.ensure_cache_path", refused)
    function = compiled(twice)
    assert function(np.ones(3)).tolist() == [2, 2, 2]
    assert place(function) == NOWHERE
    assert callback(twice, float64(float64)).ctypes(2.0) == 4.0


def refused(locator: object) -> None:
    raise PermissionError(13, "Permission denied")


COMMANDS = {
    "doctor": ["doctor"],
    "help": ["--help"],
    "list": ["study", "list"],
    "train": [
        "train",
        "--engine",
        "local",
        "--epochs",
        "1",
        "--hidden",
        "8",
        "--set",
        "data.limit_train=60",
        "--out",
        "run",
    ],
}


def closed() -> str:
    """A command before others whose user knows no home and may write nowhere but here; empty if there is none."""
    start = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"]
    try:
        imports = [*start, sys.executable, "-c", "import dyadnet"]
        able = os.geteuid() == 0 and subprocess.run(imports, cwd="/", capture_output=True, check=False).returncode == 0
    except OSError:
        able = False
    return " ".join(start) if able else ""


@pytest.mark.skipif(
    not closed(), reason="only the superuser can become another user, who must be able to read this folder"
)
@pytest.mark.parametrize(
    # A run compiles everything, which takes minutes on a slow machine.
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name == "train" else ()) for name in COMMANDS],
)
def test_a_user_without_a_home_needs_none(name: str, tmp_path: Path) -> None:
    # Not below a folder that only its owner may enter.
    made = subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip()
    Path(made).chmod(0o777)
    environment = {key: value for key, value in os.environ.items() if key not in ("HOME", "XDG_CACHE_HOME")}
    command = [*closed().split(), sys.executable, "-m", "dyadnet", *COMMANDS[name]]
    try:
        done = subprocess.run(command, cwd=made, env=environment, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        assert name != "train" or (Path(made) / "run" / "report.html").exists()
    finally:
        subprocess.run(["rm", "-rf", made], check=True)


@pytest.mark.parametrize("who", ["~nobodyatall/kept", "~nobodyatall"])
def test_a_home_that_nobody_knows_is_named(who: str) -> None:
    with pytest.raises(
        Exception, match=r"checkpoint\.folder: '~nobodyatall.*' is not legal; it should be a path without ~"
    ):
        settings(checkpoint={"folder": who})
