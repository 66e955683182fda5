"""``dyadnet chaos``: checks that a run ends with the same bits, whatever fault it suffers."""

from __future__ import annotations

import json
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from dyadnet.errors import ConfigError, DyadnetError, guessed
from dyadnet_actors.chaos.disk import possible
from dyadnet_actors.chaos.plan import KINDS, Kind, trials


def chaos(
    count: Annotated[int, typer.Option("--trials", min=1, help="Runs with one fault each.")] = len(KINDS),
    seed: Annotated[int, typer.Option(min=0, help="Seed: which fault happens where and when.")] = 0,
    kinds: Annotated[str | None, typer.Option(help=f"Only these, of {','.join(KINDS)}.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Keep the runs' folders here; the same command continues with the rest.")
    ] = None,
    at_most: Annotated[
        int | None, typer.Option(min=1, help="Run at most so many trials now, the rest another time (--out).")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")
    ] = False,
) -> None:
    """Train the digits again and again, each time with one seeded fault, and compare with the undisturbed run."""
    chosen = _kinds(kinds)
    if at_most is not None and out is None:
        raise ConfigError("--at-most", at_most, "with --out, where the trials are kept that have ended")
    if out is not None:
        told = _tried(count, seed, chosen, out, at_most)
    else:
        with tempfile.TemporaryDirectory(prefix="dyadnet-chaos-") as folder:
            told = _tried(count, seed, chosen, Path(folder), None)
    done = count - told["left"]
    typer.echo(
        f"{told['ended']} of {done} ended, {told['same_bits']} with the undisturbed run's hash, "
        f"in {told['seconds']:.0f} s",
        err=True,
    )
    if told["left"]:
        again = f"dyadnet chaos --trials {count} --seed {seed} --kinds {','.join(chosen)} --out {shlex.quote(str(out))}"
        typer.echo(f"{told['left']} are left; go on with: {again}", err=True)
    if as_json:
        typer.echo(json.dumps(told))
    if told["same_bits"] < done:
        raise DyadnetError(f"{done - told['same_bits']} of {done} trials went wrong")


def _tried(count: int, seed: int, kinds: Sequence[Kind], folder: Path, at_most: int | None) -> dict[str, Any]:
    """Run the remaining trials one after the other; return the totals over all trials."""
    from dyadnet_actors.chaos.kept import KeptTrials
    from dyadnet_actors.chaos.strike import struck, undisturbed

    kept = KeptTrials(folder, seed, kinds)
    try:
        if not kept.weights:
            kept.expect(undisturbed(folder / "undisturbed"))
        left = [trial for trial in trials(count, seed, kinds) if trial.number not in kept.lines]
        for trial in left[:at_most]:
            line = kept.add(struck(trial, folder / f"trial-{trial.number:03d}"))
            hit = f" of {' and '.join(trial.victims)}" if trial.victims else ""
            told = line["why"] or "same bits"
            typer.echo(
                f"{trial.number:>3} {trial.kind:<11} {trial.fault}{hit}: {told}, {line['seconds']:.0f} s", err=True
            )
    finally:
        kept.close()
    found = [line for number, line in sorted(kept.lines.items()) if number < count]
    return {
        "trials": count,
        "left": count - len(found),
        "seed": seed,
        "ended": sum(line["ended"] for line in found),
        "same_bits": sum(line["same_bits"] for line in found),
        "weights_sha256": kept.weights,
        "by_kind": {kind: _sums([line for line in found if line["kind"] == kind]) for kind in kinds},
        "wrong": [line for line in found if not line["same_bits"]],
        "seconds": sum(line["seconds"] for line in found),
    }


def _sums(lines: Sequence[dict[str, Any]]) -> dict[str, float]:
    sums = {name: sum(line[name] for line in lines) for name in ("same_bits", "seconds")}
    return {"trials": len(lines)} | sums


def _kinds(text: str | None) -> Sequence[Kind]:
    """Return the requested kinds; by default, all kinds that this machine supports."""
    if text is None:
        return KINDS if possible() else [kind for kind in KINDS if kind != "disk-full"]
    found = [part.strip() for part in text.split(",")]
    for kind in found:
        if kind not in KINDS:
            raise ConfigError("--kinds", text, f"with commas between, of {', '.join(KINDS)}{guessed(kind, KINDS)}")
    if "disk-full" in found and not possible():
        raise ConfigError("--kinds", text, "disk-full as root on Linux only, who may mount a small disk; leave it out")
    return cast("Sequence[Kind]", found)
