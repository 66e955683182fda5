"""Studies on Ray: nothing is run twice, nothing is lost, and nothing depends on how many run at a time."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from dyadnet.cli.main import main
from dyadnet.config import ClusterSpec, RunConfig
from dyadnet.data import Dataset
from dyadnet.errors import ConfigError, DyadnetError
from dyadnet.study import Result, StudyFolder, Trial, ongoing, plan
from dyadnet.study.definition import Keep
from dyadnet.study.folder import ONGOING
from dyadnet.training.api import load_data
from dyadnet_actors.cluster.watchdog import Watchdog
from dyadnet_actors.study.drive import drive
from dyadnet_actors.study.pool import Pool, data_key
from tests.actors.clusters import DYADNET, clean_environment, heed_ctrl_c
from tests.study.definitions import TINY, tiny

pytestmark = pytest.mark.usefixtures("ray_session")
DIVERGING = {"key": "dynamics.step", "grid": [2.0, 0.2], "name": "eta"}
LONG = {"dynamics": {"clock": "every-tick", "sweeps": 400, "nudged_sweeps": 400}}


def table(out: Path) -> list[dict[str, str]]:
    """Rows of a study's table, without what differs from run to run."""
    with (out / "results.csv").open(encoding="utf-8") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def times(out: Path) -> dict[str, int]:
    """When each trial's file was written."""
    return {path.name: path.stat().st_mtime_ns for path in (out / "trials").iterdir()}


def test_results_do_not_depend_on_how_many_run_at_a_time(tmp_path: Path) -> None:
    for name, size in (("one", 1), ("two", 2)):
        ended = drive(tiny(seeds=1), tmp_path / name, ClusterSpec(), max_concurrent=size)
        assert (ended.trials, ended.ran, ended.ok) == (10, 10, 10)
    assert table(tmp_path / "one") == table(tmp_path / "two")
    assert len({row["weights_sha256"] for row in table(tmp_path / "one")}) > 3
    assert (tmp_path / "one" / "map-test-accuracy.png").exists()
    before = times(tmp_path / "one")
    again = drive(tiny(seeds=1), tmp_path / "one", ClusterSpec())
    assert (again.ran, again.ok) == (0, 10)
    assert times(tmp_path / "one") == before


def test_divergence_is_recorded_and_not_fatal(tmp_path: Path) -> None:
    base = TINY["base"] | {"set": TINY["base"]["set"] | LONG}
    study = tiny(base=base, axes=[DIVERGING], models=["sshm"], seeds=1, reference=False)
    ended = drive(study, tmp_path / "some", ClusterSpec())
    assert (ended.ok, ended.diverged, ended.failed) == (1, 1, 0)
    first, second = table(tmp_path / "some")
    assert (first["status"], second["status"]) == ("diverged", "ok")
    assert "diverging in block" in first["error"]
    none = tiny(base=base, axes=[DIVERGING | {"grid": [2.0]}], models=["sshm"], reference=False)
    with pytest.raises(DyadnetError, match="none of the 2 trials ended well; the first: diverging") as caught:
        drive(none, tmp_path / "none", ClusterSpec())
    assert caught.value.exit_code == 1
    assert [row["status"] for row in table(tmp_path / "none")] == ["diverged"] * 2


def test_a_worker_that_dies_costs_its_trial_alone(ray_session: Watchdog) -> None:
    class Mortal:
        """Dies of seed 1 always, of seed 2 once, and fails on seed 3."""

        def ready(self) -> bool:
            return True

        def run(self, config: RunConfig, dataset: Dataset, keep: tuple[Keep, ...], place: Path | None) -> Result:
            if config.seed == 1 or (config.seed == 2 and not mark.exists()):
                if config.seed == 2:
                    mark.write_text("died")
                os._exit(1)
            if config.seed == 3:
                raise MemoryError("no room")
            return Result("ok", "", {"epochs": 1})

    with tempfile.TemporaryDirectory() as folder:
        mark = Path(folder) / "mark"
        study = tiny(axes=[{"key": "learning.beta", "grid": [0.1]}], models=["ffm"], seeds=5, reference=False)
        trials = plan(study)
        found: dict[int, Result] = {}

        def ended(trial: Trial, result: Result) -> None:
            found[trial.seed] = result

        pool = Pool(2, ray_session, Mortal)
        try:
            pool.run(trials, {data_key(trials[0].config): load_data(trials[0].config)}, ended)
        finally:
            pool.close()
    assert {seed: result.status for seed, result in found.items()} == {
        0: "ok",
        1: "failed",
        2: "ok",
        3: "failed",
        4: "ok",
    }
    assert "died" in found[1].error
    assert found[3].error == "MemoryError: no room"


