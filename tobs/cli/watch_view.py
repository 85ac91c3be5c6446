"""The picture of a running export: lines of text made from two snapshots, for any size of a terminal."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.text import Text

from tobs.cli.outcome import human_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tobs.telemetry.alarms import Alarm
    from tobs.telemetry.live import Snapshot, StageNow

BUSY = 0.5
"""Share of the time that the busiest stage must be busy to be called the bottleneck."""
USED_UP = 0.7
"""Share of a method's rate that must be used for the rate to be called the bottleneck."""
NARROW, BAR = 64, 16
"""Columns below which there are no bars, and how long a bar is."""
NAMES, SHORT_NAMES = 22, 14
"""Columns of the names before the figures; where it is narrow."""
SILENT = 3.0
"""Seconds without an answer that are shown."""
UNICODE, ASCII = "█░▸", "#.>"


@dataclass(slots=True)
class Section:
    """A name, the columns' heads, rows by importance, and how many of them were left out for want of lines."""

    name: str
    heads: str
    rows: list[Text]
    style: str = "bold"
    left_out: int = 0

    def lines(self, names: int) -> list[Text]:
        """The title and what is left of the rows."""
        more = f" +{self.left_out}" if self.left_out else ""
        return [Text(f"{self.name + more:<{names}}{self.heads}".rstrip(), self.style), *self.rows]


