"""What is tried: for each kind a function that lays out altered files and says which commands read them."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import random
import shutil
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import numpy as safetensors

from dyadnet.checkpoint.manifest import MANIFEST
from dyadnet.errors import RunFolderError
from dyadnet.files import documents as document
from dyadnet.runs import export
from dyadnet.runs.watcher import Silent
from dyadnet.runs.weights import read, sha256
from dyadnet.training.api import draw as drawn
from tests.fuzz.mutation import ODD, altered, rewritten, varied
from tests.trace.files import frames_of, written

Command = list[str] | Callable[[], object]
"""Arguments of ``dyadnet``, or what else reads the files."""


@dataclass(frozen=True)
class Sound:
    """What is altered, as it is without: a run that was stopped, an export, a trace, settings, a study's folder."""

    run: Path
    exported: Path
    trace: Path
    settings: dict[str, Any]
    study: dict[str, Any]


def config(draw: random.Random, sound: Sound, folder: Path) -> list[Command]:
    """A configuration."""
    path = folder / "c.yaml"
    text = document.written(_several(draw, sound.settings) if draw.random() < 0.7 else sound.settings)
    _write_text(draw, path, text)
    return [["train", str(path), "--engine", "local", "--out", str(folder / "out")]]


def assignment(draw: random.Random, sound: Sound, folder: Path) -> list[Command]:
    """A setting after ``--set``."""
    values: Any = sound.settings
    keys: list[str] = []
    while isinstance(values, dict) and values and (not keys or draw.random() < 0.8):
        keys.append(draw.choice(list(values)))
        values = values[keys[-1]]
    text = document.written(varied(draw, values)).strip().removesuffix("\n...")
    text = rewritten(draw, text) if draw.random() < 0.4 else text
    line = ".".join(keys) + "=" + text.replace("\0", "")
    return [["train", "--engine", "local", "--set", line[:100_000], "--out", str(folder / "out")]]


def study(draw: random.Random, sound: Sound, folder: Path) -> list[Command]:
    """A study's definition."""
    path = folder / "s.yaml"
    _write_text(draw, path, document.written(_several(draw, sound.study) if draw.random() < 0.8 else sound.study))
    return [["study", str(path), "--dry-run"]]


def npz(draw: random.Random, sound: Sound, folder: Path) -> list[Command]:
    """A user's own data."""
    path = folder / "own.npz"
    rows = draw.choice((0, 1, 5, 40, 40, 40, 40))
    x = np.random.default_rng(draw.randrange(99)).random((rows, draw.choice((1, 3)), *draw.choice(((), (2,)))))
    y: Any = np.arange(rows) % draw.choice((1, 2, 3, 3, 3))
    kind, of_labels = draw.choice(("f8", "f4", "u1", "i8", ">f8", "f2")), draw.choice(("i8", "u1", "u8", ">i4"))
    if draw.random() < 0.2:
        kind, of_labels = draw.choice(("c8", "U3", "?", "M8[s]", "i1")), draw.choice(("f8", "?", "U3", "i1"))
    y = y.reshape(draw.choice(((rows,), (rows,), (rows, 1), (1, rows)))).astype(of_labels)
    x = x * draw.choice((1, 1, 1, 1e39, -1, float("nan")))
    names = draw.choice((("x", "y"), ("X", "y"), ("x_train", "y_train"), ("train_images", "train_labels"), ("a", "b")))
    with np.errstate(all="ignore"):
        arrays: dict[str, Any] = {names[0]: x.astype(kind), names[1]: y}
    if draw.random() < 0.3:
        arrays |= {draw.choice(("x_test", "meta")): x, draw.choice(("y_test", "X")): y}
    if draw.random() < 0.1:
        arrays[draw.choice(list(arrays))] = np.array([{}] * rows, dtype=object)
    path.write_bytes(_archive(draw, arrays))
    return [["train", "--data", str(path), "--engine", "local", "--out", str(folder / "out")]]


def idx(draw: random.Random, sound: Sound, folder: Path) -> list[Command]:
    """Image sets of one's own."""
    for part in ("train", draw.choice(("t10k", "test"))):
        for kind, shape in (("images-idx3", (6, 2, 2)), ("labels-idx1", (6,))):
            head = bytes((0, 0, 8, len(shape))) + b"".join(struct.pack(">I", length) for length in shape)
            data = head + bytes(draw.randrange(3) for _ in range(int(np.prod(shape))))
            data = altered(draw, data) if draw.random() < 0.15 else data
            packed = draw.random() < 0.5
            data = gzip.compress(data) if packed else data
            data = altered(draw, data) if draw.random() < 0.1 else data
            if draw.random() < 0.97:
                (folder / f"{part}-{kind}-ubyte{'.gz' if packed else ''}").write_bytes(data)
    return [["train", "--data", str(folder), "--engine", "local", "--out", str(folder / "out")]]