def test_a_trial_that_comes_further_each_time_may_die_often(ray_session: Watchdog, tmp_path: Path) -> None:
    class Weary:
        """Of seed 0 dies three times, each further on; of seed 1 always at the same point."""

        def ready(self) -> bool:
            return True

        def run(self, config: RunConfig, dataset: Dataset, keep: tuple[Keep, ...], place: Path) -> Result:
            checkpoints = place / "checkpoints"
            before = len(list(checkpoints.glob("*")))
            if config.seed == 0 and before == 3:
                return Result("ok", "", {"epochs": before})
            if config.seed == 0 or before == 0:
                (checkpoints / f"{before + 1:08d}-00000000").mkdir(parents=True)
            os._exit(1)

    study = tiny(axes=[{"key": "learning.beta", "grid": [0.1]}], models=["ffm"], seeds=2, reference=False)
    trials, found = plan(study), {}
    pool = Pool(1, ray_session, Weary)
    try:
        data = {data_key(trials[0].config): load_data(trials[0].config)}
        pool.run(
            trials, data, lambda trial, result: found.update({trial.seed: result}), lambda t: tmp_path / str(t.seed)
        )
    finally:
        pool.close()
    assert (found[0].status, found[0].values) == ("ok", {"epochs": 3})
    assert found[1].status == "failed"


def test_a_trial_that_failed_keeps_what_it_would_go_on_from(tmp_path: Path) -> None:
    study = tiny(models=["ffm"], seeds=1, reference=False)
    trials = plan(study)
    folder = StudyFolder(tmp_path / "study", study, trials)
    for status, kept in (("failed", True), ("ok", False)):
        place = folder.place(trials[0])
        folder.save(trials[0], Result(status, "", {}))  # type: ignore[arg-type]
        assert place.exists() == kept
    folder.close()


def test_long_trials_leave_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = tiny(models=["ffm"], seeds=1, reference=False)
    seen: list[bool] = []
    drive(study, tmp_path / "short", ClusterSpec())
    monkeypatch.setattr(ongoing, "LONG", 1)
    save = StudyFolder.save

    def looking(folder: StudyFolder, trial: Trial, result: Result) -> None:
        seen.append((folder.path / ONGOING / f"{trial.number:05d}" / "metrics.jsonl").exists())
        save(folder, trial, result)

    monkeypatch.setattr(StudyFolder, "save", looking)
    drive(study, tmp_path / "long", ClusterSpec())
    assert seen == [True] * len(plan(study))
    assert not (tmp_path / "long" / ONGOING).exists()
    hashes = [[row["weights_sha256"] for row in table(tmp_path / name)] for name in ("short", "long")]
    assert hashes[0] == hashes[1]


def test_more_at_a_time_than_cores_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at most one a core"):
        drive(tiny(), tmp_path / "out", ClusterSpec(), max_concurrent=1000)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("sent", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_an_interrupted_study_goes_on_where_it_was(tmp_path: Path, sent: signal.Signals) -> None:
    file, out = tmp_path / "mine.yaml", tmp_path / "my study"
    slow: dict[str, Any] = TINY | {"epochs": 12, "seeds": 3, "name": "mine"}
    file.write_text(yaml.safe_dump(slow))
    planned = len(plan(tiny(**slow)))
    with tempfile.TemporaryDirectory(prefix="dy", dir="/tmp", ignore_cleanup_errors=True) as folder:
        environment = clean_environment() | {"RAY_TMPDIR": folder}
        command = [DYADNET, "study", str(file), "--out", str(out), "--max-concurrent", "2"]
        study = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, preexec_fn=heed_ctrl_c)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and len(list(out.glob("trials/0*.json"))) < 4:
            time.sleep(0.05)
        study.send_signal(sent)
        said = study.communicate(timeout=60)[1]
    assert study.returncode == 75, said
    kept = times(out)
    assert 4 <= len(kept) < planned
    last = said.strip().splitlines()[-1]
    assert f"{len(kept)} of {planned} trials are kept; go on with: dyadnet study '{out}' --max-concurrent 2" in last
    assert len(table(out)) == len(kept)
    with pytest.raises(SystemExit) as stopped:
        main(["study", str(out), "--json"])
    assert not stopped.value.code
    after = times(out)
    assert len(after) == planned
    assert {name: after[name] for name in kept} == kept


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: str) -> tuple[int, str, str]:
        code = 0
        try:
            main(["study", *arguments])
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    assert "strong-nudging" in run("list")[1]
    assert "strong-nudging" in run("--list")[1]
    code, said, _ = run("strong-nudging", "--dry-run", "--models", "ffm,sshm", "--seeds", "2", "--json")
    assert (code, json.loads(said)["trials"]) == (0, 2 * 2 * 9)
    code, _, complaint = run("no-such-study")
    assert code == 2
    assert "strong-nudging" in complaint
    assert run("lambda", "--models", "hm")[0] == 2
    file, out = tmp_path / "mine.yaml", tmp_path / "out"
    file.write_text(yaml.safe_dump(TINY))
    code, said, _ = run(str(file), "--quick", "--models", "ffm", "--out", str(out), "--json")
    assert code == 0
    assert json.loads(said.splitlines()[-1])["ok"] == 5
    code, _, complaint = run(str(file), "--quick", "--out", str(out))
    assert code == 2
    assert "another definition" in complaint
    assert len(complaint.strip().splitlines()) == 1
