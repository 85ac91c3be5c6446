"""Server files and kept accounts: what is read, what is refused, who may read them."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest
from telethon.crypto import AuthKey
from telethon.sessions import SQLiteSession, StringSession

from tobs.errors import UsageError
from tobs.telegram.account import Account, load, parse, save

if TYPE_CHECKING:
    from pathlib import Path

KEY = bytes(range(256))
PLAIN: dict[str, Any] = {"dc": 2, "host": "127.0.0.1", "port": 4430, "api_id": 17, "api_hash": "a hash"}


def text_session() -> str:
    session = StringSession()
    session.set_dc(2, "127.0.0.1", 4430)
    session.auth_key = AuthKey(KEY)
    return str(session.save())


def written(folder: Path, **more: Any) -> Path:
    path = folder / "server.json"
    path.write_text(json.dumps({**PLAIN, **more}))
    return path


def test_a_session_as_text(tmp_path: Path) -> None:
    account = load(written(tmp_path, session=text_session()))
    assert account == Account(2, "127.0.0.1", 4430, 17, "a hash", None, KEY, "server", {})


@pytest.mark.parametrize("form", ["absolute", "relative"])
def test_a_session_as_telethons_file(tmp_path: Path, form: str) -> None:
    session = SQLiteSession(str(tmp_path / "mine"))
    session.set_dc(2, "127.0.0.1", 4430)
    session.auth_key = AuthKey(KEY)
    session.save()
    session.close()
    named = "mine.session" if form == "relative" else str(tmp_path / "mine.session")
    assert load(written(tmp_path, session=named)).key == KEY


def test_a_server_file_without_a_session_is_a_way_to_log_in(tmp_path: Path) -> None:
    assert load(written(tmp_path)).key is None


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"session": "x"}, "neither a Telethon session string"),
        ({"session": "gone.session"}, "does not exist"),
        ({"session": "1" + "A" * 350}, "neither a Telethon session string"),
        ({"public_key": "no PEM"}, "not an RSA public key"),
        ({"public_key": 5}, "not an RSA public key"),
        ({"port": "http"}, "whole numbers"),
        ({"dc": None}, "whole numbers"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, more: dict[str, Any], told: str) -> None:
    path = written(tmp_path, **more)
    with pytest.raises(UsageError, match=r"server\.json") as error:
        load(path)
    assert told in str(error.value)


@pytest.mark.parametrize("missing", sorted(PLAIN))
def test_what_is_missing_is_named(tmp_path: Path, missing: str) -> None:
    given = {key: value for key, value in PLAIN.items() if key != missing}
    with pytest.raises(UsageError, match=f"'{missing}' is missing") as error:
        parse(given, where=tmp_path / "server.json")
    assert "api_hash" in error.value.hint


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file") as error:
        load(tmp_path / "none.json")
    assert "tobs login" in error.value.hint
    (tmp_path / "torn.json").write_bytes(b"\xff{")
    with pytest.raises(UsageError, match="not JSON"):
        load(tmp_path / "torn.json")


def test_what_is_kept_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = tmp_path / "accounts" / "work.json"
        account = Account(4, "::1", 443, 17, "a hash", None, KEY, "work", {"id": 5, "name": "Me", "username": ""})
        save(path, account)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert load(path) == account
    assert [file.name for file in path.parent.iterdir()] == ["work.json"]


def test_no_secret_is_in_a_repr() -> None:
    account = Account(2, "h", 1, 17, "a hash", "PEM", KEY, "work", {"phone": "123"})
    for secret in ("a hash", "PEM", "123", "\\x01"):
        assert secret not in repr(account)
    assert account.fingerprint() != Account(2, "h", 1, 17, "a hash", "PEM", KEY[::-1]).fingerprint()
    assert KEY.hex()[:8] not in account.fingerprint()
