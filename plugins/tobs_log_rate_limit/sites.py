"""Call sites and their token buckets."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from tobs.api import UNLIMITED

if TYPE_CHECKING:
    from tobs.api import LogSite

Key: TypeAlias = "tuple[str, int | str]"
SHOWN = 200
"""Characters of a message that a summary repeats."""


class Place(NamedTuple):
    """Where records come from: their logger, level, file, line and function, and what they say, unformatted."""

    name: str
    level: int
    file: str
    line: int
    says: str
    function: str | None

    @classmethod
    def of(cls, record: logging.LogRecord) -> Place:
        """The place of a record; the record itself is not held, since its arguments may be large."""
        return cls(
            record.name, record.levelno, record.pathname, record.lineno, _template(record)[:SHOWN], record.funcName
        )


@dataclass(slots=True)
class Site:
    """A call site: `tokens` were left at `at`, before `until` there is none (seconds since the epoch).

    `suppressed` records are not told yet.
    """

    place: Place
    tokens: float
    at: float
    rate: float
    burst: float
    until: float = 0.0
    suppressed: int = 0

    def take(self, now: float) -> bool:
        """Take a token, if there is one with those that came since. A clock that is set back brings none."""
        if now > self.at:
            self.tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
            self.at = now
        allowed = self.tokens >= 1.0
        if allowed:
            self.tokens -= 1.0
        self.until = 0.0 if self.tokens >= 1.0 else self.at + (1.0 - self.tokens) / self.rate
        return allowed


class Sites:
    """A bucket a call site, at most `most` of them; each holds `burst` records and is refilled by `rate` a second.

    A record's own time drives the buckets, so that no clock is read. `noun` is what summaries count. `known` are the
    sites by place, `silenced` those of them that suppressed some: `LimitedHandler.skip` counts there itself.
    """

    def __init__(self, rate: float, burst: int, most: int, noun: str = "record") -> None:
        self._rate = rate
        self._burst = float(burst)
        self._most = most
        self._noun = noun
        self.known: dict[Key, Site] = {}
        self.silenced: dict[Key, Site] = {}
        self._evicted: list[logging.LogRecord] = []

    def allow(self, record: logging.LogRecord) -> bool:
        """Whether this record may be written. Nothing of it is formatted."""
        # Where logging is told not to look for callers, the logger and its template stand for the place.
        key: Key = (record.pathname, record.lineno) if record.lineno else (record.name, _template(record))
        now = record.created
        site = self.known.get(key) or self._open(key, Place.of(record), now, self._rate, self._burst)
        return self._take(key, site, now)

    def allow_call(self, call: LogSite, now: float) -> bool:
        """Whether a function that logs may be called, by its own limit where it has one."""
        key = (call.file, call.line)
        site = self.known.get(key)
        if site is None:
            place = Place(call.logger, call.level, call.file, call.line, call.function, call.function)
            rate = self._rate if call.rate is None else call.rate
            site = self._open(key, place, now, rate, self._burst if call.burst is None else float(call.burst))
        return self._take(key, site, now)

    def summaries(self) -> list[logging.LogRecord]:
        """A record for each site that suppressed some since this was last asked."""
        told = self._evicted + [self._summary(site) for site in self.silenced.values()]
        self._evicted = []
        self.silenced.clear()
        return told

    def _take(self, key: Key, site: Site, now: float) -> bool:
        if site.take(now):
            return True
        if not site.suppressed:
            self.silenced[key] = site
        site.suppressed += 1
        return False

    def _open(self, key: Key, place: Place, now: float, rate: float, burst: float) -> Site:
        if len(self.known) >= self._most:
            oldest = next(iter(self.known))
            site = self.known.pop(oldest)
            if self.silenced.pop(oldest, None) is not None:
                self._evicted.append(self._summary(site))
        site = self.known[key] = Site(place, burst, now, rate, burst)
        return site

    def _summary(self, site: Site) -> logging.LogRecord:
        """Tell of a site's suppressed records, in its place and at its level, and count anew."""
        count, site.suppressed = site.suppressed, 0
        name, level, file, line, says, function = site.place
        said = (count, self._noun if count == 1 else f"{self._noun}s", says)
        told = logging.LogRecord(name, level, file, line, "%d more %s suppressed of: %s", said, None, function)
        setattr(told, UNLIMITED, True)
        return told


def _template(record: logging.LogRecord) -> str:
    return record.msg if isinstance(record.msg, str) else f"<{type(record.msg).__name__}>"
