"""Keeps completed trials in a folder, so that the others can run later."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dyadnet.errors import ConfigError
from dyadnet.files.access import content, unpacked
from dyadnet.files.jsonl import Lines, complete
from dyadnet.runs.folder import whole
from dyadnet_actors.chaos.plan import Kind
from dyadnet_actors.chaos.strike import Ending

HEAD, TRIALS = "chaos.json", "trials.jsonl"


class KeptTrials:
    """The completed trials of a folder.

    Parameters
    ----------
    folder
        Folder of the trials; created if it does not exist.
    seed, kinds
        Seed and fault kinds of the trials.

    Attributes
    ----------
    lines
        Results of the completed trials, by trial number.
    weights
        Hash of the undisturbed run's weights; empty until it is known.

    Raises
    ------
    ConfigError
        If the folder holds trials of another seed or other kinds, or is damaged.
    """

    def __init__(self, folder: Path, seed: int, kinds: Sequence[Kind]) -> None:
        self._folder = folder
        self._head = {"seed": seed, "kinds": list(kinds)}
        folder.mkdir(parents=True, exist_ok=True)
        before = self._read()
        if any(before.get(name, value) != value for name, value in self._head.items()):
            legal = (
                f"it holds trials of seed {before['seed']} and kinds {','.join(before['kinds'])}; name another folder"
            )
            raise ConfigError("--out", str(folder), legal)
        self.weights = str(before.get("weights_sha256", ""))
        path = folder / TRIALS
        self._file = Lines(path, complete(path) if path.exists() else None)
        self.lines: dict[int, dict[str, Any]] = {line["trial"]: line for line in map(unpacked, _lines(path))}

    def expect(self, weights: str) -> None:
        """Store the hash of the undisturbed run's weights."""
        self.weights = weights
        with whole(self._folder / HEAD) as fresh:
            fresh.write_text(json.dumps(self._head | {"weights_sha256": weights}), encoding="utf-8")

    def add(self, ending: Ending) -> dict[str, Any]:
        """Store a completed trial; return its stored result."""
        trial = ending.trial
        same = ending.struck and ending.weights == self.weights
        why = ending.why or ("other bits" if ending.struck else "the fault did not happen")
        self.lines[trial.number] = {
            "trial": trial.number,
            "kind": trial.kind,
            "fault": str(trial.fault),
            "victims": list(trial.victims),
            "ended": bool(ending.weights),
            "same_bits": same,
            "why": "" if same else why,
            "seconds": ending.seconds,
        }
        self._file.append(self.lines[trial.number])
        return self.lines[trial.number]

    def close(self) -> None:
        """Close the file of results."""
        self._file.close()

    def _read(self) -> dict[str, Any]:
        path = self._folder / HEAD
        try:
            found = unpacked(content(path)) if path.exists() else {}
        except (OSError, ValueError):
            found = None
        if not isinstance(found, dict):
            raise ConfigError("--out", str(self._folder), f"{HEAD} in it is damaged; name another folder")
        return found


def _lines(path: Path) -> list[bytes]:
    return content(path).splitlines()
