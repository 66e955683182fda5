"""The Hebbian update points where the gradient does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from dyadnet.analysis.gradient import EXACT, EXACT_BETA, Contrast, contrast, cosine, cosines
from dyadnet.analysis.trained import ideal
from dyadnet.training.evaluation import load

ROWS = np.arange(50)


@pytest.mark.parametrize("model", ["sshm", "ffm", "hm"])
def test_the_cosine_of_a_settled_ideal_network_is_above_099_at_small_beta(model: str, runs: Mapping[str, Path]) -> None:
    saved = load(runs[model])
    config = ideal(saved.config, saved.couplings, **EXACT)
    for parameters in (None, saved.parameters):
        exact = contrast(config, saved.dataset, ROWS, EXACT_BETA, parameters)
        settled = ideal(saved.config, saved.couplings)
        found = contrast(settled, saved.dataset, ROWS, 0.01, parameters)
        assert found.capped == 0
        by_block = cosines(found, exact)
        assert set(by_block) == {"whole", "h1", "h2", "out"}
        assert min(by_block.values()) > 0.99
        strong = cosines(contrast(settled, saved.dataset, ROWS, 1.0, parameters), exact)
        assert strong["whole"] < by_block["whole"]


def test_lanes_and_blocks_leave_the_contrast_what_it_is(runs: Mapping[str, Path]) -> None:
    saved = load(runs["sshm"])
    whole = contrast(ideal(saved.config, saved.couplings), saved.dataset, ROWS[:7], 0.01)
    split = saved.config.model_copy(update={"network": saved.config.network.with_blocks(2)})
    found = contrast(ideal(split, saved.couplings, lanes=3), saved.dataset, ROWS[:7], 0.01)
    assert list(found.blocks) == ["h1.0", "h1.1", "h2.0", "h2.1", "out"]
    assert np.linalg.norm(found.whole) == pytest.approx(np.linalg.norm(whole.whole), rel=1e-3)


def test_the_angle_to_nothing_is_no_number() -> None:
    assert cosine(np.array([1.0, 0.0]), np.array([1.0, 1.0])) == pytest.approx(np.sqrt(0.5))
    silent = Contrast({"a": np.zeros(3)}, 1.0, 0)
    assert all(np.isnan(value) for value in cosines(silent, silent).values())
