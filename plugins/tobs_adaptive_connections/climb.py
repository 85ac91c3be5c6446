"""How many connections pay, found by trying: twice as many while that brings more, fewer while that costs nothing."""

from __future__ import annotations

import logging
from math import ceil, inf

log = logging.getLogger(__name__)

FLOOR = 2
"""Connections below which nothing is tried: one that breaks shall not leave a data centre without any."""
PAYS = 0.3
"""Share of the proportional gain that more connections must bring to be kept."""
FREE = 0.05
"""Share of the bytes a second that fewer connections may cost."""
CHANGED = 0.25
"""Change of the bytes a second, nothing else having changed, that calls for another trial."""
ANSWERS = 3
"""Answers of each connection in a window."""
STEP, LONG = 1.6, 3
"""Ratio of connections below which a trial takes longer windows, so many times as long, and any gain pays: there is
less to tell from chance, and little to close."""
HOPELESS = 0.6
"""Share of the bytes a second before at which a trial of fewer connections is broken off."""
SHORTEST = 1.0
"""Seconds of a window at least."""
TRIPS = 4
"""Round trips of a window at least."""
STARVED = 0.1
"""Share of answers after which nobody waited for the place, past which a window says nothing of the link."""
SOON, AGAIN, SELDOM = 5.0, 60.0, 480.0
"""Seconds of steady work after which another trial is made: after a loss, else at first, and at most."""
FREED = 10.0
"""Seconds within which others that end call for one trial only."""


