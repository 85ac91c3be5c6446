"""A run of `tobs export`: connect, find the chats, open the archive, bring it up to date, say what came of it."""

from __future__ import annotations

import functools
import re
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tobs import __version__
from tobs.archive.archive import Archive
from tobs.archive.digest import digest
from tobs.archive.naming import place
from tobs.archive.schema import FILE
from tobs.archive.space import free_space, require_space
from tobs.archive.transform.recipes import chosen, require
from tobs.engine.budget import ByteBudget
from tobs.engine.export import Wish, export_chats
from tobs.engine.graph import Line, assemble, bare_line, connect
from tobs.engine.state import FolderState
from tobs.engine.tally import Tally
from tobs.errors import ArchiveError, UsageError
from tobs.host import folders
from tobs.host.arm import Arm
from tobs.host.blame import blame
from tobs.host.logs import logged_through
from tobs.host.resolve import resolve as resolve_plan
from tobs.host.scope import Places
from tobs.host.settings import core_settings
from tobs.host.transforms import derived_beside
from tobs.host.watching import Look, Watching
from tobs.host.wiring import HookWiring
from tobs.meters import Meters
from tobs.telegram.chats import dialogs, myself, resolve
from tobs.telegram.service import TelegramService
from tobs.telemetry.live import Live
from tobs.telemetry.session import Telemetry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from tobs.engine.graph import Graph
    from tobs.host.resolve import Plan
    from tobs.host.settings import Settings
    from tobs.ports import Probe
    from tobs.telegram.account import Account
    from tobs.values import Chat, Settled

SPACE_EVERY = 64 * 1_000_000
"""Bytes of accepted media after which free space is looked at again."""


@dataclass(frozen=True, slots=True)
class Request:
    """What `tobs export` was asked: chats as the user wrote them, the archive folder, and what is wanted.

    `state` is where what is learned about the account goes; None is the user's own place for it.
    """

    chats: Sequence[str]
    folder: Path
    wish: Wish = field(default_factory=Wish)
    add: bool = False
    state: Path | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """Where a run's metrics go: an OTLP JSON file, a collector's OTLP/HTTP address, or both.

    `resource` says whose they are (run, trial, seed), beside what the run knows itself.
    """

    file: Path | None = None
    endpoint: str | None = None
    resource: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """What came of it, and of which plan.

    `seconds` runs from the first connection to the last commit; `new` counts the messages that the archive did not
    hold before; `derived` counts the files that each transform made. `warnings` tell what could not be had, `alarms`
    what has slowed or endangered the run (see `tobs.telemetry.alarms`).
    """

    archive: Path
    seconds: float
    tally: Tally
    new: int
    digest: str
    warnings: list[str]
    plan: Plan
    derived: Mapping[str, int] = field(default_factory=dict)
    alarms: Sequence[str] = ()

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        tally = self.tally
        return {
            "messages": self.new,
            "messages_read": tally.messages,
            "files": tally.files,
            "bytes": tally.size,
            "seconds": round(self.seconds, 3),
            "digest": self.digest,
            "archive": str(self.archive),
            "warnings": [*self.warnings, *self.alarms],
            "derived": dict(self.derived),
            "requests": dict(tally.requests),
            "refusals": dict(tally.refusals),
            "lost": tally.lost,
            "floods": tally.floods,
            "flood_seconds": tally.flood_seconds,
            "arm": self.plan.arm,
            "plugins": list(self.plan.plugins),
            "plan_hash": self.plan.hash,
        }


@asynccontextmanager
async def open_line(
    service: TelegramService, settings: Settings, probes: Sequence[Probe] = (), state: Path | None = None
) -> AsyncIterator[Line]:
    """A line to Telegram without plugins; nothing is opened before its first request."""
    line = bare_line(service, FolderState(_account_folder(service, state)), settings.engine(), probes)
    try:
        yield line
    finally:
        await line.close()


@asynccontextmanager
async def _wired_line(
    service: TelegramService, plan: Plan, places: Places, probes: Sequence[Probe], meters: Meters
) -> AsyncIterator[Line]:
    """The same with a plan's plugins, all of them loaded and checked before anything is asked of Telegram."""
    wiring = HookWiring(plan, places)
    line = Line(service, core_settings(plan.knobs["core"]), wiring, meters, list(probes))
    wiring.attach(line)
    connect(line, FolderState(places.account))
    try:
        yield line
    finally:
        await line.close()


def _account_folder(service: TelegramService, state: Path | None) -> Path:
    return (state or folders.state()) / "accounts" / service.account.fingerprint()


async def list_chats(account: Account, settings: Settings) -> list[Chat]:
    """Every chat of an account."""
    async with open_line(TelegramService(account), settings) as line:
        return await dialogs(line.invoke)


def baseline(settings: Settings) -> Plan:
    """The plan without plugins, with these settings' values for core's knobs."""
    core = tuple(setting for setting in settings.wanted.settings if setting.owner == "core")
    return resolve_plan({}, Arm("baseline", "default", (), core))


async def export(
    account: Account,
    settings: Settings,
    request: Request,
    probes: Sequence[Probe] = (),
    plan: Plan | None = None,
    *,
    record: Record | None = None,
    look: Look | None = None,
) -> Report:
    """Export chats into one archive as `plan` says (None: without plugins); see `Report`.

    `record` says where the run's OpenTelemetry metrics go; None measures nothing. `look` is shown the run while it goes
    on, every `look.every` seconds.

    Raises `TobsError` with the archive intact: whatever is committed stays, and the next run goes on from there.
    A plugin that fails is named by a `PluginError`. Raises `UsageError` for a plan that has problems.
    """
    plan = (baseline(settings) if plan is None else plan).require()
    require(chosen(str(plan.values("core")["transforms"])))
    with blame(plan):
        meters = Meters()
        telemetry = _telemetry(meters, plan, record)
        try:
            return await _export(
                TelegramService(account), request, [*probes, *telemetry.probes], plan, meters, telemetry, look
            )
        finally:
            telemetry.close(complete=False)


