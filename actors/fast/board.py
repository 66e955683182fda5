"""The verdict at a check tick, where all hosts share a machine: read from shared memory, given by each for itself.

Every host writes the progress of its blocks on a board that all can read, and gives the verdict as soon as it finds
everybody's: the same reports, the same rule (`actors.judges.LockstepJudge`), the same verdict. Nobody is sent
anything, except that a host that sleeps is woken by the one that wrote last.

A board keeps two checks of each lane: nobody is two checks ahead of another, because each verdict needs all.
"""

from __future__ import annotations

import mmap
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from actors.fast.segments import attach, create, pages
from actors.inbox import Decision
from actors.judges import Judge
from actors.transport import Report

_HEAD = struct.Struct("<qq")
_PROGRESS = struct.Struct("<qqd")
_WAITING = struct.Struct("<q")
_BEGIN = 64
"""Bytes before a lane's checks: whether its host waits for a verdict."""
FLUSH = 0.5
"""Seconds after which the coordinator hears what has been decided, if the lane is not over before."""


class Board:
    """Boards of all hosts, of which this host writes one.

    Parameters
    ----------
    index
        Of this host.
    blocks
        Names of the blocks of every host, by index.
    lanes
        Of the network.
    """

    def __init__(self, index: int, blocks: Sequence[Sequence[str]], lanes: int) -> None:
        self._index = index
        self._blocks = blocks
        self._lanes = lanes
        self._fence = threading.Lock()
        self.descriptor, own = create(self.size(index), "checks")
        self._boards: dict[int, mmap.mmap] = {index: own}

    def size(self, host: int) -> int:
        """Bytes of a host's board."""
        return pages(self._lanes * self._stride(host))

    def attach(self, host: int, descriptor: int) -> None:
        """Read the board of another host from now on."""
        self._boards[host] = attach(descriptor, self.size(host))

    def write(self, report: Report) -> None:
        """Put a report on the own board."""
        board, place = self._boards[self._index], self._place(self._index, report.lane, report.check)
        at = place + _HEAD.size
        for _, fired, over, residual in report.content:
            _PROGRESS.pack_into(board, at, fired, over, residual)
            at += _PROGRESS.size
        _HEAD.pack_into(board, place, report.round, report.check + 1)
        # Whoever reads next must see this before it looks at what others wrote.
        with self._fence:
            pass

    def read(self, host: int, number: int, lane: int, check: int) -> list[tuple[str, int, int, float]] | None:
        """The content of a host's report; None if it is not there yet."""
        board = self._boards.get(host)
        if board is None:
            return None
        place = self._place(host, lane, check)
        if _HEAD.unpack_from(board, place) != (number, check + 1):
            return None
        at = place + _HEAD.size
        return [
            (name, *_PROGRESS.unpack_from(board, at + index * _PROGRESS.size))
            for index, name in enumerate(self._blocks[host])
        ]

    def there(self, number: int, lane: int, check: int) -> bool:
        """Whether every host's report is."""
        head = (number, check + 1)
        return len(self._boards) == len(self._blocks) and all(
            _HEAD.unpack_from(board, self._place(host, lane, check)) == head for host, board in self._boards.items()
        )

    def wait(self, lane: int, waiting: bool) -> None:
        """Say that this host sleeps until a verdict, or no longer."""
        _WAITING.pack_into(self._boards[self._index], lane * self._stride(self._index), waiting)
        with self._fence:
            pass

    def sleepers(self, lane: int) -> list[int]:
        """Other hosts that wait for a lane's verdict."""
        return [
            host
            for host, board in self._boards.items()
            if host != self._index and _WAITING.unpack_from(board, lane * self._stride(host))[0]
        ]

    def _entry(self, host: int) -> int:
        return _HEAD.size + _PROGRESS.size * len(self._blocks[host])

    def _stride(self, host: int) -> int:
        return -(-(_BEGIN + 2 * self._entry(host)) // 64) * 64

    def _place(self, host: int, lane: int, check: int) -> int:
        return lane * self._stride(host) + _BEGIN + (check % 2) * self._entry(host)


class Council:
    """One host's part in the verdicts of a relaxation.

    Parameters
    ----------
    board
        Where the hosts write.
    hosts
        How many there are.
    wake
        Wakes a sleeping host.
    tell
        Takes the reports of all hosts to the coordinator, who judges them once more for the record; None if another
        host does so.
    """

    def __init__(
        self,
        board: Board,
        hosts: int,
        wake: Callable[[int], None],
        tell: Callable[[Sequence[Report]], None] | None,
    ) -> None:
        self._board = board
        self._hosts = hosts
        self._wake = wake
        self._tell = tell
        self._judge: Judge | None = None
        self._open: dict[int, tuple[int, int]] = {}
        self._told: list[Report] = []
        self._told_at = 0.0
        self._asleep: list[int] = []

    def convene(self, judge: Judge) -> None:
        """A relaxation begins."""
        self._judge = judge
        self._open = {}
        self._told = []
        self._told_at = time.monotonic()

    @property
    def sits(self) -> bool:
        """Whether reports are judged here."""
        return self._judge is not None

    def adjourn(self) -> None:
        """What follows is no relaxation."""
        self._judge = None
        self._open = {}

    def report(self, report: Report) -> None:
        """Note what this host has to say; wake who waits only for that."""
        self._board.write(report)
        self._open[report.lane] = (report.round, report.check)
        if self._board.there(report.round, report.lane, report.check):
            for host in self._board.sleepers(report.lane):
                self._wake(host)

    def decisions(self) -> list[Decision]:
        """The verdicts that can be given now."""
        found: list[Decision] = []
        for lane, (number, check) in list(self._open.items()):
            if not self._board.there(number, lane, check):
                continue
            del self._open[lane]
            reports: list[Report] = []
            for host in range(self._hosts):
                content = self._board.read(host, number, lane, check)
                assert content is not None
                reports.append(Report(number, lane, check, host, content))
            found += self._judged(reports)
        return found

    def sleep(self) -> None:
        """This host waits for the verdicts that it lacks."""
        self._asleep = list(self._open)
        for lane in self._asleep:
            self._board.wait(lane, True)

    def rise(self) -> None:
        """It waits no longer."""
        for lane in self._asleep:
            self._board.wait(lane, False)
        self._asleep = []

    @property
    def waits(self) -> bool:
        """Whether any verdict is lacking."""
        return bool(self._open)

    def _judged(self, reports: Sequence[Report]) -> list[Decision]:
        assert self._judge is not None
        found = [decision for report in reports if (decision := self._judge.hear(report)) is not None]
        if self._tell is not None:
            self._told += reports
            now = time.monotonic()
            if self._judge.done or now - self._told_at > FLUSH or any(d.content != "continue" for d in found):
                self._tell(self._told)
                self._told, self._told_at = [], now
        return found


def by_host(homes: Mapping[str, int]) -> list[list[str]]:
    """Blocks of every host, by index."""
    return [[name for name, host in homes.items() if host == index] for index in range(max(homes.values()) + 1)]
