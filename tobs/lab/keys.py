"""What outlives a lab: its RSA key, its ports, and who stands behind each authorization key."""

from __future__ import annotations

import base64
import json
import os
import secrets
import time
from dataclasses import asdict, dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

import rsa

from tobs.errors import TobsError
from tobs.lab.crypto import AuthKey
from tobs.lab.rsa_key import make_rsa_key
from tobs.lab.salts import salt_of

if TYPE_CHECKING:
    from pathlib import Path


def new_login() -> int:
    """The hash of a login: it tells its sessions apart in `account.getAuthorizations`."""
    return secrets.randbits(62) + 1


@dataclass(frozen=True, slots=True)
class App:
    """What a client says of itself in `initConnection`."""

    api_id: int
    device: str
    system: str
    version: str

    @classmethod
    def of(cls, request: Any) -> App:
        """Out of the TL request."""
        return cls(request.api_id, request.device_model, request.system_version, request.app_version)


@dataclass(slots=True)
class Client:
    """One authorization key of one data centre, and what the server knows of whoever holds it.

    `login` is the hash of the login that it stands for (0: none yet), which an exported authorization shares with the
    key that it came from; `since` is when it logged in and `active` when it last asked for something (Unix). `ended`
    is the error that a key answers whose login was ended by another one.

    `salt` is the first one of the schedule; `first_salt` came of the key exchange and holds until `first_until`
    (Unix time). A temporary key `expires` (Unix time) and acts for the permanent one that it is `bound` to.
    """

    key: AuthKey
    dc: int
    user_id: int | None = None
    awaits_password: bool = False
    layer: int | None = None
    app: App | None = None
    login: int = 0
    since: int = 0
    active: int = 0
    ended: str | None = None
    salt: int = 0
    first_salt: int | None = None
    first_until: float = inf
    expires: float = inf
    bound: Client | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.salt = salt_of(self.key.key)

    def log_in(self, user_id: int, login: int, now: int) -> None:
        """Have a user behind this key from `now` (Unix) on."""
        self.user_id, self.login, self.since, self.active = user_id, login, now, now
        self.awaits_password, self.ended = False, None

    @property
    def is_temporary(self) -> bool:
        """Whether this key ends by itself; it is written to no file."""
        return self.expires != inf


@dataclass(slots=True)
class KeyStore:
    """All keys of a lab; kept in a file (0600) if `path` is given, so that a restart forgets nobody.

    `started`: Unix time of the lab's first start, from which its salts count.
    """

    rsa: rsa.PrivateKey
    ports: dict[int, int] = field(default_factory=dict)
    path: Path | None = None
    media_ports: dict[int, int] = field(default_factory=dict)
    clients: dict[tuple[int, bytes], Client] = field(default_factory=dict)
    started: float = field(default_factory=time.time)

    def find(self, dc: int, key_id: bytes) -> Client | None:
        """The holder of a key in this data centre, or None for one that it does not know."""
        client = self.clients.get((dc, key_id))
        if client is not None and client.is_temporary and client.expires < time.time():
            self.forget(client)
            return None
        return client

    def add(self, client: Client) -> Client:
        """Remember a new key."""
        self.clients[client.dc, client.key.id] = client
        if not client.is_temporary:
            self.save()
        return client

    def bind(self, temporary: Client, permanent: Client, expires: float) -> None:
        """Let a temporary key act for a permanent one until then, and no other any more."""
        for client in self.clients.values():
            if client.bound is permanent:
                client.bound = None
        temporary.bound, temporary.expires = permanent, expires

    def forget(self, client: Client) -> None:
        """Forget a key: whoever still uses it is a stranger from now on."""
        self.clients.pop((client.dc, client.key.id), None)
        if not client.is_temporary:
            self.save()

    def authorized(self, dc: int, user_id: int) -> Client | None:
        """Any key of this data centre that is logged in as this user."""
        return next((c for c in self.clients.values() if c.dc == dc and c.user_id == user_id), None)

    def end(self, login: int, error: str | None) -> None:
        """Have nobody behind the keys of a login; `error` is what they answer from now on, None: as new ones."""
        for client in self.clients.values():
            if client.login == login and client.user_id is not None:
                client.user_id, client.ended = None, error

    def save(self) -> None:
        """Write the file, if there is one."""
        if self.path is None:
            return
        p = self.rsa
        rows = [
            {
                "key": base64.b64encode(c.key.key).decode(),
                "dc": c.dc,
                "user_id": c.user_id,
                "awaits_password": c.awaits_password,
                "layer": c.layer,
                "app": None if c.app is None else asdict(c.app),
                "login": c.login,
                "since": c.since,
                "active": c.active,
                "ended": c.ended,
            }
            for c in self.clients.values()
            if not c.is_temporary
        ]
        numbers = [format(n, "x") for n in (p.n, p.e, p.d, p.p, p.q)]
        ports, media = ({str(dc): port for dc, port in of.items()} for of in (self.ports, self.media_ports))
        addresses = {"ports": ports, "media_ports": media}
        write_private(self.path, {"version": 2, "started": self.started, "rsa": numbers, **addresses, "clients": rows})


def open_keys(path: Path | None) -> KeyStore:
    """Read a key file, or make a new store when there is none. Raises `TobsError` for a broken file."""
    if path is None or not path.exists():
        return KeyStore(make_rsa_key(), path=path)
    try:
        stored = json.loads(path.read_text())
        store = KeyStore(
            rsa.PrivateKey(*(int(n, 16) for n in stored["rsa"])),
            {int(dc): int(port) for dc, port in stored["ports"].items()},
            path,
            {int(dc): int(port) for dc, port in stored.get("media_ports", {}).items()},
            started=float(stored.get("started", time.time())),
        )
        for c in stored["clients"]:
            client = Client(
                AuthKey.of(base64.b64decode(c["key"])),
                int(c["dc"]),
                c["user_id"],
                bool(c["awaits_password"]),
                c["layer"],
                None if c["app"] is None else App(**c["app"]),
                c["login"],
                c["since"],
                c["active"],
                c["ended"],
            )
            store.clients[client.dc, client.key.id] = client
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TobsError(
            f"the lab's keys in {path} cannot be read: {error}",
            hint="remove the lab's state folder and start again; its clients have to log in anew",
        ) from error
    return store


def write_private(path: Path, value: Any) -> None:
    """Write a JSON file that only its owner may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(value, file, indent=1)
    beside.replace(path)
