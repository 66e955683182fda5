"""Trains a network in this process and takes pictures of its live page, light and dark, with headless Chromium.

Needs Chromium and its driver (Debian: chromium, chromium-driver) and selenium::

    python docs/tools/page_screenshot.py docs/images/live-page.png
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import yaml
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from dyadnet.config import RunConfig
from dyadnet.config.overrides import merged
from dyadnet.config.presets import preset
from dyadnet.engines.local import LocalEngine
from dyadnet.runs.loading import load_data, shape_for
from dyadnet.runs.watcher import Silent
from dyadnet.telemetry.endpoint import Endpoint
from dyadnet.telemetry.snapshot import Snapshot
from dyadnet.training.coordinator import Coordinator

CHROMIUM = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")

ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)


@contextlib.contextmanager
def browser(width: int = 1360, height: int = 1010, *, dark: bool = False, scale: int = 1) -> Iterator[webdriver.Chrome]:
    """A headless Chromium with an empty profile of its own."""
    with tempfile.TemporaryDirectory() as profile:
        options = Options()
        for argument in (*ARGUMENTS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
            options.add_argument(argument)
        options.binary_location = CHROMIUM or ""
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        try:
            scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
            size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False}
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            yield driver
        finally:
            driver.quit()


class Stop(Silent):
    """Ends a run after the minibatch during which it is told to."""

    def __init__(self) -> None:
        self.told = threading.Event()

    def minibatch(self, epoch: int, index: int, loss: float, accuracy: float, sweeps: float) -> None:
        """See `ProgressCallback`."""
        if self.told.is_set():
            raise SystemExit


@contextlib.contextmanager
def training(endpoint: Endpoint, config: RunConfig, name: str) -> Iterator[Snapshot]:
    """A run that goes on in a thread of its own, shown by an endpoint, until the context ends."""
    dataset = load_data(config)
    snapshot = endpoint.add(config, name)
    stop = Stop()

    def work() -> None:
        engine = LocalEngine(config, dataset)
        try:
            with contextlib.suppress(SystemExit):
                Coordinator(config, shape_for(config, dataset), engine, watcher=stop, observer=snapshot).run()
                snapshot.end("finished")
        finally:
            engine.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield snapshot
    finally:
        stop.told.set()
        thread.join()


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", type=Path, help="PNG; a dark one goes beside it.")
    parser.add_argument("--epochs", type=int, default=40, help="Of the run.")
    parser.add_argument("--at", type=float, default=9.4, help="Epoch at which the picture is taken.")
    parser.add_argument("--by", default="residual", help="residual, saturation or age.")
    # Large enough to be still training when the picture is taken.
    large = "{network: {layered: {hidden: [500, 400, 300]}}}"
    parser.add_argument("--set", dest="settings", default=large, help="Further settings, as YAML.")
    arguments = parser.parse_args()
    values = merged(preset("digits", "sshm"), {"engine": "local", "learning": {"epochs": arguments.epochs}})
    values = merged(values, {"metrics": {"port": 0, "norms": 5}})
    config = RunConfig.read(merged(values, yaml.safe_load(arguments.settings)))
    with Endpoint(config.metrics) as endpoint, training(endpoint, config, "digits-sshm") as snapshot:
        while snapshot.minibatches < arguments.at * max(1, snapshot.epoch_minibatches) or not snapshot.epochs:
            time.sleep(0.05)
        for dark in (False, True):
            with browser(dark=dark, scale=2) as driver:
                driver.get(f"http://{endpoint.address}/")
                driver.execute_script(f"document.querySelector('[data-by={arguments.by}]').click()")
                time.sleep(3.2)
                name = f"{arguments.picture.stem}{'-dark' if dark else ''}{arguments.picture.suffix}"
                driver.save_screenshot(str(arguments.picture.with_name(name)))
                for entry in driver.get_log("browser"):  # type: ignore[no-untyped-call]
                    print(entry)


if __name__ == "__main__":
    main()
