"""A lab in this process whose world changes between two runs, as chats do."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from telethon.extensions import BinaryReader

from tobs.lab.history import Entry, History, entry_of
from tobs.lab.server import KEYS, Lab, start

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tobs.lab.world import World


def changed(world: World, chat: int, change: Callable[[list[Any]], list[Any]]) -> World:
    """The world with another history of `chat`; `change` gets its messages, oldest first, as TL objects."""
    history = world.histories[chat]
    messages = change([BinaryReader(data).tgread_object() for data in history.serialized()])
    entries = [_entry(world, message) for message in messages]
    return replace(world, histories={**world.histories, chat: History(chat, history.kind, entries)})


def _entry(world: World, message: Any) -> Entry:
    """A message as a history keeps it; everybody is named, which Telegram may do and which costs nothing here."""
    date = int(message.date.timestamp())
    holder = getattr(message, "media", None) or getattr(message, "action", None)
    held = getattr(holder, "photo", None) or getattr(holder, "document", None)
    return entry_of(message, date, tuple(world.users), tuple(world.chats), held.id if held else 0)


@asynccontextmanager
async def running(world: World, state: Path) -> AsyncIterator[tuple[Lab, Path]]:
    """A lab of this world and the path of its server file; the same state is the same server to a client."""
    state.mkdir(exist_ok=True)  # noqa: ASYNC240 - nothing else runs yet
    lab = await start(world, state=state)
    try:
        yield lab, state / "server.json"
    finally:
        await lab.close()


def forget(state: Path, dc: int, *, keys: bool) -> None:
    """Have a lab that is not running forget the keys of a data centre, or only whose they are."""
    file = state / KEYS
    kept = json.loads(file.read_text(encoding="utf-8"))
    if keys:
        kept["clients"] = [client for client in kept["clients"] if client["dc"] != dc]
    for client in kept["clients"]:
        if client["dc"] == dc:
            client["user_id"] = None
    file.write_text(json.dumps(kept), encoding="utf-8")


def requests(lab: Lab) -> dict[str, int]:
    """What the lab was asked, by method; counting begins anew."""
    counted: dict[str, int] = json.loads(json.dumps(lab.counters()["requests"]))
    lab.reset()
    return counted
