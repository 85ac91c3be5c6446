"""What a setting may cost however fast it is: memory, flood waits, lost requests. Read from a run's own metrics."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MEGABYTE = 1_000_000
ERROR_SHARE = 0.05
"""A setting that loses more of its requests than this is no setting, unless the limit is moved."""
VALID = "valid"
BROKEN = 1.0
"""How far over the line a run is that failed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a run: its most memory in bytes, its seconds of flood waits, its share of lost requests, its floods."""

    memory: float | None = None
    flood_seconds: float | None = None
    error_share: float = ERROR_SHARE
    floods_per_1000: float | None = None

    def excesses(self, measured: Mapping[str, float], *, failed: bool = False) -> dict[str, float]:
        """By how much each limit is passed, as a logarithm; at most 0 where it is kept.

        A failed run breaks the constraint `valid`, and the others only if it was measured.
        """
        found = {VALID: BROKEN if failed else 0.0}
        if self.memory is not None:
            found["memory"] = _log_ratio(measured.get("peak_rss", 0.0) / MEGABYTE, self.memory / MEGABYTE)
        if self.flood_seconds is not None:
            found["flood_seconds"] = _log_ratio(measured.get("flood_seconds", 0.0), self.flood_seconds)
        if self.floods_per_1000 is not None:
            found["floods_per_1000"] = _log_ratio(_floods(measured), self.floods_per_1000)
        lost = measured.get("errors", 0.0) / max(1.0, measured.get("requests", 0.0))
        found["error_share"] = _log_ratio(100 * lost, 100 * self.error_share)
        return found

    def most(self, runs: Iterable[Mapping[str, float]], *, failed: bool = False) -> dict[str, float]:
        """`excesses` of the run that passes each limit by most; of one that measured nothing if there is none."""
        found = [self.excesses(one, failed=failed) for one in runs] or [self.excesses({}, failed=failed)]
        return {name: max(one[name] for one in found) for name in found[0]}

    def broken(self, *runs: Mapping[str, float]) -> list[str]:
        """The limits that one of these runs passes, in words."""
        passed = [name for name, excess in self.most(runs).items() if excess > 0]
        memory = max((one.get("peak_rss", 0.0) / MEGABYTE for one in runs), default=0.0)
        floods = max((one.get("flood_seconds", 0.0) for one in runs), default=0.0)
        often = max((_floods(one) for one in runs), default=0.0)
        words = {
            "memory": f"memory {memory:.0f} MB > {(self.memory or 0) / MEGABYTE:.0f} MB",
            "flood_seconds": f"flood waits {floods:.0f} s > {self.flood_seconds or 0:g} s",
            "floods_per_1000": f"{often:.3g} floods in 1,000 requests > {self.floods_per_1000 or 0:g}",
            "error_share": f"more than {self.error_share:.0%} of the requests are lost",
        }
        return [words[name] for name in passed]

    def as_json(self) -> dict[str, float | None]:
        """For machines."""
        return asdict(self)


def _floods(measured: Mapping[str, float]) -> float:
    return 1000 * measured.get("floods", 0.0) / max(1.0, measured.get("requests", 0.0))


def _log_ratio(value: float, bound: float) -> float:
    """Log of how far above the bound; one is added to both, since either may be 0."""
    return math.log((1 + value) / (1 + bound))
