"""The server file: what a client needs to connect to a lab as it would to any other MTProto server."""

from __future__ import annotations

import base64
import struct
from typing import TYPE_CHECKING, Any

from telethon.crypto import AuthKey as TelethonKey
from telethon.sessions import StringSession

from tobs.lab.rsa_key import public_pem

if TYPE_CHECKING:
    from tobs.lab.keys import Client, KeyStore
    from tobs.lab.world import World

API_ID = 2040
API_HASH = "1ab0f00d1ab0f00d1ab0f00d1ab0f00d"
"""The application that the lab knows; any other is API_ID_INVALID."""


def session_string(client: Client, host: str, port: int) -> str:
    """A logged-in key as a string session of Telethon."""
    session = StringSession()
    session.set_dc(client.dc, host, port)
    session.auth_key = TelethonKey(client.key.key)
    return str(session.save())


def pyrogram_session_string(client: Client) -> str:
    """A logged-in key as a string session of Pyrogram's heirs, kurigram among them.

    Big-endian data centre, application, test mode, key, user, bot, as base64 without padding. It names no
    address: whoever takes it has to say where the lab is.
    """
    packed = struct.pack(">BI?256sQ?", client.dc, API_ID, 0, client.key.key, client.user_id or 0, 0)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def main_chat(world: World) -> int:
    """Marked id of the chat with most messages: what a client exports that is told of no other."""
    return max(world.histories.values(), key=lambda history: history.count).peer_id


def username_of(world: World, marked: int) -> str | None:
    """The public name of a chat, or None."""
    return next((name for name, at in world.usernames.items() if at == marked), None)


def describe(world: World, keys: KeyStore, client: Client, host: str) -> dict[str, Any]:
    """The content of the server file. It opens the lab's account, so it is kept from others.

    `dc`, `host` and `port` are home's; `ports` has every data centre's, all on `host`. `chat` is the main chat's
    username, or its marked id (`chat_id`) as text.
    """
    chat = main_chat(world)
    return {
        "dc": client.dc,
        "host": host,
        "port": keys.ports[client.dc],
        "ports": {str(dc): port for dc, port in keys.ports.items()},
        "public_key": public_pem(keys.rsa),
        "session": session_string(client, host, keys.ports[client.dc]),
        "pyrogram_session": pyrogram_session_string(client),
        "api_id": API_ID,
        "api_hash": API_HASH,
        "phone": world.phone,
        "code": world.code,
        "password": world.password,
        "chat": username_of(world, chat) or str(chat),
        "chat_id": chat,
    }
