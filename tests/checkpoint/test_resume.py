"""A run that was stopped and goes on ends with the bits and the record of one that never stopped."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from dyadnet.checkpoint.continuing import check_same_run
from dyadnet.checkpoint.manifest import Manifest
from dyadnet.checkpoint.position import Position
from dyadnet.data import load
from dyadnet.engines.local import LocalEngine
from dyadnet.errors import CheckpointError, ConfigError, RunFolderError, StoppedError
from dyadnet.files.store import store
from dyadnet.training.api import resume, train
from dyadnet.training.evaluation import evaluate
from tests.checkpoint.runs import (
    EPOCHS,
    MINIBATCHES,
    Watching,
    checkpoints,
    outcome,
    settings,
    stopping,
    uninterrupted,
)

IMPERFECT: dict[str, Any] = {
    "dynamics": {"sweeps": 6, "nudged_sweeps": 6, "fixed": True, "delay": {"kind": "uniform", "low": 1, "high": 2}},
    "imperfections": {
        "channel": {
            "loss": {"p": 0.1},
            "send_on_delta": {"threshold": 0.01},
            "quantisation": {"bits": 6, "stochastic": True},
        },
        "device": {"weights": {"bits": 8}, "read_noise": {"sigma": 0.01}, "gain": {"spread": 0.1}},
    },
    "learning": {"optimiser": {"kind": "momentum"}, "learning_rate": {"kind": "cosine", "start": 0.05}},
}
CONTINUOUS: dict[str, Any] = {
    "dynamics": {"initial": "previous", "lanes": 2, "clock": {"kind": "bernoulli", "p": 0.6}},
    "network": {"layered": {"lam": 0.75}},
    "learning": {"lam": {"kind": "linear", "start": 0.75, "end": 0.2}, "evaluation_batch": 20, "warmup": 9},
    "probe": {"neurons": {"h1": [0, 3]}, "every": 4},
}


@pytest.fixture(scope="module")
def never_stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes, float, int]:
    return uninterrupted(settings(), tmp_path_factory.mktemp("never") / "run")


@examples(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stops=st.lists(st.integers(1, EPOCHS * MINIBATCHES - 1), min_size=1, max_size=3, unique=True))
def test_stopped_anywhere_any_number_of_times(
    stops: list[int], never_stopped: tuple[str, bytes, float, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    out = tmp_path_factory.mktemp("stopped") / "run"
    begun = 0
    for stop in sorted(stops):
        watching = stopping(stop - begun)
        with pytest.raises(StoppedError, match=r"a checkpoint is written; go on with: dyadnet resume .*run"):
            resume(out, {}, watching) if begun else train(settings(), out, watching)
        begun = stop
    last = Watching()
    assert outcome(resume(out, {}, last), out) == never_stopped
    assert last.count == EPOCHS * MINIBATCHES - begun


@pytest.mark.parametrize(("values", "stop"), [(IMPERFECT, 4), (CONTINUOUS, 4), (CONTINUOUS, MINIBATCHES)])
def test_imperfections_devices_and_warm_starts_go_on_too(values: dict[str, Any], stop: int, tmp_path: Path) -> None:
    config = settings(**values)
    expected = uninterrupted(config, tmp_path / "never")
    with pytest.raises(StoppedError):
        train(config, tmp_path / "run", stopping(stop))
    assert outcome(resume(tmp_path / "run"), tmp_path / "run") == expected
    for probe in (tmp_path / "never" / "probes").glob("*.npz"):
        with np.load(probe) as one, np.load(tmp_path / "run" / "probes" / probe.name) as other:
            assert all(np.array_equal(one[key], other[key]) for key in one.files)


def test_a_run_that_died_goes_on_from_its_last_checkpoint(
    never_stopped: tuple[str, bytes, float, int], tmp_path: Path
) -> None:
    def die() -> None:
        raise ZeroDivisionError

    config = settings(checkpoint={"every_minibatches": 4})
    with pytest.raises(ZeroDivisionError):
        train(config, tmp_path / "run", Watching(11, die))
    # Its record is further than the checkpoint, and one line of it is half.
    with (tmp_path / "run" / "metrics.jsonl").open("a") as record:
        record.write('{"kind": "minib')
    watching = Watching()
    assert outcome(resume(tmp_path / "run", {}, watching), tmp_path / "run") == never_stopped
    # The best weights of the first epoch were kept after seven minibatches.
    assert "epoch 2, minibatch 0" in watching.notes[-1]
    assert watching.count == 7


def test_the_newest_and_the_best_are_kept(tmp_path: Path) -> None:
    config = settings(checkpoint={"every_minibatches": 2, "keep": 2}, learning={"epochs": 3})
    train(config, tmp_path / "run")
    kept = checkpoints(tmp_path / "run")
    manifest = json.loads((tmp_path / "run" / "checkpoints" / kept[-1] / "manifest.json").read_text())
    best = manifest["checkpoint"]["position"]["best"]["checkpoint"]
    assert best in kept
    assert len(set(kept) - {best}) <= 2
    assert kept[-1].startswith("00000021-")


def test_a_complete_run_has_nothing_left_to_do_and_may_become_longer(tmp_path: Path) -> None:
    expected = uninterrupted(settings(learning={"epochs": 3}), tmp_path / "three")
    two = uninterrupted(settings(), tmp_path / "run")
    assert outcome(resume(tmp_path / "run"), tmp_path / "run") == two
    longer = resume(tmp_path / "run", {"learning": {"epochs": 3}})
    assert outcome(longer, tmp_path / "run") == expected


def test_best_weights_from_after_the_checkpoint_are_taken_back(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(settings(), run)
    first = evaluate(run, "last")
    train(settings(learning={"epochs": 1}), tmp_path / "one")
    kept = checkpoints(run)
    after_one = next(name for name in kept if name.startswith("00000007-"))
    for name in kept:
        if name > after_one:
            shutil.rmtree(run / "checkpoints" / name)
    shutil.rmtree(run / "checkpoints" / "best")
    with pytest.raises(StoppedError):
        resume(run, {}, stopping(1))
    assert evaluate(run, "best")["loss"] == evaluate(tmp_path / "one", "best")["loss"]
    resume(run)
    assert evaluate(run, "last")["loss"] == first["loss"]


def test_an_altered_or_half_written_checkpoint_falls_back_to_the_one_before(
    never_stopped: tuple[str, bytes, float, int], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with pytest.raises(StoppedError):
        train(settings(checkpoint={"every_minibatches": 2}), run, stopping(6))
    *_, before, altered, half = (run / "checkpoints" / name for name in checkpoints(run))
    data = bytearray((altered / "h2.npz").read_bytes())
    data[-200] ^= 1
    (altered / "h2.npz").write_bytes(data)
    (half / "manifest.json").unlink()
    watching = Watching()
    assert outcome(resume(run, {}, watching), run) == never_stopped
    told = "\n".join(watching.warnings)
    assert f"checkpoint {half.name} cannot be used: half written: it has no manifest; falling back" in told
    assert f"checkpoint {altered.name} cannot be used: h2.npz was altered: its checksum differs; falling back" in told
    assert before.name in watching.notes[-1]


def test_where_nothing_is_intact_the_run_is_left_as_it_is(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(StoppedError):
        train(settings(), run, stopping(5))
    record = (run / "metrics.jsonl").read_bytes()
    for name in checkpoints(run):
        (run / "checkpoints" / name / "out.npz").write_bytes(b"PK")
    with pytest.raises(RunFolderError, match=r"no intact checkpoint to resume from; begin anew: dyadnet train"):
        resume(run)
    assert (run / "metrics.jsonl").read_bytes() == record


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"seed": 4}, r"seed: 4 is not legal; it has been 3, and another value would change the result"),
        ({"dynamics": {"lanes": 2}}, r"dynamics\.lanes: 2 is not legal; it has been 1"),
        ({"record": {"every": 1}}, r"record\.every: 1 is not legal; it has been 3"),
        ({"learning": {"epochs": 1}}, r"learning\.epochs: 1 is not legal; at least 2: so many have begun"),
        ({"cluster": {"detach": True}}, r"cluster\.detach: True is not legal; only on a running cluster"),
        ({"engine": "abacus"}, r"engine: 'abacus' is not legal; one of local, ray"),
    ],
)
def test_settings_that_would_change_the_science_are_refused(
    changes: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(StoppedError):
        train(settings(), tmp_path / "run", stopping(9))
    before = {path: path.read_bytes() for path in sorted((tmp_path / "run").rglob("*")) if path.is_file()}
    with pytest.raises(ConfigError, match=complaint):
        resume(tmp_path / "run", changes)
    assert {path: path.read_bytes() for path in sorted((tmp_path / "run").rglob("*")) if path.is_file()} == before


def test_where_a_run_cannot_go_on_its_settings_stay(tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        train(settings(), tmp_path / "run", stopping(9))
    before = (tmp_path / "run" / "config.yaml").read_text()
    with pytest.raises(ConfigError, match="only the engine ray has a cluster"):
        resume(tmp_path / "run", {"cluster": {"actors": 2}})
    assert (tmp_path / "run" / "config.yaml").read_text() == before


def test_a_schedule_over_the_whole_run_fixes_its_length(tmp_path: Path) -> None:
    config = settings(learning={"beta": {"kind": "linear", "start": 0.1, "end": 0.3}})
    with pytest.raises(StoppedError):
        train(config, tmp_path / "run", stopping(3))
    with pytest.raises(ConfigError, match=r"learning\.beta stretches over the whole run"):
        resume(tmp_path / "run", {"learning": {"epochs": 5}})


def test_checkpoints_of_another_run_are_not_taken(tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        train(settings(), tmp_path / "run", stopping(3))
    with pytest.raises(StoppedError):
        train(settings(seed=4), tmp_path / "other", stopping(3))
    there = {"checkpoint": {"folder": str(tmp_path / "other" / "checkpoints")}}
    with pytest.raises(
        RunFolderError, match=r"the checkpoint is of another run: seed is 4 there and 3 in config\.yaml"
    ):
        resume(tmp_path / "run", there)
    with pytest.raises(StoppedError):
        train(settings(network={"layered": {"hidden": [20, 12]}}), tmp_path / "smaller", stopping(3))
    with pytest.raises(
        RunFolderError, match=r"the checkpoint is of another run: network\.populations is .* and .* in c"
    ):
        resume(tmp_path / "run", {"checkpoint": {"folder": str(tmp_path / "smaller" / "checkpoints")}})
    with pytest.raises(RunFolderError, match="it holds checkpoints of another run; name an empty folder"):
        train(settings(**there), tmp_path / "third")
    assert not (tmp_path / "third").exists()


def test_a_checkpoint_from_before_a_setting_existed_had_its_default() -> None:
    stored = settings().model_dump(mode="json")
    del stored["learning"]["warmup"]
    check_same_run(settings(), stored)
    with pytest.raises(CheckpointError, match=r"learning\.warmup is 0 there and 5 in config\.yaml"):
        check_same_run(settings(learning={"warmup": 5}), stored)


@pytest.mark.parametrize(("name", "value"), [("warmup", "x"), ("unheard_of", 1)])
def test_a_checkpoint_whose_settings_are_none_is_refused_as_one(name: str, value: Any) -> None:
    stored = settings().model_dump(mode="json")
    stored["learning"][name] = value
    with pytest.raises(CheckpointError, match=rf"damaged, or of another version of dyadnet: learning\.{name}: "):
        check_same_run(settings(), stored)


def test_data_in_a_file_may_lie_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    generator = np.random.default_rng(1)
    for place in (one, other):
        place.mkdir()
    np.savez(one / "mine.npz", x=generator.uniform(0, 1, (90, 64)), y=np.arange(90) % 10)
    monkeypatch.chdir(one)
    config = settings(data={"name": "mine.npz", "limit_train": None, "limit_test": None})
    expected = uninterrupted(config, tmp_path / "never")
    with pytest.raises(StoppedError):
        train(config, tmp_path / "run", stopping(3))
    monkeypatch.chdir(tmp_path)
    shutil.move(one / "mine.npz", other / "mine.npz")
    with pytest.raises(ConfigError, match=r"data\.name: .* another value would change the result"):
        resume(tmp_path / "run", {"data": {"name": "other/yours.npz"}})
    assert outcome(resume(tmp_path / "run", {"data": {"name": "other/mine.npz"}}), tmp_path / "run") == expected


@pytest.mark.parametrize(
    ("hidden", "complaint"),
    [
        (
            [20, 12],
            r"block h2: parameter h1 is float32\[16, 20\], not float32\[12, 20\]; it is a checkpoint of another",
        ),
        ([20, 16, 8], r"it has no block h3; it is of another run"),
        ([20], r"block out: not the arrays of this network; it is a checkpoint of another run"),
    ],
)
def test_blocks_take_no_arrays_of_another_network(hidden: list[int], complaint: str, tmp_path: Path) -> None:
    place, dataset = store(str(tmp_path / "kept")), load("digits")
    one, other = (
        LocalEngine(settings(), dataset),
        LocalEngine(settings(network={"layered": {"hidden": hidden}}), dataset),
    )
    try:
        files = one.save(place, "00000001-0123abcd")
        with pytest.raises(CheckpointError, match=complaint):
            other.restore(place, Manifest("00000001-0123abcd", {}, Position(), files, {}, (), 0.0))
    finally:
        one.close()
        other.close()


def test_without_checkpoints_there_is_nothing_to_go_on_from(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(settings(checkpoint=False), run)
    assert checkpoints(run) == []
    with pytest.raises(RunFolderError, match="checkpoints were off"):
        resume(run)


def test_checkpoints_may_lie_on_any_file_system(never_stopped: tuple[str, bytes, float, int], tmp_path: Path) -> None:
    folder = f"memory://{tmp_path.name}/kept"
    with pytest.raises(StoppedError):
        train(settings(checkpoint={"folder": folder}), tmp_path / "run", stopping(9))
    assert checkpoints_gone(tmp_path / "run")
    assert outcome(resume(tmp_path / "run"), tmp_path / "run") == never_stopped


def checkpoints_gone(out: Path) -> bool:
    """Whether the run's own folder has weights only."""
    return {path.name for path in (out / "checkpoints").iterdir()} == {"best", "last"}
