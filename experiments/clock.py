"""A probe that tells when an export sent its first request of a method, and when it got, kept and settled its last."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tobs.api import Attempt, Batch, Page
    from tobs.values import Settled


@dataclass
class Clock:
    """Seconds by the clock and, with `cpu_`, of the process, from when the first request of `method` left.

    `cpu_first` is taken when its answer is here. `answered` is the last answer of the method, `kept` the last commit of
    a batch, `settled` that of a file's row. `requests`, `asking` (their seconds, added up), `most` (in flight at once)
    and `connections` are of the method, `messages` and `size` (bytes of files that were fetched) of the whole export.
    """

    method: str
    first: float = inf
    answered: float = 0.0
    kept: float = 0.0
    settled: float = 0.0
    cpu_first: float = 0.0
    cpu_kept: float = 0.0
    cpu_settled: float = 0.0
    requests: int = 0
    asking: float = 0.0
    most: int = 0
    connections: set[int] = field(default_factory=set)
    messages: int = 0
    size: int = 0

    def batch(self, page: Page, batch: Batch, seconds: float) -> None:  # noqa: ARG002 - the port
        """A batch is committed."""
        self.kept, self.cpu_kept = time.perf_counter(), time.process_time()
        self.messages += len(batch.messages)

    def file(self, outcome: Settled, seconds: float) -> None:  # noqa: ARG002 - the port
        """A file is settled: its row is committed."""
        self.settled, self.cpu_settled = time.perf_counter(), time.process_time()
        self.size += outcome.size if outcome.status == "done" else 0

    def attempt(self, attempt: Attempt) -> None:
        """A request was answered."""
        if attempt.method == self.method:
            self.answered = time.perf_counter()
            self.first = min(self.first, self.answered - attempt.seconds)
            self.cpu_first = self.cpu_first or time.process_time()
            self.requests += 1
            self.asking += attempt.seconds
            self.most = max(self.most, attempt.in_flight)
            self.connections.add(attempt.connection)

    def flood(self, method: str, seconds: float) -> None:
        """Waits are not timed."""
