"""What a run did, counted: a probe for summaries and progress."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tobs.values import Attempt, Batch, Page, Settled


@dataclass(slots=True)
class Tally:
    """Counts of one run. `requests` by method; `size` the bytes of files that were fetched."""

    messages: int = 0
    pages: int = 0
    files: int = 0
    size: int = 0
    expected_messages: int = 0
    expected_size: int = 0
    lost: int = 0
    floods: int = 0
    flood_seconds: float = 0.0
    requests: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    failures: dict[int, Settled] = field(default_factory=dict)

    def batch(self, page: Page, batch: Batch, seconds: float) -> None:  # noqa: ARG002 - the port
        """A batch is committed."""
        self.pages += 1
        self.messages += len(batch.messages)
        self.expected_messages = max(self.expected_messages, page.count)
        self.expected_size += sum(ref.size for ref in batch.media)

    def file(self, outcome: Settled, seconds: float) -> None:  # noqa: ARG002 - the port
        """A file has come or could not be had. One that is posted several times comes once, and is told of once."""
        if outcome.status != "done":
            self.failures[outcome.ref.file_id] = outcome
            return
        self.failures.pop(outcome.ref.file_id, None)
        self.files += 1
        self.size += outcome.size

    def attempt(self, attempt: Attempt) -> None:
        """A request was answered, refused or lost."""
        self.requests[attempt.method] += 1
        if attempt.outcome == "lost":
            self.lost += 1
        elif attempt.outcome != "ok":
            self.refusals[attempt.outcome] += 1

    def flood(self, method: str, seconds: float) -> None:  # noqa: ARG002 - the port
        """The server asks to wait."""
        self.floods += 1
        self.flood_seconds += seconds
