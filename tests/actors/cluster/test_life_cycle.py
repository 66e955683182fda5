"""Whatever ends a run leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from tests.actors.clusters import DYADNET, clean_environment, heed_ctrl_c


def processes(marker: str) -> list[str]:
    """Living processes that have `marker` in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (
                marker.encode() in (entry / "environ").read_bytes()
                and "\nState:\tZ" not in (entry / "status").read_text()
            ):
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:60])
    return found


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_signal_ends_every_process(number: signal.Signals, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="dy", dir="/tmp", ignore_cleanup_errors=True) as folder:
        marker = f"RAY_TMPDIR={folder}"
        environment = clean_environment() | {"RAY_TMPDIR": folder}
        command = [DYADNET, "train", "--epochs", "500", "--hidden", "8", "--out", str(tmp_path / "run")]
        run = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, preexec_fn=heed_ctrl_c)
        deadline = time.monotonic() + 120
        record = tmp_path / "run" / "metrics.jsonl"
        while not (record.exists() and record.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(processes(marker)) > 5
        os.kill(run.pid, number)
        _, errors = run.communicate(timeout=60)
        if number != signal.SIGKILL:
            assert run.returncode == 75
            assert errors.strip().splitlines()[-1].startswith("dyadnet: stopped in epoch ")
            assert "Traceback" not in errors
        while (left := processes(marker)) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert left == []
