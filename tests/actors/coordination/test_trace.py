"""Free-running actors leave a trace, and ``dyadnet replay`` repeats it in one process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import dyadnet as dn
from dyadnet.cli.main import main
from dyadnet.config import RunConfig
from dyadnet.config.overrides import merged
from tests.trace.files import frames_of, written
from tests.trace.runs import SETTINGS

pytestmark = pytest.mark.usefixtures("ray_session")


def replayed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of ``dyadnet replay``."""
    with pytest.raises(SystemExit) as ended:
        main(["replay", *arguments])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


@pytest.mark.parametrize("transport", ["fast", pytest.param("ray", marks=pytest.mark.slow)])
def test_a_run_that_lost_an_actor_is_repeated(
    transport: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = tmp_path / "run.trace"
    sections: dict[str, Any] = {
        "record": {"trace": str(trace)},
        "cluster": {"transport": transport, "slow": {"h1": 3}},
        "checkpoint": {"every_minibatches": 2},
        "faults": ["kill:block=h2,minibatch=4,tick=2"],
    }
    summary = dn.train(RunConfig.read(merged(SETTINGS, sections)), tmp_path / "run")
    code, out, err = replayed(capsys, str(trace), "--json")
    told = json.loads(out.splitlines()[-1])
    assert code == 0
    assert told["weights_sha256"] == told["recorded_sha256"] == summary.weights_sha256
    assert told["same"]
    assert told["test_accuracy"] == summary.test_accuracy
    assert "the same; " in err
    # Its last word is not what its minibatches lead to.
    frames = frames_of(trace)
    frames[-1] = frames[-1].replace(summary.weights_sha256.encode(), b"0" * 64)
    written(trace, frames)
    code, _, err = replayed(capsys, str(trace))
    assert code == 1
    assert err.splitlines()[-1].endswith("first difference is at the last minibatch, in its update")
