"""What a setting may cost however fast it is: memory, flood waits, lost requests. Read from a run's own metrics."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MEGABYTE = 1_000_000
ERROR_SHARE = 0.05
"""A setting that loses more of its requests than this is no setting, unless the limit is moved."""
VALID = "valid"
BROKEN = 1.0
"""How far over the line a run is that failed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a run: its most memory in bytes, its seconds of flood waits, and its share of lost requests."""

    memory: float | None = None
    flood_seconds: float | None = None
    error_share: float = ERROR_SHARE

    def excesses(self, measured: Mapping[str, float], *, failed: bool = False) -> dict[str, float]:
        """By how much each limit is passed, as a logarithm; at most 0 where it is kept.

        A failed run breaks the constraint `valid`, and the others only if it was measured.
        """
        found = {VALID: BROKEN if failed else 0.0}
        if self.memory is not None:
            found["memory"] = _log_ratio(measured.get("peak_rss", 0.0) / MEGABYTE, self.memory / MEGABYTE)
        if self.flood_seconds is not None:
            found["flood_seconds"] = _log_ratio(measured.get("flood_seconds", 0.0), self.flood_seconds)
        lost = measured.get("errors", 0.0) / max(1.0, measured.get("requests", 0.0))
        found["error_share"] = _log_ratio(100 * lost, 100 * self.error_share)
        return found

    def broken(self, measured: Mapping[str, float]) -> list[str]:
        """The limits that these measurements pass, in words."""
        passed = [name for name, excess in self.excesses(measured).items() if excess > 0]
        memory, floods = measured.get("peak_rss", 0.0) / MEGABYTE, measured.get("flood_seconds", 0.0)
        words = {
            "memory": f"memory {memory:.0f} MB > {(self.memory or 0) / MEGABYTE:.0f} MB",
            "flood_seconds": f"flood waits {floods:.0f} s > {self.flood_seconds or 0:g} s",
            "error_share": f"more than {self.error_share:.0%} of the requests are lost",
        }
        return [words[name] for name in passed]

    def as_json(self) -> dict[str, float | None]:
        """For machines."""
        return {"memory": self.memory, "flood_seconds": self.flood_seconds, "error_share": self.error_share}


def _log_ratio(value: float, bound: float) -> float:
    """Log of how far above the bound; one is added to both, since either may be 0."""
    return math.log((1 + value) / (1 + bound))
