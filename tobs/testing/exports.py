"""Exports from a lab that are held against its truth."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tobs.archive.verify import verify
from tobs.host import run, settings
from tobs.host.plugins import discover
from tobs.host.resolve import resolve
from tobs.telegram.account import load

if TYPE_CHECKING:
    from pathlib import Path

    from tobs.host.resolve import Plan
    from tobs.host.run import Report
    from tobs.testing.served import ServedChat

LONGEST = 30.0
"""Seconds after which an export of so small a chat is taken to hang."""
GRACE = 0.5
"""Seconds in which a task may still end by itself after the export has."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How an export ended: with a report or an error.

    `counters` are the lab's, of this export alone. `tasks` are those that were still alive afterwards, `unhandled`
    the errors that nobody took from the task that they ended.
    """

    report: Report | None
    error: BaseException | None
    counters: dict[str, Any]
    tasks: tuple[str, ...]
    unhandled: tuple[str, ...]

    def result(self) -> Report:
        """The report. Raises the error where there is none."""
        if self.report is None:
            raise self.error or AssertionError("the export ended without a report and without an error")
        return self.report


def planned(arm: str) -> Plan:
    """What an arm runs of the installed plugins, over the shipped defaults. Raises `UsageError` for what cannot run."""
    found = discover()
    return resolve(found.manifests, settings.of_arm(arm).wanted, found.broken).require()


def conduct(lab: ServedChat, arm: str, folder: Path) -> Ended:
    """Export the lab's chat into `folder/archive`, in an event loop of its own; state is kept in `folder/state`.

    Raises `AssertionError` for an export that hangs.
    """
    plan = planned(arm)
    lab.child.reset()
    ended, tasks, unhandled = asyncio.run(_conduct(lab, arm, plan, folder))
    report, error = _outcome(ended)
    return Ended(report, error, lab.child.counters(), tasks, unhandled)


def whole(lab: ServedChat, arm: str, folder: Path) -> Report:
    """Export, or go on with an export, and hold what came of it against the truth. Raises what the export raises."""
    ended = conduct(lab, arm, folder)
    report = ended.result()
    assert report.digest == lab.digest, (
        f"{arm}: the archive's digest is not the truth's: messages are missing or differ, or files have other bytes"
    )
    assert report.warnings == [], f"{arm}: {report.warnings}"
    found = verify(report.archive)
    assert found.ok, f"{arm}: {found.missing or found.corrupt or found.unverified or found.problems}"
    assert not found.foreign, f"{arm}: files that belong to nothing: {found.foreign}"
    assert found.pending == 0, f"{arm}: {found.pending} files are left to fetch"
    twice = ended.counters["duplicate_parts"]
    assert twice == 0, f"{arm}: {twice} parts were fetched twice"
    clean(ended, arm)
    return report


def clean(ended: Ended, what: str) -> None:
    """Whether an export obeyed every wait and left nothing running, however it ended."""
    during = ended.counters["requests_during_flood"]
    assert during == 0, f"{what}: {during} requests were sent while the server had asked to wait"
    assert not ended.tasks, f"{what}: tasks outlive the export: {', '.join(ended.tasks)}"
    assert not ended.unhandled, f"{what}: errors that nobody handled: {', '.join(ended.unhandled)}"


async def _conduct(
    lab: ServedChat, arm: str, plan: Plan, folder: Path
) -> tuple[asyncio.Task[Report], tuple[str, ...], tuple[str, ...]]:
    unhandled: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: unhandled.append(_said(context)))
    asked = run.Request([str(lab.id)], folder / "archive", state=folder / "state")
    task = loop.create_task(run.export(load(lab.server), settings.of_arm(arm), asked, (), plan))
    _, hanging = await asyncio.wait([task], timeout=LONGEST)
    if hanging:
        stack = io.StringIO()
        task.print_stack(file=stack)
        task.cancel()
        await asyncio.wait([task], timeout=GRACE)
        raise AssertionError(f"{arm}: the export hangs, it has no end within {LONGEST:g} s\n{stack.getvalue()}")
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        _, left = await asyncio.wait(left, timeout=GRACE)
    return task, tuple(sorted(map(_name, left))), tuple(unhandled)


def _outcome(task: asyncio.Task[Report]) -> tuple[Report | None, BaseException | None]:
    if task.cancelled():
        return None, asyncio.CancelledError()
    error = task.exception()
    return (None, error) if error is not None else (task.result(), None)


def _name(task: asyncio.Task[Any]) -> str:
    return getattr(task.get_coro(), "__qualname__", task.get_name())


def _said(context: dict[str, Any]) -> str:
    return f"{context.get('message')} {context.get('exception')!r}"
