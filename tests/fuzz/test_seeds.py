"""A few cases of each kind that `make fuzz` tries, and every one that ever failed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fuzz.cases import KINDS, Sound
from tests.fuzz.trying import sound, tried

FAILED = [("checkpoint", 0, 2334), ("weights", 20260, 52)]
"""Kind, seed and number of cases that failed before what they found was mended."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    """What cases alter."""
    return sound(tmp_path_factory.mktemp("sound"))


@pytest.mark.parametrize("kind", KINDS)
def test_some_cases_of_every_kind_end_well_or_in_one_line(kind: str, made: Sound) -> None:
    for number in range(8):
        assert tried(kind, 1, number, made) is None


@pytest.mark.parametrize(("kind", "seed", "number"), FAILED)
def test_a_case_that_failed_once_does_not_again(kind: str, seed: int, number: int, made: Sound) -> None:
    assert tried(kind, seed, number, made) is None


def test_a_case_is_the_same_whenever_it_is_made(made: Sound, tmp_path: Path) -> None:
    texts = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        KINDS["config"][0](random.Random("3 config 5"), made, tmp_path / name)
        texts.append((tmp_path / name / "c.yaml").read_bytes())
    assert texts[0] == texts[1]
