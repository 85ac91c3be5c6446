"""What a lab has served, so that an experiment can hold the client's story against the server's."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Counters:
    """Running totals since the start or the last reset. Times are seconds of the server's monotonic clock."""

    requests: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    replies: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    file_bytes: int = 0
    file_parts: int = 0
    history_pages: int = 0
    history_messages: int = 0
    takeout_requests: int = 0
    migrations: int = 0
    floods: int = 0
    refused: int = 0
    requests_during_flood: int = 0
    duplicate_parts: int = 0
    connections_opened: int = 0
    connections_closed: int = 0
    connections_refused: int = 0
    handshakes: int = 0
    short_keys: int = 0
    """Of the handshakes, those whose key begins with a zero: Telethon makes another one."""
    bad_packets: int = 0
    first_accept: float | None = None
    last_activity: float | None = None
    parts_seen: set[tuple[int, int, int, int]] = field(default_factory=set)

    def served_part(self, account: int, file: int, offset: int, limit: int, size: int) -> None:
        """Count one part of `size` bytes as it leaves."""
        part = (account, file, offset, limit)
        if part in self.parts_seen:
            self.duplicate_parts += 1
        self.parts_seen.add(part)
        self.served_spoilt_part(size)

    def served_spoilt_part(self, size: int) -> None:
        """Count a part that lacks bytes or has a wrong one: to ask for it again is no waste."""
        self.file_parts += 1
        self.file_bytes += size

    def served_page(self, messages: int) -> None:
        """Count one history page as it leaves."""
        self.history_pages += 1
        self.history_messages += messages

    def read(self) -> dict[str, Any]:
        """All totals as plain JSON values, and the CPU time of this process since its start."""
        totals: dict[str, Any] = {
            name: getattr(self, name) for name in self.__slots__ if name not in {"parts_seen", "requests", "errors"}
        }
        return {
            "cpu_seconds": time.process_time(),
            "requests": dict(self.requests),
            "errors": dict(self.errors),
            **totals,
        }