@dataclass(slots=True)
class View:
    """Draws with `marks`: a full and an empty piece of a bar, and the sign of the bottleneck."""

    marks: str = UNICODE
    _width: int = field(default=80, init=False)

    def lines(
        self, before: Snapshot, now: Snapshot, alarms: Mapping[str, Alarm], width: int, height: int
    ) -> list[Text]:
        """At most `height` lines of at most `width` columns. What happened between the snapshots makes the rates."""
        self._width = width
        head = self._head(before, now)
        warnings = Section("warnings", "", self._warnings(alarms), "bold yellow")
        sections = [
            self._centres(before, now),
            self._limits(now),
            self._stages(before, now),
            self._queues(now),
        ]
        shown = _fit([part for part in sections if part.rows], height - len(head), warnings)
        found = [*head, *(line for part in shown for line in part.lines(self._names))][: max(1, height)]
        for line in found:
            line.no_wrap = True
            line.truncate(width, overflow="ellipsis" if self.marks == UNICODE else "crop")
        return found

    @property
    def _names(self) -> int:
        return NAMES if self._width >= NARROW else SHORT_NAMES

    # ------------------------------------------------------------ parts

    def _head(self, before: Snapshot, now: Snapshot) -> list[Text]:
        rate, pace = _rate(before, now, "messages"), _rate(before, now, "size")
        to_come = now.expected - now.messages
        messages = f"{now.messages:,} of {now.expected:,}  {rate:,.0f}/s{_left(to_come, rate)}"
        size = now.size + now.waiting
        files = f"{now.files:,} files, {human_bytes(now.size)} of {human_bytes(size)}  {human_bytes(pace)}/s"
        title = Text("tobs export", "bold").append(f"  {clock(now.seconds)}", "dim")
        if slow := bottleneck(before, now):
            title.append(f"  bottleneck: {slow}", "bold magenta")
        return [
            title,
            self._bar("messages  ", now.messages, now.expected, "green").append(messages),
            self._bar("files     ", now.size, size, "green").append(files + _left(now.waiting, pace)),
        ]

    def _centres(self, before: Snapshot, now: Snapshot) -> Section:
        earlier = {centre.dc: centre for centre in before.centres}
        passed = _passed(before, now)
        rows = []
        for centre in now.centres:
            was = earlier.get(centre.dc)
            answers, size = (was.answers, was.size) if was else (0, 0)
            silent = f"  silent {centre.silent:.0f} s" if centre.silent >= SILENT else ""
            row = Text(f"  {centre.dc}").append(f"{silent:<{self._names - 2 - len(str(centre.dc))}}", "bold red")
            row.append(
                f"{centre.connections:>11}{centre.in_flight:>11}"
                f"{(centre.answers - answers) / passed:>12.1f}{(centre.size - size) / passed / 1e6:>8.1f}"
                f"{human_bytes(centre.waiting):>11}"
            )
            rows.append(row)
        return Section("data centres", "connections  in flight  requests/s    MB/s    waiting", rows)

    def _limits(self, now: Snapshot) -> Section:
        rows = []
        for method in sorted(now.methods, key=lambda one: (-one.wait, one.rate)):
            if not method.wait and math.isinf(method.rate):
                continue
            row = Text(f"  {method.name:<28} ")
            row.append("" if math.isinf(method.rate) else f"at most {method.rate:.2f}/s")
            if method.wait:
                row.append(f"  flood wait, {math.ceil(method.wait)} s left", "bold red")
            rows.append(row)
        memory = now.memory
        most = memory.aim or memory.limit
        if memory.resident:
            of = f" of {human_bytes(most)}{' aimed at' * bool(memory.aim)}" if most else ""
            rows.append(Text(f"  {'memory':<28} {human_bytes(memory.resident)}{of}"))
        if now.free is not None:
            rows.append(
                Text(f"  {'disk':<28} {human_bytes(now.free)} free, about {human_bytes(now.needed)} still needed")
            )
        rows += [
            Text(f"  {level.name:<28} {human_bytes(level.held)}{f' of {human_bytes(level.limit)}' * bool(level.limit)}")
            for level in now.levels
        ]
        return Section("limits", "", rows)

    def _stages(self, before: Snapshot, now: Snapshot) -> Section:
        slow = bottleneck(before, now)
        earlier = {stage.name: stage for stage in before.stages}
        passed = _passed(before, now)
        found = [(shares(earlier.get(stage.name), stage, passed), stage) for stage in now.stages]
        rows = []
        for (busy, waits, blocked, items), stage in sorted(found, key=lambda one: -one[0][0]):
            mark = self.marks[2] if stage.name == slow else " "
            row = self._bar(f"{mark} {self._named(f'{stage.name} x{stage.workers}')}", busy, 1.0, "cyan")
            row.append(f"{busy:>5.0%}{waits:>8.0%}{blocked:>9.0%}{items:>10.1f}")
            rows.append(row)
        gap = " " * (BAR + 1) * (self._width >= NARROW)
        return Section("stages", f"{gap} busy   waits  blocked   items/s", rows)

    def _queues(self, now: Snapshot) -> Section:
        ordered = sorted(now.queues, key=lambda one: -one.depth / max(1, one.capacity))
        rows = [
            self._bar(f"  {self._named(queue.name)}", queue.depth, queue.capacity, "blue").append(
                f"{queue.depth:>5,} of {queue.capacity:,}"
            )
            for queue in ordered
            if queue.depth
        ]
        if empty := [queue.name for queue in now.queues if not queue.depth]:
            rows.append(Text(f"  {self._named('empty')}{', '.join(empty)}", "dim"))
        return Section("queues", "", rows)

    def _warnings(self, alarms: Mapping[str, Alarm]) -> list[Text]:
        rows = []
        for alarm in alarms.values():
            whole = Text(str(alarm), "yellow")
            rows += [Text("  ").append_text(line) for line in wrapped(whole, self._width - 2)]
        return rows

    def _named(self, name: str) -> str:
        width = self._names - 2
        return f"{name:<{width}.{width}}"

    def _bar(self, label: str, done: float, total: float, style: str) -> Text:
        row = Text(label)
        if self._width < NARROW:
            return row
        full = min(BAR, max(0, round(BAR * done / total))) if total else 0
        row.append(self.marks[0] * full, style).append(self.marks[1] * (BAR - full), "dim")
        return row.append(" ")


def wrapped(text: Text, width: int) -> list[Text]:
    """The text in lines of at most `width` columns, broken at spaces."""
    lines: list[str] = []
    for word in text.plain.split(" "):
        if lines and len(lines[-1]) + 1 + len(word) <= max(1, width):
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return [Text(line, text.style) for line in lines]