def _telemetry(meters: Meters, plan: Plan, record: Record | None) -> Telemetry:
    if record is None:
        return Telemetry.off()
    resource = {"tobs.arm": plan.arm, "tobs.plan.hash": plan.hash, "service.version": __version__, **record.resource}
    return Telemetry.start(meters=meters, resource=resource, file=record.file, endpoint=record.endpoint)


async def _export(
    service: TelegramService,
    request: Request,
    probes: Sequence[Probe],
    plan: Plan,
    meters: Meters,
    telemetry: Telemetry,
    look: Look | None,
) -> Report:
    tally = Tally()
    live = Live(meters, tally)
    live.free = functools.partial(_free, request.folder)
    began = time.perf_counter()
    own = request.state
    places = Places(_account_folder(service, own), request.folder, own or folders.state(), cache=own and own / "cache")
    async with (
        _wired_line(service, plan, places, [tally, live, *probes], meters) as line,
        Watching(live, look) as watching,
    ):
        live.held = line.pace.held
        if isinstance(line.budget, ByteBudget):
            live.shares = line.budget.shares
        for name in ("connections", "in_flight", "history_in_flight"):
            telemetry.limit(name, functools.partial(float, line.knobs[name]))
        with logged_through(line.wiring.layers("log")):
            service.be(await myself(line.invoke))
            chats = [await resolve(line.invoke, wanted) for wanted in request.chats]
            service.peers.update({chat.id: chat.peer for chat in chats})
            if not request.wish.history and not (request.folder / FILE).is_file():
                raise UsageError(
                    f"{request.folder} is no archive: there are no files that an earlier run left",
                    hint="Run once without --media-only.",
                )
            with Archive.create(request.folder, chats, add=request.add) as archive:
                places.archive_is_open = True
                facts = {"tobs": __version__, "chats": [chat.id for chat in chats], "plan": plan.as_json()}
                run = archive.start_run({**facts, "plan_hash": plan.hash})
                outcome = "failed"
                before = live.before = archive.totals().all.messages
                warnings: list[str] = []
                derived: Mapping[str, int] = {}
                try:
                    graph = assemble(line, archive, archive.write, request.folder, place)
                    archive.sweep(keep=graph.journal.kept(request.folder, archive.holds))
                    warnings, derived = await _chats(chats, graph, archive, request)
                    outcome = "done"
                    telemetry.close(complete=True)  # what comes after the last commit is no part of the run
                finally:
                    seconds = time.perf_counter() - began
                    counts = {"messages": tally.messages, "files": tally.files, "bytes": tally.size}
                    archive.end_run(run, {"outcome": outcome, **counts, "seconds": seconds})
                new = archive.totals().all.messages - before
                archive.index()
                places.archive_is_open = False
    warnings += unhad(tally)
    return Report(request.folder, seconds, tally, new, digest(request.folder), warnings, plan, derived, watching.rest())


async def _chats(
    chats: Sequence[Chat], graph: Graph, archive: Archive, request: Request
) -> tuple[list[str], Mapping[str, int]]:
    """Export the chats while the plugins' lifespans are held; these are left in reverse, whatever happens.

    Returns warnings, and how many files each transform made.
    """
    room = _Room(request.folder)
    async with AsyncExitStack() as held:
        for lifespan in graph.line.wiring.layers("lifespan"):
            await held.enter_async_context(lifespan)
        async with derived_beside(graph.line, archive) as derived:
            try:
                warnings = await export_chats(chats, graph, archive, request.wish, room)
            finally:
                await graph.close()
            if derived is None:
                return warnings, {}
            await derived.finish()
            return [*warnings, *derived.tidings.warnings()], derived.tidings.made


def _free(folder: Path) -> int | None:
    try:
        return free_space(folder)
    except ArchiveError:
        return None


class _Room:
    """Looks at the free space, not for every file but for every so many bytes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._since = SPACE_EVERY

    def __call__(self, need: int) -> None:
        self._since += need
        if self._since >= SPACE_EVERY:
            self._since = 0
            require_space(self._folder, need)


def unhad(tally: Tally) -> list[str]:
    """One line for each kind of reason why files could not be had, the most frequent first.

    Reasons that differ in their numbers alone (a file's id, a count of bytes) are of one kind.
    """
    kinds: dict[tuple[str, str], list[Settled]] = {}
    for settled in tally.failures.values():
        kinds.setdefault((settled.status, re.sub(r"\d+", "", settled.reason)), []).append(settled)
    return [_said(alike) for alike in sorted(kinds.values(), key=len, reverse=True)]


def _said(alike: Sequence[Settled]) -> str:
    first = alike[0]
    messages = [str(one.ref.message_id) for one in alike]
    size = sum(one.ref.size for one in alike) / 1_000_000
    others = " (and the like)" if any(one.reason != first.reason for one in alike) else ""
    named = f"messages {', '.join(messages[:5])}{', …' * (len(messages) > 5)}"
    return f"{len(alike)} files of {size:.1f} MB {first.status}: {first.reason}{others} ({named})"
