"""Warnings before it hurts: rules over two snapshots of a run, and what keeps each from being told twice.

A rule is a function of a snapshot of a while ago and the one of now. It tells what is wrong with what to do next, or
None.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tobs.telemetry.live import Snapshot

WINDOW = 60.0
"""Seconds that lie between the two snapshots of a rule, once a run is that old."""
CALM = 60.0
"""Seconds for which a rule must be content before what it told may be told again."""
MEMORY_SHARE = 0.8
"""Share of the machine's or cgroup's memory that is near enough to its end."""
AIM_SHARE = 1.25
"""Times the memory that the run aims at: below, the aim does its work by holding back."""
DISK_MARGIN = 50_000_000
"""Bytes that stay free on the disk whatever is exported."""
DISK_SHARE = 1.02
"""What files take on the disk for each byte of theirs."""
ENOUGH, ENOUGH_SHARE = 1000, 0.1
"""Messages, or share of all, after which those that were read tell of those to come."""
FLOODS, FLOODS_PER_THOUSAND = 3, 2.0
"""Floods of one method within the window, and for each 1,000 of its requests, that are too many. The first two of a
method are what its rate is learned from."""
WAITS, WAITS_RISING = 0.1, 1.5
"""Share of the window in flood waits that matters, and how many times the share before it means that it is rising."""
SETTLED = 30.0
"""Seconds that must lie before and within the window for its share to be compared."""
SILENT = 20.0
"""Seconds without an answer that are no stall any more."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """What is about to hurt: `name` tells it from others, `hint` says what to do next.

    `hurts` says that it has cost something already, and is worth telling of at the end though it is over.
    """

    name: str
    text: str
    hint: str
    hurts: bool = False

    def __str__(self) -> str:
        """Both in one line."""
        return f"{self.text}. {self.hint}"


def memory(_: Snapshot, now: Snapshot) -> Iterator[Alarm]:
    """The process is about to take more memory than there is, or has gone well beyond what it aims at."""
    held, aim, limit = now.memory.resident, now.memory.aim, now.memory.limit
    if aim and held >= AIM_SHARE * aim:
        yield Alarm(
            "memory",
            f"The process holds {mb(held)}, and the run aims at {mb(aim)}",
            "Aim higher, or allow fewer connections and requests in flight: `tobs plan` shows the knobs.",
            hurts=held >= 2 * aim,
        )
    elif limit and held >= MEMORY_SHARE * limit:
        yield Alarm(
            "memory",
            f"The process holds {mb(held)} of the {mb(limit)} that it may have",
            "Stop with Ctrl+C and run again with fewer connections and requests in flight, or a plugin that provides "
            "budget (`tobs plan` and `tobs plugins` show them); it goes on where it stopped.",
            hurts=held >= 0.95 * limit,
        )


def disk(before: Snapshot, now: Snapshot) -> Iterator[Alarm]:
    """What is still to come does not fit onto the archive's disk."""
    if now.free is None or not now.needed:
        return
    read = now.messages >= min(ENOUGH, ENOUGH_SHARE * now.expected)
    needed = round(DISK_SHARE * (now.needed if read else now.waiting))
    room = max(0, now.free - DISK_MARGIN)
    if needed <= room:
        return
    pace = (now.size - before.size) / max(1e-9, now.seconds - before.seconds)
    soon = f"; at {mb(pace)}/s that is full in {minutes(room / pace)}" if pace > 0 else ""
    yield Alarm(
        "disk",
        f"About {mb(needed)} of files are still to come, and the archive's disk has room for {mb(room)}{soon}",
        f"Free {mb(needed - room)} meanwhile, or leave out what is large with --max-size or --kinds. "
        "A full disk ends the run and damages nothing.",
        hurts=not room,
    )


def floods(before: Snapshot, now: Snapshot) -> Iterator[Alarm]:
    """The server makes the run wait more and more."""
    hint = "It goes on by itself, below what the server takes. Use the account for nothing else meanwhile."
    earlier = {method.name: method for method in before.methods}
    for method in now.methods:
        if ":" in method.name:
            continue  # a method is counted once, whatever its scope
        was = earlier.get(method.name)
        count = method.floods - (was.floods if was else 0)
        requests = method.requests - (was.requests if was else 0)
        if count >= FLOODS and 1000 * count > FLOODS_PER_THOUSAND * requests:
            text = f"{method.name}: {count} flood waits in the last {requests} requests"
            yield Alarm(f"floods of {method.name}", text, hint, hurts=True)
    passed = now.seconds - before.seconds
    if before.seconds < SETTLED or passed < SETTLED:
        return
    share, then = (now.waited - before.waited) / passed, before.waited / before.seconds
    if share >= WAITS and share > WAITS_RISING * then:
        text = f"Flood waits take {share:.0%} of the time, {then:.0%} before the last {minutes(passed)}"
        yield Alarm("waits", text, hint, hurts=True)


def silence(before: Snapshot, now: Snapshot) -> Iterator[Alarm]:
    """A data centre answers no more."""
    earlier = {centre.dc: centre for centre in before.centres}
    for centre in now.centres:
        if centre.silent < SILENT:
            continue
        was = earlier.get(centre.dc)
        lost = centre.lost - (was.lost if was else 0)
        under_way = f"{centre.in_flight} requests under way" + (f", {lost} lost" if lost else "")
        yield Alarm(
            f"silence of {centre.dc}",
            f"Data centre {centre.dc} has not answered for {centre.silent:.0f} s ({under_way})",
            "Look at the network. Lost requests are sent again; if that fails too, the run stops and can be continued.",
            hurts=lost > 0,
        )


RULES: tuple[Callable[[Snapshot, Snapshot], Iterator[Alarm]], ...] = (memory, disk, floods, silence)


class Alarms:
    """What the rules say of a run that is looked at again and again.

    `active` holds by name what they tell now.
    """

    def __init__(self) -> None:
        self.active: dict[str, Alarm] = {}
        self._seen: deque[Snapshot] = deque()
        self._last: dict[str, float] = {}
        self._hurt: dict[str, Alarm] = {}

    def look(self, now: Snapshot) -> list[Alarm]:
        """Look at one more snapshot; returns what begins with it and is to be told."""
        while len(self._seen) > 1 and now.seconds - self._seen[1].seconds >= WINDOW:
            self._seen.popleft()
        before = self._seen[0] if self._seen else now
        self._seen.append(now)
        self.active = {alarm.name: alarm for rule in RULES for alarm in rule(before, now)}
        begun = [
            alarm
            for name, alarm in self.active.items()
            if name not in self._last or now.seconds - self._last[name] > CALM
        ]
        for name, alarm in self.active.items():
            self._last[name] = now.seconds
            if alarm.hurts:
                self._hurt[name] = alarm
        return begun

    def rest(self) -> list[Alarm]:
        """What is worth telling of at the end: what has hurt, and what holds still."""
        return list({**self._hurt, **self.active}.values())


def mb(size: float) -> str:
    """Bytes in words: 61.3 MB."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def minutes(seconds: float) -> str:
    """A time in words: 40 s, 12 min, 3 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.0f} h"
