"""Progress in a notebook: a bar with a text and notes, in the output of one cell."""

from __future__ import annotations

import html
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from dyadnet.config import RunConfig
from dyadnet.numerics.scores import headline, told

EVERY = 0.25
"""Seconds between two updates of the display within an epoch."""
LINES = 8
"""Number of notes and warnings shown, the newest ones."""


class NotebookBar:
    """A bar in a cell's output, which is updated in place.

    Parameters
    ----------
    show
        Shows HTML in place of its previous output; default: an IPython display.
    """

    def __init__(self, show: Callable[[str], None] | None = None) -> None:
        self._show = show or _display()

    def draw(self, done: int, whole: int, text: str, lines: Sequence[str] = ()) -> None:
        """Show `done` of `whole`, a text beside the bar, and lines below it. Texts are escaped."""
        bar = f'<progress value="{min(done, whole)}" max="{whole}" style="width: 14em"></progress>'
        below = "".join(f"<br><small>{html.escape(line)}</small>" for line in lines)
        self._show(f"<div>{bar} {html.escape(text)}{below}</div>")


class NotebookProgress:
    """A `dyadnet.runs.watcher.ProgressCallback` for a notebook.

    Parameters
    ----------
    show
        See `NotebookBar`.
    """

    def __init__(self, show: Callable[[str], None] | None = None) -> None:
        self._bar = NotebookBar(show)
        self._drawn = -EVERY
        self._epochs = 0
        self._minibatches = 0
        self._done = 0
        self._now = "starting"
        self._last = ""
        self._lines: list[str] = []

    def started(self, config: RunConfig, minibatches: int) -> None:
        """Store the total number of minibatches and show the bar."""
        self._epochs, self._minibatches = config.learning.epochs, minibatches
        self._draw()

    def minibatch(self, epoch: int, index: int, loss: float, accuracy: float, sweeps: float) -> None:
        """Advance the bar."""
        self._done = epoch * self._minibatches + index + 1
        score = "" if math.isnan(accuracy) else f" · accuracy {accuracy:.2%}"
        self._now = f"epoch {epoch + 1} of {self._epochs} · loss {loss:.4f}{score}"
        if time.monotonic() - self._drawn >= EVERY:
            self._draw()

    def evaluating(self, epoch: int, part: str) -> None:
        """Name the evaluation in the text; it appears at the next update of the display."""
        self._now = f"epoch {epoch + 1} of {self._epochs} · evaluating the {part} part"

    def epoch(self, line: dict[str, Any]) -> None:
        """Show the epoch's metrics."""
        train, validation, test = line["train"], line["validation"], line["test"]
        of_train, of_validation, of_test = (told(part, named=False) for part in (train, validation, test))
        named = "" if "accuracy" in train else f"{headline(train)[1]} "
        self._done = line["epoch"] * self._minibatches
        self._now = f"epoch {line['epoch']} of {self._epochs}"
        self._last = (
            f"loss {train['loss']:.4f} · {named}train {of_train} · validation {of_validation} · test {of_test} · "
            f"{train['sweeps']:.1f} sweeps"
        )
        self._draw()

    def warning(self, text: str) -> None:
        """Show a warning."""
        self._say(f"warning: {text}")

    def note(self, text: str) -> None:
        """Show a note."""
        self._say(text)

    def _say(self, text: str) -> None:
        self._lines = [*self._lines, text][-LINES:]
        self._draw()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        whole = max(1, self._epochs * self._minibatches)
        texts = [text for text in (self._now, self._last) if text]
        self._bar.draw(self._done, whole, " · ".join(texts), self._lines)


def _display() -> Callable[[str], None]:
    """Create an output in the current cell. Return the function that replaces its contents."""
    from IPython.display import HTML, display

    handle = display(HTML(""), display_id=True)

    def show(text: str) -> None:
        handle.update(HTML(text))

    return show
