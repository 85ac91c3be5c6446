"""Telethon as it comes: every file of a chat, one after the other, by nothing but its own defaults.

tobs lab run --scenario demo -- python experiments/clients/plain_telethon.py
"""

from __future__ import annotations

import asyncio
from os import environ
from pathlib import Path

from telethon import TelegramClient
from telethon.crypto import rsa
from telethon.sessions import StringSession


async def main() -> None:
    """Leave the files of the lab's chat in the lab's folder."""
    rsa.add_key(environ["TOBS_LAB_PUBLIC_KEY"], old=False)
    session = StringSession(environ["TOBS_LAB_SESSION"])  # knows address, data centre and key
    folder = Path(environ["TOBS_LAB_FOLDER"])
    async with TelegramClient(session, int(environ["TOBS_LAB_API_ID"]), environ["TOBS_LAB_API_HASH"]) as client:
        await client.get_dialogs()  # a chat is found by its id once it was seen
        async for message in client.iter_messages(int(environ["TOBS_LAB_CHAT_ID"])):
            if message.file:
                await message.download_media(folder / str(message.id))


if __name__ == "__main__":
    asyncio.run(main())
