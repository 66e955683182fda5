"""What a program does while its run goes on: callbacks, and who calls them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dyadnet.errors import CallbackError, ConfigError
from dyadnet.learning.early_stopping import EarlyStoppingSpec, Patience
from dyadnet.runs.hooks import HOOKS, Answer
from dyadnet.runs.status import Status
from dyadnet.training.run import Run


class Callback:
    """Does something while a run goes on. Every hook does nothing; override those that you need.

    Hooks run in the process that called `dyadnet.train`, one after the other, and the run waits for those that are
    overridden, so that what they do lands at the same minibatch on every engine. ``run.stop(reason)`` in any of them
    ends the run after the present minibatch, or epoch, with a checkpoint. A hook that raises ends the run, too.

    What `state_dict` returns is part of every checkpoint. A run that goes on from one, by `dyadnet.resume` or after an
    actor's death, calls `load_state_dict` with it, and the hooks since then again.
    """

    def on_run_begin(self, run: Run) -> None:
        """The run begins, or goes on; its folder is there."""

    def on_run_end(self, run: Run, status: Status) -> None:
        """The run has ended, however it did; `status` says how."""

    def on_epoch_begin(self, run: Run, epoch: int) -> None:
        """An epoch begins, counted from 1."""

    def on_epoch_end(self, run: Run, record: Mapping[str, Any]) -> None:
        """An epoch has ended with this line of ``metrics.jsonl``; its weights are saved, ``run.history`` has it."""

    def on_minibatch_end(self, run: Run, record: Mapping[str, Any]) -> None:
        """A minibatch was learned from: ``epoch``, ``minibatch`` (from 1), ``loss``, ``accuracy`` (``r2``, ``mae`` and
        ``squared_error`` where targets are numbers), ``sweeps`` and more, as a line of kind ``minibatch`` has them."""

    def on_evaluation_end(self, run: Run, part: str, record: Mapping[str, Any]) -> None:
        """A part was evaluated, ``validation`` or ``test``, or with ``_ideal`` without imperfections."""

    def on_checkpoint(self, run: Run, name: str) -> None:
        """A checkpoint of that name is written."""

    def state_dict(self) -> dict[str, Any]:
        """Plain values (as JSON has them) that `load_state_dict` goes on from."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""


class EarlyStopping(Callback):
    """Stops a run once a number of its record gets no better; the setting ``learning.early_stopping`` as a callback.

    Parameters
    ----------
    monitor
        ``validation_`` or ``train_``, then ``loss``, ``accuracy`` (of classes), ``r2``, ``mae`` or ``squared_error``
        (of numbers); ``auto`` is the validation accuracy of classes, and the validation loss of numbers.
    patience
        Epochs without a better one after which the run stops.
    min_delta
        What is better has to be so by more than this.

    Raises
    ------
    ConfigError
        If one is not legal.
    """

    def __init__(self, monitor: str = "auto", patience: int = 10, min_delta: float = 0.0) -> None:
        spec = {"monitor": monitor, "patience": patience, "min_delta": min_delta}
        self._patience = Patience(EarlyStoppingSpec.read(spec))

    def on_epoch_end(self, run: Run, record: Mapping[str, Any]) -> None:
        """See `Callback`."""
        self._patience.note(record)
        if self._patience.reason is not None:
            run.stop(self._patience.reason)

    def state_dict(self) -> dict[str, Any]:
        """See `Callback`."""
        return self._patience.state()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Callback`."""
        self._patience.restore(state)


class Callbacks:
    """Calls callbacks in this process; implements `Hooks`.

    Parameters
    ----------
    callbacks
        In the order in which they are called.
    run
        What they are given.
    say
        Is told what a user should know.

    Attributes
    ----------
    problem
        What a callback raised.

    Raises
    ------
    ConfigError
        If one is no `Callback`.
    CallbackError
        If the state of one is not plain.
    """

    def __init__(self, callbacks: Sequence[Callback], run: Run, say: Callable[[str], None]) -> None:
        self._run = run
        self._say = say
        self._reason: str | None = None
        self._first: str | None = None
        self.problem: BaseException | None = None
        self._named: dict[str, Callback] = {}
        counts: Counter[str] = Counter()
        for callback in callbacks:
            check(callback)
            name = type(callback).__qualname__
            counts[name] += 1
            self._named[name if counts[name] == 1 else f"{name}#{counts[name]}"] = callback
        self.wanted = frozenset(name for name in HOOKS if any(_overrides(one, name) for one in callbacks))
        run.stoppable(self._stop)
        self._begun = self.state()

    def call(self, name: str, *arguments: Any) -> Answer:
        """See `Hooks`."""
        for key, callback in self._named.items():
            if not _overrides(callback, name):
                continue
            self._run.forget()
            try:
                getattr(callback, name)(self._run, *arguments)
            except Exception as problem:
                self.problem = problem
                return None, f"callback {key}.{name} raised {_brief(problem)}"
        if name == "on_run_begin" and self._reason is not None:
            # Told at the first occasion that the coordinator has.
            self._first = self._reason
            self.wanted |= {"on_epoch_begin"}
        return self._reason, None

    def state(self) -> dict[str, Any]:
        """See `Hooks`."""
        found = {}
        for key, callback in self._named.items():
            if not _overrides(callback, "state_dict"):
                continue
            try:
                # As a checkpoint gives it back.
                found[key] = json.loads(json.dumps(callback.state_dict(), allow_nan=False))
            except Exception as problem:
                self.problem = problem
                raise CallbackError(
                    f"callback {key}.state_dict: {_brief(problem)}; it should return plain values, as JSON has them"
                ) from problem
        return found

    def restore(self, state: Mapping[str, Any] | None) -> None:
        """See `Hooks`."""
        self._reason = self._first
        state = self._begun if state is None else state
        for key in state.keys() - self._named.keys():
            self._say(f"callback {key}: the checkpoint holds its state, but callbacks= does not list it")
        for key, callback in self._named.items():
            if key not in state:
                continue
            try:
                callback.load_state_dict(state[key])
            except Exception as problem:
                self.problem = problem
                raise CallbackError(f"callback {key}.load_state_dict raised {_brief(problem)}") from problem

    def _stop(self, reason: str) -> None:
        self._reason = self._reason or str(reason) or "a callback stopped it"


def check(callback: Any) -> None:
    """Refuse what is no callback.

    Raises
    ------
    ConfigError
        Naming its type.
    """
    if not isinstance(callback, Callback):
        legal = "instances of dyadnet.Callback" + (", not classes" if isinstance(callback, type) else "")
        raise ConfigError("callbacks", getattr(callback, "__qualname__", type(callback).__qualname__), legal)


def _overrides(callback: Callback, name: str) -> bool:
    return getattr(type(callback), name) is not getattr(Callback, name)


def _brief(problem: BaseException) -> str:
    return f"{type(problem).__name__}: {' '.join(str(problem).split())[:300]}"
