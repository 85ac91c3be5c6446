"""Delivery: numbers of messages, what comes twice, what is acknowledged, and what a lost connection still owed."""

from __future__ import annotations

import time

import pytest
from telethon.tl import functions, types
from telethon.tl.core import RpcResult

from tests.lab.fakes import FILES, FRIEND_ID, NEAR_FILE, connected, hang_up, make_state, make_world, parse, running
from tests.lab.wires import FIRST, Wire, wired
from tobs.lab import service, session
from tobs.lab.dispatch import SMALL
from tobs.lab.session import TOO_OLD

PING = bytes(functions.PingRequest(5))
STATE = bytes(functions.updates.GetStateRequest())
PART = bytes(
    functions.upload.GetFileRequest(
        types.InputDocumentFileLocation(NEAR_FILE, 77, FILES[NEAR_FILE].file_reference, ""), 0, 65_536
    )
)


async def asked(wire: Wire, *msg_ids: int) -> list[int]:
    """What the server says of messages; below 128, since Telethon reads it as text."""
    (msg_id,) = wire.send(bytes(types.MsgsStateReq(list(msg_ids))))
    info = await wire.read(types.MsgsStateInfo)
    assert info.req_msg_id == msg_id
    return [ord(character) for character in info.info]


async def test_a_repeated_request_is_done_once_and_answered_again() -> None:
    async with running() as lab, wired(lab) as wire:
        (first,) = wire.send(bytes(FIRST))
        once = await wire.message_of(RpcResult)
        wire.send(bytes(FIRST), msg_id=first)
        again = await wire.message_of(RpcResult)
        assert (again.msg_id, again.seq_no) == (once.msg_id, once.seq_no)
        assert bytes(parse(again.obj.body)) == bytes(parse(once.obj.body))
        wire.acknowledge(once.msg_id)
        wire.send(bytes(FIRST), msg_id=first)
        assert (await wire.read(types.MsgsAck)).msg_ids == [first]
        assert lab.counters()["requests"] == {"help.getConfig": 1}
        assert lab.counters()["replies"] == 1


async def test_of_a_long_answer_the_client_is_only_told_and_may_have_it_sent_again() -> None:
    async with running() as lab, wired(lab) as wire:
        (first,) = wire.send(bytes(FIRST))
        await wire.result(first)
        (request,) = wire.send(PART)
        once = await wire.message_of(RpcResult)
        assert len(once.obj.body) > SMALL
        wire.send(PART, msg_id=request)
        told = await wire.read(types.MsgDetailedInfo)
        assert (told.msg_id, told.answer_msg_id, told.status) == (request, once.msg_id, 0)
        assert told.bytes == 12 + len(bytes(parse(once.obj.body)))
        wire.send(bytes(types.MsgResendReq([told.answer_msg_id])))
        again = await wire.message_of(RpcResult)
        assert (again.msg_id, again.obj.req_msg_id) == (once.msg_id, request)
        assert parse(again.obj.body).bytes == parse(once.obj.body).bytes
        assert lab.counters()["file_parts"] == 1


async def test_states_of_messages_are_told_and_what_is_unknown_is_not_sent_again() -> None:
    async with running() as lab, wired(lab) as wire:
        (request,) = wire.send(bytes(FIRST))
        answer = await wire.message_of(RpcResult)
        later = (int(time.time()) + 20) << 32
        missed = request + 4
        old = (int(time.time()) - TOO_OLD - 60) << 32
        odd = 4 * 25 + 1
        (resend,) = wire.send(bytes(types.MsgResendReq([answer.msg_id, odd])))
        info = await wire.read(types.MsgsStateInfo)
        assert (info.req_msg_id, [ord(c) for c in info.info]) == (resend, [4, 1])
        assert await asked(wire, request, missed, later, old, answer.msg_id, odd) == [
            4 + 8 + 32 + 64, 2, 3, 1, 4, 1,
        ]  # fmt: skip
        (pinged,) = wire.send(PING)
        assert await asked(wire, pinged, resend) == [4 + 16, 4 + 16]


async def test_an_answer_that_was_acknowledged_is_known_to_have_come() -> None:
    async with running() as lab, wired(lab) as wire:
        (request,) = wire.send(bytes(FIRST))
        answer = await wire.message_of(RpcResult)
        wire.acknowledge(answer.msg_id)
        wire.send(PING)
        await wire.read(types.Pong)
        (kept,) = lab._service.sessions.values()
        assert kept.state(request) == 4 + 8 + 32 + 64 + 128
        assert kept.state(answer.msg_id) == 1


