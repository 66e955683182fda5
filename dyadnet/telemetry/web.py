"""Helpers for self-contained pages: web files, hashes for the content security policy, and embedded JSON."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from importlib.resources import files
from typing import Any


def piece(package: str, name: str) -> str:
    """Read a file of a package's ``web`` folder."""
    return (files(package) / "web" / name).read_text(encoding="utf-8")


def digest(text: str) -> str:
    """Return the hash of a style or script for a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def plain(value: Any) -> Any:
    """Return the value with NaN and infinity replaced by None, because JSON has neither."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def embedded(value: Any) -> str:
    """Encode plain values as JSON that is safe within a page's ``<script type="application/json">``."""
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
