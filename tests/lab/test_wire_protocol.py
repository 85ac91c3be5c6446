"""MTProto itself: salts, message ids, containers, service messages, and whatever a stranger may send."""

from __future__ import annotations

import asyncio
import struct
import time

import pytest
from telethon import errors
from telethon.tl import functions, types
from telethon.tl.core import GzipPacked, RpcResult

from tests.lab.fakes import CHANNEL_ID, FRIEND_ID, connected, make_world, parse, running
from tests.lab.wires import FIRST, wired
from tobs.lab.session import TOO_NEW, TOO_OLD


async def test_a_wrong_salt_is_answered_with_the_right_one() -> None:
    async with running() as lab, wired(lab) as wire:
        right, wire.state.salt = wire.state.salt, 1
        (wrong,) = wire.send(bytes(FIRST))
        bad = await wire.read(types.BadServerSalt)
        assert (bad.bad_msg_id, bad.error_code, bad.new_server_salt) == (wrong, 48, right)
        wire.state.salt = bad.new_server_salt
        (again,) = wire.send(bytes(FIRST))
        assert isinstance(await wire.result(again), types.Config)


@pytest.mark.parametrize(("shift", "code"), [(-TOO_OLD - 5, 16), (TOO_NEW + 5, 17), (None, 18)])
async def test_a_message_id_out_of_range_is_refused(shift: int | None, code: int) -> None:
    async with running() as lab, wired(lab) as wire:
        wrong = (int(time.time()) << 32) + 2 if shift is None else (int(time.time()) + shift) << 32
        wire.send(bytes(FIRST), msg_id=wrong)
        bad = await wire.read(types.BadMsgNotification)
        assert (bad.bad_msg_id, bad.error_code) == (wrong, code)
        assert not lab.counters()["requests"]


async def test_a_new_session_is_announced_once() -> None:
    async with running() as lab, wired(lab) as wire:
        (first,) = wire.send(bytes(FIRST))
        created = await wire.read(types.NewSessionCreated)
        assert (created.first_msg_id, created.server_salt) == (first, wire.state.salt)
        (second,) = wire.send(bytes(FIRST))
        answers = [(await wire.next()).obj for _ in range(2)]
        assert [answer.req_msg_id for answer in answers] == [first, second]


async def test_a_container_of_packed_and_plain_messages_is_answered_whole() -> None:
    async with running() as lab, wired(lab) as wire:
        packed = bytes(GzipPacked(bytes(FIRST)))
        ids = wire.send(packed, bytes(functions.updates.GetStateRequest()), bytes(functions.PingRequest(7)))
        answers = [(await wire.next()).obj for _ in range(4)]
        assert isinstance(answers.pop(0), types.NewSessionCreated)
        assert [answer.req_msg_id for answer in answers[:2]] == ids[:2]
        assert (answers[2].msg_id, answers[2].ping_id) == (ids[2], 7)


async def test_a_hundred_requests_at_once_are_answered() -> None:
    async with running() as lab, connected(lab) as client:
        peer = types.InputPeerChannel(CHANNEL_ID, 21)
        pages = await asyncio.gather(
            *(client(functions.messages.GetHistoryRequest(peer, n, None, 0, 1, 0, 0, 0)) for n in range(2, 102))
        )
        assert [page.messages[0].id for page in pages] == [max(i for i in range(1, n) if i % 5) for n in range(2, 102)]


async def test_service_messages_are_answered() -> None:
    async with running() as lab, wired(lab) as wire:
        (asked,) = wire.send(bytes(functions.GetFutureSaltsRequest(5)))
        salts = await wire.read(types.FutureSalts)
        assert (salts.req_msg_id, [salt.salt for salt in salts.salts]) == (asked, [wire.state.salt])
        wire.send(bytes(functions.DestroySessionRequest(99)))
        assert (await wire.read(types.DestroySessionNone)).session_id == 99
        (asked,) = wire.send(bytes(functions.RpcDropAnswerRequest(4)))
        assert isinstance(await wire.result(asked), types.RpcAnswerUnknown)
        wire.send(bytes(functions.PingDelayDisconnectRequest(3, 60)))
        assert (await wire.read(types.Pong)).ping_id == 3


async def test_another_session_can_be_destroyed() -> None:
    async with running() as lab, wired(lab) as one, wired(lab) as other:
        (asked,) = one.send(bytes(FIRST))
        await one.result(asked)
        other.send(bytes(functions.DestroySessionRequest(one.state.id)))
        assert isinstance(await other.read(types.DestroySessionOk), types.DestroySessionOk)
        one.send(bytes(functions.PingRequest(1)))
        assert isinstance(await one.read(types.NewSessionCreated), types.NewSessionCreated)


async def test_a_destroyed_key_is_unknown_from_then_on() -> None:
    async with running() as lab, wired(lab) as wire:
        wire.send(bytes(functions.DestroyAuthKeyRequest()))
        await wire.read(types.DestroyAuthKeyOk)
        wire.send(bytes(functions.PingRequest(1)))
        assert await wire.packet() == struct.pack("<i", -404)
        with pytest.raises(asyncio.IncompleteReadError):
            await wire.packet()


async def test_a_client_that_stays_silent_longer_than_it_said_is_dropped() -> None:
    async with running() as lab, wired(lab) as wire:
        wire.send(bytes(functions.PingDelayDisconnectRequest(1, 0)))
        with pytest.raises(asyncio.IncompleteReadError):
            await wire.read(type(None))


async def test_an_answer_that_has_not_left_can_be_dropped() -> None:
    world = make_world(connection_rate=10_000.0)
    async with running(world) as lab, wired(lab) as wire:
        page = functions.messages.GetHistoryRequest(types.InputPeerUser(FRIEND_ID, 12), 0, None, 0, 100, 0, 0, 0)
        _, asked, dropped = wire.send(bytes(FIRST), bytes(page), bytes(functions.RpcDropAnswerRequest(0)))
        del dropped
        (drop,) = wire.send(bytes(functions.RpcDropAnswerRequest(asked)))
        answers = {}
        while drop not in answers:
            answer = await wire.read(RpcResult)
            answers[answer.req_msg_id] = parse(answer.body)
        assert asked not in answers
        assert isinstance(answers[drop], types.RpcAnswerDropped)


async def test_requests_before_a_layer_is_known_or_that_make_no_sense_are_refused() -> None:
    async with running() as lab, wired(lab) as wire:
        for body, error in (
            (bytes(functions.updates.GetStateRequest()), "CONNECTION_NOT_INITED"),
            (bytes(FIRST)[:-20], "INPUT_FETCH_ERROR"),
            (b"\1\2\3\4", "INPUT_METHOD_INVALID"),
        ):
            (asked,) = wire.send(body)
            assert (await wire.result(asked)).error_message == error
    async with running() as lab, connected(lab) as client:
        with pytest.raises(errors.InputMethodInvalidError):
            await client(functions.messages.GetFavedStickersRequest(0))


async def test_a_handler_that_breaks_is_the_servers_fault_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    request = functions.contacts.ResolveUsernameRequest("fakes")
    async with running() as lab, wired(lab) as wire:
        _, asked = wire.send(bytes(FIRST), bytes(functions.PingRequest(1)))
        await wire.read(types.Pong)
        monkeypatch.setattr(lab._service, "content", None)
        (asked,) = wire.send(bytes(request))
        error = await wire.result(asked)
        assert (error.error_code, error.error_message) == (500, "INTERNAL")
        monkeypatch.undo()
        (asked,) = wire.send(bytes(request))
        assert (await wire.result(asked)).peer.channel_id == CHANNEL_ID
