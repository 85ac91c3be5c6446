"""A run of `tobs export`: connect, find the chats, open the archive, bring it up to date, say what came of it."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tobs import __version__
from tobs.archive.archive import Archive
from tobs.archive.digest import digest
from tobs.archive.naming import place
from tobs.archive.space import require_space
from tobs.engine.export import Wish, export_chat
from tobs.engine.graph import assemble, bare_line
from tobs.engine.state import FolderState
from tobs.engine.tally import Tally
from tobs.host import folders
from tobs.telegram.chats import dialogs, myself, resolve
from tobs.telegram.service import TelegramService

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from tobs.engine.graph import Line
    from tobs.host.settings import Settings
    from tobs.ports import Chat, Probe
    from tobs.telegram.account import Account

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
class Report:
    """What came of it. `seconds` runs from the first connection to the last commit."""

    archive: Path
    seconds: float
    tally: Tally
    digest: str
    warnings: list[str]

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        tally = self.tally
        return {
            "messages": tally.messages,
            "files": tally.files,
            "bytes": tally.size,
            "seconds": round(self.seconds, 3),
            "digest": self.digest,
            "archive": str(self.archive),
            "warnings": self.warnings,
            "requests": dict(tally.requests),
            "refusals": dict(tally.refusals),
            "lost": tally.lost,
            "floods": tally.floods,
            "flood_seconds": tally.flood_seconds,
        }


@asynccontextmanager
async def open_line(
    service: TelegramService, settings: Settings, probes: Sequence[Probe] = (), state: Path | None = None
) -> AsyncIterator[Line]:
    """A line to Telegram; nothing is opened before its first request."""
    kept = FolderState((state or folders.state()) / "accounts" / service.account.fingerprint())
    line = bare_line(service, kept, settings.engine(), probes)
    try:
        yield line
    finally:
        await line.close()


async def list_chats(account: Account, settings: Settings) -> list[Chat]:
    """Every chat of an account."""
    async with open_line(TelegramService(account), settings) as line:
        return await dialogs(line.invoke)


async def export(account: Account, settings: Settings, request: Request, probes: Sequence[Probe] = ()) -> Report:
    """Export chats into one archive; see `Report`.

    Raises `TobsError` with the archive intact: whatever is committed stays, and the next run goes on from there.
    """
    tally = Tally()
    began = time.perf_counter()
    service = TelegramService(account)
    async with open_line(service, settings, [tally, *probes], request.state) as line:
        service.be(await myself(line.invoke))
        chats = [await resolve(line.invoke, wanted) for wanted in request.chats]
        service.peers.update({chat.id: chat.peer for chat in chats})
        with Archive.create(request.folder, chats, add=request.add) as archive:
            archive.sweep()
            run = archive.start_run({"tobs": __version__, "chats": [chat.id for chat in chats]})
            outcome = "failed"
            warnings: list[str] = []
            try:
                graph = assemble(line, archive, archive.write, request.folder, place)
                room = _Room(request.folder)
                for chat in chats:
                    warnings += await export_chat(chat, graph, archive, request.wish, room)
                outcome = "done"
            finally:
                seconds = time.perf_counter() - began
                facts = {
                    "outcome": outcome,
                    "messages": tally.messages,
                    "files": tally.files,
                    "bytes": tally.size,
                }
                archive.end_run(run, {**facts, "seconds": seconds})
            archive.index()
    warnings += _unhad(tally)
    return Report(request.folder, seconds, tally, digest(request.folder), warnings)


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


def _unhad(tally: Tally) -> list[str]:
    """One line for each reason why files could not be had."""
    reasons: dict[str, list[str]] = {}
    for settled in tally.failures.values():
        reasons.setdefault(f"{settled.status}: {settled.reason}", []).append(str(settled.ref.message_id))
    return [
        f"{len(ids)} files {why} (messages {', '.join(ids[:5])}{', …' * (len(ids) > 5)})"
        for why, ids in reasons.items()
    ]
