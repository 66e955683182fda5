"""One Ray session and one browser for all tests that need them; pictures only where a test looks at them."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from dyadnet_actors.cluster.watchdog import Watchdog


# Processes that tests start, workers of Ray's above all, are hundreds and load the same modules.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


LONGEST = ("tests/docs/test_tutorial.py", "tests/deploy/test_prometheus.py")
"""Files that come first: one process works at each of them for minutes, and the others at all the rest."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; the others stay in their order."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


@pytest.fixture(autouse=True)
def pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of this process draw nothing unless the test is marked ``pictures``: a second a run, of hundreds."""
    if request.node.get_closest_marker("pictures") is None:
        monkeypatch.setattr(importlib.import_module("dyadnet.training.api"), "draw", lambda *given: None)


@pytest.fixture(autouse=True)
def registrations() -> Iterator[None]:
    """What a test registers is gone after it, whatever becomes of it: others list all that there is."""
    from dyadnet.registry import forget, registered

    before = {found[:2] for found in registered()}
    yield
    for kind, name, _ in registered():
        if (kind, name) not in before:
            forget(kind, name)


@pytest.fixture(scope="session")
def ray_session() -> Iterator[Watchdog]:
    """Ray on this machine, which `dyadnet_actors.cluster.launch` finds connected, and what watches it."""
    from dyadnet.config import ClusterSpec
    from dyadnet_actors.cluster.connection import connected

    with connected(ClusterSpec()) as watchdog:
        yield watchdog


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless browser."""
    pytest.importorskip("selenium", reason="selenium is not installed")
    from docs.tools import page_screenshot

    if page_screenshot.CHROMIUM is None or page_screenshot.DRIVER is None:
        pytest.skip("Chromium is not installed (Debian: chromium, chromium-driver)")
    with page_screenshot.browser() as driver:
        yield driver