async def test_whoever_comes_back_gets_what_it_did_not_acknowledge_before_anything_new() -> None:
    async with running() as lab:
        state = make_state(lab)
        async with wired(lab, state) as wire:
            first, second = wire.send(bytes(FIRST), STATE)
            created = await wire.message_of(types.NewSessionCreated)
            seen = await wire.message_of(RpcResult)
            lost = await wire.message_of(RpcResult)
            assert (seen.obj.req_msg_id, lost.obj.req_msg_id) == (first, second)
            wire.acknowledge(created.msg_id, seen.msg_id)
            wire.send(PING)
            await wire.read(types.Pong)
        async with wired(lab, state) as wire:
            wire.send(PING)
            again, pong = await wire.next(), await wire.next()
            assert (again.msg_id, again.seq_no, again.obj.req_msg_id) == (lost.msg_id, lost.seq_no, second)
            assert isinstance(pong.obj, types.Pong)


async def test_whoever_comes_back_gets_the_answers_that_its_connection_did_not_live_to_send() -> None:
    page = bytes(functions.messages.GetHistoryRequest(types.InputPeerUser(FRIEND_ID, 12), 0, None, 0, 100, 0, 0, 0))
    async with running(make_world(connection_rate=3_000.0)) as lab:
        state = make_state(lab)
        async with wired(lab, state) as wire:
            (first,) = wire.send(bytes(FIRST))
            await wire.result(first)
            ids = wire.send(page, page)
            await asked(wire, first)  # which the server answers after it has answered those, but long before they leave
        async with wired(lab, state) as wire:
            wire.send(PING)
            found: dict[int, bytes] = {}
            while not set(ids) <= set(found):
                answer = await wire.read(RpcResult)
                found[answer.req_msg_id] = answer.body
            assert [len(parse(found[number]).messages) for number in ids] == [3, 3]
        assert lab.counters()["requests"]["messages.getHistory"] == 2
        assert lab.counters()["history_pages"] == 2


async def test_a_client_that_acknowledges_leaves_little_to_keep() -> None:
    location = types.InputDocumentFileLocation(NEAR_FILE, 77, FILES[NEAR_FILE].file_reference, "")
    async with running() as lab, connected(lab) as client:
        most = 0
        for _ in range(40):
            await client(functions.upload.GetFileRequest(location, 0, 65_536))
            most = max(most, lab._service.held.total)
        assert 65_536 <= most < 3 * 65_600


async def test_a_session_keeps_answers_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "MOST_KEPT_BYTES", 200_000)
    async with running() as lab, wired(lab) as wire:
        (first,) = wire.send(bytes(FIRST))
        await wire.result(first)
        requests = []
        for _ in range(6):
            requests += wire.send(PART)
            await wire.read(RpcResult)
        (kept,) = lab._service.sessions.values()
        assert 65_536 <= kept.held == lab._service.held.total <= 200_000
        assert kept.answer(requests[-1]) is not None
        assert kept.answer(requests[0]) is None
        wire.send(PART, msg_id=requests[0])
        assert (await wire.read(types.MsgsAck)).msg_ids == [requests[0]]


async def test_all_sessions_together_keep_answers_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tobs.lab.connection.MOST_HELD_BYTES", 150_000)
    monkeypatch.setattr(service, "MOST_HELD_BYTES", 150_000)
    async with running() as lab:
        for _ in range(4):
            async with wired(lab) as wire:
                (first,) = wire.send(bytes(FIRST))
                await wire.result(first)
                wire.send(PART)
                await wire.read(RpcResult)
        held = [kept.held for kept in lab._service.sessions.values()]
        assert sum(held) == lab._service.held.total <= 150_000
        assert held[0] == 0
        assert held[3] >= 65_536


async def test_ids_are_refused_that_are_too_old_to_be_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "MOST_SEEN", 20)
    async with running() as lab, wired(lab) as wire:
        ids = [wire.send(bytes(FIRST))[0]]
        for _ in range(30):
            ids += wire.send(PING)
            await wire.read(types.Pong)
        wire.send(bytes(FIRST), msg_id=ids[0])
        bad = await wire.read(types.BadMsgNotification)
        assert (bad.bad_msg_id, bad.error_code) == (ids[0], 20)
        wire.send(PING, msg_id=ids[-1])
        assert (await wire.read(types.MsgsAck)).msg_ids == [ids[-1]]
        assert lab.counters()["requests"] == {"help.getConfig": 1, "ping": 30}


