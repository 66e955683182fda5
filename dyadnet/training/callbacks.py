"""Callbacks: user code that runs during training, and the class that calls it."""

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
    """Base class of callbacks, which run user code during training. Hooks do nothing by default; override some.

    Hooks run one after the other in the process that called `dyadnet.train`. The run waits for every overridden hook,
    so a hook takes effect at the same minibatch on every engine. Calling ``run.stop(reason)`` in a hook ends the run
    after the current minibatch or epoch, with a checkpoint. A hook that raises also ends the run.

    Every checkpoint contains the value that `state_dict` returns. When a run resumes from a checkpoint, by
    `dyadnet.resume` or after an actor has died, it passes this value to `load_state_dict`. It then repeats the hooks
    of the minibatches since that checkpoint.
    """

    def on_run_begin(self, run: Run) -> None:
        """Called when the run begins or resumes; its folder exists."""

    def on_run_end(self, run: Run, status: Status) -> None:
        """Called when the run has ended, for any reason; `status` says how it ended."""

    def on_epoch_begin(self, run: Run, epoch: int) -> None:
        """Called when an epoch begins; epochs count from 1."""

    def on_epoch_end(self, run: Run, record: Mapping[str, Any]) -> None:
        """Called when an epoch has ended. `record` is its line of ``metrics.jsonl``.

        The weights are already saved, and ``run.history`` includes the epoch.
        """

    def on_minibatch_end(self, run: Run, record: Mapping[str, Any]) -> None:
        """Called after the update of a minibatch.

        `record` has the fields of a record line of kind ``minibatch``: ``epoch``, ``minibatch`` (from 1), ``loss``,
        ``accuracy`` (``r2``, ``mae`` and ``squared_error`` where targets are numbers), ``sweeps`` and more.
        """

    def on_evaluation_end(self, run: Run, part: str, record: Mapping[str, Any]) -> None:
        """Called after an evaluation of a part: ``validation`` or ``test``; with ``_ideal``: without imperfections."""

    def on_checkpoint(self, run: Run, name: str) -> None:
        """Called when a checkpoint of that name has been written."""

    def state_dict(self) -> dict[str, Any]:
        """Return the callback's state as JSON-compatible values; `load_state_dict` restores it."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""


class EarlyStopping(Callback):
    """Stops a run when a monitored metric stops improving; the setting ``learning.early_stopping`` as a callback.

    Parameters
    ----------
    monitor
        ``validation_`` or ``train_``, then ``loss``, ``accuracy`` (of classes), ``r2``, ``mae`` or ``squared_error``
        (of numbers); ``auto`` is the validation accuracy of classes, and the validation loss of numbers.
    patience
        Number of epochs without improvement after which the run stops.
    min_delta
        Only a change by more than this counts as an improvement.

    Raises
    ------
    ConfigError
        If a value is not legal.
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
        The callbacks, in the order in which they are called.
    run
        The run that is passed to every hook.
    say
        Receives messages for the user.

    Attributes
    ----------
    problem
        The exception that a callback raised, or None.

    Raises
    ------
    ConfigError
        If a callback is not a `Callback`.
    CallbackError
        If the state of a callback is not JSON-compatible.
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
            # The coordinator hears of it at its first hook.
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
                # Convert it to what a checkpoint returns.
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
    """Raise unless the argument is a callback.

    Raises
    ------
    ConfigError
        If it is not a `Callback`; the error names its type.
    """
    if not isinstance(callback, Callback):
        legal = "instances of dyadnet.Callback" + (", not classes" if isinstance(callback, type) else "")
        raise ConfigError("callbacks", getattr(callback, "__qualname__", type(callback).__qualname__), legal)


def _overrides(callback: Callback, name: str) -> bool:
    return getattr(type(callback), name) is not getattr(Callback, name)


def _brief(problem: BaseException) -> str:
    return f"{type(problem).__name__}: {' '.join(str(problem).split())[:300]}"