def weights(draw: random.Random, sound: Sound, folder: Path) -> list[Command]:
    """Weights that a run saved, and what their manifest says; with the right hash sometimes."""
    run = _copied(sound.run, folder)
    best = run / "checkpoints" / "best"
    path = draw.choice(sorted(best.iterdir()))
    if path.name == MANIFEST:
        _write_json(draw, path, json.loads(path.read_text()))
    elif draw.random() < 0.5:
        with np.load(path) as stored:
            path.write_bytes(_archive(draw, _reshaped(draw, dict(stored))))
    else:
        path.write_bytes(altered(draw, path.read_bytes()))
    if draw.random() < 0.5:
        with contextlib.suppress(RunFolderError, ValueError, TypeError, RecursionError):
            values = json.loads((best / MANIFEST).read_text())
            parameters = read(best, ("h1", "h2", "out"))
            (best / MANIFEST).write_text(json.dumps(values | {"weights_sha256": sha256(parameters)}))
    commands: list[Command] = [["evaluate", str(run)], ["export", str(run), "--out", str(folder / "weights.npz")]]
    further: list[Command] = [["report", str(run)], ["resume", str(run), "--engine", "local"]]
    commands = [*commands, *further] if draw.random() < 0.2 else commands
    return [*commands, ["analyse", str(run)]] if draw.random() < 0.05 else commands


def checkpoint(draw: random.Random, sound: Sound, folder: Path) -> list[Command]:
    """Checkpoints with other manifests and other files, whose hashes are right."""
    run = _copied(sound.run, folder)
    for place in sorted(run.joinpath("checkpoints").glob("0*")):
        path = place / MANIFEST
        body = json.loads(path.read_text())["checkpoint"]
        if draw.random() < 0.4:
            block = draw.choice(list(body["files"]))
            file = place / body["files"][block]["name"]
            with np.load(file) as stored:
                data = _archive(draw, _reshaped(draw, dict(stored)))
            file.write_bytes(data)
            body["files"][block] |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        else:
            part = draw.choice([*body, "position", "position", "position"])
            body = {**body, part: varied(draw, body[part])}
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        path.write_text(json.dumps({"format": 1, "sha256": digest, "checkpoint": body}))
    return [["resume", str(run), "--engine", "local"]]


def records(draw: random.Random, sound: Sound, folder: Path) -> list[Command]:
    """Records of a run, its configuration and how it ended."""
    run = _copied(sound.run, folder)
    name = draw.choice(("metrics.jsonl", "machinery.jsonl", "events.jsonl", "config.yaml", "ending.json"))
    path = run / name
    if name == "config.yaml":
        _write_text(draw, path, document.written(varied(draw, document.read(path).values)))
    else:
        event = '{"kind": "failure", "what": "actor", "who": ["h1"], "why": "x", "minibatch": 1, "at": 1.0}'
        lines = path.read_text().splitlines() if path.exists() else [event]
        at = draw.randrange(len(lines))
        line = _dumped(varied(draw, json.loads(lines[at])))
        lines[at] = line if draw.random() < 0.6 else rewritten(draw, line)
        path.write_text("\n".join(lines) + "\n", errors="replace")
    commands: list[Command] = [["report", str(run)]] if draw.random() < 0.4 else []
    commands += [lambda: drawn(run, Silent())] if draw.random() < 0.1 else []
    commands += [["evaluate", str(run)]] if name == "config.yaml" else []
    return [*commands, ["resume", str(run), "--engine", "local"]]


def trace(draw: random.Random, sound: Sound, folder: Path) -> list[Command]:
    """A trace with other frames, whose hash is right; sometimes any other bytes."""
    import msgpack

    path = folder / "t.trace"
    frames = frames_of(sound.trace)
    at = draw.choice((0, 1, len(frames) - 1, draw.randrange(len(frames))))
    if draw.random() < 0.5:
        frames[at] = altered(draw, frames[at])
    else:
        values = msgpack.unpackb(frames[at])
        changed = varied(draw, values)
        if values[0] == "relaxation" and draw.random() < 0.7:
            script = msgpack.unpackb(values[4][0])
            changed = [*values[:4], [_packed(varied(draw, script)), *values[4][1:]]]
        frames[at] = _packed(changed)
    match draw.randrange(6):
        case 0:
            del frames[draw.randrange(len(frames))]
        case 1:
            frames.insert(draw.randrange(len(frames)), draw.choice(frames))
    written(path, frames)
    if draw.random() < 0.1:
        path.write_bytes(altered(draw, path.read_bytes()))
    return [["replay", str(path)]]


def exported(draw: random.Random, sound: Sound, folder: Path) -> list[Command]:
    """Weights that were exported."""
    path = folder / sound.exported.name
    with np.load(sound.exported) as stored:
        arrays = dict(stored)
    manifest = json.loads(str(arrays.pop("manifest")))
    if draw.random() < 0.5:
        manifest = varied(draw, manifest)
    else:
        arrays = _reshaped(draw, arrays)
    if draw.random() < 0.3:
        path = path.with_suffix(".safetensors")
        plain = {key: np.ascontiguousarray(array) for key, array in arrays.items() if array.dtype.kind in "if"}
        data = safetensors.save(plain, {"manifest": _dumped(manifest)})
        path.write_bytes(altered(draw, data) if draw.random() < 0.5 else data)
    else:
        path.write_bytes(_archive(draw, {"manifest": np.asarray(_dumped(manifest))} | arrays))
    return [lambda: export.read(path).parameters()]


