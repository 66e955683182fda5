"""A free run never goes the same way twice; its replay does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from dyadnet.errors import TraceError
from dyadnet.program import tables as c
from dyadnet.runs.trace import Recorded, Trace, recorded
from dyadnet.training.replay import replay
from tests.actors.coordination.test_lockstep import IMPERFECT
from tests.trace.files import rewritten
from tests.trace.runs import digits, settings, traced

LAMBDAS = {"sshm": 0.0, "ffm": 0.5, "hm": 1.0}
SOME: dict[str, dict[str, Any]] = {
    **{model: {"network": {"layered": {"lam": lam}}} for model, lam in LAMBDAS.items()},
    "settling": {"dynamics": {"mode": {"settle": True, "updates": 200}}},
    "larger evaluations": {"learning": {"minibatch": 10, "evaluation_batch": 20}},
    "packed": {"cluster": {"actors": 2}},
    "split": {"network": {"layered": {"blocks": 2}}, "cluster": {"actors": 3}},
    "warm": {"dynamics": {"initial": "previous"}},
    "imperfect": {"imperfections": IMPERFECT},
    "delayed": {"dynamics": {"mode": {"delay": {"kind": "uniform", "low": 0.2, "high": 2.0}}}},
    "prospective": {"dynamics": {"prospective": "auto"}},
    "prospective, delayed": {"dynamics": {"prospective": 0.8, "mode": {"delay": 1.0}}, "cluster": {"actors": 2}},
    "changes, lost": {
        "dynamics": {"mode": {"delay": {"kind": "exponential", "mean": 0.3, "maximum": 2.0}}},
        "imperfections": {"channel": {"send_on_delta": 0.01, "loss": 0.2, "duplication": 0.3}},
    },
    "changes": {"imperfections": {"channel": {"send_on_delta": 0.01}}},
    "straggling": {"cluster": {"slow": {"h1": 4}}},
    "float64": {"dynamics": {"dtype": "float64"}},
}


@pytest.mark.parametrize("sections", SOME.values(), ids=SOME)
def test_it_leads_to_the_same_weights(sections: dict[str, Any], tmp_path: Path) -> None:
    config = settings(tmp_path / "run.trace", **sections)
    weights = traced(config)
    with Trace(tmp_path / "run.trace") as trace:
        assert trace.config == config
        found = replay(trace, trace.config, digits(config))
        assert found.relaxations == trace.relaxations
    assert found.weights_sha256 == found.recorded_sha256 == weights
    assert found.difference is None
    assert found.same


def test_no_two_free_runs_are_the_same(tmp_path: Path) -> None:
    hashes = {traced(settings(tmp_path / f"{index}.trace")) for index in range(2)}
    assert len(hashes) == 2


def relaxation_of(path: Path, number: int) -> Recorded:
    """One training relaxation of a trace."""
    with Trace(path) as trace:
        return trace.relaxation(number, ["h1", "h2", "out"], ["dyadic"])


def altered(path: Path, number: int, **values: Any) -> None:
    """Write a trace anew in which the first host did something else in one training relaxation."""
    found = relaxation_of(path, number)
    scripts = [replace(found.scripts[0], **values), *found.scripts[1:]]
    frame = recorded(number, found.minibatch, found.outcomes, [script.packed() for script in scripts])
    rewritten(path, lambda frames: frames.__setitem__(number, frame))


def test_the_minibatch_is_named_where_it_first_goes_another_way(tmp_path: Path) -> None:
    config = settings(tmp_path / "run.trace")
    traced(config)
    rows = relaxation_of(tmp_path / "run.trace", 2).scripts[0].rows.copy()
    rows[rows[:, c.TR_OP] == c.TR_UPDATE, c.TR_COPY] += 10**7
    altered(tmp_path / "run.trace", 2, rows=rows)
    with Trace(tmp_path / "run.trace") as trace:
        found = replay(trace, config, digits(config))
    assert not found.same
    assert found.difference is not None
    assert (found.difference.minibatch, found.difference.what) == (2, "states")
    assert str(found.difference).startswith("at minibatch 2, in the states of block ")


def test_a_message_that_nobody_sent_is_told_of(tmp_path: Path) -> None:
    config = settings(tmp_path / "run.trace")
    traced(config)
    rows = relaxation_of(tmp_path / "run.trace", 1).scripts[0].rows.copy()
    rows[np.flatnonzero(rows[:, c.TR_OP] == c.TR_HOLD)[-1], c.TR_COUNT] = 1000
    altered(tmp_path / "run.trace", 1, rows=rows)
    complaint = r"relaxation 1: nobody sent update 1000 of h2 to h1"
    with Trace(tmp_path / "run.trace") as trace, pytest.raises(TraceError, match=complaint):
        replay(trace, config, digits(config))


def test_a_run_that_went_back_is_repeated_as_it_went_on(tmp_path: Path) -> None:
    """What was traced between a checkpoint and a failure is followed by the same relaxations once more."""
    config = settings(tmp_path / "run.trace")
    weights = traced(config)
    with Trace(tmp_path / "run.trace") as trace:
        count = trace.relaxations

    def twice(frames: list[bytes]) -> None:
        wasted = [frames[number] for number in (2, 3)]
        assert [msgpack.unpackb(frame)[1] for frame in wasted] == [2, 3]
        frames[4:4] = [frames[2], frames[3]]

    rewritten(tmp_path / "run.trace", twice)
    with Trace(tmp_path / "run.trace") as trace:
        assert trace.relaxations == count
        assert replay(trace, config, digits(config)).weights_sha256 == weights
