"""The fast transport carries a run to the local engine's bits, on one machine and between machines."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dyadnet.config import RunConfig
from dyadnet.data import load
from dyadnet.engines.local import LocalEngine
from tests.actors.coordination.test_lockstep import CLOCKS, DELAYS, IMPERFECT, record, settings_of
from tests.actors.transports.hosts import fast_engine


@pytest.mark.parametrize("apart", [False, True])
def test_every_host_count_gives_the_local_bits(apart: bool) -> None:
    check(apart, lam=0.0, clock="auto", delay=1, blocks=1, lanes=2, actors=3, imperfections={})


@settings(max_examples=12, deadline=None)
@given(
    apart=st.booleans(),
    lam=st.sampled_from([0.0, 0.5, 1.0, 0.3]),
    clock=st.sampled_from(CLOCKS),
    delay=st.sampled_from(DELAYS),
    blocks=st.integers(1, 2),
    lanes=st.integers(1, 4),
    actors=st.integers(1, 5),
    imperfections=st.sampled_from([{}, {}, IMPERFECT]),
)
def test_any_network_gives_the_local_bits(**drawn: Any) -> None:
    check(**drawn)


def check(
    apart: bool, lam: float, clock: Any, delay: Any, blocks: int, lanes: int, actors: int, imperfections: Any
) -> None:
    """The record of the same run on the local engine and on hosts is the same."""
    layered = {"inputs": 64, "hidden": [14, 12], "outputs": 10, "gain": 1.4, "lam": lam, "blocks": blocks}
    values = settings_of(
        network__layered=layered,
        dynamics__clock=clock,
        dynamics__delay=delay,
        dynamics__lanes=lanes,
        dynamics__patience=1000,
        imperfections=imperfections,
        probe={},
    )
    dataset = load("digits").limited(60, 20)
    alone = RunConfig.read(values)
    spread = RunConfig.read(values | {"cluster": {"actors": min(actors, 2 * blocks + 1), "timeout": 20}})
    expected = record(alone, dataset, LocalEngine(alone, dataset))
    assert record(spread, dataset, fast_engine(spread, dataset, apart=apart)) == expected


@pytest.mark.parametrize("apart", [False, True])
def test_messages_of_many_ticks_are_under_way(apart: bool) -> None:
    check(apart, lam=0.0, clock="every-tick", delay=60, blocks=1, lanes=2, actors=3, imperfections={})