def trials(draw: random.Random, sound: Sound, folder: Path) -> list[Command]:
    """A study's folder with what its trials left behind."""
    from dyadnet.study.definition import Study
    from dyadnet.study.folder import StudyFolder
    from dyadnet.study.outcome import write_table
    from dyadnet.study.plan import plan
    from dyadnet.study.trial import Result

    study = Study.read(sound.study)
    planned = plan(study)
    place = StudyFolder(folder / "study", study, planned)
    for trial in planned:
        values = {"test_accuracy": 0.5, "sweeps_mean": 3.0, "weights_sha256": "0" * 64, "seconds": 1.0}
        place.save(trial, Result("ok", "", values))
    place.close()
    for path in sorted((folder / "study" / "trials").iterdir()):
        _write_json(draw, path, json.loads(path.read_text()))
    if draw.random() < 0.3:
        _write_text(draw, folder / "study" / "study.yaml", (folder / "study" / "study.yaml").read_text())

    def again() -> None:
        opened = StudyFolder(folder / "study", study, planned)
        try:
            write_table(opened, planned, opened.finished())
        finally:
            opened.close()

    return [again]


KINDS: dict[str, tuple[Callable[[random.Random, Sound, Path], list[Command]], int]] = {
    "config": (config, 30),
    "assignment": (assignment, 12),
    "study": (study, 12),
    "npz": (npz, 12),
    "idx": (idx, 6),
    "weights": (weights, 8),
    "checkpoint": (checkpoint, 8),
    "records": (records, 6),
    "trace": (trace, 6),
    "exported": (exported, 6),
    "trials": (trials, 4),
}
"""How a case is made, and how often."""


def _several(draw: random.Random, values: Any) -> Any:
    for _ in range(draw.choice((1, 1, 2, 3))):
        values = varied(draw, values)
    return values


def _write_text(draw: random.Random, path: Path, text: str) -> None:
    text = rewritten(draw, text) if draw.random() < 0.3 else text
    data = text.encode(errors="surrogatepass")
    path.write_bytes(altered(draw, data) if draw.random() < 0.1 else data)


def _write_json(draw: random.Random, path: Path, values: Any) -> None:
    text = _dumped(varied(draw, values))
    text = draw.choice(("[" * 5000, text[:-1], "", "{}", "9" * 5000)) if draw.random() < 0.1 else text
    path.write_text(text, errors="replace")


def _dumped(values: Any) -> str:
    # Python writes no number of that many digits.
    return json.dumps(values, default=str)


def _packed(values: Any) -> bytes:
    import msgpack

    try:
        return bytes(msgpack.packb(values))
    except (OverflowError, UnicodeEncodeError, ValueError, TypeError):
        return b"\xc1"


def _copied(run: Path, folder: Path) -> Path:
    return Path(shutil.copytree(run, folder / "run"))


def _reshaped(draw: random.Random, arrays: dict[str, Any]) -> dict[str, Any]:
    key = draw.choice(list(arrays))
    array = arrays[key]
    match draw.randrange(7):
        case 0:
            return {other: value for other, value in arrays.items() if other != key}
        case 1:
            return {**arrays, "more": array}
        case 2:
            return {**arrays, key: array.astype(draw.choice(("f8", "i4", "U2", "?", ">f4", "f2")))}
        case 3:
            return {**arrays, key: array[:-1] if array.ndim else array}
        case 4:
            return {**arrays, key: array[None]}
        case 5:
            return {**arrays, key: np.full_like(array, draw.choice((np.nan, np.inf, 1e30, 0)))}
        case _:
            return {**arrays, key: np.array([draw.choice(ODD)], dtype=object)}


def _archive(draw: random.Random, arrays: dict[str, Any]) -> bytes:
    """An ``.npz``, whose headers or bytes may be others."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    data = buffer.getvalue()
    if draw.random() < 0.2:
        with zipfile.ZipFile(io.BytesIO(data)) as stored:
            members = {name: stored.read(name) for name in stored.namelist()}
        name = draw.choice(list(members))
        members[name] = _other_header(draw, members[name])
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as made:
            for member, content in members.items():
                made.writestr(member, content)
        data = buffer.getvalue()
    return altered(draw, data) if draw.random() < 0.2 else data


def _other_header(draw: random.Random, content: bytes) -> bytes:
    shape = draw.choice(("(10**12,)", "(1000000000000,)", "(-5,)", "(5, -1)", "()", "5", "((((", "(2.0,)", "(True,)"))
    kind = draw.choice(("<f8", "|O", "<U100000000", "V0", "|S0", "x", "<f4", "[('a', '<f8')]"))
    header = f"{{'descr': {kind if kind[0] == '[' else repr(kind)}, 'fortran_order': False, 'shape': {shape}, }}"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + content[128:]
