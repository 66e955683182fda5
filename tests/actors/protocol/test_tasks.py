"""A task comes back as it was."""

from __future__ import annotations

import numpy as np
import pytest

from dyadnet.dynamics.request import Pace, Phase, Relaxation
from dyadnet.learning.update import Update
from dyadnet_actors.protocol import tasks


@pytest.mark.parametrize("pace", [None, Pace(0.1, 0.25, 0.01, 0.02)])
@pytest.mark.parametrize("update", [None, Update(0.1, 20, 1e-3, 7, True)])
def test_a_task_comes_back(update: Update | None, pace: Pace | None) -> None:
    phases = (Phase("free", 0.0, 30), Phase("nudged", 0.1, 10, True, 5))
    sent = Relaxation(
        2**40, "train", np.arange(5, 200, 7), phases, (-1.0, 0.25), 1 / 3, probed=True, exact=True, epoch=3
    )
    found, learned, paced = tasks.unseal(tasks.seal(sent, update, pace))
    assert (learned, paced) == (update, pace)
    assert found.rows.dtype == np.int64
    assert found.rows.flags.writeable
    for name in Relaxation.__slots__:
        assert np.array_equal(getattr(found, name), getattr(sent, name)), name
        assert type(getattr(found, name)) is type(getattr(sent, name)), name
