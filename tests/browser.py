"""What a headless browser says."""

from __future__ import annotations

from typing import Any


def errors(chromium: Any) -> list[Any]:
    """What the console says beyond information."""
    return [entry for entry in chromium.get_log("browser") if entry["level"] not in ("INFO", "DEBUG")]
