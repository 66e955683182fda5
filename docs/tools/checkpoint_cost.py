"""What a checkpoint every so many seconds costs: training with it against training without, by turns.

    python docs/tools/checkpoint_cost.py --data mnist --model sshm --epochs 2 --repeat 3

Seconds are those of whole runs, evaluation included, on the wall and of the process itself, which leaves out what other
programs take meanwhile. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import dyadnet as dn
from dyadnet.config import RunConfig
from dyadnet.config.overrides import merged
from dyadnet.config.presets import preset
from dyadnet.runs.folder import read_machinery


def spent(values: dict[str, Any], checkpoint: dict[str, Any] | bool, out: Path) -> dict[str, Any]:
    """Seconds of one run by clock, the weights' hash, and the seconds that each checkpoint took."""
    config = RunConfig.read(values | {"checkpoint": checkpoint})
    wall, process = time.perf_counter(), time.process_time()
    summary = dn.train(config, out)
    took = {"wall": time.perf_counter() - wall, "process": time.process_time() - process}
    kept = [line["seconds"] for line in read_machinery(out) if line["kind"] == "checkpoint"]
    return took | {"weights": summary.weights_sha256, "checkpoints": kept}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--model", default="sshm")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--every", type=float, default=30.0)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    over = {"learning": {"epochs": arguments.epochs}, "engine": "local"}
    values = merged(preset(arguments.data, arguments.model), over)
    ways: dict[str, Any] = {"without": False, "with": {"every_seconds": arguments.every}}
    pairs: list[dict[str, dict[str, Any]]] = []
    for number in range(arguments.repeat):
        pair: dict[str, dict[str, Any]] = {}
        for way in sorted(ways, reverse=bool(number % 2)):
            with tempfile.TemporaryDirectory() as folder:
                pair[way] = spent(values, ways[way], Path(folder) / "run")
        assert pair["with"]["weights"] == pair["without"]["weights"]
        pairs.append(pair)
    told: dict[str, Any] = vars(arguments)
    for clock in ("wall", "process"):
        told[clock] = {way: round(statistics.median(pair[way][clock] for pair in pairs), 2) for way in ways}
        told[clock]["ratios"] = sorted(round(pair["with"][clock] / pair["without"][clock], 4) for pair in pairs)
    kept = [seconds for pair in pairs for seconds in pair["with"]["checkpoints"]]
    whole = sum(pair["with"]["wall"] for pair in pairs)
    told["checkpoints"] = {"count": len(kept), "largest_s": round(max(kept), 3), "share": round(sum(kept) / whole, 5)}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
