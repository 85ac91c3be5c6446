"""What was tried again, mended and waited for in one run: counted, and told in one line at its end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

MEGA = 1_000_000


@dataclass(slots=True)
class Told:
    """`retries` by reason, `away` seconds by data centre, `mended` blocks, and bytes that were there already."""

    retries: Counter[str] = field(default_factory=Counter)
    given_up: Counter[str] = field(default_factory=Counter)
    away: dict[int, float] = field(default_factory=dict)
    renewed: int = 0
    mended: int = 0
    resumed: int = 0

    def line(self) -> str:
        """One sentence; empty if nothing happened."""
        said = []
        if self.retries:
            said.append(f"tried again {_counted(self.retries)}")
        if self.given_up:
            said.append(f"given up {_counted(self.given_up)}")
        said += [f"data centre {dc} was away for {seconds:.0f} s" for dc, seconds in sorted(self.away.items())]
        if self.renewed:
            said.append(f"{self.renewed} file references renewed")
        if self.mended:
            said.append(f"{self.mended} blocks fetched again")
        if self.resumed:
            said.append(f"{self.resumed / MEGA:.1f} MB were there already")
        return "; ".join(said)


def _counted(reasons: Counter[str]) -> str:
    return f"{reasons.total()} requests ({', '.join(f'{count} {why}' for why, count in reasons.most_common())})"
