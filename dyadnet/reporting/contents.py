"""The contents of a report: plain values derived from a run's record."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from dyadnet.config import RunConfig
from dyadnet.dynamics.block_metrics import RECORDED, own
from dyadnet.files.access import content
from dyadnet.network.topology import Topology
from dyadnet.numerics.histogram import AGES, BINS, lower_edges
from dyadnet.numerics.scores import OF_CLASSES, OF_IMAGES, OF_NUMBERS, SCORES
from dyadnet.reporting.pictures import pictures
from dyadnet.reporting.probes import probes
from dyadnet.reporting.reading import RunReading, listed
from dyadnet.runs.folder import CONFIG, MACHINERY, METRICS
from dyadnet.runs.record_lines import own_of
from dyadnet.runs.status import Status
from dyadnet.telemetry.snapshot import model_of
from dyadnet.telemetry.view import layout

PICTURE = "images.png"
"""Picture of a few test images: network inputs, outputs and targets."""
_PNG = b"\x89PNG\r\n\x1a\n"
POINTS = 600
"""Largest number of minibatches in a curve, evenly spaced."""
PARTS = ("train", "validation", "test")
IDEAL = ("validation_ideal", "test_ideal")
OF_BLOCK = tuple(column.recorded for column in RECORDED if not column.whole)
"""Metrics of a block that the page shows over epochs."""
COUNTS = ("messages", "values", "suppressed", "quantised", "delayed", "dropped", "duplicated", "stale")


def contents(reading: RunReading) -> dict[str, Any]:
    """Return everything that the page shows of one run.

    Returns
    -------
    dict
        Plain values. ``missing`` lists in words what could not be read; these values are absent or empty.
    """
    missing = list(reading.missing)
    epochs = _sound(reading, "epoch", _epoch, METRICS, missing)
    epochs = list({epoch["epoch"]: epoch for epoch in epochs}.values())
    edges = [epoch.pop("edges") for epoch in epochs]
    minibatches = _sound(reading, "minibatch", _minibatch, METRICS, missing)
    machinery = _sound(reading, "epoch", _spent, MACHINERY, missing)
    machinery = list({line["epoch"]: line for line in machinery}.values())
    ages = [line.pop("ages") for line in machinery]
    planned = reading.config.learning.epochs if reading.config else None
    recorded = probes(reading.path, reading.config, missing)
    drawn = pictures(reading, missing)
    if not epochs:
        missing.append(
            "the record has no finished epoch: there are no curves, settling, saturation or messages to show"
        )
    if planned is not None and len(epochs) < planned:
        which = f"epochs {len(epochs) + 1} to {planned}" if len(epochs) + 1 < planned else f"epoch {planned}"
        missing.append(f"{which}: the run {_standing(reading.status)}")
    missing += _mixed(reading.config, epochs)
    finished = planned is not None and len(epochs) >= planned
    damaged = reading.config is None or any("damaged" in text for text in missing)
    return {
        "name": reading.name,
        "path": str(reading.path),
        "state": "damaged" if damaged else _state(reading.status, finished=finished),
        "why": "" if reading.status is None else reading.status.why,
        "missing": missing,
        "planned": planned,
        **_about(reading.config),
        **written_settings(reading.config),
        "sha": reading.manifests.get("last", {}).get("weights_sha256"),
        "network": _layout(reading.config, epochs),
        "epochs": epochs,
        "minibatches": _thinned(minibatches),
        "own": _own(epochs),
        "channels": _channels(edges),
        "machinery": machinery,
        "ages": _ages(ages),
        "edges": lower_edges(),
        "probes": recorded,
        "images": _picture(reading.path / PICTURE, missing),
        "pictures": drawn,
    }


def _picture(path: Path, missing: list[str]) -> str | None:
    """Return a PNG of the run's folder as a data URI, or None if it is missing or damaged."""
    try:
        found = content(path)
    except FileNotFoundError:
        return None
    except OSError as problem:
        missing.append(f"{path.name}: it cannot be read ({problem.strerror})")
        return None
    if not found.startswith(_PNG):
        missing.append(f"{path.name}: damaged; draw it anew: dyadnet report --format svg {path.parent}")
        return None
    return f"data:image/png;base64,{base64.b64encode(found).decode()}"


def _standing(status: Status | None) -> str:
    if status is None or status.state in ("unfinished", "finished"):
        return "was stopped, ran away, or is still going on"
    return str(status)


