"""The worst guest of a server: asks through flood waits, never says goodbye, and begins what it does not finish.

It leaves no files; it is there so that a lab can be watched while it has to bear it. It ends after a number of
rounds, its only argument (default 20).

tobs lab run --scenario demo -- python experiments/clients/hammer.py 5
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from os import environ
from random import Random
from typing import Any

from telethon import TelegramClient, errors
from telethon.crypto import rsa
from telethon.sessions import StringSession
from telethon.tl import functions

HOST, PORT = environ["TOBS_LAB_HOST"], int(environ["TOBS_LAB_PORT"])
AT_ONCE = 50
GREED = 10


def client(session: str) -> Any:
    """A client that hands every refusal on at once."""
    made = TelegramClient(
        StringSession(session),
        int(environ["TOBS_LAB_API_ID"]),
        environ["TOBS_LAB_API_HASH"],
        flood_sleep_threshold=0,
        request_retries=1,
        connection_retries=1,
        receive_updates=False,
    )
    if not session:
        made.session.set_dc(int(environ["TOBS_LAB_DC"]), HOST, PORT)
    return made


async def greedy() -> None:
    """Ask for the same page, many times at once, whatever the answer; then hang up in the middle."""
    asking = client(environ["TOBS_LAB_SESSION"])
    await asking.connect()
    await asking.get_dialogs()
    chat = await asking.get_input_entity(int(environ["TOBS_LAB_CHAT_ID"]))
    page = functions.messages.GetHistoryRequest(chat, 0, None, 0, 100, 0, 0, 0)
    for _ in range(5):
        await asyncio.gather(*(asking(page) for _ in range(AT_ONCE)), return_exceptions=True)
    left = [asyncio.ensure_future(asking(page)) for _ in range(AT_ONCE)]
    await asyncio.sleep(0)
    await asking.disconnect()
    await asyncio.gather(*left, return_exceptions=True)


async def newcomer() -> None:
    """Make a key, log in by code and password, and log out."""
    coming = client("")
    await coming.connect()
    await coming.send_code_request(environ["TOBS_LAB_PHONE"])
    with contextlib.suppress(errors.SessionPasswordNeededError):
        await coming.sign_in(code=environ["TOBS_LAB_CODE"])
    await coming.sign_in(password=environ["TOBS_LAB_PASSWORD"])
    await coming.log_out()


async def rude(draws: Random) -> None:
    """Connect, say something that makes no sense, and leave; or say nothing."""
    _, writer = await asyncio.open_connection(HOST, PORT)
    start = draws.choice([b"", b"\xef", b"\xee\xee\xee\xee", b"\xdd\xdd\xdd\xdd"])
    writer.write(start + draws.randbytes(draws.randrange(2_000)))
    await asyncio.sleep(0.05)
    writer.close()


async def main(rounds: int) -> None:
    """Be all of them, again and again."""
    rsa.add_key(environ["TOBS_LAB_PUBLIC_KEY"], old=False)
    draws = Random(os.getpid())
    for number in range(rounds):
        guests = [newcomer(), newcomer(), *(rude(draws) for _ in range(5))]
        if number % GREED == 0:  # always would leave nothing of the account's buckets to other clients
            guests.append(greedy())
        await asyncio.gather(*guests, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
