"""Compare this version of dyadnet with another: the same training in a process of each version, alternately."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dyadnet.bench.networks import machine
from dyadnet.errors import ConfigError, DyadnetError
from dyadnet.study.definition import read_study
from dyadnet.study.plan import plan, quick
from dyadnet.study.ready import find

SCRIPT = Path(__file__).with_name("job.py")
HOUR = 3600.0


def measure(
    other: Path,
    models: Sequence[str],
    chain: tuple[int, list[int]],
    minibatches: int,
    study: tuple[str, int] | None,
    repetitions: int,
    told: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Measure the rates of both versions: medians over interleaved pairs, and medians of the ratios, this over other.

    Parameters
    ----------
    other
        A Python interpreter with another version of dyadnet.
    chain
        Input and hidden sizes of a network with synthetic data; the preset of the digits is measured as well.
    minibatches
        Largest number of minibatches per epoch.
    study
        Name of a study, and the number of its trials to run; None: no study.

    Raises
    ------
    ConfigError
        If there is no such interpreter, it has no dyadnet, or there is no such study.
    DyadnetError
        If one of the two processes fails later.
    """
    say = told or (lambda text: None)
    if study is not None:
        plan(quick(read_study(find(study[0]))))
    inputs, hidden = chain
    sizes = "-".join(str(size) for size in (inputs, *hidden, 10))
    jobs: list[tuple[str, str, dict[str, Any]]] = []
    for what, of in (("digits", None), (sizes, chain)):
        for model in models:
            train = {"what": what, "model": model, "minibatches": minibatches, "epochs": repetitions + 1, "chain": of}
            jobs.append((what, model, {"train": train}))
    if study is not None:
        name, trials = study
        jobs.append((f"study {name}", "", {"study": {"study": name, "trials": trials}}))
    with contextlib.closing(_Version(Path(sys.executable))) as this, contextlib.closing(_Version(other)) as that:
        rows = []
        for what, model, asked in jobs:
            pairs = []
            # The first one warms everything up.
            for repetition in range(repetitions + 1):
                say(f"{what} {model}, pair {repetition} of {repetitions}")
                order = (this, that) if repetition % 2 else (that, this)
                answers = {version: version.ask(asked) for version in order}
                if repetition:
                    pairs.append((answers[this], answers[that]))
            rows.append({"what": what, "model": model} | _compared(pairs, "study" in asked))
        found = {"this": this.where, "other": that.where}
    return {
        "machine": machine(),
        "versions": found,
        "minibatches": minibatches,
        "repetitions": repetitions,
        "rows": rows,
    }


def _compared(pairs: list[tuple[dict[str, Any], dict[str, Any]]], trials: bool) -> dict[str, Any]:
    """Return the medians of both rates and of their ratio, and all ratios in ascending order."""
    scale = HOUR if trials else 1.0
    rates = [tuple(scale * answer["count"] / answer["seconds"] for answer in pair) for pair in pairs]
    ratios = sorted(this / other for this, other in rates)
    return {
        "unit": "trials an hour" if trials else "samples a second",
        "this": statistics.median(this for this, _ in rates),
        "other": statistics.median(other for _, other in rates),
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "sweeps": [statistics.median(pair[index]["sweeps"] for pair in pairs) for index in (0, 1)],
        "same_weights": all(this["weights"] == other["weights"] for this, other in pairs),
    }


class _Version:
    """A process of one version that trains on request and waits in between."""

    def __init__(self, python: Path) -> None:
        self._python = python
        # Modules on this process's PYTHONPATH would hide those installed for the other interpreter.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                [str(python.absolute()), "-P", str(SCRIPT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
                env=environment,
            )
        except OSError as problem:
            self._errors.close()
            legal = f"a python with another version of dyadnet ({problem.strerror})"
            raise ConfigError("OTHER", str(python), legal) from None
        hello = self._read()
        if hello is None:
            why = self._why()
            self.close()
            raise ConfigError("OTHER", str(python), f"a python with another version of dyadnet ({why})")
        self.where: str = hello["dyadnet"]

    def ask(self, what: dict[str, Any]) -> dict[str, Any]:
        """Send a request to train and return the answer.

        Raises
        ------
        DyadnetError
            If the process fails.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(what), file=self._process.stdin, flush=True)
        answer = self._read()
        if answer is None:
            raise DyadnetError(f"{self._python} failed at {json.dumps(what)}: {self._why()}")
        return answer

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        self._errors.close()

    def _read(self) -> dict[str, Any] | None:
        """Read an answer; None if there is none."""
        assert self._process.stdout is not None
        try:
            found = json.loads(self._process.stdout.readline())
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    def _why(self) -> str:
        """Return the last line of the process's error output, or its exit code."""
        self._process.kill()
        self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        return lines[-1] if lines else f"exit code {self._process.returncode}"
