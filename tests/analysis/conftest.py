"""Runs that the tests of the analysis share: the three models, trained on the digits by the local engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from dyadnet.config import RunConfig
from dyadnet.config.overrides import merged
from dyadnet.config.presets import preset
from dyadnet.training.api import train


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Folders of the runs by model; to be copied before they are written to."""
    root = tmp_path_factory.mktemp("runs")
    for model in ("sshm", "ffm", "hm"):
        values = merged(preset("digits", model), {"engine": "local", "learning": {"epochs": 10}})
        train(RunConfig.read(values), root / model)
    return {model: root / model for model in ("sshm", "ffm", "hm")}
