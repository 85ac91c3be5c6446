"""The limit: a time that no client can beat, from first TCP accept to last commit of a fresh export.

Write RTT(d) for the shortest round trip to data centre d (its mean less its jitter), h for home, P for the
pages of 100 messages (rounded up chat by chat), B(d) for the bytes and R for the 1 MB requests of the
distinct files. A client may have stored keys and salts, guess message ids, ask for all at once, split files
over connections, open those ahead, and take each distinct file once. It cannot avoid this:

*Round trips.* Opening a connection takes one, and a first page another: no message is there before 2 RTT(h).
A file cannot be asked for before that, since its reference stands in a message, nor before a connection to
its data centre is open. So T >= 2 RTT(h), and T >= ready(d) = max(2 RTT(h), RTT(d)) + RTT(d) for each d that
holds a file.

*Rates.* All bytes of B(d) pass the account's link to d, which serves one byte after the other, so
T >= ready(d) + B(d) / account rate. At most `connections` connections carry them, each at its own rate, so
T >= ready(d) + B(d) / (connections x connection rate). The largest file adds nothing, for it can be split
over all connections. Bytes of messages are left out, since gzip makes them fewer by an unknown factor.

*Buckets.* A bucket that holds `burst`, and regains `refill` a second, has served at most burst + refill x t
requests after t seconds. An overflow does not help unless X seconds refill less than what the bucket holds
afterwards, max(1, refill): so the rate is taken as max(refill, max(1, refill) / shortest X). Hence T >= 2
RTT(h) + (P - burst) / rate for history, and T >= min ready(d) + (R - burst) / rate for files, where positive.

The history bucket binds who reads with messages.getHistory, as every exporter does: fetching by guessed ids
(messages.getMessages) has no bucket in the profiles, since nothing is known of one. Handshakes, logins, disk
and CPU are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from tobs.lab.history import LONGEST_SLICE
from tobs.lab.truth import choose

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tobs.lab.scenario import Bucket, DataCentre, Scenario
    from tobs.lab.world import World

LARGEST_PART = 1 << 20


@dataclass(frozen=True, slots=True)
class Limit:
    """No client is done before `seconds`, which `resource` sets; `detail` has those of each resource."""

    seconds: float
    resource: str
    detail: dict[str, float]


def limit(scenario: Scenario, world: World, chats: int | Iterable[int] | None = None) -> Limit:
    """The limit of exporting `chats` (marked ids; None: all) of `world` under `scenario`. Raises UsageError.

    The resources: "round trips", "history bucket", "file bucket", "DC n account rate", "DC n connection
    rate".
    """
    histories = [world.histories[chat_id] for chat_id in choose(world, chats)]
    network, limits = scenario.network, scenario.limits
    trips = {dc.id: _shortest_trip(dc) for dc in network.dcs}
    first_page = 2 * trips[network.home]
    sizes: dict[int, list[int]] = {}
    for file_id in dict.fromkeys(file_id for history in histories for file_id in history.file_ids):
        spec = world.shelf.specs[file_id]
        sizes.setdefault(spec.dc, []).append(spec.size)

    ready = {dc: max(first_page, trips[dc]) + trips[dc] for dc in sizes}
    detail = {"round trips": max(ready.values(), default=first_page)}
    pages = sum(ceil(history.count / LONGEST_SLICE) for history in histories)
    if limits.history:
        detail["history bucket"] = first_page + _drain(limits.history, pages)
    if limits.file and sizes:
        requests = sum(ceil(size / LARGEST_PART) for on_one in sizes.values() for size in on_one)
        detail["file bucket"] = min(ready.values()) + _drain(limits.file, requests)
    for dc in sorted(sizes):
        total = sum(sizes[dc])
        if network.account_rate:
            detail[f"DC {dc} account rate"] = ready[dc] + total / network.account_rate
        if network.connection_rate and network.connections:
            together = network.connection_rate * network.connections
            detail[f"DC {dc} connection rate"] = ready[dc] + total / together
    resource = max(detail, key=lambda name: detail[name])
    return Limit(detail[resource], resource, detail)


def _shortest_trip(dc: DataCentre) -> float:
    return max(0.0, dc.rtt - dc.jitter)


def _drain(bucket: Bucket, requests: int) -> float:
    """Seconds until a full bucket can have served `requests`."""
    rate = max(bucket.refill, max(1.0, bucket.refill) / bucket.wait[0])
    return max(0.0, (requests - bucket.burst) / rate)