def _state(status: Status | None, *, finished: bool) -> str:
    """Return the state of the run. It is ``finished`` only if the record has all epochs."""
    if status is None or status.state in ("unfinished", "finished"):
        return "finished" if finished else "unfinished"
    return status.state


def _mixed(config: RunConfig | None, epochs: list[dict[str, Any]]) -> list[str]:
    """Return a message if the blocks of the record differ from those of the configuration's network."""
    if config is None or not epochs:
        return []
    differing = sorted(set(epochs[-1]["blocks"]) ^ set(Topology(config.network).blocks))
    if not differing:
        return []
    networks = f"different networks (only one of them has {listed(differing)})"
    return [f"{CONFIG} and {METRICS} are of {networks}: one of the two files is damaged or another run's"]


def _sound(
    reading: RunReading, kind: str, take: Callable[[dict[str, Any]], dict[str, Any]], file: str, missing: list[str]
) -> list[dict[str, Any]]:
    """Apply `take` to all lines of a kind. Damaged lines are left out and reported in `missing`."""
    found, bad = [], 0
    for line in reading.metrics if file == METRICS else reading.machinery:
        if line["kind"] != kind:
            continue
        try:
            found.append(take(line))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            bad += 1
    if bad:
        missing.append(f"{file}: {bad} line{'s' if bad > 1 else ''} of kind {kind} damaged and left out")
    return found


def _epoch(line: dict[str, Any]) -> dict[str, Any]:
    train = line["train"]
    found: dict[str, Any] = {key: _number(line.get(key)) for key in ("learning_rate", "beta", "radius", "step")}
    found["lambda"] = [float(value) for value in line.get("lambda", [])]
    found["norms"] = {name: float(value) for name, value in line.get("weight_norm", {}).items()}
    found["epoch"] = int(line["epoch"])
    found |= {name: {} for name in SCORES}
    for key in ("loss", *_scored(line["validation"])):
        found[key] = {part: float(line[part][key]) for part in PARTS}
        found[key] |= {part: float(line[part][key]) for part in IDEAL if part in line}
    found |= {key: float(train[key]) for key in ("sweeps", "most_sweeps", "phases", "capped")}
    found["blocks"] = {
        name: {key: float(block[key]) for key in OF_BLOCK}
        | {"updates": _number(block.get("updates")), "own": own_of(block)}
        for name, block in train["blocks"].items()
    }
    found["messages"] = sum(int(block.get("messages", 0)) for block in train["blocks"].values())
    found["values"] = sum(int(block.get("values", 0)) for block in train["blocks"].values())
    found["edges"] = {
        str(name): {key: int(counts.get(key, 0)) for key in (*COUNTS, *(own for own in counts if own not in COUNTS))}
        for name, counts in train.get("edges", {}).items()
    }
    return found


def _scored(entry: dict[str, Any]) -> tuple[str, ...]:
    """Return the names of the scores that an entry must have."""
    return OF_CLASSES if "r2" not in entry else (*OF_NUMBERS, *(OF_IMAGES if "psnr" in entry else ()))


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _minibatch(line: dict[str, Any]) -> dict[str, Any]:
    found = {key: float(line[key]) for key in ("loss", *_scored(line), "sweeps")}
    return found | {
        "epoch": int(line["epoch"]),
        "index": int(line["minibatch"]),
        "objective": _number(line.get("objective")),
    }


def _spent(line: dict[str, Any]) -> dict[str, Any]:
    actors = {
        name: {key: float(value) for key, value in spent.items() if isinstance(value, int | float)}
        for name, spent in line.get("actors", {}).items()
    }
    ages = {
        f"{source} → {name}": {age: [int(value) for value in counts.get(age) or [0] * BINS] for age in AGES}
        for name, spent in line.get("actors", {}).items()
        for source, counts in spent.get("edges", {}).items()
    }
    if any(len(counts[age]) != BINS for counts in ages.values() for age in AGES):
        raise ValueError("a histogram of another size")
    seconds = {key: float(value) for key, value in line["seconds"].items()}
    kept: dict[str, Any] = {key: _number(line.get(key)) for key in ("messages", "bytes")}
    kept["pace"] = {key: float(value) for key, value in line["pace"].items()} if line.get("pace") else None
    return {"epoch": int(line["epoch"]), "seconds": seconds, "actors": actors, "ages": ages, **kept}