@pytest.mark.parametrize(
    ("body", "sequence", "code"),
    [
        (STATE, 1, 32),  # as high as that of the message before
        (STATE, 0, 32),
        (STATE, 4, 35),
        (bytes(types.MsgsAck([1])), 7, 34),
    ],
)
async def test_sequence_numbers_have_to_fit(body: bytes, sequence: int, code: int) -> None:
    async with running() as lab, wired(lab) as wire:
        (first,) = wire.send(bytes(FIRST))
        await wire.result(first)
        (wrong,) = wire.send(body, sequence=sequence)
        bad = await wire.read(types.BadMsgNotification)
        assert (bad.bad_msg_id, bad.bad_msg_seqno, bad.error_code) == (wrong, sequence, code)


async def test_a_sequence_number_has_to_be_below_that_of_a_later_message() -> None:
    async with running() as lab, wired(lab) as wire:
        early, _ = wire.message(STATE)
        (first,) = wire.send(bytes(FIRST))
        await wire.result(first)
        wire.send(STATE, msg_id=early, sequence=9)
        bad = await wire.read(types.BadMsgNotification)
        assert (bad.bad_msg_id, bad.error_code) == (early, 33)


async def test_containers_have_to_be_whole_and_above_what_they_hold() -> None:
    async with running() as lab, wired(lab) as wire:

        async def refused(*messages: bytes, msg_id: int | None = None, cut: int = 0) -> int:
            _, container = wire.container(*messages, msg_id=msg_id)
            if cut:
                length = len(container) - 16 - cut
                container = container[:12] + length.to_bytes(4, "little") + container[16:-cut]
            wire.send_packet(wire.state.encrypt_message_data(container))
            return int((await wire.read(types.BadMsgNotification)).error_code)

        first, message = wire.message(bytes(FIRST))
        assert await refused(message, msg_id=first) == 19
        assert await refused(message, msg_id=first - 4) == 64
        assert await refused(message, cut=4) == 64
        (done,) = wire.send(bytes(FIRST))
        await wire.result(done)
        assert await refused(wire.message(PING)[1], msg_id=done) == 19
        inner = wire.container(wire.message(PING)[1])[1]
        assert await refused(inner) == 64
        assert lab.counters()["requests"] == {"help.getConfig": 1}


async def test_an_old_message_may_come_in_a_container() -> None:
    async with running() as lab, wired(lab) as wire:
        old = (int(time.time()) - TOO_OLD + 2) << 32
        _, message = wire.message(bytes(FIRST), msg_id=old)
        wire.send_packet(wire.state.encrypt_message_data(wire.container(message)[1]))
        assert isinstance(await wire.result(old), types.Config)


async def test_too_many_ids_in_one_message_end_the_connection() -> None:
    async with running() as lab, wired(lab) as wire:
        wire.acknowledge(*range(1, 8192 * 4, 4))
        wire.send(PING)
        await wire.read(types.Pong)
        wire.acknowledge(*range(1, 8193 * 4, 4))
        assert await wire.packet() == (-429).to_bytes(4, "little", signed=True)


async def test_a_session_that_left_is_forgotten_when_nothing_it_knows_would_be_accepted_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running() as lab, wired(lab) as gone, wired(lab) as still_there:
        for wire in (gone, still_there):
            (asked_for,) = wire.send(bytes(FIRST))
            await wire.result(asked_for)
        sessions = lab._service.sessions
        first, second = sessions.values()
        connection = first.connection
        assert connection is not None
        await hang_up(gone.writer)
        await connection.closed
        later = time.time() + service.FORGOTTEN_AFTER
        monkeypatch.setattr("tobs.lab.service.time.time", lambda: later - 1)
        lab._service.session(first.client, 1)
        assert {first, second} <= {*sessions.values()}
        monkeypatch.setattr("tobs.lab.service.time.time", lambda: later + 1)
        lab._service.session(first.client, 2)
        assert first not in sessions.values()
        assert second in sessions.values()
        assert first.ended
        monkeypatch.undo()
