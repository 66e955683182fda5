"""Whether what a program has registered can go to other processes, said before there are any."""

from __future__ import annotations

import importlib

from dyadnet.errors import UsageError
from dyadnet.registry import registered


def check_travels() -> None:
    """Whether all that this process has registered can be sent to actors.

    Raises
    ------
    UsageError
        Naming what cannot, and why.
    """
    for kind, name, thing in registered():
        try:
            importlib.import_module("ray.cloudpickle").dumps(thing)
        except Exception as problem:  # Whatever an object of a user's raises.
            why = f"{type(problem).__name__}: {' '.join(str(problem).split())[:200]}"
            legal = "keep what cannot be pickled out of it, or train with engine local"
            raise UsageError(f"{kind} {name!r} cannot be sent to actors ({why}); {legal}") from problem
