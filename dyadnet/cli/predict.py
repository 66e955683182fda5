"""``dyadnet predict``: predictions of a run's weights for samples in a file."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from dyadnet.cli.completion import WEIGHTS, among
from dyadnet.data import image_target
from dyadnet.data.own import are_numbers
from dyadnet.errors import ConfigError, DataError
from dyadnet.files.arrays import Archive, ArraysError
from dyadnet.numerics.image_scores import image_scores
from dyadnet.numerics.scores import Scale, errors, told, variance

SAMPLES = ("x", "X", "x_test", "X_test", "test_images")
TARGETS = {"x": "y", "X": "y", "x_test": "y_test", "X_test": "y_test", "test_images": "test_labels"}
"""Possible names of samples in a file, by priority, and the names of their targets."""


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Samples: .npy, or .npz with x (or X, x_test, X_test).")],
    weights: Annotated[str, typer.Option(help="best or last.", autocompletion=among(WEIGHTS))] = "best",
    out: Annotated[Path | None, typer.Option(help="A file for them, .csv or .npz (with outputs).")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")
    ] = False,
) -> None:
    """Predict the samples of a file; one prediction a line on standard output, unless --out or --json is given."""
    from dyadnet.runs.folder import check_file, whole
    from dyadnet.training.run import load

    if weights not in ("best", "last"):
        raise ConfigError("--weights", weights, "one of best, last")
    if out is not None:
        check_file(out, "predictions.csv", ".csv", ".npz")
    samples, targets = read(file)
    trained = load(run, weights=weights)
    outputs = trained.outputs(samples)
    found = trained.meant(outputs)
    result: dict[str, Any] = {"run": str(run), "weights": weights, "file": str(file), "samples": len(found)}
    if targets is not None:
        result |= scored(str(file), found, targets, numbers=trained.target_shape is not None)
    if out is not None:
        with whole(out) as fresh:
            out.parent.mkdir(parents=True, exist_ok=True)
            _write(fresh, out.suffix, found, outputs)
        result["out"] = str(out)
    elif not as_json:
        for one in found.tolist():
            typer.echo(json.dumps(one) if isinstance(one, list) else one)
    score = f", {told(result)}" if targets is not None else ""
    typer.echo(f"{len(found)} samples{score}" + (f": {out}" if out is not None else ""), err=True)
    if as_json:
        typer.echo(json.dumps(result | ({} if out is not None else {"predictions": found.tolist()})))


def scored(where: str, found: NDArray[Any], targets: NDArray[Any], *, numbers: bool) -> dict[str, float]:
    """Return the quality of predictions; see `dyadnet.numerics.scores`.

    Parameters
    ----------
    numbers
        Whether targets are numbers rather than classes.

    Raises
    ------
    DataError
        If the number of targets differs from that of predictions, or if they have another type.
    """
    name = "targets" if numbers else "labels"
    if targets.size != found.size or len(targets) != len(found):
        raise DataError(f"{where}: {len(found)} samples, and {name} of shape {targets.shape}")
    if not numbers:
        return {"accuracy": float(np.mean(targets.reshape(found.shape) == found))}
    if targets.dtype.kind not in "uif" or not np.isfinite(targets).all():
        raise DataError(f"{where}: {name} hold {targets.dtype} or values that are not finite; expected numbers")
    scale = 1.0 / 255.0 if targets.dtype == np.uint8 and are_numbers(targets) else 1.0
    wanted = targets.reshape(len(targets), -1) * scale
    outputs = found.reshape(wanted.shape)
    image = image_target(found.shape[1:]) if wanted.min() >= 0 and wanted.max() <= 1 else None
    of_outputs = Scale(wanted.shape[1], variance(wanted), image is not None)
    return of_outputs.scores(len(wanted), *errors(outputs, wanted), *image_scores(outputs, wanted, image))


def read(path: Path) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Read the samples of a file, and its targets if there are any.

    Raises
    ------
    DataError
        If the file is missing, damaged, or contains no samples.
    """
    try:
        if path.suffix == ".npy":
            return np.load(path, allow_pickle=False), None
        if path.suffix != ".npz":
            raise DataError(f"{path}: name a file that ends in .npy or .npz")
        with Archive(path) as archive:
            name = next((name for name in SAMPLES if name in archive.names), None)
            if name is None:
                raise DataError(f"{path}: none of the arrays {', '.join(SAMPLES)} in it")
            wanted = [name, *([TARGETS[name]] if TARGETS[name] in archive.names else [])]
            found = archive.read(wanted)
    except OSError as problem:
        raise DataError(f"{path}: it cannot be read ({problem.strerror or problem})") from None
    except (ArraysError, ValueError, EOFError) as problem:
        raise DataError(f"{path}: damaged ({' '.join(str(problem).split())[:200]})") from None
    return found[name], found.get(TARGETS[name])


def _write(path: Path, kind: str, found: NDArray[Any], outputs: NDArray[np.float64]) -> None:
    if kind == ".npz":
        with path.open("wb") as file:
            np.savez(file, predictions=found, outputs=outputs)
        return
    with path.open("w", encoding="utf-8", newline="") as text:
        writer = csv.writer(text)
        single = ["prediction"] if found.ndim == 1 else []
        writer.writerow(["row", *single, *(f"output_{index}" for index in range(outputs.shape[1]))])
        for row, (one, values) in enumerate(zip(found.tolist(), outputs.tolist(), strict=True)):
            given = [] if isinstance(one, list) else [one]
            writer.writerow([row, *given, *(f"{value:.6g}" for value in values)])
