"""Command lines that are printed for users to type."""

from __future__ import annotations

import shlex

from dyadnet.registry import PLUGINS


def command(*words: str) -> str:
    """Return a dyadnet command line, quoted for a shell, with the plugins of this process."""
    return shlex.join(["dyadnet", *words, *(word for name in PLUGINS for word in ("--plugin", name))])
