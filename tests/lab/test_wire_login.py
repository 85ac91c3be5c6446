"""Who is let in: sessions, codes, passwords, keys that outlive a restart."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest
from telethon import errors
from telethon.sessions import StringSession
from telethon.tl import functions, types

from tests.lab.fakes import AWAY, HOME, ME_ID, connected, make_world, running
from tobs.errors import TobsError
from tobs.lab.server import KEYS, SERVER_FILE, start

if TYPE_CHECKING:
    from pathlib import Path


async def test_the_server_files_session_is_logged_in() -> None:
    async with running() as lab, connected(lab) as client:
        assert await client.is_user_authorized()
        assert (await client.get_me()).id == ME_ID


async def test_a_new_key_logs_in_by_code_and_password() -> None:
    async with running() as lab, connected(lab, "") as client:
        server = lab.server_file
        assert not await client.is_user_authorized()
        await client.send_code_request(server["phone"])
        with pytest.raises(errors.PhoneCodeInvalidError):
            await client.sign_in(code="00000")
        with pytest.raises(errors.SessionPasswordNeededError):
            await client.sign_in(code=server["code"])
        with pytest.raises(errors.PasswordHashInvalidError):
            await client.sign_in(password="wrong")
        me = await client.sign_in(password=server["password"])
        assert me.id == ME_ID
        assert lab.counters()["handshakes"] - lab.counters()["short_keys"] == 1


async def test_without_a_password_the_code_is_enough() -> None:
    world = make_world()
    object.__setattr__(world, "password", "")
    async with running(world) as lab, connected(lab, "") as client:
        await client.send_code_request(world.phone)
        assert (await client.sign_in(code=world.code)).id == ME_ID


async def test_a_code_is_sent_at_home_only() -> None:
    async with running() as lab, connected(lab, "", dc=AWAY) as client:
        await client.send_code_request(lab.server_file["phone"])  # Telethon follows PHONE_MIGRATE
        assert client.session.dc_id == HOME
        assert lab.counters()["errors"]["PHONE_MIGRATE_2"] == 1


async def test_another_phone_or_application_is_refused() -> None:
    async with running() as lab, connected(lab, "") as client:
        with pytest.raises(errors.PhoneNumberInvalidError):
            await client.send_code_request("+15550000000")
        request = functions.auth.SendCodeRequest(lab.server_file["phone"], 1, "no", types.CodeSettings())
        with pytest.raises(errors.ApiIdInvalidError):
            await client(request)


async def test_a_key_without_login_may_ask_nothing_that_needs_one() -> None:
    async with running() as lab, connected(lab, "") as client:
        for request in (
            functions.messages.GetDialogsRequest(None, 0, types.InputPeerEmpty(), 10, 0),
            functions.updates.GetStateRequest(),
            functions.account.GetPasswordRequest(),
        ):
            with pytest.raises(errors.AuthKeyUnregisteredError):
                await client(request)


async def test_logging_out_ends_what_the_key_may_do() -> None:
    async with running() as lab, connected(lab) as client:
        await client(functions.auth.LogOutRequest())
        with pytest.raises(errors.AuthKeyUnregisteredError):
            await client(functions.updates.GetStateRequest())


async def test_an_authorization_is_exported_to_others_and_used_once() -> None:
    async with running() as lab, connected(lab) as client, connected(lab, "", dc=AWAY) as away:
        for dc in (HOME, 5):
            with pytest.raises(errors.DcIdInvalidError):
                await client(functions.auth.ExportAuthorizationRequest(dc))
        given = await client(functions.auth.ExportAuthorizationRequest(AWAY))
        taken = functions.auth.ImportAuthorizationRequest(given.id, given.bytes)
        assert (await away(taken)).user.id == ME_ID
        with pytest.raises(errors.AuthBytesInvalidError):
            await away(taken)


async def test_a_restarted_lab_knows_its_clients(tmp_path: Path) -> None:
    async with running(state=tmp_path) as lab:
        ports, server = lab.ports, lab.server_file
        async with connected(lab, "") as client:
            fresh = StringSession.save(client.session)
        async with connected(lab):
            pass
    for name in (KEYS, SERVER_FILE):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    async with running(state=tmp_path) as lab:
        assert lab.ports == ports
        assert lab.server_file == server
        async with connected(lab, fresh) as client:
            assert not await client.is_user_authorized()
        async with connected(lab) as client:
            assert await client.is_user_authorized()


async def test_a_key_that_the_server_does_not_know_is_said_to_be_unknown() -> None:
    async with running() as other:
        stranger = StringSession(other.server_file["session"])
    async with running() as lab:
        stranger.set_dc(HOME, "127.0.0.1", lab.ports[HOME])
        with pytest.raises(errors.AuthKeyNotFound):
            async with connected(lab, stranger.save()):
                pass


async def test_a_taken_port_and_a_broken_state_are_said_plainly(tmp_path: Path) -> None:
    async with running(state=tmp_path / "a") as lab:
        with pytest.raises(TobsError, match=f"port {lab.ports[HOME]} "):
            await start(make_world(), ports=lab.ports)
    (tmp_path / "a" / KEYS).write_text("{}")
    with pytest.raises(TobsError, match="cannot be read"):
        await start(make_world(), state=tmp_path / "a")
