"""kurigram (an heir of Pyrogram) as it comes: every file of a chat, one after the other.

tobs lab run --scenario demo -- python experiments/clients/plain_kurigram.py
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from hashlib import sha1
from os import environ
from pathlib import Path
from typing import Any

import rsa
from pyrogram import Client
from pyrogram.connection import Connection
from pyrogram.crypto.rsa import PublicKey, server_public_keys
from pyrogram.raw.core.primitives import Bytes

HOST = environ["TOBS_LAB_HOST"]


def trust(pem: str) -> None:
    """Have kurigram know the lab's RSA key beside Telegram's own."""
    key = rsa.PublicKey.load_pkcs1(pem.encode())
    numbers = [number.to_bytes((number.bit_length() + 7) // 8, "big") for number in (key.n, key.e)]
    digest = sha1(b"".join(map(Bytes, numbers))).digest()
    server_public_keys[int.from_bytes(digest[-8:], "little", signed=True)] = PublicKey(key.n, key.e)


def connection(*, server_address: str, port: int, **more: Any) -> Connection:
    """A connection to the lab. kurigram begins at an address of Telegram's; the lab tells it all others."""
    if server_address != HOST:
        server_address, port = HOST, int(environ["TOBS_LAB_PORT"])
    return Connection(server_address=server_address, port=port, **more)


async def main() -> None:
    """Leave the files of the lab's chat in the lab's folder."""
    trust(environ["TOBS_LAB_PUBLIC_KEY"])
    folder = Path(environ["TOBS_LAB_FOLDER"])
    client = Client(
        "lab",
        session_string=environ["TOBS_LAB_PYROGRAM_SESSION"],
        connection_factory=connection,  # type: ignore[arg-type]  # a function does what a class would
    )
    async with client:
        async for _ in client.get_dialogs():
            pass  # a chat is found by its id once it was seen
        async for message in client.get_chat_history(int(environ["TOBS_LAB_CHAT_ID"])):
            held = message.new_chat_photo or (message if message.media else None)
            if held is not None:
                with suppress(ValueError):  # a medium without a file, such as a poll
                    await client.download_media(held, file_name=str(folder / str(message.id)))


if __name__ == "__main__":
    asyncio.run(main())
