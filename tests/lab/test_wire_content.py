"""What an unmodified client reads is what the world holds: chats, messages, files."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from telethon import errors
from telethon.network import ConnectionTcpAbridged, ConnectionTcpFull, ConnectionTcpIntermediate
from telethon.tl import functions, types

from tests.lab.fakes import (
    CHANNEL,
    CHANNEL_ID,
    FAR_FILE,
    FILES,
    FRIEND_ID,
    GROUP_ID,
    NEAR_FILE,
    PHOTO,
    STRANGER_ID,
    connected,
    make_world,
    network,
    parse,
    running,
)

PEER = types.InputPeerChannel(CHANNEL_ID, 21)
TRANSPORTS = [ConnectionTcpFull, ConnectionTcpAbridged, ConnectionTcpIntermediate]


def document(file_id: int, **changes: Any) -> Any:
    spec = FILES[file_id]
    return types.InputDocumentFileLocation(
        **{"id": spec.id, "access_hash": spec.access_hash, "file_reference": spec.file_reference, "thumb_size": ""}
        | changes
    )


def photo(file_id: int) -> Any:
    spec = FILES[file_id]
    return types.InputPhotoFileLocation(spec.id, spec.access_hash, spec.file_reference, "y")


@pytest.mark.parametrize("connection", TRANSPORTS)
async def test_a_history_is_read_whole_over_every_transport(connection: Any) -> None:
    world = make_world()
    async with running(world) as lab, connected(lab, connection=connection) as client:
        for dialog in await client.get_dialogs():
            got = [message async for message in client.iter_messages(dialog.entity, wait_time=0)]
            held = list(world.histories[dialog.id].serialized())[::-1]
            assert [bytes(message) for message in got] == [bytes(parse(data)) for data in held]


async def test_a_packed_page_holds_the_same_as_a_plain_one() -> None:
    request = functions.messages.GetHistoryRequest(PEER, 0, None, 20, 100, 0, 0, 0)
    pages = []
    for rate in (None, 50_000_000.0):
        world = make_world(connection_rate=rate)
        async with running(world) as lab, connected(lab) as client:
            assert lab.world.scenario.network == network(connection_rate=rate)
            lab.reset()
            pages.append((bytes(await client(request)), lab.counters()["bytes_out"]))
    assert pages[0][0] == pages[1][0]
    assert pages[1][1] < pages[0][1]


async def test_dialogs_come_newest_first_and_by_offset() -> None:
    async with running() as lab, connected(lab) as client:
        assert [d.id for d in await client.get_dialogs()] == [CHANNEL, FRIEND_ID, -GROUP_ID]
        assert [d.id for d in await client.get_dialogs(limit=2)] == [CHANNEL, FRIEND_ID]
        request = functions.messages.GetDialogsRequest(None, 0, PEER, 1, 0)
        rest = await client(request)
        assert (rest.count, [d.peer for d in rest.dialogs]) == (3, [types.PeerUser(FRIEND_ID)])
        peers = [types.InputDialogPeer(types.InputPeerChat(GROUP_ID))]
        some = await client(functions.messages.GetPeerDialogsRequest(peers))
        assert [d.top_message for d in some.dialogs] == [4]


async def test_messages_are_found_by_id() -> None:
    async with running() as lab, connected(lab) as client:
        await client.get_dialogs()
        assert [m and m.id for m in await client.get_messages(CHANNEL, ids=[3, 5, 7])] == [3, None, 7]
        assert [m and m.id for m in await client.get_messages(FRIEND_ID, ids=[3, 2])] == [3, None]
        ids = [types.InputMessageID(number) for number in range(101)]
        with pytest.raises(errors.RPCError, match="MESSAGE_IDS_TOO_MANY"):
            await client(functions.messages.GetMessagesRequest(ids))


async def test_chats_and_people_are_found_by_name_and_told_in_full() -> None:
    async with running() as lab, connected(lab) as client:
        assert (await client.get_entity("fakes")).id == CHANNEL_ID
        assert (await client.get_entity("Friend")).id == FRIEND_ID
        with pytest.raises(ValueError, match="nobody"):
            await client.get_entity("nobodyhere")
        full = await client(functions.channels.GetFullChannelRequest(PEER))
        assert (full.full_chat.id, full.chats[0].title) == (CHANNEL_ID, "Fakes")
        assert (await client(functions.messages.GetFullChatRequest(GROUP_ID))).chats[0].title == "Group"
        assert (await client(functions.users.GetFullUserRequest("me"))).full_user.id == 1000
        assert [c.id for c in (await client(functions.messages.GetChatsRequest([GROUP_ID]))).chats] == [GROUP_ID]
        found = await client(functions.channels.GetChannelsRequest([PEER]))
        assert [c.id for c in found.chats] == [CHANNEL_ID]


@pytest.mark.parametrize(
    ("peer", "error"),
    [
        (types.InputPeerChannel(CHANNEL_ID, 22), errors.ChannelInvalidError),
        (types.InputPeerChannel(1, 21), errors.ChannelInvalidError),
        (types.InputPeerUser(FRIEND_ID, 0), errors.PeerIdInvalidError),
        (types.InputPeerChat(1), errors.PeerIdInvalidError),
        (types.InputPeerEmpty(), errors.PeerIdInvalidError),
    ],
)
async def test_a_wrong_peer_or_access_hash_is_refused(peer: Any, error: type[Exception]) -> None:
    async with running() as lab, connected(lab) as client:
        with pytest.raises(error):
            await client(functions.messages.GetHistoryRequest(peer, 0, None, 0, 100, 0, 0, 0))


async def test_a_user_named_wrongly_is_empty_and_one_never_met_has_no_history() -> None:
    async with running() as lab, connected(lab) as client:
        users = await client(functions.users.GetUsersRequest([types.InputUser(FRIEND_ID, 0)]))
        assert isinstance(users[0], types.UserEmpty)
        stranger = types.InputPeerUser(STRANGER_ID, 13)
        page = await client(functions.messages.GetHistoryRequest(stranger, 0, None, 0, 100, 0, 0, 0))
        assert page.messages == []


async def test_nothing_changes_while_one_looks() -> None:
    async with running() as lab, connected(lab) as client:
        state = await client(functions.updates.GetStateRequest())
        difference = await client(functions.updates.GetDifferenceRequest(state.pts, state.date, state.qts))
        assert isinstance(difference, types.updates.DifferenceEmpty)
        channel = types.InputChannel(CHANNEL_ID, 21)
        empty = types.ChannelMessagesFilterEmpty()
        request = functions.updates.GetChannelDifferenceRequest(channel, empty, 1, 100)
        assert isinstance(await client(request), types.updates.ChannelDifferenceEmpty)


@pytest.mark.parametrize("connection", TRANSPORTS)
async def test_files_are_downloaded_whole_also_from_another_data_centre(connection: Any) -> None:
    async with running() as lab, connected(lab, connection=connection) as client:
        await client.get_dialogs()
        for message_id, file_id in ((3, NEAR_FILE), (4, FAR_FILE), (7, PHOTO)):
            message = await client.get_messages(CHANNEL, ids=message_id)
            data = await client.download_media(message, bytes)
            assert data == FILES[file_id].read(0, FILES[file_id].size)
        counters = lab.counters()
        assert counters["migrations"] == 2  # each file is asked for at home first
        assert counters["file_bytes"] == sum(spec.size for spec in FILES.values())
        assert counters["duplicate_parts"] == 0


@pytest.mark.parametrize(
    ("offset", "limit", "precise", "error"),
    [
        (0, 131_072, False, None),
        (4096, 4096, False, None),
        (1024, 3072, True, None),
        (1024, 4096, False, errors.OffsetInvalidError),
        (-4096, 4096, False, errors.OffsetInvalidError),
        (512, 1024, True, errors.OffsetInvalidError),
        (0, 5000, False, errors.LimitInvalidError),
        (0, 12_288, False, errors.LimitInvalidError),
        (0, 0, False, errors.LimitInvalidError),
        (0, 2 << 20, False, errors.LimitInvalidError),
        (0, 2 << 20, True, errors.LimitInvalidError),
        ((1 << 20) - 4096, 8192, False, errors.LimitInvalidError),
        ((1 << 20) - 1024, 2048, True, errors.LimitInvalidError),
    ],
)
async def test_parts_are_served_by_the_rules(
    offset: int,
    limit: int,
    precise: bool,
    error: type[Exception] | None,
) -> None:
    async with running() as lab, connected(lab) as client:
        request = functions.upload.GetFileRequest(document(NEAR_FILE), offset, limit, precise=precise)
        if error is None:
            assert (await client(request)).bytes == FILES[NEAR_FILE].read(offset, limit)
        else:
            with pytest.raises(error):
                await client(request)


async def test_past_the_end_there_is_nothing_and_the_last_part_is_short() -> None:
    async with running() as lab, connected(lab) as client:
        size = FILES[NEAR_FILE].size
        last = await client(functions.upload.GetFileRequest(document(NEAR_FILE), 262_144, 131_072))
        assert len(last.bytes) == size - 262_144
        for _ in range(2):
            past = await client(functions.upload.GetFileRequest(document(NEAR_FILE), 1 << 30, 4096))
            assert past.bytes == b""
        assert lab.counters()["duplicate_parts"] == 1


@pytest.mark.parametrize(
    ("location", "error"),
    [
        (document(NEAR_FILE, access_hash=78), errors.LocationInvalidError),
        (document(NEAR_FILE, id=1), errors.LocationInvalidError),
        (document(NEAR_FILE, thumb_size="m"), errors.LocationInvalidError),
        (document(NEAR_FILE, file_reference=b""), errors.FileReferenceEmptyError),
        (document(NEAR_FILE, file_reference=bytes(25)), errors.FileReferenceExpiredError),
        (document(NEAR_FILE, file_reference=b"x"), errors.FileReferenceInvalidError),
        (photo(NEAR_FILE), errors.LocationInvalidError),
        (types.InputTakeoutFileLocation(), errors.LocationInvalidError),
        (document(FAR_FILE), errors.FileMigrateError),
    ],
)
async def test_a_wrong_location_is_refused(location: Any, error: type[Exception]) -> None:
    async with running() as lab, connected(lab) as client:
        with pytest.raises(error):
            await client(functions.upload.GetFileRequest(location, 0, 4096))


async def test_hashes_are_those_of_the_blocks() -> None:
    async with running() as lab, connected(lab) as client:
        spec = FILES[NEAR_FILE]
        hashes = await client(functions.upload.GetFileHashesRequest(document(NEAR_FILE), 0))
        assert [(h.offset, h.limit) for h in hashes] == [(0, 131_072), (131_072, 131_072), (262_144, 37_856)]
        assert all(h.hash == sha256(spec.read(h.offset, h.limit)).digest() for h in hashes)
        assert await client(functions.upload.GetFileHashesRequest(document(NEAR_FILE), spec.size + 131_072)) == []


async def test_sets_of_stickers_and_custom_emoji_are_gone() -> None:
    async with running() as lab, connected(lab) as client:
        with pytest.raises(errors.StickersetInvalidError):
            await client(functions.messages.GetStickerSetRequest(types.InputStickerSetShortName("cats"), 0))
        assert await client(functions.messages.GetCustomEmojiDocumentsRequest([5_000, 5_001])) == []
