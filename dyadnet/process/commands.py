"""Commands that are printed for people to type."""

from __future__ import annotations

import shlex

from dyadnet.registry import PLUGINS


def command(*words: str) -> str:
    """A command of dyadnet's, ready for a shell, with the plugins that this process was given."""
    return shlex.join(["dyadnet", *words, *(word for name in PLUGINS for word in ("--plugin", name))])
