"""The delay experiment in real time over two hosts in network namespaces, into docs/results/delay.

sudo .venv/bin/python docs/tools/real_delays.py        # root and iproute2; about five minutes
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.actors.clusters import DYADNET, clean_environment, two_hosts  # noqa: E402

OUT = ROOT / "docs/results/delay"
TRAINING = ("train", "--model", "sshm", "--engine", "local", "--seed", "0")
DELAYS = "10,20,40,80"


def main() -> None:
    """Train on the digits as `dyadnet delay-limits` does for κ = −1; then find the edge."""
    with tempfile.TemporaryDirectory() as folder, two_hosts() as cluster:
        run = str(Path(folder) / "sshm")
        subprocess.run([DYADNET, *TRAINING, "--out", run], check=True)
        flags = ("--delays", DELAYS, "--address", cluster.address, "--placement", "spread", "--out", str(OUT))
        subprocess.run(
            [*cluster.inside, DYADNET, "real-limits", run, *flags],
            env=clean_environment() | cluster.environment,
            cwd=cluster.environment["RAY_TMPDIR"],
            check=True,
        )


if __name__ == "__main__":
    main()
