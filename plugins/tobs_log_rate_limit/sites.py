"""Call sites and their token buckets."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

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
    """A call site: `tokens` were left at `at` (seconds since the epoch), `suppressed` is not told yet."""

    place: Place
    tokens: float
    at: float
    suppressed: int = 0


class Sites:
    """A bucket a call site, at most `most` of them; each holds `burst` records and is refilled by `rate` a second.

    A record's own time drives the buckets, so that no clock is read. A clock that is set back refills nothing.
    """

    def __init__(self, rate: float, burst: int, most: int) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._most = most
        self._sites: dict[Key, Site] = {}
        self._silenced: dict[Key, Site] = {}
        self._evicted: list[logging.LogRecord] = []

    def allow(self, record: logging.LogRecord) -> bool:
        """Whether this record may be written. Nothing of it is formatted."""
        # Where logging is told not to look for callers, the logger and its template stand for the place.
        key: Key = (record.pathname, record.lineno) if record.lineno else (record.name, _template(record))
        site = self._sites.get(key)
        now = record.created
        if site is None:
            site = self._open(key, record)
        elif now > site.at:
            site.tokens = min(self._burst, site.tokens + (now - site.at) * self._rate)
            site.at = now
        if site.tokens >= 1.0:
            site.tokens -= 1.0
            return True
        if not site.suppressed:
            self._silenced[key] = site
        site.suppressed += 1
        return False

    def summaries(self) -> list[logging.LogRecord]:
        """A record for each site that suppressed some since this was last asked."""
        told = self._evicted + [_summary(site) for site in self._silenced.values()]
        self._evicted = []
        self._silenced.clear()
        return told

    def _open(self, key: Key, record: logging.LogRecord) -> Site:
        if len(self._sites) >= self._most:
            oldest = next(iter(self._sites))
            site = self._sites.pop(oldest)
            if self._silenced.pop(oldest, None) is not None:
                self._evicted.append(_summary(site))
        site = self._sites[key] = Site(Place.of(record), self._burst, record.created)
        return site


def _template(record: logging.LogRecord) -> str:
    return record.msg if isinstance(record.msg, str) else f"<{type(record.msg).__name__}>"


def _summary(site: Site) -> logging.LogRecord:
    """Tell of a site's suppressed records, in its place and at its level, and count anew."""
    count, site.suppressed = site.suppressed, 0
    name, level, file, line, says, function = site.place
    said = (count, "" if count == 1 else "s", says)
    return logging.LogRecord(name, level, file, line, "%d more record%s suppressed of: %s", said, None, function)
