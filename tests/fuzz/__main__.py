"""``make fuzz``: thousands of cases, one process at a time, which is replaced if it hangs or dies."""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import resource
import select
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.cases import KINDS
from tests.fuzz.trying import BYTES, SECONDS, sound, tried

KEPT = Path("build/fuzz")


def chosen(seed: int, number: int, kinds: list[str]) -> str:
    """The kind of a case."""
    return random.Random(f"{seed} {number}").choices(kinds, [KINDS[kind][1] for kind in kinds])[0]


def work(seed: int, begin: int, end: int, kinds: list[str]) -> None:
    """Try some cases, and say of each that it begins and how it ended."""
    with tempfile.TemporaryDirectory() as folder:
        made = sound(Path(folder))
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        # What is mapped by now counts; a case may have so much more.
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + BYTES + BYTES // 4,) * 2)
        for number in range(begin, end):
            kind = chosen(seed, number, kinds)
            print(json.dumps({"begins": number, "kind": kind}), flush=True)
            found = tried(kind, seed, number, made, KEPT)
            print(json.dumps({"ends": number, "kind": kind, "what": None if found is None else found.what}), flush=True)


def drive(seed: int, cases: int, seconds: float, kinds: list[str]) -> int:
    """Try cases until all are done or the time is over; how many failed."""
    started, number, failed = time.monotonic(), 0, 0
    counts: Counter[str] = Counter()
    while number < cases and time.monotonic() - started < seconds:
        arguments = ["--work", str(number), "--cases", str(cases), "--seed", str(seed), "--kinds", ",".join(kinds)]
        with subprocess.Popen([sys.executable, "-m", "tests.fuzz", *arguments], stdout=subprocess.PIPE) as worker:
            assert worker.stdout is not None
            kind = "none"
            while True:
                late = not select.select([worker.stdout], [], [], 3 * SECONDS)[0]
                line = b"" if late else worker.stdout.readline()
                if not line:
                    worker.kill()
                    if number < cases and kind != "none":
                        failed += 1
                        print(f"{kind} {number}: {'hangs' if late else 'the process died'}", flush=True)
                        number += 1
                    break
                with contextlib.suppress(ValueError):
                    told = json.loads(line)
                    kind = told["kind"]
                    if "ends" in told:
                        number = told["ends"] + 1
                        counts[kind] += 1
                        kind = "none"
                        if number % 500 == 0:
                            print(f"{number} of {cases}, {failed} failed", file=sys.stderr, flush=True)
                        if told["what"] is not None:
                            failed += 1
                            print(f"{told['kind']} {told['ends']}: {told['what']}\n", flush=True)
                if time.monotonic() - started > seconds:
                    worker.kill()
                    break
    listed = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    spent = time.monotonic() - started
    print(f"{sum(counts.values())} cases ({listed}) of seed {seed} in {spent:.0f} s: {failed} failed")
    if failed:
        print(f"their files are in {KEPT}; put what failed into tests/fuzz/test_seeds.py once it is mended")
    return failed


def main() -> None:
    """Read the command line."""
    reader = argparse.ArgumentParser(prog="python -m tests.fuzz")
    reader.add_argument("--cases", type=int, default=5000)
    reader.add_argument("--seed", type=int, default=0)
    reader.add_argument("--seconds", type=float, default=1800.0)
    reader.add_argument("--kinds", default=",".join(KINDS))
    reader.add_argument("--work", type=int, help=argparse.SUPPRESS)
    given = reader.parse_args()
    kinds = given.kinds.split(",")
    if given.work is not None:
        work(given.seed, given.work, given.cases, kinds)
    else:
        sys.exit(bool(drive(given.seed, given.cases, given.seconds, kinds)))


if __name__ == "__main__":
    main()
