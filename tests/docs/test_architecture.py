"""The page on the architecture: its picture is of this tree, and the ways are as short as it says."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
LOCALLY, ON_RAY = 15, 25


def test_the_picture_is_of_this_tree() -> None:
    drawn = runpy.run_path(str(ROOT / "docs" / "tools" / "rooms_picture.py"))["drawn"]()
    assert drawn == (ROOT / "docs" / "images" / "rooms.svg").read_text(), "run docs/tools/rooms_picture.py"


def test_the_way_of_an_image_is_short_and_its_files_are_there() -> None:
    told, _ = PAGE.split("## Could you guess")
    ways = [re.findall(r"^\|.*`([\w/]+\.py)` \|$", part, re.MULTILINE) for part in told.split("On Ray,")]
    local, more = ways
    assert len(set(local)) == len(local) <= LOCALLY
    assert len({*local, *more}) - 1 <= ON_RAY
    for file in (*local, *more):
        assert (ROOT / file).is_file(), file
