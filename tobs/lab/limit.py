"""The limit: a time that no client can beat, from first TCP accept to last commit of a fresh export.

Write RTT(d) for the shortest round trip to data centre d (its mean less its jitter), h for home and P for the
pages of 100 messages (rounded up chat by chat). Files with the same bytes are one content, whatever their ids: B
is the bytes of all contents, R their 1 MB requests, B(d) the bytes of those that lie on d alone. A client may have
stored keys and salts, guess message ids, know all hashes, ask for all at once, split files over connections, open
those ahead, begin a takeout, and take each content once, from where it likes. It cannot
avoid this:

*Round trips.* Opening a connection takes one, and a first page another: no message is there before 2 RTT(h).
A file cannot be asked for before that, since its reference stands in a message, nor before a connection to
its data centre is open. So T >= 2 RTT(h), and for each content T >= ready(d) = max(2 RTT(h), RTT(d)) + RTT(d) of
the nearest d that holds it.

*Rates.* The first byte leaves d at ready(d) - RTT(d) / 2 at the earliest, the last one RTT(d) / 2 before it is
there. In between all bytes of B(d) pass the account's link to d, which serves one byte after the other, and at
most `connections` connections, each at its own rate; all bytes of B pass the client's own line. Where a rate
changes in mid-run, T is when its integral reaches these bytes. The largest file adds nothing, for it can be split
over all connections. Bytes of messages are left out, since gzip makes them fewer by an unknown factor, and those
of requests, which are a thousandth of what they ask for.

*Buckets.* A bucket that holds `burst`, and regains `refill` a second, has served at most burst + refill x t
requests after t seconds. An overflow does not help unless X seconds refill less than what the bucket holds
afterwards, max(1, refill): so the rate is taken as max(refill, max(1, refill) / shortest X). Inside a takeout a request
draws 1 / `factor`, so that all of it counts max(1, `factor`) times. (Its delay is left out, since the account's owner
may allow it from another device.) With t the time until it has served P (R) requests, T >= 2 RTT(h) + t for history and
T >= min ready(d) + t for files.

*Premium waits.* Each time `after` bytes were granted, the next request begins the shortest X, in which nothing is.
So the first n waits let pass less than (n + 1) x `after` bytes and one part, and T >= min ready(d) + n x X for the
smallest n with which that is all of B.

Messages that are deleted in mid-run may be gone before anybody asks, with any file: so many are taken from the pages,
and so many of the largest contents from the bytes. New and edited ones only make work.

Faults only ever take time or make work, so they are left out: the limit of a scenario with faults is that of the
same without. The history bucket binds who reads with messages.getHistory, as every exporter does: fetching by
guessed ids (messages.getMessages) and searching have no bucket in the profiles, since nothing is known of one.
Handshakes, logins, disk and CPU are left out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import ceil, inf
from typing import TYPE_CHECKING

from tobs.lab.changes import DELETED
from tobs.lab.history import LONGEST_SLICE
from tobs.lab.truth import choose

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tobs.lab.history import History
    from tobs.lab.scenario import Bucket, Limits, Network, Premium, Scenario
    from tobs.lab.world import World

LARGEST_PART = 1 << 20


@dataclass(frozen=True, slots=True)
class Limit:
    """No client is done before `seconds`, which `resource` sets; `detail` has those of each resource."""

    seconds: float
    resource: str
    detail: dict[str, float]


def limit(scenario: Scenario, world: World, chats: int | Iterable[int] | None = None, *, takeout: bool = True) -> Limit:
    """The limit of exporting `chats` (marked ids; None: all) of `world` under `scenario`. Raises UsageError.

    `takeout`: whether a client may begin a takeout; without, it is the limit of those that do not.
    The resources: "round trips", "history bucket", "file bucket", "premium waits", "line", "DC n account rate",
    "DC n connection rate". Takes 15 us a file, and nothing a message.
    """
    histories = [world.histories[chat_id] for chat_id in choose(world, chats)]
    deleted = Counter(change.peer_id for change in world.changes if change.kind == DELETED)
    trips = {dc.id: max(0.0, dc.rtt - dc.jitter) for dc in scenario.network.dcs}
    factor = max(1.0, scenario.limits.takeout.factor) if takeout else 1.0
    first_page = 2 * trips[scenario.network.home]
    detail = {"round trips": first_page}
    if scenario.limits.history:
        left = (history.count - deleted[history.peer_id] for history in histories)
        pages = sum(ceil(count / LONGEST_SLICE) for count in left if count > 0)
        detail["history bucket"] = first_page + _drain(scenario.limits.history, pages, factor)
    needed = _needed(world, histories, sum(deleted[history.peer_id] for history in histories))
    if needed.total:
        ready = {dc: max(first_page, trips[dc]) + trips[dc] for dc in trips}
        nearest = min(ready[dc] for dc in needed.near)
        detail["round trips"] = max((min(ready[dc] for dc in held) for held in needed.places), default=nearest)
        detail |= {name: nearest + wait for name, wait in _waits(scenario.limits, needed, factor).items()}
        detail |= _transfers(scenario.network, needed, ready, trips)
    resource = max(detail, key=lambda name: detail[name])
    return Limit(detail[resource], resource, detail)


@dataclass(frozen=True, slots=True)
class _Needed:
    """What any client has to fetch: bytes and requests, and bytes `alone` on one data centre.

    `places` are sets of data centres that hold the same content, `near` all that hold any.
    """

    total: int
    requests: int
    alone: Mapping[int, int]
    places: Sequence[frozenset[int]]
    near: frozenset[int]


def _needed(world: World, histories: list[History], deleted: int) -> _Needed:
    """Of all contents but `deleted`, taken to be the largest ones wherever that makes less of it."""
    sizes: dict[object, int] = {}
    holders: dict[object, frozenset[int]] = {}
    for file_id in {file_id for history in histories for file_id in history.file_ids}:
        spec = world.shelf.specs[file_id]
        sizes[spec.content] = spec.size
        holders[spec.content] = holders.get(spec.content, frozenset()) | {spec.dc}
    held: dict[frozenset[int], list[int]] = {}
    for content in sorted(sizes, key=lambda content: -sizes[content]):
        held.setdefault(holders[content], []).append(sizes[content])
    left = sorted(sizes.values(), reverse=True)[deleted:]
    return _Needed(
        total=sum(left),
        requests=sum(ceil(size / LARGEST_PART) for size in left),
        alone={dc: sum(own[deleted:]) for (dc, *others), own in held.items() if not others},
        places=[place for place, own in held.items() if len(own) > deleted],
        near=frozenset().union(*held),
    )


def _waits(limits: Limits, needed: _Needed, factor: float) -> dict[str, float]:
    """Seconds that the limits on files cost after the first request for one."""
    found = {}
    if limits.file:
        found["file bucket"] = _drain(limits.file, needed.requests, factor)
    if limits.premium:
        found["premium waits"] = _pauses(limits.premium, needed.total) * limits.premium.wait[0]
    return found


def _pauses(premium: Premium, total: int) -> int:
    """Premium waits that end before the last of `total` bytes is granted."""
    return max(0, ceil((total - LARGEST_PART + 1) / premium.after) - 1)


def _drain(bucket: Bucket, requests: int, factor: float = 1.0) -> float:
    """Seconds until a full bucket can have served `requests` that draw 1 / `factor` each."""
    return max(0.0, (requests / factor - bucket.burst) / _fastest(bucket.refill, bucket.wait[0]))


def _fastest(refill: float, wait: int) -> float:
    """Requests a second that a bucket serves at most in the long run, whether one overflows it or not."""
    return max(refill, max(1.0, refill) / wait)


def _transfers(
    network: Network, needed: _Needed, ready: Mapping[int, float], trips: Mapping[int, float]
) -> dict[str, float]:
    """When the bytes can have passed each link."""
    found = {}
    for dc, size in sorted(needed.alone.items()):
        back = trips[dc] / 2
        for name, most in (("account", 1), ("connection", network.connections)):
            steps = _steps(network, f"{name}_rate", most)
            if steps:
                found[f"DC {dc} {name} rate"] = _passed(steps, ready[dc] - back, size) + back
    steps = _steps(network, "down_rate", 1)
    if steps:
        back = min(trips[dc] for dc in needed.near) / 2
        found["line"] = _passed(steps, min(ready[dc] for dc in needed.near) - back, needed.total) + back
    return found


def _steps(network: Network, rate: str, most: int | None) -> list[tuple[float, float]]:
    """Since when `most` links have which rate together; empty where it is never limited."""
    steps = [(0.0, getattr(network, rate)), *((change.at, getattr(change, rate)) for change in network.changes)]
    if most is None or all(value is None for _, value in steps):
        return []
    in_force = inf
    found = []
    for at, value in steps:
        in_force = in_force if value is None else value * most
        found.append((at, in_force))
    return found


def _passed(steps: list[tuple[float, float]], start: float, size: float) -> float:
    """When `size` bytes have passed a pipe with these rates, if the first is there at `start`."""
    now = start
    for (_, rate), (until, _) in zip(steps, [*steps[1:], (inf, 0.0)], strict=True):
        if until <= now:
            continue
        end = now + size / rate
        if end <= until:
            return end
        size -= rate * (until - now)
        now = until
    raise AssertionError  # the last rate holds for ever
