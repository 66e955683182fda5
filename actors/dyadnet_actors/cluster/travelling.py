"""Sends what a program has registered to other processes, and checks in advance that this is possible."""

from __future__ import annotations

import importlib
import sys

from dyadnet.errors import UsageError
from dyadnet.registry import registered


def check_travels() -> None:
    """Check that everything this process has registered can be sent to actors.

    Raises
    ------
    UsageError
        If something cannot be sent; the message names it and says why.
    """
    for kind, name, thing in registered():
        try:
            importlib.import_module("ray.cloudpickle").dumps(thing)
        except Exception as problem:  # Whatever an object of a user's raises.
            why = f"{type(problem).__name__}: {' '.join(str(problem).split())[:200]}"
            legal = "keep what cannot be pickled out of it, or train with engine local"
            raise UsageError(f"{kind} {name!r} cannot be sent to actors ({why}); {legal}") from problem


def send_modules() -> None:
    """Make Ray send the modules of registered objects by value, for nodes where they are not installed.

    This excludes dyadnet itself, and the program's main script, which Ray sends by value anyway.
    """
    pickling = importlib.import_module("ray.cloudpickle")
    for _, _, thing in registered():
        name = getattr(thing, "__module__", type(thing).__module__).partition(".")[0]
        if name in sys.modules and name not in ("__main__", "dyadnet", "dyadnet_actors"):
            pickling.register_pickle_by_value(sys.modules[name])
