"""Logging in to a lab, as a user would: phone, code, password; the account that comes of it; and its end."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from telethon.sessions import StringSession

from tests.export.labs import Ended, Served, command, surroundings, tobs, tobs_child
from tobs.host import folders

if sys.platform != "win32":
    import pty

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _own_accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOBS_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("TOBS_STATE", str(tmp_path / "state"))


@pytest.fixture
def newcomer(small: Served, tmp_path: Path) -> Path:
    """A server file without a session, as it is for a server where one has no account yet."""
    path = tmp_path / "server.json"
    kept = ("dc", "host", "port", "public_key", "api_id", "api_hash")
    path.write_text(json.dumps({key: small.child.server[key] for key in kept}))
    return path


def typed(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


def login(lab: Served, server: Path, *lines: str, name: str = "default", options: tuple[str, ...] = ()) -> Ended:
    phone = "+" + lab.world.phone
    return tobs("login", "--server", server, "--phone", phone, "--account", name, *options, given=typed(*lines))


def kept(name: str) -> Path:
    return folders.config() / "accounts" / f"{name}.json"


def test_a_login_as_a_user_does_it(small: Served, newcomer: Path, tmp_path: Path) -> None:
    world = small.world
    answers = typed("+" + world.phone, world.code, world.password)
    done = tobs_child("login", "--server", newcomer, given=answers)
    assert done.code == 0, done
    assert done.out.startswith("Logged in as Archie"), "standard output has nothing but the result"
    for question in ("Phone number", "Code", "Password (hint: lab)"):
        assert question in done.err

    file = kept("default")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert json.loads(file.read_text())["user"]["id"] == world.me.id

    listed = tobs("accounts", "--json")
    assert (listed.code, [row["account"] for row in listed.value]) == (0, ["default"])
    chats = tobs("chats", "--json")
    assert [row["id"] for row in chats.value] == world.dialogs()
    exported = tobs("export", "@tobs_small", "-o", tmp_path / "archive", "--json")
    assert exported.value["digest"] == small.child.truth(small.chat)["digest"]

    ended = tobs("logout", "--json")
    assert (ended.code, ended.value) == (0, {"ok": True, "account": "default", "had_ended": False})
    assert not file.exists()
    assert tobs("accounts").out == "No account yet: `tobs login`.\n"


def test_a_session_that_was_ended_is_refused_and_can_be_forgotten(small: Served, newcomer: Path) -> None:
    world = small.world
    assert login(small, newcomer, world.code, world.password).code == 0
    copy = kept("copy")
    copy.write_bytes(kept("default").read_bytes())
    assert tobs("logout", "--account", "default").code == 0
    refused = tobs("chats", "--account", "copy")
    assert (refused.code, refused.out) == (1, "")
    assert "not logged in any more" in refused.err
    assert "tobs login" in refused.err
    ended = tobs("logout", "--account", "copy")
    assert (ended.code, ended.out) == (0, "Logged out of copy. The session had ended before.\n")
    assert not copy.exists()


def test_a_login_at_another_data_centre_is_sent_home(small: Served, newcomer: Path) -> None:
    away = json.loads(newcomer.read_text()) | {"dc": 4, "port": small.child.ports[4]}
    newcomer.write_text(json.dumps(away))
    done = login(small, newcomer, small.world.code, small.world.password, options=("--json",))
    assert done.code == 0, done
    assert done.value["user"]["id"] == small.world.me.id
    account = json.loads(kept("default").read_text())
    assert (account["dc"], account["port"]) == (2, small.child.ports[2])
    assert small.child.counters()["errors"]["PHONE_MIGRATE_2"] == 1
    assert [row["id"] for row in tobs("chats", "--json").value] == small.world.dialogs()


def test_two_wrong_codes_are_forgiven(small: Served, newcomer: Path) -> None:
    world = small.world
    assert login(small, newcomer, "1", "2", world.code, "wrong", "wrong again", world.password).code == 0


def test_three_wrong_codes_are_not(small: Served, newcomer: Path) -> None:
    done = login(small, newcomer, "1", "2", "3", small.world.code)
    assert done.code == 1
    assert done.err.count("That code is wrong.") == 2
    assert done.err.splitlines()[-2:] == [
        "tobs: the code was wrong 3 times",
        "Run the command again for a new try.",
    ]
    assert not kept("default").exists()


def test_three_wrong_passwords_are_not(small: Served, newcomer: Path) -> None:
    done = login(small, newcomer, small.world.code, "1", "2", "3", small.world.password)
    assert done.code == 1
    assert "tobs: the password was wrong 3 times" in done.err
    assert not kept("default").exists()


def test_what_the_server_refuses_is_explained(small: Served, newcomer: Path) -> None:
    done = tobs("login", "--server", newcomer, "--phone", "+15550000", given="")
    assert done.code == 2
    assert "not a phone number" in done.err
    newcomer.write_text(json.dumps(json.loads(newcomer.read_text()) | {"api_hash": "0" * 32}))
    done = login(small, newcomer)
    assert done.code == 2
    assert "api_id and api_hash" in done.err


def test_an_answer_that_never_comes(small: Served, newcomer: Path) -> None:
    done = login(small, newcomer)
    assert done.code == 2
    assert "standard input ended" in done.err
    done = login(small, newcomer, options=("--json",))
    assert (done.code, done.value["ok"]) == (2, False)


def test_several_accounts(small: Served, newcomer: Path) -> None:
    world = small.world
    for name in ("work", "home"):
        assert login(small, newcomer, world.code, world.password, name=name).code == 0
    assert [row["account"] for row in tobs("accounts", "--json").value] == ["home", "work"]
    done = tobs("chats")
    assert done.code == 2
    assert "home, work" in done.err
    assert tobs("chats", "--account", "work").code == 0
    assert tobs("chats", TOBS_ACCOUNT="home").code == 0
    assert tobs("chats", "--account", "play").code == 2
    assert login(small, newcomer, world.code, world.password, name="../out").code == 2


def secrets(lab: Served) -> Iterator[str]:
    server = lab.child.server
    yield from (server["session"], server["api_hash"], lab.world.phone, lab.world.code, lab.world.password)
    for file in (folders.config() / "accounts").glob("*.json"):
        account = json.loads(file.read_text())
        yield account["session"]
        yield bytes(StringSession(account["session"]).auth_key.key).hex()


def test_no_secret_is_shown_or_kept_beside(small: Served, newcomer: Path, tmp_path: Path) -> None:
    world = small.world
    ends = [
        tobs_child(
            "login", "--server", newcomer, "-v", given=typed("+" + world.phone, "99", world.code, world.password)
        ),
        tobs_child("chats", "-v"),
        tobs_child("export", "@tobs_small", "-v", "-o", tmp_path / "archive"),
        tobs_child("accounts", "--json"),
    ]
    assert [end.code for end in ends] == [0, 0, 0, 0], ends
    assert "INFO" in ends[2].err, "it does log"
    told = "".join(end.out + end.err for end in ends)
    for secret in secrets(small):
        assert secret not in told
    # The phone number is the account's own in the archive's users, and a code of digits may stand anywhere.
    lasting = [secret.encode() for secret in secrets(small) if secret not in {world.phone, world.code}]
    for path in tmp_path.rglob("*"):
        if path.is_file() and path != newcomer and path != kept("default"):
            content = path.read_bytes()
            assert not [secret for secret in lasting if secret in content], path


def dialled(*_: Any) -> None:
    raise AssertionError("nothing is asked of a server")


def test_names_of_accounts_are_plain_words(monkeypatch: pytest.MonkeyPatch, newcomer: Path) -> None:
    monkeypatch.setattr("tobs.telegram.login.open_sender", dialled)
    for name in ("", "a/b", "..", "a b"):
        done = tobs("login", "--server", newcomer, "--phone", "+1", "--account", name)
        assert done.code == 2, name
        assert "account's name" in done.err


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_ctrl_c_at_a_question_ends_the_command(small: Served, newcomer: Path) -> None:
    main, side = pty.openpty()
    child = subprocess.Popen(
        command("login", "--server", newcomer, "--phone", "+" + small.world.phone),
        stdin=side,
        stdout=side,
        stderr=side,
        env=surroundings(),
    )
    os.close(side)
    shown = b""
    while b"Code" not in shown:
        shown += os.read(main, 1024)
    child.send_signal(signal.SIGINT)  # as the terminal does
    assert child.wait(10) == 130
    while True:
        try:
            shown += os.read(main, 1024)
        except OSError:
            break
    os.close(main)
    assert b"interrupted" in shown
    assert b"Traceback" not in shown