def _fit(sections: list[Section], height: int, warnings: Section) -> list[Section]:
    """As much as fits: the last rows go first, of the longest section; then whole sections, the last first.

    Warnings stand below and are the last to go.
    """
    shown = [*sections, warnings] if warnings.rows else list(sections)
    while shown and sum(1 + len(part.rows) for part in shown) > height:
        longest = max(shown, key=lambda part: (part is not warnings and len(part.rows) > 1, len(part.rows)))
        if longest is not warnings and len(longest.rows) > 1:
            longest.rows.pop()
            longest.left_out += 1
        elif shown[-1] is warnings and len(shown) > 1:
            shown.pop(-2)
        elif shown[-1] is warnings and len(warnings.rows) > 1:
            warnings.rows.pop()
        else:
            shown.pop()
    return shown


# ------------------------------------------------------------ figures


def bottleneck(before: Snapshot, now: Snapshot) -> str:
    """What holds the run up just now; empty where nothing stands out.

    A flood wait, else the rate that PACE holds a method to where it is used up, else the stage that is busiest.
    """
    if now.wait:
        waiting = max(now.methods, key=lambda method: method.wait)
        return f"flood wait of {waiting.name}"
    passed = _passed(before, now)
    asked = {method.name: method.requests for method in before.methods}
    for method in now.methods:
        if method.requests - asked.get(method.name, 0) >= USED_UP * method.rate * passed:
            return f"the rate of {method.name}"
    earlier = {stage.name: stage for stage in before.stages}
    busy = {stage.name: shares(earlier.get(stage.name), stage, passed)[0] for stage in now.stages}
    slowest = max(busy, key=lambda name: busy[name], default="")
    return slowest if slowest and busy[slowest] >= BUSY else ""


def shares(before: StageNow | None, now: StageNow, passed: float) -> tuple[float, float, float, float]:
    """Busy, without input and unable to hand on, as shares of its workers' time, and items a second."""
    time = passed * max(1, now.workers)
    busy, wait, blocked, items = (before.busy, before.wait, before.blocked, before.items) if before else (0, 0, 0, 0)
    found = ((now.busy - busy) / time, (now.wait - wait) / time, (now.blocked - blocked) / time)
    held = [min(1.0, max(0.0, share)) for share in found]
    return held[0], held[1], held[2], max(0.0, (now.items - items) / passed)


def compact(before: Snapshot, now: Snapshot, alarms: Iterable[Alarm]) -> str:
    """The same in one line, for a log."""
    rate, pace = _rate(before, now, "messages"), _rate(before, now, "size")
    came = f"{human_bytes(now.size)} of {human_bytes(now.size + now.waiting)} ({human_bytes(pace)}/s)"
    in_flight, connections = (sum(getattr(one, name) for one in now.centres) for name in ("in_flight", "connections"))
    parts = [
        f"{clock(now.seconds)} {now.messages:,} of {now.expected:,} messages ({rate:,.0f}/s)",
        f"{now.files:,} files, {came}",
        f"{in_flight} requests in flight on {connections} connections",
    ]
    if slow := bottleneck(before, now):
        parts.append(slow + (f" {math.ceil(now.wait)} s" if now.wait else " is the bottleneck"))
    if now.memory.resident:
        parts.append(f"memory {human_bytes(now.memory.resident)}")
    if now.free is not None:
        parts.append(f"disk {human_bytes(now.free)} free")
    parts += [f"! {alarm.name}" for alarm in alarms]
    return ", ".join(parts)


def clock(seconds: float) -> str:
    """A time: 1:02:03, or 02:03 within the first hour."""
    hours, rest = divmod(int(seconds), 3600)
    short = f"{rest // 60:02}:{rest % 60:02}"
    return f"{hours}:{short}" if hours else short


def _passed(before: Snapshot, now: Snapshot) -> float:
    return max(1e-9, now.seconds - before.seconds)


def _rate(before: Snapshot, now: Snapshot, what: str) -> float:
    if now.seconds <= before.seconds:
        return 0.0
    return float(getattr(now, what) - getattr(before, what)) / (now.seconds - before.seconds)


def _left(to_come: float, rate: float) -> str:
    return f"  {clock(math.ceil(to_come / rate))} left" if to_come > 0 and rate > 0 else ""
