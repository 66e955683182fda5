"""How long it takes to notice that an actor is dead or hung, and to have all actors ready to replay.

    python docs/tools/recovery_time.py --data mnist --repeat 5

Trains with one fault on purpose each time. Noticing counts from when the fault was armed, the minibatch's beginning,
to when the coordinator decides what to do; restarting from there until every actor has begun its new life. Prints one
JSON object a fault.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path

import dyadnet as dn
from dyadnet.config import RunConfig
from dyadnet.config.overrides import merged
from dyadnet.config.presets import preset
from dyadnet.runs.folder import read_machinery


def seconds(data: str, fault: str, out: Path) -> tuple[float, float]:
    """Seconds to notice, and to restart, in one run."""
    values = merged(
        preset(data, "sshm"),
        {
            "data": {"limit_train": 1200, "limit_test": 100},
            "learning": {"epochs": 1},
            "checkpoint": {"every_minibatches": 4},
            "faults": [fault],
        },
    )
    dn.train(RunConfig.read(values), out)
    events = [json.loads(line) for line in (out / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    armed, failed = events
    (recovery,) = [line for line in read_machinery(out) if line["kind"] == "recovery"]
    return failed["at"] - armed["at"], recovery["seconds"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--kinds", nargs="+", default=["kill", "hang"])
    arguments = parser.parse_args()
    for kind in arguments.kinds:
        fault = f"{kind}:block=h2,minibatch=7,tick=3"
        found = []
        for _ in range(arguments.repeat):
            with tempfile.TemporaryDirectory() as folder:
                found.append(seconds(arguments.data, fault, Path(folder) / "run"))
        told = {"data": arguments.data, "fault": fault, "runs": len(found)}
        for name, values in zip(
            ("notice", "restart", "both"), (*zip(*found, strict=True), map(sum, found)), strict=True
        ):
            values = list(values)
            told[name] = {"median": round(statistics.median(values), 2), "largest": round(max(values), 2)}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
