"""One case within its limits: what it ends in must be success or one line, soon, and with little memory."""

from __future__ import annotations

import contextlib
import importlib
import io
import random
import resource
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from dyadnet.cli.main import main
from dyadnet.config import RunConfig
from dyadnet.config.memory import check_room
from dyadnet.errors import DyadnetError, StoppedError
from dyadnet.files.documents import parse
from dyadnet.runs.export import export
from dyadnet.runs.folder import RunFolder, read_config
from dyadnet.runs.loading import check_fit
from dyadnet.training.api import load_data, train
from tests.checkpoint.runs import settings, stopping
from tests.fuzz.cases import KINDS, Command, Sound
from tests.trace.runs import settings as free
from tests.trace.runs import traced

SECONDS, BYTES = 20, 2**30
"""What a case may take."""
SETTINGS = """
network:
  inputs: 64
  populations: [{name: a, size: 8, activation: tanh, blocks: 2}, {name: b, size: 6}, {name: out, size: 10}]
  projections: [{pre: input, post: a, gain: 1.2}, {pre: a, post: b, lam: 0.0}, {pre: b, post: out, kappa: 0.0}]
  output: out
data: {name: digits, limit_train: 60, limit_test: 20, validation: 0.2}
dynamics:
  clock: {kind: bernoulli, p: 0.5}
  clocks: {a: {kind: periodic, period: 2, phase: 1}}
  delay: {kind: uniform, low: 1, high: 3}
  delays: {a->b: {kind: geometric, p: 0.5, maximum: 4}}
  step: 0.5
  lanes: 2
  sweeps: 20
imperfections:
  channel: {loss: 0.1, quantisation: {bits: 4, range: 1.5}, additive: {mean: 1e-3}}
  channels: {a->b: {duplication: 0.1}}
  devices: {a.1: {gain: 0.1}, b: {weights: {bits: 6}}}
learning:
  epochs: 2
  optimiser: {kind: momentum, l2: 1e-5}
  learning_rate: {kind: piecewise, pieces: [{epochs: 1, of: 0.1}, {epochs: 1, of: {kind: cosine, start: 0.1}}]}
  lam: {a->b: {kind: linear, start: 0.0, end: 0.5}}
probe: {neurons: {a.0: [0, 1]}, samples: [0], every: 2}
record: {every: 3}
checkpoint: {every_minibatches: 4, keep: 2}
faults: []
metrics: {port: null}
engine: local
seed: 3
"""
STUDY = """
name: s
base: {data: digits, set: {data: {limit_train: 60}, network.layered.hidden: [8]}, by_model: {hm: {learning.beta: 0.2}}}
axes:
- {key: learning.learning_rate.start, name: lr, grid: [1e-3, 1e-2], scale: log, label: rate, ticks: [low, high]}
- {key: dynamics.delay, random: {kind: uniform, low: 1, high: 4, integer: true}}
samples: 2
variants: {fixed: {title: fixed, set: {dynamics.step: 0.5}}}
models: [hm, sshm]
seeds: 1
epochs: 1
metrics: [test_accuracy, sweeps_mean]
"""


class _Slow(BaseException):
    pass


@dataclass(frozen=True)
class Found:
    """What went wrong in a case."""

    kind: str
    number: int
    what: str


def sound(folder: Path) -> Sound:
    """What cases alter, made anew."""
    with contextlib.suppress(StoppedError):
        train(settings(network={"layered": {"hidden": [8, 6]}}), folder / "run", stopping(10))
    export(folder / "run", folder / "weights.npz")
    traced(free(folder / "t.trace", network={"layered": {"hidden": [8, 6]}}, learning={"epochs": 1}))
    return Sound(
        folder / "run", folder / "weights.npz", folder / "t.trace", parse(SETTINGS).values, parse(STUDY).values
    )


def tried(kind: str, seed: int, number: int, sound: Sound, keep: Path | None = None) -> Found | None:
    """Carry out one case; what was wrong with it, if anything.

    Parameters
    ----------
    keep
        Where the files of a case that fails are kept.
    """
    folder = Path(tempfile.mkdtemp(prefix="dyadnet-fuzz-"))
    draw = random.Random(f"{seed} {kind} {number}")
    try:
        commands = KINDS[kind][0](draw, sound, folder)
        for command in commands:
            what = _wrong(command)
            if what is not None:
                if keep is not None:
                    shutil.copytree(folder, keep / f"{kind}-{seed}-{number}", dirs_exist_ok=True, symlinks=True)
                return Found(kind, number, f"{command if isinstance(command, list) else kind}: {what}"[:3000])
        return None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wrong(command: Command) -> str | None:
    said = io.StringIO()
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    try:
        with _limited(), _checked_only(), contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            main(command) if isinstance(command, list) else command()
    except SystemExit as ended:
        code = ended.code or 0
        text = said.getvalue().strip()
        if code not in (0, 1, 2, 75) or "Traceback" in text:
            return f"exit code {code}: {text[-600:]}"
        if code and not text.splitlines()[-1].startswith("dyadnet: "):
            return f"no line that says what is wrong: {text[-300:]}"
        if "not enough memory" in text:
            return text
    except DyadnetError as problem:
        if isinstance(command, list) or "\n" in str(problem):
            return f"not one line: {problem}"
    except _Slow:
        return f"more than {SECONDS} s: {traceback.format_exc()[-1500:]}"
    except BaseException:
        return traceback.format_exc()[-1500:]
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    if more > BYTES:
        return f"{more / 2**20:.0f} MiB more memory"
    return None if time.monotonic() - started < SECONDS else "too slow"


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    def slow(number: int, frame: FrameType | None) -> None:
        raise _Slow

    old = signal.signal(signal.SIGALRM, slow)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)


@contextlib.contextmanager
def _checked_only() -> Iterator[None]:
    """Let ``train`` end where training would begin, and runs that go on draw nothing: settings may ask for years."""
    module = importlib.import_module("dyadnet.training.api")
    real, drawn = module.train, module.draw
    module.train, module.draw = _begun, lambda run, watcher, data: None  # type: ignore[attr-defined]
    try:
        yield
    finally:
        module.train, module.draw = real, drawn  # type: ignore[attr-defined]


def _begun(config: RunConfig, out: Path, watcher: Any) -> Any:
    check_room(config)
    check_fit(config, load_data(config).sizes)
    with RunFolder(out, config):
        if read_config(out) != config:
            raise AssertionError("the configuration does not come back")
    raise DyadnetError("far enough")