def _thinned(minibatches: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return at most `POINTS` minibatches, each with its time in epochs."""
    longest = max((line["index"] for line in minibatches), default=1)
    every = -(-len(minibatches) // POINTS) if minibatches else 1
    return [{**line, "at": line["epoch"] - 1 + line["index"] / longest} for line in minibatches[::every]]


def _channels(edges: list[dict[str, dict[str, int]]]) -> list[dict[str, Any]]:
    """Return the counts of each channel, summed over all training."""
    totals: dict[str, Counter[str]] = {}
    for epoch in edges:
        for name, counts in epoch.items():
            totals.setdefault(name, Counter()).update(counts)
    return [
        {"channel": name, **{key: total[key] for key in dict.fromkeys((*COUNTS, *total))}}
        for name, total in totals.items()
    ]


def _own(epochs: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return the user-defined block metrics of the record, with their units if this process knows them."""
    names = dict.fromkeys(name for epoch in epochs for block in epoch["blocks"].values() for name in block["own"])
    known = {metric.name: metric for metric in own()}
    return [{"name": name, "unit": known[name].unit if name in known else "1"} for name in names]


def _ages(epochs: list[dict[str, dict[str, list[int]]]]) -> list[dict[str, Any]]:
    """Return the histograms of message ages by edge, for a run in real time."""
    edges: dict[str, dict[str, Any]] = {}
    for epoch in epochs:
        for name, counts in epoch.items():
            edge = edges.setdefault(name, {age: np.zeros(BINS, dtype=np.int64) for age in AGES})
            for age in AGES:
                edge[age] += np.asarray(counts[age])
    return [{"edge": name, **{age: counts[age].tolist() for age in AGES}} for name, counts in edges.items()]


def _about(config: RunConfig | None) -> dict[str, Any]:
    if config is None:
        return {"about": {}}
    network = config.network
    sizes = [network.inputs, *(population.size for population in network.populations)]
    inputs = (network.inputs,) if network.input_shape is None else network.input_shape
    shapes = ["x".join(map(str, shape)) for shape in (inputs, *(p.extent for p in network.populations))]
    chain = [p.post for p in network.projections] == [p.name for p in network.populations]
    return {
        "about": {
            "model": model_of(config),
            "network": "-".join(shapes) if chain else f"{network.inputs} inputs, {sum(sizes[1:])} neurons",
            "data": config.data.name,
            "engine": config.engine,
            "mode": config.dynamics.mode.kind,
            "seed": config.seed,
        },
        "tolerance": {"mean": config.dynamics.tolerance, "difference": config.dynamics.tolerance_difference},
    }


def written_settings(config: RunConfig | None) -> dict[str, Any]:
    """Return the configuration as YAML, every setting by path, and the paths of settings that differ from defaults."""
    if config is None:
        return {"yaml": "", "settings": {}, "changed": []}
    settings = flat(config.model_dump(mode="json"))
    usual = flat(RunConfig(network=config.network).model_dump(mode="json"))
    changed = [key for key, value in settings.items() if not key.startswith("network.") and usual.get(key) != value]
    return {
        "yaml": config.to_yaml(),
        "settings": {key: _written(value) for key, value in settings.items()},
        "changed": changed,
    }


def flat(values: Any, path: str = "") -> dict[str, Any]:
    """Flatten settings to dotted paths; records in lists are labelled by name or index."""
    if isinstance(values, dict) and values:
        pairs = values.items()
    elif isinstance(values, list) and values and all(isinstance(value, dict) for value in values):
        pairs = {_label(value, index): value for index, value in enumerate(values)}.items()
    else:
        return {path: values}
    found: dict[str, Any] = {}
    for key, value in pairs:
        found |= flat(value, f"{path}.{key}" if path else str(key))
    return found


def _label(value: dict[str, Any], index: int) -> str:
    if "pre" in value:
        return f"{value['pre']}->{value['post']}"
    return str(value.get("name", index))


def _written(value: Any) -> str:
    if value is None:
        return "–"
    return yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=1000).strip().removesuffix("\n...")


def _layout(config: RunConfig | None, epochs: list[dict[str, Any]]) -> dict[str, Any] | None:
    if config is None:
        return None
    recurrent = config.network.recurrent
    lams = [(projection.coupling + 1.0) / 2.0 for projection in recurrent]
    if epochs and len(epochs[-1]["lambda"]) == len(recurrent):
        lams = epochs[-1]["lambda"]
    return layout(Topology(config.network), lams)
