"""A plain Telethon client of a lab, for measurements that ask for raw requests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telethon import TelegramClient
from telethon.crypto import rsa
from telethon.network import ConnectionTcpFull
from telethon.sessions import StringSession

if TYPE_CHECKING:
    from tobs.lab.child import Child


async def connect(lab: Child | Path, connection: Any = ConnectionTcpFull) -> TelegramClient:
    """A client that is logged in by the server file, a lab's own or this one, and asks for no updates."""
    server = json.loads(lab.read_text()) if isinstance(lab, Path) else lab.server
    rsa.add_key(server["public_key"], old=False)
    TelegramClient._config = None  # noqa: SLF001  kept for the whole class, but of another lab
    client = TelegramClient(
        StringSession(server["session"]),
        server["api_id"],
        server["api_hash"],
        connection=connection,
        receive_updates=False,
    )
    await client.connect()
    return client
