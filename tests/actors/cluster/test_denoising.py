"""Denoising on Ray: the noise, the bits and the record of the local engine, whatever actors there are."""

from __future__ import annotations

from pathlib import Path

import pytest

import dyadnet as dn
from tests.training.test_denoising import config

pytestmark = pytest.mark.usefixtures("ray_session")


def test_actors_denoise_to_the_local_engines_bits(tmp_path: Path) -> None:
    network = dn.layered(hidden=[24, 16], output_activation="linear")
    few = {"learning": {"epochs": 2, "minibatch": 20}, "dynamics": {"lanes": 2}, "network": network}
    local = dn.train(config(**few), tmp_path / "local")
    for actors in (1, 3):
        found = dn.train(config(**few, engine="ray", cluster={"actors": actors}), tmp_path / f"ray-{actors}")
        assert found.weights_sha256 == local.weights_sha256
        assert (found.path / "metrics.jsonl").read_bytes() == (local.path / "metrics.jsonl").read_bytes()
        assert found.test_ssim == local.test_ssim
