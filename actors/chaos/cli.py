"""``dyadnet chaos``: does a run end with the same bits, whatever dies on its way?"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from actors.chaos.plan import KINDS, Kind, trials
from dyadnet.errors import ConfigError, DyadnetError


def chaos(
    count: Annotated[int, typer.Option("--trials", min=1, help="Runs with one fault each.")] = len(KINDS),
    seed: Annotated[int, typer.Option(min=0, help="Of which fault happens where and when.")] = 0,
    kinds: Annotated[str | None, typer.Option(help=f"Only these, of {','.join(KINDS)}.")] = None,
    out: Annotated[Path | None, typer.Option(help="Keep the runs' folders here.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")
    ] = False,
) -> None:
    """Train the digits again and again, each time with one seeded fault, and compare with the undisturbed run."""
    chosen = _kinds(kinds)
    if out is not None:
        told = _tried(count, seed, chosen, out)
    else:
        with tempfile.TemporaryDirectory(prefix="dyadnet-chaos-") as folder:
            told = _tried(count, seed, chosen, Path(folder))
    typer.echo(
        f"{told['ended']} of {told['trials']} ended, {told['same_bits']} with the undisturbed run's hash, "
        f"in {told['seconds']:.0f} s",
        err=True,
    )
    if as_json:
        typer.echo(json.dumps(told))
    if told["same_bits"] < told["trials"]:
        raise DyadnetError(f"{told['trials'] - told['same_bits']} of {told['trials']} trials went wrong")


def _tried(count: int, seed: int, kinds: Sequence[Kind], folder: Path) -> dict[str, Any]:
    """All trials, one after the other, and what came of them."""
    from actors.chaos.strike import struck, undisturbed

    started = time.monotonic()
    expected = undisturbed(folder / "undisturbed")
    by_kind: dict[str, dict[str, float]] = {}
    wrong = []
    ended = same = 0
    for trial in trials(count, seed, kinds):
        ending = struck(trial, folder / f"trial-{trial.number:03d}")
        right = ending.struck and ending.weights == expected
        ended += bool(ending.weights)
        same += right
        sums = by_kind.setdefault(trial.kind, {"trials": 0, "same_bits": 0, "seconds": 0.0})
        sums["trials"] += 1
        sums["same_bits"] += right
        sums["seconds"] += ending.seconds
        why = ending.why or ("" if ending.struck else "the fault did not happen")
        told = "same bits" if right else why or "other bits"
        typer.echo(f"{trial.number:>3} {trial.kind:<11} {trial.fault}: {told}, {ending.seconds:.0f} s", err=True)
        if not right:
            wrong.append({"trial": trial.number, "kind": trial.kind, "fault": str(trial.fault), "why": told})
    return {
        "trials": count,
        "seed": seed,
        "ended": ended,
        "same_bits": same,
        "weights_sha256": expected,
        "by_kind": by_kind,
        "wrong": wrong,
        "seconds": time.monotonic() - started,
    }


def _kinds(text: str | None) -> Sequence[Kind]:
    if text is None:
        return KINDS
    found = [part.strip() for part in text.split(",")]
    for kind in found:
        if kind not in KINDS:
            raise ConfigError("--kinds", text, f"with commas between, of {', '.join(KINDS)}")
    return cast("Sequence[Kind]", found)