class Climb:
    """The number of connections of one data centre: `target`, never above `ceiling`.

    It is told of every answer, and cuts time into windows in which all connections worked and somebody waited for a
    place throughout. Only these count: without work nothing is learnt and nothing changes. The first step up does not
    wait for a window: it is made when as many requests wait as connections are wanted, and judged by what one
    connection brought when it was the first to. Every later one is compared with the window before it.
    """

    def __init__(self, start: int, ceiling: int, dc: int = 0) -> None:
        self._dc = dc
        self.ceiling = ceiling
        self.target = min(start, ceiling)
        self._first = self.young = True
        self._before: int | None = None
        self._rate: float | None = None
        self._flat = False
        self._low = False
        self._dropped = False
        self._soon = SOON
        self._cut_from = 0
        self._pause = AGAIN
        self._worked = 0.0
        self._freed = -inf
        self.shared = False
        """Whether other data centres work too: what fewer connections cost does not show on a line that they fill."""
        self._since = -inf
        self._began: float | None = None
        self._size = self._answers = self._starved = 0

    @property
    def trying(self) -> bool:
        """Whether the target is on trial."""
        return self._before is not None

    def idle(self) -> None:
        """A connection has nothing to bring, and nobody waits for one."""
        self._starved += 1

    def wanted(self, waiting: int, now: float) -> None:
        """A connection works at least, and so many requests wait for one."""
        if self._first and waiting >= self.target:
            self._first = False
            if self.target < self.ceiling:
                self._try(2 * self.target, now)

    def came(
        self, size: int, sent: float, now: float, *, opened: int, settled: bool, fastest: float, trip: float
    ) -> None:
        """An answer of `size` bytes to a request of the moment `sent`.

        `opened` connections work, and no others do where it is `settled`. One alone brought `fastest` bytes a second
        once, a round trip takes `trip` seconds.
        """
        if opened < self.target or not settled:
            self._restart(now)
            return
        if self._began is None:
            self._answers += sent >= self._since
            if self._answers >= self.target:  # each has brought one: what all of them bring is even from here on
                self._began, self._size, self._answers, self._starved = now, 0, 0, 0
            return
        self._size += size
        self._answers += 1
        took = now - self._began
        if took < max(SHORTEST, TRIPS * trip):
            return
        if self._answers >= ANSWERS * self.target * (LONG if self._fine() else 1) or self._hopeless(self._size / took):
            full = self._starved <= STARVED * self._answers
            self._began, rate = now, self._size / took
            self._size = self._answers = self._starved = 0
            if full:
                self._worked += took
                self._judge(rate, fastest, now)

    def _fine(self) -> bool:
        """Whether what is on trial is so small a step that a window of the usual length could not tell."""
        low, high = sorted((self.target, self._before or 0))
        return 0 < low < high < STEP * low

    def _hopeless(self, rate: float) -> bool:
        """Whether fewer connections are on trial and it shows before the window ends that they are too few."""
        fewer = self._before is not None and self.target < self._before
        return fewer and self._rate is not None and self._answers >= self.target and rate < HOPELESS * self._rate

    def freed(self, now: float) -> None:
        """Another data centre has nothing to do any more: the line may carry what it did not before."""
        if now - self._freed >= FREED and not self._first and (self._before or 0) <= self.target < self.ceiling:
            self._freed = now
            self._try(2 * self.target, now)

    def drop(self, now: float) -> None:
        """Too many requests were lost: fewer connections."""
        if self._before is not None and self._before < self.target:
            target = self._before
        else:
            target = max(min(FLOOR, self.target), self.target - max(1, self.target // 4))
        if self._dropped:
            self._soon = min(2 * self._soon, AGAIN)
        self._dropped = True
        self._first = False
        self._settle(target, None, now)

    def flood(self, now: float) -> None:
        """The server asks to wait: what was on trial upwards is taken back."""
        if self._before is not None and self._before < self.target:
            self._settle(self._before, None, now)
        self._restart(now)

    def limit(self, ceiling: int, now: float) -> None:
        """The server takes so many connections; where it takes more than before, those wanted then are tried again."""
        self.ceiling = ceiling
        if self.target > ceiling:
            self._cut_from = max(self._cut_from, self.target)
            if self._before is not None and self._before < ceiling:
                self.target = ceiling
                self._restart(now)
            else:
                self._settle(ceiling, None, now)
        elif self._cut_from > self.target and self._before is None:
            self._try(self._cut_from, now)
            self._cut_from = 0

    def at_least(self, connections: int) -> None:
        """So many are to be opened ahead: heeded while nothing is known."""
        if self._first:
            self.target = max(self.target, min(connections, self.ceiling))

    def _judge(self, rate: float, fastest: float, now: float) -> None:
        if self._rate is None:
            self._first = False
            self._settle(self.target, rate, now)
            few = self.young and rate <= fastest * self.target / 2  # half of them bring that, if each does what one did
            if self._flat or few:
                self._flat = False
                self._fewer(now)
            elif self.young and self.target < self.ceiling:
                self._try(2 * self.target, now)
            self.young = False
        elif self._before is None:
            self._watch(rate, self._rate, now)
        elif self._before < self.target:
            self._more(rate, self._rate, self._before, now)
        elif rate > (1 + CHANGED) * self._rate:  # fewer do not bring more: what they are compared with was not all
            self._flat = True
            self._settle(self._before, None, now)
        elif rate >= (1 - FREE) * self._rate:
            self._settle(self.target, rate, now)
            log.info("data centre %d: %d connections bring all: %.2f MB/s", self._dc, self.target, rate / 1e6)
            if self.target > FLOOR:
                self._fewer(now)
        else:
            self._settle(self._before, None, now)

    def _more(self, rate: float, known: float, before: int, now: float) -> None:
        """More connections brought `rate` where fewer had the `known` one."""
        self._dropped = False
        if rate / known - 1 >= (0.0 if self.target < STEP * before else PAYS * (self.target / before - 1)):
            self._tell("pay", rate, known, before)
            self._pause = AGAIN
            self._settle(self.target, rate, now)
            if self.target < self.ceiling:
                self._try(2 * self.target, now)
            return
        self._tell("do not pay", rate, known, before)
        # Where what one connection brings meets what all bring together, and one more.
        enough = ceil(before * rate / known - 0.1) + 1 if rate > (1 + FREE) * known else before
        self._flat = True
        self._settle(min(self.target, enough), None, now)

    def _tell(self, verdict: str, rate: float, known: float, before: int) -> None:
        text = "data centre %d: %d connections %s: %.2f MB/s, where %d brought %.2f"
        log.info(text, self._dc, self.target, verdict, rate / 1e6, before, known / 1e6)

    def _watch(self, rate: float, known: float, now: float) -> None:
        """Nothing is on trial."""
        low, self._low = self._low, rate < (1 - CHANGED) * known
        risen = rate > (1 + CHANGED) * known
        if risen or (low and self._low):
            self._rate, self._low, self._pause = rate, False, AGAIN
            if self.target < self.ceiling:
                self._try(2 * self.target, now)
            elif not risen:
                self._fewer(now)
        elif not self._low:
            self._rate = known + 0.3 * (rate - known)
            if self._worked >= (self._soon if self._dropped else self._pause):
                self._pause = min(2 * self._pause, SELDOM)
                if self.target < self.ceiling:
                    self._try(2 * self.target, now)
                else:
                    self._fewer(now)

    def _fewer(self, now: float) -> None:
        if not self.shared:
            self._try(max(FLOOR, self.target // 2), now)

    def _try(self, target: int, now: float) -> None:
        target = min(target, self.ceiling)
        if target != self.target:
            self._before, self.target = self.target, target
            self._restart(now)

    def _settle(self, target: int, rate: float | None, now: float) -> None:
        self.target, self._rate, self._before = target, rate, None
        self._low, self._worked = False, 0.0
        self._restart(now)

    def _restart(self, now: float) -> None:
        """What was asked for before now says nothing of the target."""
        self._since, self._began = now, None
        self._size = self._answers = self._starved = 0
