"""The faults of a scenario as they happen to requests: drawn in order, so that the same one meets the same.

Each kind has a stream of draws of its own for each account, data centre and method, one draw a request: whether the
n-th request of a method fares badly depends on the seed and on nothing else.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tobs.lab.draws import Draws

if TYPE_CHECKING:
    from tobs.lab.faults import Faults
    from tobs.lab.keys import Client

LOST = -1.0
"""The fate of a reply that never leaves."""

ERRORS = (
    (500, "RPC_CALL_FAIL"),
    (500, "RPC_MCGET_FAIL"),
    (500, "INTERDC_{dc}_CALL_ERROR"),
    (500, "WORKER_BUSY_TOO_LONG_RETRY"),
    (-503, "Timeout"),
)
"""What Telegram answers when it fails itself, of https://core.telegram.org/api/errors."""


class Mishaps:
    """What goes wrong in one run; `counted` has how often each kind was given out.

    `errors`, `delays` and `spoils` say whether such faults are on at all, so that nobody asks in vain.
    """

    def __init__(self, faults: Faults, seed: int) -> None:
        self._faults = faults
        self._seed = seed
        self._streams: dict[tuple[str | int, ...], Draws] = {}
        self.counted: Counter[str] = Counter()
        self.errors = faults.errors > 0
        self.delays = faults.lost > 0 or faults.stalls > 0
        self.spoils = faults.short > 0 or faults.corrupt > 0

    def restart(self) -> None:
        """Another run begins: it meets what the last one met."""
        self._streams.clear()
        self.counted = Counter()

    def _stream(self, *key: str | int) -> Draws:
        found = self._streams.get(key)
        if found is None:
            found = self._streams[key] = Draws(self._seed, "fault", *key)
        return found

    def _strikes(self, kind: str, share: float, client: Client, method: str) -> bool:
        if not share or not self._stream(kind, client.user_id or 0, client.dc, method).chance(share):
            return False
        self.counted[kind] += 1
        return True

    def error(self, client: Client, method: str) -> tuple[int, str] | None:
        """Code and text of the error that this request meets, or None."""
        if not self._strikes("errors", self._faults.errors, client, method):
            return None
        code, text = self._stream("error", client.user_id or 0, client.dc, method).pick(ERRORS)
        return code, text.format(dc=client.dc)

    def fate(self, client: Client, method: str) -> float:
        """Seconds that the reply to this request is held back, or `LOST`."""
        if self._strikes("lost", self._faults.lost, client, method):
            return LOST
        if not self._strikes("stalls", self._faults.stalls, client, method):
            return 0.0
        low, high = self._faults.stall_seconds
        return low + (high - low) * self._stream("stall", client.user_id or 0, client.dc, method).unit()

    def spoil(self, client: Client, data: bytes, *, has_hashes: bool) -> bytes:
        """A file's part as it is served: now and then without its end, or with a wrong byte if hashes can tell."""
        method = "upload.getFile"
        short = self._strikes("short", self._faults.short if data else 0.0, client, method)
        corrupt = self._strikes("corrupt", self._faults.corrupt if data and has_hashes else 0.0, client, method)
        if corrupt:
            draws = self._stream("place", client.user_id or 0, client.dc, method)
            at = draws.below(len(data))
            data = data[:at] + bytes((data[at] ^ (1 + draws.below(255)),)) + data[at + 1 :]
        if short:
            data = data[: self._stream("end", client.user_id or 0, client.dc, method).below(len(data))]
        return data

    def life(self, dc: int, number: int) -> tuple[float, bool] | None:
        """Seconds after which the `number`-th connection to a data centre breaks, and whether it is reset then.

        None: it lasts.
        """
        mean = self._faults.disconnect_every
        if mean is None:
            return None
        draws = Draws(self._seed, "fault", "disconnect", dc, number)
        return draws.exponential(mean), draws.chance(0.5)
