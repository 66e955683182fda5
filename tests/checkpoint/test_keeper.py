"""Who looks at a run is told of its checkpoints, and counts on where it went on."""

from __future__ import annotations

import json
from pathlib import Path

from dyadnet.checkpoint.resume_point import ResumePoint
from dyadnet.engines.local import LocalEngine
from dyadnet.errors import StoppedError
from dyadnet.runs.folder import RunFolder
from dyadnet.telemetry.collector import RunsCollector
from dyadnet.telemetry.snapshot import Snapshot
from dyadnet.training.api import load_data
from dyadnet.training.checkpoint_writer import CheckpointWriter
from dyadnet.training.coordinator import Coordinator
from dyadnet.training.opening import opened
from dyadnet.training.stop import Stop
from tests.checkpoint.runs import MINIBATCHES, Watching, settings


def observed(beginning: ResumePoint, folder: RunFolder, watching: Watching, stop: Stop) -> dict[str, float]:
    """Metrics of a run that is stopped or not, by name and label."""
    config = settings()
    dataset = load_data(config)
    engine = LocalEngine(config, dataset)
    snapshot = Snapshot(config, "run")
    keeper = CheckpointWriter(config, beginning, folder, watching, snapshot, stop)
    try:
        Coordinator(config, dataset.sizes, engine, folder, watching, snapshot, keeper).run()
    except StoppedError:
        pass
    finally:
        engine.close()
    families = RunsCollector(lambda: [snapshot]).collect()
    return {
        sample.name + sample.labels.get("weights", ""): sample.value for family in families for sample in family.samples
    }


def test_metrics_tell_of_checkpoints_and_go_on_counting(tmp_path: Path) -> None:
    out, stop = tmp_path / "run", Stop()
    with RunFolder(out, settings()) as folder, opened(settings(), out) as beginning:
        found = observed(beginning, folder, Watching(9, stop.request), stop)
    written = sorted(path for path in (out / "checkpoints").iterdir() if path.name[:1].isdigit())[-1]
    assert found["dyadnet_checkpoint_bytescheckpoint"] == sum(path.stat().st_size for path in written.glob("*.npz"))
    manifest = json.loads((written / "manifest.json").read_text())
    assert abs(found["dyadnet_checkpoint_timestamp_secondscheckpoint"] - manifest["checkpoint"]["written"]) < 60
    assert 0 < found["dyadnet_checkpoint_duration_secondscheckpoint"] < 60
    assert found["dyadnet_minibatches_total"] == 9
    with opened(settings(), out, resume=True) as beginning:
        assert beginning.start is not None
        with RunFolder.reopened(out, settings(), beginning.start.lengths) as folder:
            found = observed(beginning, folder, Watching(), Stop())
    assert found["dyadnet_minibatches_total"] == 2 * MINIBATCHES
    assert found["dyadnet_epochs_total"] == 2


def test_the_machinerys_record_says_what_checkpoints_cost(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with RunFolder(out, settings()) as folder, opened(settings(), out) as beginning:
        observed(beginning, folder, Watching(), Stop())
    lines = [json.loads(line) for line in (out / "machinery.jsonl").read_text().splitlines()]
    told = [line for line in lines if line["kind"] == "checkpoint"]
    assert [line["minibatch"] for line in told][:2] == [0, MINIBATCHES]
    assert all(line["bytes"] > 0 and line["seconds"] > 0 for line in told)


def test_nothing_but_checkpoints_and_weights_is_left(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with RunFolder(out, settings()) as folder, opened(settings(), out) as beginning:
        observed(beginning, folder, Watching(), Stop())
    left = {path.name for path in (out / "checkpoints").iterdir() if not path.name[:1].isdigit()}
    assert left == {"best", "last"}
