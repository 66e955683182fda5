"""The verdict at a check tick, where all hosts share a machine: read from shared memory, given by each for itself.

Every host writes the progress of its blocks on a board that all can read, and gives the verdict as soon as it finds
everybody's: the same reports, the same rule (`actors.judges.LockstepJudge`), the same verdict. Nobody is sent
anything, except that a host that sleeps is woken by the one that wrote last; and one of them tells the coordinator
what has been decided.

A board keeps two checks of each lane: nobody is two checks ahead of another, because each verdict needs all.
"""

from __future__ import annotations

import mmap
import struct
import threading
import time
from collections.abc import Callable, Sequence

from actors.fast.segments import attach, create, pages
from actors.inbox import Decision
from actors.judges import Given, LockstepJudge
from actors.transport import Report
from dyadnet.settling import Kind, Verdict

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
        self._hosts = len(blocks)
        self._fence = threading.Lock()
        self._entries = [_HEAD.size + _PROGRESS.size * len(names) for names in blocks]
        self._strides = [-(-(_BEGIN + 2 * entry) // 64) * 64 for entry in self._entries]
        self.descriptor, own = create(self.size(index), "checks")
        self._own = own
        self._boards: dict[int, mmap.mmap] = {index: own}

    def size(self, host: int) -> int:
        """Bytes of a host's board."""
        return pages(self._lanes * self._strides[host])

    def attach(self, host: int, descriptor: int) -> None:
        """Read the board of another host from now on."""
        self._boards[host] = attach(descriptor, self.size(host))

    def write(self, report: Report) -> None:
        """Put a report on the own board."""
        place = self._place(self._index, report.lane, report.check)
        at = place + _HEAD.size
        for _, fired, over, residual in report.content:
            _PROGRESS.pack_into(self._own, at, fired, over, residual)
            at += _PROGRESS.size
        _HEAD.pack_into(self._own, place, report.round, report.check + 1)
        # Whoever reads next must see this before it looks at what others wrote.
        with self._fence:
            pass

    def there(self, number: int, lane: int, check: int) -> bool:
        """Whether every host's report is."""
        if len(self._boards) < self._hosts:
            return False
        head = (number, check + 1)
        for host, board in self._boards.items():
            if _HEAD.unpack_from(board, self._place(host, lane, check)) != head:
                return False
        return True

    def read(self, lane: int, check: int) -> list[tuple[str, int, int, float]]:
        """The fields of every block's progress, once they are there."""
        found = []
        for host, board in self._boards.items():
            at = self._place(host, lane, check) + _HEAD.size
            for name in self._blocks[host]:
                found.append((name, *_PROGRESS.unpack_from(board, at)))
                at += _PROGRESS.size
        return found

    def wait(self, lane: int, waiting: bool) -> None:
        """Say that this host sleeps until a verdict, or no longer."""
        _WAITING.pack_into(self._own, lane * self._strides[self._index], waiting)

    def fence(self) -> None:
        """What was written before is seen by others before this host reads anything after."""
        with self._fence:
            pass

    def sleepers(self, lane: int) -> list[int]:
        """Other hosts that wait for a lane's verdict."""
        return [
            host
            for host, board in self._boards.items()
            if host != self._index and _WAITING.unpack_from(board, lane * self._strides[host])[0]
        ]

    def _place(self, host: int, lane: int, check: int) -> int:
        return lane * self._strides[host] + _BEGIN + (check & 1) * self._entries[host]


class Council:
    """One host's part in the verdicts of a relaxation.

    Parameters
    ----------
    board
        Where the hosts write.
    wake
        Wakes a sleeping host.
    tell
        Takes the verdicts to the coordinator; None if another host does so.
    """

    def __init__(
        self, board: Board, index: int, wake: Callable[[int], None], tell: Callable[[Report], None] | None
    ) -> None:
        self._board = board
        self._index = index
        self._wake = wake
        self._tell = tell
        self._judge: LockstepJudge | None = None
        self._open: dict[int, tuple[int, int]] = {}
        self._given: dict[int, list[Kind]] = {}
        self._told_at = 0.0
        self._asleep: list[int] = []
        self._to_wake: set[int] = set()

    def convene(self, judge: LockstepJudge) -> None:
        """A relaxation begins."""
        self._judge = judge
        self._open = {}
        self._given = {}
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
        """Note what this host has to say; remember who waits only for that."""
        self._board.write(report)
        self._open[report.lane] = (report.round, report.check)
        if self._board.there(report.round, report.lane, report.check):
            self._to_wake.update(self._board.sleepers(report.lane))

    def told(self, host: int) -> None:
        """A host is sent something, and need not be woken besides."""
        self._to_wake.discard(host)

    def wake(self) -> None:
        """Wake who waits for a verdict that can be given now."""
        if self._to_wake:
            for host in self._to_wake:
                self._wake(host)
            self._to_wake.clear()

    def decisions(self) -> list[Decision]:
        """The verdicts that can be given now."""
        found: list[Decision] = []
        for lane, (number, check) in list(self._open.items()):
            if self._board.there(number, lane, check):
                del self._open[lane]
                assert self._judge is not None
                decision = self._judge.decide(number, lane, check, self._board.read(lane, check))
                found.append(decision)
                if self._tell is not None:
                    self._note(decision, self._judge.last)
        return found

    def sleep(self) -> None:
        """This host waits for the verdicts that it lacks."""
        self._asleep = list(self._open)
        for lane in self._asleep:
            self._board.wait(lane, True)
        self._board.fence()

    def rise(self) -> None:
        """It waits no longer."""
        for lane in self._asleep:
            self._board.wait(lane, False)
        self._asleep = []

    @property
    def waits(self) -> bool:
        """Whether any verdict is lacking."""
        return bool(self._open)

    def _note(self, decision: Decision, verdict: Verdict) -> None:
        """Tell the coordinator what has been decided, once a phase is over or some time has passed."""
        assert self._tell is not None
        given = self._given.setdefault(decision.lane, [])
        given.append(verdict.kind)
        now = time.monotonic()
        if verdict.kind != "continue" or now - self._told_at > FLUSH:
            content = Given(tuple(given), verdict.block, verdict.why)
            self._tell(Report(decision.round, decision.lane, decision.check, self._index, content))
            self._given[decision.lane], self._told_at = [], now
