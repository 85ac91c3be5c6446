"""A running lab: one listening socket a data centre, all on the caller's event loop."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from typing import TYPE_CHECKING, Any

from tobs.errors import TobsError
from tobs.lab import methods
from tobs.lab.connection import Connection
from tobs.lab.crypto import AuthKey
from tobs.lab.keys import Client, KeyStore, new_login, open_keys, write_private
from tobs.lab.live import at_first
from tobs.lab.logins import Logins
from tobs.lab.server_file import describe
from tobs.lab.service import Service

if TYPE_CHECKING:
    from pathlib import Path

    from tobs.lab.scenario import DataCentre
    from tobs.lab.world import World

__all__ = ["KEYS", "SERVER_FILE", "Lab", "methods", "start"]

KEYS = "keys.json"
SERVER_FILE = "server.json"
BACKLOG = 128
LOGGED_IN_FOR = 90 * 86_400
"""Seconds for which the server file's session has been logged in when the lab starts first: no fresh login."""


class Lab:
    """A lab that listens.

    `server_file` is what a client needs (`dc, host, port, ports, public_key, session, pyrogram_session, api_id,
    api_hash, phone, code, password, chat`), `ports` has the port of every data centre.
    """

    def __init__(
        self,
        service: Service,
        servers: list[asyncio.Server],
        server_file: dict[str, Any],
    ) -> None:
        self._service = service
        self._servers = servers
        self._opened = service.opened
        self.server_file = server_file

    @property
    def world(self) -> World:
        """What this lab serves."""
        return self._service.world

    @property
    def ports(self) -> dict[int, int]:
        """The port of every data centre."""
        return dict(self._service.keys.ports)

    @property
    def media_ports(self) -> dict[int, int]:
        """The port for files alone of every data centre; empty where the scenario has none."""
        return dict(self._service.keys.media_ports)

    def counters(self) -> dict[str, Any]:
        """What was served since the start or the last reset; times are of `time.monotonic()`."""
        return self._service.read_counters()

    def reset(self) -> None:
        """Count anew; the next connection begins another run, for all that the scenario times.

        Chats that change go on as they were: what was written is not taken back.
        """
        self._service.reset_counters()

    def parts(self) -> list[dict[str, Any]]:
        """Parts of files that left since this was last asked, see `LeftPart`; the first time none is known."""
        return self._service.parts.take()

    def change(self, count: int) -> int:
        """Make the next so many changes of the plan now, whatever the clock says: how many there were."""
        return sum(self._service.feed.step() for _ in range(count))

    def allow_takeout(self) -> None:
        """Have the account allow a takeout on another device, so that none has to wait for its delay."""
        self._service.takeouts.allow(self.world.me.id)

    def revoke_sessions(self) -> None:
        """Have the account end all its sessions on another device: whoever is logged in is so no more."""
        keys, me = self._service.keys, self.world.me.id
        self._service.end_logins({c.login for c in keys.clients.values() if c.user_id == me}, "SESSION_REVOKED")

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        self._service.feed.end()
        for server in self._servers:
            server.close()
        opened = list(self._opened)
        for connection in opened:
            connection.abort()
        await asyncio.gather(*(connection.closed for connection in opened))
        for server in self._servers:
            await server.wait_closed()


async def start(
    world: World,
    *,
    state: Path | None = None,
    host: str = "127.0.0.1",
    ports: dict[int, int] | None = None,
) -> Lab:
    """Serve a world.

    With a `state` folder the lab's keys, ports and clients outlive it (`keys.json`), and the server file is
    written there (`server.json`), both 0600. `ports` asks for certain ports by data centre; otherwise those of
    the state are taken, or free ones. Raises `TobsError` when a port is taken or the state is unreadable.
    """
    keys = open_keys(None if state is None else state / KEYS)
    wanted, for_media = keys.ports | (ports or {}), keys.media_ports
    world = at_first(world)
    network = world.scenario.network
    service = Service(world, keys, host, Logins(world.password))
    keys.ports, keys.media_ports = {}, {}
    servers: list[asyncio.Server] = []
    try:
        for dc in network.dcs:
            keys.ports[dc.id] = await _serve(service, dc, wanted.get(dc.id, 0), servers)
            if network.media_only:
                port = for_media.get(dc.id, 0)
                keys.media_ports[dc.id] = await _serve(service, dc, port, servers, media_only=True)
    except BaseException:
        for server in servers:
            server.close()
        raise
    server_file = describe(world, keys, _own_client(world, keys), host)
    keys.save()
    if state is not None:
        write_private(state / SERVER_FILE, server_file)
    return Lab(service, servers, server_file)


def _own_client(world: World, keys: KeyStore) -> Client:
    """The key of the server file: logged in at home from the start. A restarted lab finds the old one."""
    home = world.scenario.network.home
    found = keys.authorized(home, world.me.id)
    if found is not None:
        return found
    made = Client(AuthKey.of(b"\1" + os.urandom(255)), home)
    made.log_in(world.me.id, new_login(), int(time.time()) - LOGGED_IN_FOR)
    return keys.add(made)


def _listen(host: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise TobsError(
                f"port {port} on {host} is not free",
                hint="another lab may run on the same state folder: stop it, or use another folder",
            ) from error
        raise TobsError(f"cannot listen on {host}: {error}", hint="give an address of this machine") from error
    return listening


async def _serve(
    service: Service, dc: DataCentre, port: int, servers: list[asyncio.Server], *, media_only: bool = False
) -> int:
    """Listen for one data centre; the port."""
    listening = _listen(service.host, port)

    def connection() -> Connection:
        return Connection(service, dc, media_only=media_only)

    loop = asyncio.get_running_loop()
    servers.append(await loop.create_server(connection, sock=listening, backlog=BACKLOG))
    return int(listening.getsockname()[1])
