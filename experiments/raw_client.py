"""A plain Telethon client of a lab, for measurements that ask for raw requests."""

from __future__ import annotations

from typing import Any, Protocol

from telethon import TelegramClient
from telethon.crypto import rsa
from telethon.network import ConnectionTcpFull
from telethon.sessions import StringSession


class Lab(Protocol):
    """What is looked at of a lab."""

    @property
    def server(self) -> dict[str, Any]:
        """What the server file says."""
        ...


async def connect(lab: Lab | dict[str, Any], connection: Any = ConnectionTcpFull) -> TelegramClient:
    """A client that is logged in by a server file, the lab's or this content of one, and asks for no updates."""
    server = lab if isinstance(lab, dict) else lab.server
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
