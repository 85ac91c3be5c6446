"""What goes wrong on purpose: `[faults]` of a scenario, each switchable by itself, all drawn from the seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tobs.lab.table import Table

LONGEST = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class Outage:
    """A data centre that goes away and comes back, `[[faults.outage]]`: `dc`, `at`, `seconds`.

    Times count from the first accepted connection. Meanwhile its connections are closed and new ones refused.
    """

    dc: int
    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Faults:
    """The faults of a scenario; shares are 0 to 1, times in seconds (after `time_scale`), None and 0: never.

    TOML keys: `disconnect_every`: mean life of a connection, exponential; `errors`: share of requests answered
    with a 500; `lost`: share of replies that never leave; `stalls`: share of replies held back for a time drawn in
    `stall_seconds` (default [5, 10]; time_scale leaves it as it is); `short`, `corrupt`: share of file parts that
    lack their end or have a wrong byte (corrupt ones only in files that have block hashes); `reference_life` of a
    file reference; `salt_life` of a server salt; `[[outage]]`.
    """

    disconnect_every: float | None = None
    errors: float = 0.0
    lost: float = 0.0
    stalls: float = 0.0
    stall_seconds: tuple[float, float] = (5.0, 10.0)
    short: float = 0.0
    corrupt: float = 0.0
    reference_life: float | None = None
    salt_life: float | None = None
    outages: tuple[Outage, ...] = ()


FAULTLESS = Faults()


def read_faults(table: Table, *, time_scale: float, centres: tuple[int, ...]) -> Faults:
    """The faults under `faults` of a scenario's `table`, where `faults = false` means none. Raises UsageError."""
    if table.given("faults") is False:
        table.switch("faults", default=False)
        return FAULTLESS
    own = table.table("faults")

    def lifetime(key: str) -> float | None:
        seconds = own.optional_number(key, low=0, high=LONGEST)
        return None if seconds is None else seconds / time_scale

    def share(key: str) -> float:
        return own.number(key, 0.0, low=0, high=1)

    faults = Faults(
        disconnect_every=lifetime("disconnect_every"),
        errors=share("errors"),
        lost=share("lost"),
        stalls=share("stalls"),
        stall_seconds=own.span("stall_seconds", (5.0, 10.0), low=0, high=3_600),
        short=share("short"),
        corrupt=share("corrupt"),
        reference_life=lifetime("reference_life"),
        salt_life=lifetime("salt_life"),
        outages=_read_outages(own, centres),
    )
    own.finish()
    return faults


def _read_outages(table: Table, centres: tuple[int, ...]) -> tuple[Outage, ...]:
    if not table.has("outage"):
        return ()
    outages = []
    for entry in table.tables("outage"):
        dc = entry.whole("dc", None, low=1, high=5)
        if dc not in centres:
            raise entry.fail("dc", f"the id of a data centre of this scenario ({', '.join(map(str, centres))})")
        at = entry.number("at", None, low=0, high=1e6)
        outages.append(Outage(dc, at, entry.number("seconds", None, low=0, high=1e6, above=True)))
        entry.finish()
    return tuple(sorted(outages, key=lambda outage: (outage.at, outage.dc)))
