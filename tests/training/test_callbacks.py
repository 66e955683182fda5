"""Callbacks are called in order, stop a run where they say, go on from checkpoints, and are named when they raise."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import dyadnet as dn
from dyadnet.checkpoint.position import Position
from dyadnet.errors import ConfigError, StoppedError, UsageError
from dyadnet.runs.hooks import HOOKS
from dyadnet.runs.status import Status
from dyadnet.training.run import Run
from tests.checkpoint.runs import MINIBATCHES, Watching, settings, stopping
from tests.cli.test_main import run as command


class Log(dn.Callback):
    """Writes down every call; stops or raises at one of them."""

    def __init__(self, stop: tuple[Any, ...] = (), fail: tuple[Any, ...] = ()) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.counted = 0
        self._stop, self._fail = stop, fail

    def _note(self, run: Run, *call: Any) -> None:
        self.calls.append(call)
        self.counted += 1
        if call == self._stop:
            run.stop(f"enough at {call[0]}")
        if call == self._fail:
            raise ValueError("the roof\nis on fire")

    def on_run_begin(self, run: Run) -> None:
        self._note(run, "run_begin", run.config.learning.epochs)

    def on_run_end(self, run: Run, status: Status) -> None:
        self._note(run, "run_end", status.state, status.exit_code)

    def on_epoch_begin(self, run: Run, epoch: int) -> None:
        self._note(run, "epoch_begin", epoch)

    def on_epoch_end(self, run: Run, record: Mapping[str, Any]) -> None:
        assert run.history["epoch"][-1] == record["epoch"]
        assert run.history["train_loss"][-1] == record["train"]["loss"]
        assert Run(run.path, "last").weights["bias/out"].shape == (10,)
        self._note(run, "epoch_end", record["epoch"])

    def on_minibatch_end(self, run: Run, record: Mapping[str, Any]) -> None:
        assert record["loss"] > 0
        assert 0 <= record["accuracy"] <= 1
        self._note(run, "minibatch_end", record["epoch"], record["minibatch"])

    def on_evaluation_end(self, run: Run, part: str, record: Mapping[str, Any]) -> None:
        self._note(run, "evaluation_end", part, record["samples"])

    def on_checkpoint(self, run: Run, name: str) -> None:
        assert (run.path / "checkpoints" / name / "manifest.json").exists()
        self._note(run, "checkpoint")

    def state_dict(self) -> dict[str, Any]:
        return {"counted": self.counted}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.counted = state["counted"]


def epoch(number: int) -> list[tuple[Any, ...]]:
    """The calls of an epoch that nobody stops."""
    minibatches = [("minibatch_end", number, index + 1) for index in range(MINIBATCHES)]
    parts = [("evaluation_end", "validation", 15), ("evaluation_end", "test", 40)]
    return [("epoch_begin", number), *minibatches, *parts, ("epoch_end", number)]


def test_they_are_called_in_order_and_change_no_bit(tmp_path: Path) -> None:
    log = Log()
    run = dn.train(settings(), tmp_path / "run", callbacks=[log])
    calls = [call for call in log.calls if call[0] != "checkpoint"]
    assert calls == [("run_begin", 2), *epoch(1), *epoch(2), ("run_end", "finished", 0)]
    assert log.calls.count(("checkpoint",)) == 2
    plain = dn.train(settings(), tmp_path / "plain")
    assert run.weights_sha256 == plain.weights_sha256
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == (tmp_path / "plain" / "metrics.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("stop", "epochs", "position"),
    [
        (("epoch_end", 1), 1, (1, 0)),
        (("evaluation_end", "validation", 15), 1, (1, 0)),
        (("minibatch_end", 2, 3), 1, (1, 3)),
        (("epoch_begin", 2), 1, (1, 0)),
    ],
)
def test_a_stop_lands_where_it_was_asked_for(
    stop: tuple[Any, ...], epochs: int, position: tuple[int, int], tmp_path: Path
) -> None:
    log = Log(stop)
    run = dn.train(settings(), tmp_path / "run", callbacks=[log])
    assert run.history["epoch"].tolist() == list(range(1, epochs + 1))
    assert (run.status.state, run.status.why, run.status.exit_code) == ("stopped", f"enough at {stop[0]}", 0)
    assert run.summary.stopped == run.status.why
    assert log.calls[-1] == ("run_end", "stopped", 0)
    newest = sorted(path for path in (run.path / "checkpoints").iterdir() if path.name[0].isdigit())[-1]
    found = json.loads((newest / "manifest.json").read_text())["checkpoint"]["position"]
    assert (found["epoch"], found["minibatch"]) == position
    # It can go on, to the bits of a run that nobody stopped.
    straight = dn.train(settings(), tmp_path / "straight")
    assert dn.resume(run.path).weights_sha256 == straight.weights_sha256


@pytest.mark.parametrize("stop", [("run_begin", 2), ("minibatch_end", 1, 4)])
def test_a_stop_before_there_is_anything_to_tell(stop: tuple[Any, ...], tmp_path: Path) -> None:
    with pytest.raises(
        StoppedError, match=f"stopped before the first epoch had ended: enough at {stop[0]}; a checkpoin"
    ):
        dn.train(settings(), tmp_path / "run", callbacks=[Log(stop)])
    assert Run(tmp_path / "run").status.state == "stopped"
    assert dn.resume(tmp_path / "run").status.state == "finished"


def test_their_state_is_part_of_the_checkpoint(tmp_path: Path) -> None:
    whole = Log()
    dn.train(settings(), tmp_path / "whole", callbacks=[whole])
    first = Log()
    with pytest.raises(StoppedError, match="a checkpoint is written"):
        dn.train(settings(), tmp_path / "run", stopping(9), callbacks=[first])
    again = Log()
    dn.resume(tmp_path / "run", callbacks=[again])
    kept = [call for call in first.calls if call[0] not in ("checkpoint", "run_begin", "run_end")]
    more = [call for call in again.calls if call[0] not in ("checkpoint", "run_begin", "run_end")]
    assert kept + more == [*epoch(1), *epoch(2)]
    # The state is that of the checkpoint: the end of the first half was told after it.
    assert again.counted == first.counted - 1 + len(again.calls) - 1


def test_state_without_its_callback_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        dn.train(settings(), tmp_path / "run", stopping(9), callbacks=[Log()])
    watching = Watching()
    dn.resume(tmp_path / "run", None, watching, callbacks=[dn.EarlyStopping()])
    assert any("callback Log: the checkpoint holds its state" in text for text in watching.warnings)


@pytest.mark.parametrize(
    ("fail", "hook"),
    [
        (("epoch_begin", 1), "on_epoch_begin"),
        (("minibatch_end", 2, 3), "on_minibatch_end"),
        (("evaluation_end", "test", 40), "on_evaluation_end"),
        (("epoch_end", 2), "on_epoch_end"),
        (("checkpoint",), "on_checkpoint"),
    ],
)
def test_one_that_raises_ends_the_run_and_loses_nothing(fail: tuple[Any, ...], hook: str, tmp_path: Path) -> None:
    expected = (
        rf"callback Log\.{hook} raised ValueError: the roof is on fire; a checkpoint is written; go on with: dyad"
    )
    with pytest.raises(dn.CallbackError, match=expected) as raised:
        dn.train(settings(), tmp_path / "run", callbacks=[Log(fail=fail)])
    assert isinstance(raised.value.__cause__, ValueError)
    assert Run(tmp_path / "run").status.state == "failed"
    straight = dn.train(settings(), tmp_path / "straight")
    assert dn.resume(tmp_path / "run", callbacks=[Log()]).weights_sha256 == straight.weights_sha256


def test_one_that_raises_at_the_begin_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(dn.CallbackError, match=r"callback Log\.on_run_begin raised ValueError"):
        dn.train(settings(), tmp_path / "run", callbacks=[Log(fail=("run_begin", 2))])
    assert not (tmp_path / "run").exists()


def test_one_that_raises_at_the_end_leaves_the_run_finished(tmp_path: Path) -> None:
    with pytest.raises(dn.CallbackError, match=r"on_run_end raised ValueError: .*; the run itself has ended well"):
        dn.train(settings(), tmp_path / "run", callbacks=[Log(fail=("run_end", "finished", 0))])
    assert Run(tmp_path / "run").status.state == "finished"


def test_the_end_is_told_however_it_comes(tmp_path: Path) -> None:
    log = Log()
    away = settings(dynamics={"step": 2.0, "clock": "every-tick", "patience": 5})
    with pytest.raises(dn.DivergedError):
        dn.train(away, tmp_path / "run", callbacks=[log])
    assert log.calls[-1] == ("run_end", "diverged", 1)


def test_what_cannot_be_a_callback_or_its_state(tmp_path: Path) -> None:
    class Unplain(dn.Callback):
        def state_dict(self) -> dict[str, Any]:
            return {"callback": self}

    for wrong in (print, dn.EarlyStopping, "log"):
        with pytest.raises(ConfigError, match=r"callbacks: .* instances of dyadnet\.Callback"):
            dn.train(settings(), tmp_path / "run", callbacks=[wrong])  # type: ignore[list-item]
    with pytest.raises(dn.CallbackError, match=r"callback .*Unplain\.state_dict: TypeError: .*plain values"):
        dn.train(settings(), tmp_path / "run", callbacks=[Unplain()])
    with pytest.raises(ConfigError, match=r"cluster\.detach: True .* callbacks run in this process"):
        dn.train(
            settings(engine="ray", cluster={"detach": True, "address": "a:1"}), tmp_path / "run", callbacks=[Log()]
        )
    free = settings(engine="ray", dynamics={"mode": "free"}, record={"trace": str(tmp_path / "t")})
    with pytest.raises(ConfigError, match=r"record\.trace: .* a trace does not record what callbacks do"):
        dn.train(free, tmp_path / "run", callbacks=[Log()])
    assert not (tmp_path / "run").exists()
    run = dn.train(settings(), tmp_path / "run")
    with pytest.raises(dn.DyadnetError, match="only a callback can stop a run"):
        run.stop("now")


STALLED = {"learning": {"epochs": 9, "learning_rate": 0.0}}
"""A run that learns nothing."""


@pytest.mark.parametrize("monitor", ["validation_accuracy", "validation_loss", "train_loss"])
def test_early_stopping_as_a_setting_and_as_a_callback(monitor: str, tmp_path: Path) -> None:
    spec = {"monitor": monitor, "patience": 2, "min_delta": 0.5}
    stalled = settings(**STALLED)
    called = dn.train(stalled, tmp_path / "called", callbacks=[dn.EarlyStopping(**spec)])  # type: ignore[arg-type]
    learning = STALLED["learning"] | {"early_stopping": spec}
    run = dn.train(settings(learning=learning), tmp_path / "set")
    for one in (called, run):
        assert one.history["epoch"].tolist() == [1, 2, 3]
        assert one.status.why.startswith(f"no better {monitor} than ")
        assert one.status.why.endswith(" for 2 epochs")
    # It stays ended, unless it is to wait longer.
    assert dn.resume(run.path).history["epoch"].tolist() == [1, 2, 3]
    assert dn.resume(run.path, {"learning": {"early_stopping": None}}).history["epoch"].tolist() == list(range(1, 10))


def test_early_stopping_counts_on_after_a_stop(tmp_path: Path) -> None:
    learning = STALLED["learning"] | {"early_stopping": {"patience": 3, "min_delta": 0.5}}
    with pytest.raises(StoppedError):
        dn.train(settings(learning=learning), tmp_path / "run", stopping(2 * MINIBATCHES + 3))
    assert dn.resume(tmp_path / "run").history["epoch"].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("state", [{"best": 0.5}, {"best": "most", "since": 1}, {"best": None, "since": -1}, 3])
def test_a_state_that_is_none_damages_the_checkpoint(state: Any) -> None:
    plain = Position().plain()
    assert Position.from_plain(plain | {"hooks": {"early_stopping": {"best": 0.5, "since": 1}}}).hooks
    with pytest.raises((ValueError, KeyError, TypeError)):
        Position.from_plain(plain | {"hooks": {"early_stopping": state}})


def test_early_stopping_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.checkpoint.runs import SMALL

    (tmp_path / "small.yaml").write_text(json.dumps(SMALL | {"learning": STALLED["learning"]}))
    arguments = ["train", str(tmp_path / "small.yaml"), "--out", str(tmp_path / "run"), "--json"]
    assert command(*arguments, "--set", "learning.early_stopping=1") == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["state"] == "stopped"
    assert found["stopped"].startswith("no better validation_accuracy")
    assert found["stopped"] in captured.err


@pytest.mark.parametrize(
    ("spec", "field"),
    [({"monitor": "test_accuracy"}, "monitor"), ({"patience": 0}, "patience"), ({"min_delta": -1.0}, "min_delta")],
)
def test_early_stopping_that_is_not_legal(spec: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as refused:
        dn.EarlyStopping(**spec)
    assert refused.value.field == field
    with pytest.raises(ConfigError) as refused:
        settings(learning={"early_stopping": spec})
    assert refused.value.field == f"learning.early_stopping.{field}"


@pytest.mark.pictures
def test_pictures_and_report_can_be_left_out(tmp_path: Path) -> None:
    dn.train(settings(), tmp_path / "with")
    dn.train(settings(), tmp_path / "without", report=False)
    dn.train(settings(record={"report": False}), tmp_path / "set")
    drawn = {"report.html", "curves.png"}
    assert drawn <= {path.name for path in (tmp_path / "with").iterdir()}
    for name in ("without", "set"):
        assert not drawn & {path.name for path in (tmp_path / name).iterdir()}


def events(folder: Path) -> dict[tuple[str, int], float]:
    """Scalars in event files, by tag and step: what a reader of TFRecords finds."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[tuple[str, int], float] = {}
    for path in sorted(folder.glob("events*")):
        data = path.read_bytes()
        while data:
            (size,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + size])
            data = data[16 + size :]
            found |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
    return found


def test_tensorboard_shows_the_record(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    from dyadnet.integrations.tensorboard import TensorBoard

    run = dn.train(settings(), tmp_path / "run", callbacks=[TensorBoard()])
    found = events(tmp_path / "run" / "tensorboard")
    for step in (1, 2):
        for part in ("train", "validation", "test"):
            assert found[f"{part}/loss", step] == pytest.approx(run.history[f"{part}_loss"][step - 1])
        assert found["run/learning_rate", step] == pytest.approx(run.history["learning_rate"][step - 1])
    dn.train(settings(), tmp_path / "again", callbacks=[TensorBoard(tmp_path / "board")])
    assert events(tmp_path / "board") == found


def test_without_tensorboard_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from dyadnet.integrations.tensorboard import TensorBoard

    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(UsageError, match=r"pip install 'dyadnet\[tensorboard\]'"):
        TensorBoard()


def test_every_hook_that_is_waited_for_is_one_of_the_base() -> None:
    assert set(HOOKS) | {"on_run_begin", "on_run_end"} == {name for name in vars(dn.Callback) if name.startswith("on_")}
