"""MTProto itself: salts, message ids, containers, service messages, and whatever a stranger may send."""

from __future__ import annotations

import asyncio
import gzip
import struct
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from telethon import errors
from telethon.tl import functions, types
from telethon.tl.alltlobjects import tlobjects
from telethon.tl.core import GzipPacked, MessageContainer, RpcResult

from tests.lab.fakes import CHANNEL_ID, FRIEND_ID, HOME, connected, hang_up, make_state, make_world, parse, running
from tobs.lab.dispatch import TOO_NEW, TOO_OLD
from tobs.lab.server import Lab, start
from tobs.lab.tl import pack_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FIRST = functions.InvokeWithLayerRequest(
    229, functions.InitConnectionRequest(1, "test", "1", "1", "en", "", "en", functions.help.GetConfigRequest())
)


class Wire:
    """A connection that sends packets as the test makes them, over the abridged transport."""

    def __init__(self, lab: Lab, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.state = make_state(lab)
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, lab: Lab) -> Self:
        reader, writer = await asyncio.open_connection("127.0.0.1", lab.ports[HOME])
        writer.write(b"\xef")
        return cls(lab, reader, writer)

    def send(self, *bodies: bytes, msg_id: int | None = None) -> list[int]:
        """Send bodies, in a container when there are several: their message ids."""
        ids = [msg_id if msg_id is not None and not i else self.state._get_new_msg_id() for i in range(len(bodies))]
        data = b"".join(
            struct.pack("<qii", number, 1, len(body)) + body for number, body in zip(ids, bodies, strict=True)
        )
        if len(bodies) > 1:
            data = struct.pack("<Ii", MessageContainer.CONSTRUCTOR_ID, len(bodies)) + data
            data = struct.pack("<qii", self.state._get_new_msg_id(), 0, len(data)) + data
        self.send_packet(self.state.encrypt_message_data(data))
        return ids

    def send_packet(self, packet: bytes) -> None:
        words = len(packet) // 4
        head = bytes((words,)) if words < 127 else b"\x7f" + words.to_bytes(3, "little")
        self._writer.write(head + packet)

    async def packet(self) -> bytes:
        words = (await self._reader.readexactly(1))[0]
        if words == 127:
            words = int.from_bytes(await self._reader.readexactly(3), "little")
        return await self._reader.readexactly(words * 4)

    async def read(self, kind: type[Any]) -> Any:
        """The next object of this kind, looking into containers."""
        while True:
            message = self.state.decrypt_message_data(await self.packet())
            inside = message.obj.messages if isinstance(message.obj, MessageContainer) else [message]
            for found in inside:
                if isinstance(found.obj, kind):
                    return found.obj

    async def result(self, msg_id: int) -> Any:
        """The result of a request: parsed, or its `rpc_error`."""
        answer = await self.read(RpcResult)
        assert answer.req_msg_id == msg_id
        return answer.error or parse(answer.body)


@asynccontextmanager
async def wired(lab: Lab) -> AsyncIterator[Wire]:
    wire = await Wire.open(lab)
    try:
        yield wire
    finally:
        await hang_up(wire._writer)


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


async def test_a_new_session_is_announced_once_and_a_repeated_message_not_answered_twice() -> None:
    async with running() as lab, wired(lab) as wire:
        (first,) = wire.send(bytes(FIRST))
        created = await wire.read(types.NewSessionCreated)
        assert (created.first_msg_id, created.server_salt) == (first, wire.state.salt)
        wire.send(bytes(FIRST), msg_id=first)
        assert (await wire.read(types.MsgsAck)).msg_ids == [first]
        assert lab.counters()["requests"] == {"help.getConfig": 1}


