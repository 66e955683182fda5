"""One Ray session for all tests that need one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """Ray on this machine, which `actors.launch` finds connected."""
    from actors.cluster import connected
    from dyadnet.config import ClusterSpec

    with connected(ClusterSpec()):
        yield
