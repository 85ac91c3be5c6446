"""The server file: what a client needs to connect to a lab as it would to any other MTProto server."""

from __future__ import annotations

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


def describe(world: World, keys: KeyStore, client: Client, host: str) -> dict[str, Any]:
    """The content of the server file. It opens the lab's account, so it is kept from others."""
    return {
        "dc": client.dc,
        "host": host,
        "port": keys.ports[client.dc],
        "public_key": public_pem(keys.rsa),
        "session": session_string(client, host, keys.ports[client.dc]),
        "api_id": API_ID,
        "api_hash": API_HASH,
        "phone": world.phone,
        "code": world.code,
        "password": world.password,
    }