async def test_a_container_of_packed_and_plain_messages_is_answered_whole() -> None:
    async with running() as lab, wired(lab) as wire:
        packed = bytes(GzipPacked(bytes(FIRST)))
        ids = wire.send(packed, bytes(functions.updates.GetStateRequest()), bytes(functions.PingRequest(7)))
        answered: set[int] = set()
        while len(answered) < 3:
            message = wire.state.decrypt_message_data(await wire.packet())
            inside = message.obj.messages if isinstance(message.obj, MessageContainer) else [message]
            for part in inside:
                if isinstance(part.obj, RpcResult):
                    answered.add(part.obj.req_msg_id)
                elif isinstance(part.obj, types.Pong):
                    assert part.obj.ping_id == 7
                    answered.add(part.obj.msg_id)
        assert answered == set(ids)


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
        wire.send(bytes(types.MsgsStateReq([4, 8])))
        assert (await wire.read(types.MsgsStateInfo)).info == "\4\4"
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
            await client(functions.messages.GetPinnedDialogsRequest(0))


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


def _gzipped(data: bytes) -> bytes:
    packed = gzip.compress(data)
    return struct.pack("<I", GzipPacked.CONSTRUCTOR_ID) + pack_bytes(packed)


WORDS = st.binary(max_size=200).map(lambda data: data + bytes(-len(data) % 4))
CONSTRUCTORS = st.sampled_from(
    [
        *sorted(set(tlobjects) - {functions.DestroyAuthKeyRequest.CONSTRUCTOR_ID}),  # it would end the test
        MessageContainer.CONSTRUCTOR_ID,
        GzipPacked.CONSTRUCTOR_ID,
    ]
)
BODIES = st.one_of(
    WORDS,
    st.builds(lambda number, tail: struct.pack("<I", number) + tail, CONSTRUCTORS, WORDS),
    st.builds(lambda data, cut: bytes(FIRST)[: cut * 4] + data, WORDS, st.integers(0, 30)),
    WORDS.map(_gzipped),
    st.builds(
        lambda count, tail: struct.pack("<Ii", MessageContainer.CONSTRUCTOR_ID, count) + tail,
        st.integers(-2, 2000),
        WORDS,
    ),
)


def test_no_malformed_packet_takes_the_server_down() -> None:
    with asyncio.Runner() as runner:
        lab = runner.run(start(make_world()))

        async def throw(stream: bytes) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", lab.ports[HOME])
            writer.write(stream)
            writer.write_eof()
            with suppress(ConnectionError):
                await reader.read()
            await hang_up(writer)

        async def throw_encrypted(body: bytes, spoil: int | None) -> None:
            wire = await Wire.open(lab)
            data = struct.pack("<qii", wire.state._get_new_msg_id(), 1, len(body)) + body
            packet = bytearray(wire.state.encrypt_message_data(data))
            if spoil is not None:
                packet[spoil % len(packet)] ^= 1
            wire.send_packet(bytes(packet))
            wire._writer.write_eof()
            with suppress(ConnectionError):
                await wire._reader.read()
            await hang_up(wire._writer)

        tags = st.sampled_from([b"", b"\xef", b"\xee\xee\xee\xee", b"\xdd\xdd\xdd\xdd", b"\xef\x0a" + bytes(20)])

        @settings(max_examples=150)
        @given(tags, st.binary(max_size=300))
        def strangers(tag: bytes, data: bytes) -> None:
            runner.run(throw(tag + data))

        @settings(max_examples=150)
        @given(st.sampled_from([b"\x0a", b"\x20"]), st.binary(max_size=120))
        def plain(words: bytes, data: bytes) -> None:
            runner.run(throw(b"\xef" + words + bytes(8) + data + bytes(200)))

        @settings(max_examples=300)
        @given(BODIES, st.none() | st.integers(0, 1000))
        def acquaintances(body: bytes, spoil: int | None) -> None:
            runner.run(throw_encrypted(body, spoil))

        strangers()
        plain()
        acquaintances()

        async def still_serves() -> None:
            async with wired(lab) as wire:
                (asked,) = wire.send(bytes(FIRST))
                assert isinstance(await wire.result(asked), types.Config)

        runner.run(still_serves())
        counters = lab.counters()
        assert counters["bad_packets"] > 50
        runner.run(lab.close())
        assert not lab._opened
