"""What is decided after a failure is carried out, from the very start of a run: hosts on threads, without Ray."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from dyadnet.config import RunConfig
from dyadnet.config.recovery import GaveUpError
from dyadnet.errors import ConfigError, DyadnetError
from dyadnet.runs.folder import RunFolder
from dyadnet.runs.summary import Summary
from dyadnet.telemetry.snapshot import Snapshot
from dyadnet.training.api import load_data, train
from dyadnet_actors.cluster.recovering import RecoveringRun
from dyadnet_actors.cluster.workers import Casualties
from dyadnet_actors.protocol.failures import ActorLostError, FailedError
from dyadnet_actors.transports.local import PeerLostError
from tests.actors.threads import ThreadWorkers
from tests.checkpoint.runs import Watching, settings

UNHEARD = "h1 at 10.0.0.1 has heard nothing of h2 at 10.0.0.2 within 30 s"


class Lives:
    """Workers of a run whose first lives do not come up.

    Parameters
    ----------
    troubles
        Why not, one a life.
    """

    def __init__(self, config: RunConfig, troubles: Sequence[DyadnetError]) -> None:
        self._config = config
        self._troubles = list(troubles)
        self._dataset = load_data(config)
        self._present = ThreadWorkers(config, self._dataset)
        self.incarnations: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._present, name)

    def start(self, warn: Callable[[str], None]) -> dict[str, dict[str, Any]]:
        """See `dyadnet_actors.cluster.workers.RayWorkers.start`."""
        return self._met()

    def casualties(self, problem: FailedError) -> Casualties:
        """See `RayWorkers.casualties`."""
        return Casualties(frozenset(range(len(self.labels))), frozenset())

    def revive(self, casualties: Casualties, incarnation: int, number: int) -> dict[str, dict[str, Any]]:
        """See `RayWorkers.revive`."""
        self.incarnations.append(incarnation)
        self._present.close()
        self._present = ThreadWorkers(self._config, self._dataset, incarnation)
        return self._met()

    def _met(self) -> dict[str, dict[str, Any]]:
        if self._troubles:
            raise self._troubles.pop(0)
        return {label: {"node": "here"} for label in self.labels}


def attempted(
    config: RunConfig, troubles: Sequence[DyadnetError], out: Path
) -> tuple[Summary, list[dict[str, Any]], Watching, Lives]:
    """A run whose first lives do not come up: its summary, its events, what was told, and its lives."""
    workers, watching = Lives(config, troubles), Watching()
    with RunFolder(out, config) as folder:
        attempts = RecoveringRun(
            config,
            workers._dataset.sizes,
            workers,  # type: ignore[arg-type]
            folder,
            watching,
            Snapshot(config, "run"),
        )
        try:
            summary = attempts.run()
        finally:
            workers.close()
    events = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
    return summary, events, watching, workers


def test_actors_that_never_meet_at_the_start_begin_anew(tmp_path: Path) -> None:
    expected = train(settings(), tmp_path / "local")
    config = settings(engine="ray", cluster={"actors": 2})
    troubles = [PeerLostError(UNHEARD), ActorLostError("actor h2 died: it was killed", [1])]
    summary, events, watching, workers = attempted(config, troubles, tmp_path / "run")
    assert summary.weights_sha256 == expected.weights_sha256
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == (tmp_path / "local" / "metrics.jsonl").read_text()
    assert [(event["what"], event["minibatch"]) for event in events] == [("link", 1), ("actor", 1)]
    assert watching.warnings[0] == f"{UNHEARD}; host 0 and host 1 start anew, and the run goes on from its beginning"
    assert workers.incarnations == [1, 2]


def test_who_never_meets_is_not_tried_for_ever(tmp_path: Path) -> None:
    config = settings(engine="ray", cluster={"actors": 2})
    with pytest.raises(GaveUpError, match=r"h1 at .* heard nothing of h2 .*failure number 3 at minibatch 1, which is"):
        attempted(config, [PeerLostError(UNHEARD)] * 3, tmp_path / "run")
    config = settings(engine="ray", cluster={"actors": 2}, recovery={"actor_failures": 0})
    with pytest.raises(PeerLostError, match=r"h1 at .* heard nothing of h2"):
        attempted(config, [PeerLostError(UNHEARD)], tmp_path / "never")


def test_where_nothing_has_room_any_more_it_is_said_and_nothing_is_lost(tmp_path: Path) -> None:
    config = settings(engine="ray", cluster={"actors": 2})
    crowded = ConfigError("cluster.cpus_per_actor", "auto", "no room for 2 actors")
    with pytest.raises(GaveUpError, match=r"nothing of h2 .*; what is left of the cluster is not enough: .*no room"):
        attempted(config, [PeerLostError(UNHEARD), crowded], tmp_path / "run")


def test_a_lost_peer_says_the_same_in_every_process() -> None:
    found = pickle.loads(pickle.dumps(PeerLostError(UNHEARD)))
    assert isinstance(found, PeerLostError)
    assert (str(found), found.what, found.hosts) == (UNHEARD, "link", ())
