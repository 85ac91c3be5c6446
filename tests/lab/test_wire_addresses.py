"""Which data centre answers what: where an account is at home, where it logs in, and addresses for files alone."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from telethon import errors
from telethon.crypto import AuthKey, rsa
from telethon.network import ConnectionTcpFull, MTProtoSender
from telethon.sessions import StringSession
from telethon.tl import functions, types
from telethon.tl.alltlobjects import LAYER

from tests.lab.fakes import (
    AWAY,
    CHANNEL_ID,
    FAR_FILE,
    FILES,
    HOME,
    ME_ID,
    NEAR_FILE,
    LogsByName,
    connected,
    make_world,
    running,
)
from tobs.lab.scenario import DataCentre

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tobs.lab.server import Lab

NEAREST = 1
PAGE = functions.messages.GetHistoryRequest(types.InputPeerChannel(CHANNEL_ID, 21), 0, None, 0, 10, 0, 0, 0)
THREE = tuple(DataCentre(dc, 0.0, 0.0) for dc in (NEAREST, HOME, AWAY))


def part(file_id: int) -> Any:
    spec = FILES[file_id]
    where = types.InputDocumentFileLocation(spec.id, spec.access_hash, spec.file_reference, "")
    return functions.upload.GetFileRequest(where, 0, 4096)


async def test_an_account_is_served_files_abroad_and_sent_home_for_all_else() -> None:
    async with running() as lab, connected(lab) as client:
        sender = await client._borrow_exported_sender(AWAY)
        try:
            assert len((await sender.send(part(FAR_FILE))).bytes) == 4096
            assert (await sender.send(functions.users.GetUsersRequest([types.InputUserSelf()])))[0].id == ME_ID
            assert (await sender.send(functions.help.GetConfigRequest())).this_dc == AWAY
            for request in (
                PAGE,
                functions.messages.GetDialogsRequest(None, 0, types.InputPeerEmpty(), 10, 0),
                functions.users.GetUsersRequest([types.InputUser(1001, 12)]),
            ):
                with pytest.raises(errors.UserMigrateError) as sent_home:
                    await sender.send(request)
                assert sent_home.value.new_dc == HOME
        finally:
            await client._return_exported_sender(sender)
        assert len((await client(PAGE)).messages) == 10
        counters = lab.counters()
        assert (counters["errors"]["USER_MIGRATE_2"], counters["history_pages"]) == (3, 1)


async def test_who_begins_far_away_is_sent_to_the_nearest_data_centre_and_from_there_home() -> None:
    async with running(make_world(dcs=THREE, nearest=NEAREST)) as lab:
        found: list[object] = []
        for dc in (AWAY, NEAREST, HOME):
            async with connected(lab, "", dc=dc) as client:
                nearest = await client(functions.help.GetNearestDcRequest())
                assert (nearest.this_dc, nearest.nearest_dc) == (dc, NEAREST)
                request = functions.auth.SendCodeRequest(
                    lab.server_file["phone"], client.api_id, client.api_hash, types.CodeSettings()
                )
                try:
                    found.append(type(await client._sender.send(request)))
                except errors.InvalidDCError as error:
                    found.append((type(error), error.new_dc))
        assert found == [
            (errors.NetworkMigrateError, NEAREST),
            (errors.PhoneMigrateError, HOME),
            types.auth.SentCode,
        ]


async def test_a_client_that_begins_far_away_logs_in() -> None:
    async with running(make_world(dcs=THREE, nearest=NEAREST)) as lab, connected(lab, "", dc=AWAY) as client:
        client._request_retries = 3
        await client.send_code_request(lab.server_file["phone"])
        with pytest.raises(errors.SessionPasswordNeededError):
            await client.sign_in(code=lab.server_file["code"])
        assert (await client.sign_in(password=lab.server_file["password"])).id == ME_ID
        assert client.session.dc_id == HOME


@asynccontextmanager
async def at_media_address(lab: Lab) -> AsyncIterator[Any]:
    """A connection with the server file's key to the home data centre's address for files."""
    rsa.add_key(lab.server_file["public_key"], old=False)
    key = AuthKey(StringSession(lab.server_file["session"]).auth_key.key)
    sender = MTProtoSender(key, loggers=LogsByName(), retries=1, delay=0, auto_reconnect=False)
    where = ConnectionTcpFull("127.0.0.1", lab.media_ports[HOME], HOME, loggers=LogsByName())
    await sender.connect(where)
    try:
        yield sender
    finally:
        await sender.disconnect()


async def test_an_address_for_media_serves_files_and_nothing_else() -> None:
    async with running(make_world(media_only=True)) as lab, at_media_address(lab) as sender:
        first = functions.InitConnectionRequest(1, "", "", "", "", "", "", functions.help.GetConfigRequest())
        config = await sender.send(functions.InvokeWithLayerRequest(LAYER, first))
        options = [(o.id, o.port, bool(o.media_only)) for o in config.dc_options]
        plain = [(dc, lab.ports[dc], False) for dc in (HOME, AWAY)]
        assert options == [*plain, *((dc, lab.media_ports[dc], True) for dc in (HOME, AWAY))]
        assert len((await sender.send(part(NEAR_FILE))).bytes) == 4096
        assert await sender.send(functions.upload.GetFileHashesRequest(part(NEAR_FILE).location, 0))
        for request in (PAGE, functions.updates.GetStateRequest(), functions.auth.ExportAuthorizationRequest(AWAY)):
            with pytest.raises(errors.MethodInvalidError):
                await sender.send(request)


async def test_addresses_outlive_a_restart(tmp_path: Path) -> None:
    ports = []
    for _ in range(2):
        async with running(make_world(media_only=True), state=tmp_path) as lab:
            ports.append((lab.ports, lab.media_ports))
    assert ports[0] == ports[1]
    assert len({*ports[0][0].values(), *ports[0][1].values()}) == 4
    async with running(make_world(), state=tmp_path) as lab:
        assert (lab.ports, lab.media_ports) == (ports[0][0], {})
