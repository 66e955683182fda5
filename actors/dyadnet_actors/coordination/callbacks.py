"""Relays the callbacks of a run on Ray: the coordinator's actor asks, and the driver, where they live, answers."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping
from typing import Any

from dyadnet.errors import CallbackError
from dyadnet.runs.hooks import Answer, Hooks

Told = tuple[Any, str | None]
"""Return value of the call, and an error message or None."""


class RelayedHooks:
    """The coordinator's side; implements `dyadnet.runs.hooks.Hooks`.

    Parameters
    ----------
    wanted
        Names of the hooks that a callback overrides.
    ask
        Sends the driver a question: its number, a method of `Hooks`, and the arguments.
    """

    def __init__(self, wanted: frozenset[str], ask: Callable[[int, str, tuple[Any, ...]], None]) -> None:
        self.wanted = wanted
        self._ask = ask
        self._numbers = itertools.count()
        self._told = threading.Condition()
        self._answers: dict[int, Told] = {}

    def call(self, name: str, *arguments: Any) -> Answer:
        """See `Hooks`."""
        answer: Answer = self._asked("call", name, *arguments)
        return answer

    def state(self) -> dict[str, Any]:
        """See `Hooks`."""
        state: dict[str, Any] = self._asked("state")
        return state

    def restore(self, state: Mapping[str, Any] | None) -> None:
        """See `Hooks`."""
        self._asked("restore", state)

    def answer(self, number: int, told: Told) -> None:
        """Take the driver's answer to a question; called from another thread than the one that waits for it."""
        with self._told:
            self._answers[number] = told
            self._told.notify_all()

    def _asked(self, method: str, *arguments: Any) -> Any:
        number = next(self._numbers)
        self._ask(number, method, arguments)
        with self._told:
            self._told.wait_for(lambda: number in self._answers)
            found, wrong = self._answers.pop(number)
        if wrong is not None:
            raise CallbackError(wrong)
        return found


def answered(hooks: Hooks | None, method: str, arguments: tuple[Any, ...]) -> Told:
    """Call a method of the hooks, on the driver's side; return its result, or an error message."""
    try:
        return getattr(hooks, method)(*arguments), None
    except CallbackError as problem:
        return None, str(problem)
