"""Where to connect and as whom: the server file, which is also how an account is kept."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from telethon.crypto import AuthKey, rsa
from telethon.sessions import SQLiteSession, StringSession

from tobs.errors import UsageError

TELEGRAM = (2, "149.154.167.51", 443)
"""Data centre, address and port at which Telegram's clients begin."""


@dataclass(frozen=True, slots=True)
class Account:
    """A way in. `key` is the home data centre's auth key (256 bytes) or None before login.

    `public_key` is the server's RSA key as PEM, None for Telegram's own. What is secret never shows in `repr`.
    """

    dc: int
    host: str
    port: int
    api_id: int
    api_hash: str = field(repr=False)
    public_key: str | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)
    name: str = ""
    user: dict[str, Any] = field(default_factory=dict, repr=False)

    def fingerprint(self) -> str:
        """A name for this account's state that gives nothing away."""
        return sha256(self.key or b"").hexdigest()[:16]


def load(path: Path) -> Account:
    """Read a server file. Raises `UsageError` that says which key is wrong."""
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"cannot read the server file {path}: {error.strerror}",
            hint="`tobs lab serve --state DIR` writes DIR/server.json; `tobs login` makes an account.",
        ) from None
    except ValueError as error:
        raise UsageError(f"{path} is not JSON: {error}", hint="Write the server file again.") from None
    return parse(given, where=path)


def parse(given: object, *, where: Path) -> Account:
    """Turn a server file's content into an account."""
    if not isinstance(given, dict):
        raise UsageError(f"{where}: a server file is one JSON object")
    try:
        account = Account(
            dc=int(given["dc"]),
            host=str(given["host"]),
            port=int(given["port"]),
            api_id=int(given["api_id"]),
            api_hash=str(given["api_hash"]),
            public_key=given.get("public_key"),
            name=where.stem,
            user=given.get("user") or {},
        )
    except KeyError as error:
        raise UsageError(
            f"{where}: {error.args[0]!r} is missing",
            hint="A server file holds dc, host, port, api_id, api_hash, and often public_key and session.",
        ) from None
    except (TypeError, ValueError):
        raise UsageError(f"{where}: dc, port and api_id are whole numbers") from None
    if account.public_key is not None:
        check_key(account.public_key, where)
    session = given.get("session")
    return replace(account, key=_auth_key(str(session), where)) if session else account


def check_key(pem: str, where: Path) -> None:
    """Refuse a text that is no RSA public key."""
    try:
        rsa.add_key(pem.encode(), old=False)
    except Exception as error:  # noqa: BLE001 - the parser below raises many kinds
        raise UsageError(
            f"{where}: public_key is not an RSA public key in PEM (PKCS #1): {error}",
            hint="It begins with -----BEGIN RSA PUBLIC KEY-----.",
        ) from None


def save(path: Path, account: Account) -> None:
    """Write an account for its owner's eyes only (mode 0600), whole or not at all."""
    content = {
        "dc": account.dc,
        "host": account.host,
        "port": account.port,
        "public_key": account.public_key,
        "session": _session_text(account),
        "api_id": account.api_id,
        "api_hash": account.api_hash,
        "user": account.user,
    }
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
    beside.replace(path)


def _session_text(account: Account) -> str | None:
    if account.key is None:
        return None
    session = StringSession()
    session.set_dc(account.dc, account.host, account.port)
    session.auth_key = AuthKey(account.key)
    return str(session.save())


def _auth_key(session: str, where: Path) -> bytes:
    """The auth key inside a session string or a Telethon session file."""
    file = Path(session).expanduser()
    try:
        is_file = file.suffix == ".session" or (len(session) < 200 and file.exists())
    except OSError:
        is_file = False
    try:
        if is_file:
            if not file.is_absolute():
                file = where.parent / file
            if not file.exists():
                raise UsageError(f"{where}: the session {file} does not exist", hint="Log in again: tobs login")
            held = SQLiteSession(str(file))
            key = held.auth_key
            held.close()
        else:
            key = StringSession(session).auth_key
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001 - damaged text and damaged files fail in many ways
        raise UsageError(
            f"{where}: session is neither a Telethon session string nor the path of one ({type(error).__name__})",
            hint="Log in again: tobs login",
        ) from None
    if key is None or not key.key:
        raise UsageError(f"{where}: the session holds no key", hint="Log in again: tobs login")
    return bytes(key.key)
