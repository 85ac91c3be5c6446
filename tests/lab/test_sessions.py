"""The account's sessions: seen, ended by hash or all at once, and logged in by QR code."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from telethon import errors
from telethon.tl import functions

from tests.lab.fakes import AWAY, HOME, ME_ID, connected, make_world, running

if TYPE_CHECKING:
    from tobs.lab.server import Lab

STATE = functions.updates.GetStateRequest()


async def log_in(lab: Lab, client: Any) -> None:
    await client.send_code_request(lab.server_file["phone"])
    with pytest.raises(errors.SessionPasswordNeededError):
        await client.sign_in(code=lab.server_file["code"])
    await client.sign_in(password=lab.server_file["password"])


async def export(client: Any, away: Any) -> None:
    given = await client(functions.auth.ExportAuthorizationRequest(AWAY))
    await away(functions.auth.ImportAuthorizationRequest(given.id, given.bytes))


async def hashes(client: Any) -> list[int]:
    found = await client(functions.account.GetAuthorizationsRequest())
    return [row.hash for row in found.authorizations]


async def test_sessions_are_listed_with_the_one_that_asks_first() -> None:
    async with running() as lab, connected(lab) as client, connected(lab, "") as other:
        await log_in(lab, other)
        rows = (await client(functions.account.GetAuthorizationsRequest())).authorizations
        assert [bool(row.current) for row in rows] == [True, False]
        assert rows[0].hash == 0
        assert rows[1].api_id == lab.server_file["api_id"]
        assert rows[1].app_version == client._init_request.app_version
        assert (await other(functions.account.GetAuthorizationsRequest())).authorizations[1].hash not in (
            0,
            rows[1].hash,
        )


async def test_an_ended_session_is_out_everywhere_and_may_log_in_again() -> None:
    async with running() as lab, connected(lab) as client, connected(lab, "") as other:
        await log_in(lab, other)
        async with connected(lab, "", dc=AWAY) as away:
            await export(other, away)
            await away(STATE)
            assert await client(functions.account.ResetAuthorizationRequest((await hashes(client))[1]))
            for ended in (other, away):
                with pytest.raises(errors.AuthKeyUnregisteredError):
                    await ended(STATE)
        await log_in(lab, other)
        await other(STATE)
        await client(STATE)


async def test_what_was_exported_of_an_ended_session_logs_nobody_in() -> None:
    async with running() as lab, connected(lab) as client, connected(lab, "", dc=AWAY) as away:
        given = await client(functions.auth.ExportAuthorizationRequest(AWAY))
        await client(functions.auth.LogOutRequest())
        with pytest.raises(errors.AuthBytesInvalidError):
            await away(functions.auth.ImportAuthorizationRequest(given.id, given.bytes))


async def test_all_other_sessions_are_revoked_at_once() -> None:
    async with running() as lab, connected(lab) as client, connected(lab, "") as other:
        await log_in(lab, other)
        assert await client(functions.auth.ResetAuthorizationsRequest())
        with pytest.raises(errors.SessionRevokedError):
            await other(STATE)
        assert await hashes(client) == [0]


async def test_a_fresh_session_may_not_end_others() -> None:
    async with running() as lab, connected(lab) as client, connected(lab, "") as other:
        await log_in(lab, other)
        number = (await hashes(other))[1]
        for request in (
            functions.account.ResetAuthorizationRequest(number),
            functions.auth.ResetAuthorizationsRequest(),
        ):
            with pytest.raises(errors.FreshResetAuthorisationForbiddenError):
                await other(request)
        for unknown in (0, 12345):
            with pytest.raises(errors.HashInvalidError):
                await client(functions.account.ResetAuthorizationRequest(unknown))
        await client(STATE)


async def test_the_account_may_end_everything_from_another_device() -> None:
    async with running() as lab, connected(lab) as client, connected(lab, "", dc=AWAY) as away:
        await export(client, away)
        lab.revoke_sessions()
        for ended in (client, away):
            with pytest.raises(errors.SessionRevokedError):
                await ended(STATE)


async def scan(lab: Lab, token: bytes) -> Any:
    """What the phone does that is logged in already."""
    async with connected(lab) as phone:
        return await phone(functions.auth.AcceptLoginTokenRequest(token))


@pytest.mark.parametrize("dc", [HOME, AWAY])
async def test_telethon_logs_in_by_qr_code_at_home_and_elsewhere(dc: int) -> None:
    world = make_world()
    object.__setattr__(world, "password", "")
    async with running(world) as lab, connected(lab, "", dc=dc) as client:
        shown = await client.qr_login()
        waiting = asyncio.create_task(shown.wait(20))
        await asyncio.sleep(0)  # the task listens before anybody scans
        described = await scan(lab, shown.token)
        assert described.api_id == lab.server_file["api_id"]
        assert (await waiting).id == ME_ID
        assert client.session.dc_id == HOME
        assert await client.is_user_authorized()
        assert await hashes(client) != [0]


async def test_a_password_is_asked_for_after_the_code_was_scanned() -> None:
    async with running() as lab, connected(lab, "") as client:
        shown = await client.qr_login()
        waiting = asyncio.create_task(shown.wait(20))
        await asyncio.sleep(0)
        await scan(lab, shown.token)
        with pytest.raises(errors.SessionPasswordNeededError):
            await waiting
        with pytest.raises(errors.SessionPasswordNeededError):
            await client(STATE)
        assert (await client.sign_in(password=lab.server_file["password"])).id == ME_ID


async def test_a_token_is_good_once_and_for_half_a_minute() -> None:
    async with running() as lab, connected(lab, "") as client:
        first, second = (await client.qr_login()).token, (await client.qr_login()).token
        assert first != second
        await scan(lab, first)
        with pytest.raises(errors.AuthTokenAlreadyAcceptedError):
            await scan(lab, first)
        late = lab._service.login_tokens.find(second)
        assert late is not None
        late.until -= 31
        with pytest.raises(errors.AuthTokenExpiredError):
            await scan(lab, second)
        with pytest.raises(errors.AuthTokenInvalidError):
            await scan(lab, b"never given")
        for token in (second, b"never given"):
            with pytest.raises((errors.AuthTokenExpiredError, errors.AuthTokenInvalidError)):
                await client(functions.auth.ImportLoginTokenRequest(token))


async def test_a_code_is_sent_again_until_it_was_used_or_taken_back() -> None:
    async with running() as lab, connected(lab, "") as client:
        phone = lab.server_file["phone"]
        sent = await client.send_code_request(phone)
        again = functions.auth.ResendCodeRequest(phone, sent.phone_code_hash)
        assert (await client(again)).phone_code_hash == sent.phone_code_hash
        assert await client(functions.auth.CancelCodeRequest(phone, sent.phone_code_hash))
        for request in (again, functions.auth.CancelCodeRequest(phone, sent.phone_code_hash)):
            with pytest.raises(errors.PhoneCodeExpiredError):
                await client(request)


async def test_a_client_that_declines_updates_hears_nothing() -> None:
    async with running() as lab, connected(lab) as client:
        service = lab._service
        assert [session.listens for session in service.sessions.values()] == [True]
        quiet = functions.InvokeWithoutUpdatesRequest(STATE)
        for session in service.sessions.values():
            session.listens = False
        await client(quiet)
        assert [session.listens for session in service.sessions.values()] == [False]
        await client(STATE)
        assert [session.listens for session in service.sessions.values()] == [True]
