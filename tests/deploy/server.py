"""A real Prometheus with the shipped configuration, in a hurry: what takes a minute there takes two seconds here."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.manifests import PROMETHEUS, RULES, read

MINUTE = 2
"""Seconds that a minute of the rules lasts."""
PATIENCE = 90.0


def hurried(text: str) -> str:
    """Rules whose minutes are shorter, in ranges, in waits and in thresholds."""
    shorter = re.sub(r"\b(\d+)m\b", lambda found: f"{int(found[1]) * MINUTE}s", text)
    return shorter.replace("* 60", f"* {MINUTE}")


class Prometheus:
    """A server that answers queries.

    Parameters
    ----------
    port
        Where it listens, on loopback.
    targets
        The file in which runs list themselves.
    """

    def __init__(self, port: int, targets: Path) -> None:
        self._url = f"http://127.0.0.1:{port}"
        self.targets = targets

    def get(self, path: str, **query: Any) -> Any:
        """The data of an answer."""
        address = f"{self._url}{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(address, timeout=20) as answer:
            return json.load(answer)["data"]

    def ready(self) -> bool:
        """Whether it answers at all."""
        with contextlib.suppress(OSError):
            return bool(urllib.request.urlopen(f"{self._url}/-/ready", timeout=5).status == 200)
        return False

    def values(self, expression: str) -> list[float]:
        """What a query gives now."""
        return [float(one["value"][1]) for one in self.get("/api/v1/query", query=expression)["result"]]

    def seen(self, expression: str, start: float) -> bool:
        """Whether a query has given any number since a moment."""
        found = self.get("/api/v1/query_range", query=expression, start=start, end=time.time(), step=1)
        return any(value != "NaN" for series in found["result"] for _, value in series["values"])

    def types(self) -> dict[str, str]:
        """Of every metric that a present target told of."""
        return {name: str(told[0]["type"]) for name, told in self.get("/api/v1/metadata").items()}


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Prometheus]:
    """Prometheus, scraping whatever lists itself; its other targets are other machines and are left out."""
    config = read(PROMETHEUS / "prometheus.yml")
    config["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    config["scrape_configs"] = [job for job in config["scrape_configs"] if "file_sd_configs" in job]
    for job in config["scrape_configs"]:
        for discovery in job["file_sd_configs"]:
            discovery["refresh_interval"] = "1s"
    (folder / "targets").mkdir()
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (folder / "rules.yml").write_text(hurried(RULES.read_text(encoding="utf-8")), encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    options = (f"--web.listen-address=127.0.0.1:{port}", f"--storage.tsdb.path={folder / 'data'}")
    command = [str(shutil.which("prometheus")), f"--config.file={folder / 'prometheus.yml'}", *options]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            server = Prometheus(port, folder / "targets" / "runs.json")
            until(server.ready)
            yield server
        finally:
            process.terminate()
            process.wait(20)


def until(found: Callable[[], Any], patience: float = PATIENCE) -> None:
    """Wait for something that has to come."""
    deadline = time.monotonic() + patience
    while True:
        with contextlib.suppress(urllib.error.URLError):
            if found():
                return
        assert time.monotonic() < deadline
        time.sleep(0.2)
