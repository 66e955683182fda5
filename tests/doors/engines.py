"""A short run of three blocks: in this process, on hosts that are threads, and on one, two and three actors of Ray."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dyadnet as dn
from dyadnet.data import load
from dyadnet.engines.local import LocalEngine
from tests.actors.coordination.test_lockstep import record
from tests.actors.threads import threaded

SMALL: dict[str, Any] = {
    "data": {"name": "digits", "limit_train": 60, "limit_test": 20},
    "network": {"layered": {"inputs": 64, "hidden": [8, 6], "outputs": 10}},
    "learning": {"epochs": 1, "minibatch": 20},
    "dynamics": {"sweeps": 6, "nudged_sweeps": 6},
    "seed": 3,
    "engine": "local",
}


def read(**sections: Any) -> dn.RunConfig:
    """The configuration of such a run with other sections."""
    return dn.RunConfig.read(SMALL | {name: _over(name, section) for name, section in sections.items()})


def trained(folder: Path, actors: int = 0, **sections: Any) -> dn.Run:
    """A run in this process, or on so many actors."""
    where: dict[str, Any] = {"engine": "ray", "cluster": {"actors": actors}} if actors else {}
    return dn.train(read(**sections, **where), folder / f"{actors}")


def bits(folder: Path, **sections: Any) -> str:
    """Hash of the weights after a run, which is the same everywhere."""
    found = {trained(folder, actors, **sections).weights_sha256 for actors in (0, 1, 2, 3)}
    assert len(found) == 1
    return found.pop()


def hosted(*, carried: bool = False, **sections: Any) -> list[dict[str, Any]]:
    """The record of such a run, which is the same in this process and on one, two and three hosts.

    Parameters
    ----------
    carried
        Whether hosts share no memory.
    """
    config = read(**sections)
    dataset = load("digits").limited(60, 20)
    found = record(config, dataset, LocalEngine(config, dataset))
    for actors in (1, 2, 3):
        spread = read(cluster={"actors": actors, "timeout": 20}, **sections)
        assert record(spread, dataset, threaded(spread, dataset, carried=carried)) == found
    return found


def counted(run: dn.Run, count: str) -> int:
    """Sum over the channels of a run's last epoch."""
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    epoch = [line for line in lines if line["kind"] == "epoch"][-1]
    return sum(edge[count] for edge in epoch["train"]["edges"].values())


def _over(name: str, section: Any) -> Any:
    return {**SMALL.get(name, {}), **section} if isinstance(section, dict) else section
