"""What a host's blocks say to their neighbours outside of relaxations: one ideal message from each to each.

Rounds of such exchanges make the power iteration and the announcement that the saddle objective is summed up from.
Nobody counts these messages, and nothing delays them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from actors.inbox import Envelope, Inbox, Letter
from actors.post import Post
from actors.standing import LaneStanding, Want
from actors.transport import Report, Transport
from dyadnet.messages import Kind, Message
from dyadnet.spectrum import ITERATION, Application, Response, Vector

Key = tuple[str, str, Kind]
"""(target, source, kind) of an ideal message."""


class Exchange:
    """One host's part in them.

    Parameters
    ----------
    index
        Of this host.
    responses
        Of its blocks.
    post, inbox, transport
        By which messages leave and come in, and the coordinator is told.
    moved
        Called when this host begins to wait for something new.
    """

    def __init__(
        self,
        index: int,
        responses: Mapping[str, Response],
        post: Post,
        inbox: Inbox,
        transport: Transport,
        moved: Callable[[], None],
    ) -> None:
        self._index = index
        self._responses = responses
        self._post = post
        self._inbox = inbox
        self._transport = transport
        self._moved = moved
        self._ahead: list[Letter] = []
        self._expected: tuple[int, set[Key], dict[Key, Message]] | None = None
        self._undecided: int | None = None

    def open(self) -> None:
        """A round begins."""
        self._ahead = []
        self._expected = self._undecided = None

    def standings(self) -> tuple[LaneStanding, ...]:
        """What is being waited for; from any thread."""
        expected, undecided = self._expected, self._undecided
        if expected is not None:
            step, wanted, got = expected
            wants = tuple(Want(target, source, kind, step) for target, source, kind in sorted(wanted - set(got)))
            return (LaneStanding(0, step, "waiting" if wants else "computing", wants),)
        if undecided is not None:
            return (LaneStanding(0, undecided, "checking"),)
        return ()

    def spectrum(self, symmetric: bool, iterations: int) -> None:
        """A power iteration; the coordinator hears of squares and answers with factors."""
        self._rescale(0)
        for iteration in range(iterations):
            for half, application in enumerate(ITERATION[symmetric]):
                self._respond(application, 2 * iteration + half + 1)
            self._rescale(iteration + 1)

    def swap(
        self, out: Sequence[Message], lane: int, rows: Mapping[int, int], dtype: np.dtype[Any], step: int | None = None
    ) -> dict[Key, Message]:
        """Send ideal messages and wait for those of every neighbour.

        Parameters
        ----------
        lane
            That they belong to.
        rows, dtype
            Samples of each lane, and type of the numbers.
        step
            Of a power iteration.
        """
        got: dict[Key, Message] = {}

        def accept(message: Message) -> None:
            got[message.target, message.source, message.kind] = message

        self._post.carry(out, accept)
        wanted = {(target, source, kind) for source, target, kind in self._post.widths}
        self._moved()
        self._expected = (step or 0, wanted, got)
        letters, self._ahead = self._ahead, []
        while True:
            for letter in letters:
                if not isinstance(letter, Envelope):
                    continue
                for message in self._post.opened(letter, rows, dtype):
                    if message.lane == lane and step in (None, message.tick):
                        accept(message)
                    else:
                        self._ahead.append(letter)
                        break
            if wanted <= set(got):
                self._expected = None
                return got
            letters = self._inbox.read(timeout=None)

    def _respond(self, application: Application, step: int) -> None:
        out = [
            self._post.parcel(name, target, kind, vector, step)
            for name, response in self._responses.items()
            for target, kind, vector in response.emit(application)
        ]
        mail: dict[str, dict[tuple[str, Kind], Vector]] = {name: {} for name in self._responses}
        for (target, source, kind), message in self.swap(out, 0, {0: 1}, np.dtype(np.float64), step).items():
            mail[target][source, kind] = message.payload[0, 0]
        for name, response in self._responses.items():
            response.absorb(application, mail[name])

    def _rescale(self, check: int) -> None:
        squares = {name: response.square for name, response in self._responses.items()}
        self._transport.report(Report(self._post.round, 0, check, self._index, squares))
        self._moved()
        self._undecided = check
        decided = False
        while not decided:
            for letter in self._inbox.read(timeout=None):
                if isinstance(letter, Envelope):
                    # A faster neighbour is at its next step already.
                    self._ahead.append(letter)
                elif letter.check == check:
                    decided = True
                    for response in self._responses.values():
                        response.scale(letter.content)
        self._undecided = None
