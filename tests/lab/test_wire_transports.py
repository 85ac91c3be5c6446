"""Transports: real clients on each of them, quick acknowledgements, and the cipher of the obfuscated one."""

from __future__ import annotations

import asyncio
import os
import struct
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyrogram.connection.transport.tcp import (
    TCPAbridged,
    TCPAbridgedO,
    TCPFull,
    TCPIntermediate,
    TCPIntermediateO,
    TCPIntermediatePadded,
)
from telethon.crypto import AES, AESModeCTR
from telethon.network import (
    ConnectionTcpAbridged,
    ConnectionTcpFull,
    ConnectionTcpIntermediate,
    ConnectionTcpObfuscated,
)
from telethon.tl import functions, types
from telethon.tl.core import MessageContainer, RpcResult

from tests.lab.fakes import FRIEND_ID, HOME, connected, parse, running
from tests.lab.wires import FIRST, Wire
from tobs.lab.crypto import BadPacketError
from tobs.lab.obfuscation import Stream
from tobs.lab.transport import Abridged, Full, Intermediate, Packet, PaddedIntermediate, Transport, detect

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = functions.messages.GetHistoryRequest(types.InputPeerUser(FRIEND_ID, 12), 0, None, 0, 100, 0, 0, 0)
FRAMINGS: list[Callable[[], Transport]] = [Full, Abridged, Intermediate, PaddedIntermediate]


@pytest.mark.parametrize(
    "connection",
    [ConnectionTcpFull, ConnectionTcpAbridged, ConnectionTcpIntermediate, ConnectionTcpObfuscated],
)
async def test_telethon_logs_in_and_reads_over_each_of_its_transports(connection: Any) -> None:
    async with running() as lab, connected(lab, "", connection=connection) as client:
        assert (await client(functions.help.GetConfigRequest())).this_dc == HOME
    async with running() as lab, connected(lab, connection=connection) as client:
        assert [message.id for message in (await client(PAGE)).messages] == [5, 3, 1]


@pytest.mark.parametrize(
    "kind", [TCPFull, TCPAbridged, TCPAbridgedO, TCPIntermediate, TCPIntermediateO, TCPIntermediatePadded]
)
async def test_kurigrams_transports_carry_packets_both_ways(kind: Any) -> None:
    async with running() as lab:
        tcp = kind(loop=asyncio.get_running_loop(), ipv6=False)
        await tcp.connect(("127.0.0.1", lab.ports[HOME]))
        wire = await Wire.open(lab)  # only its numbers and its key are used
        try:
            for body in (bytes(FIRST), bytes(PAGE)):
                asked, message = wire.message(body)
                await tcp.send(wire.state.encrypt_message_data(message))
                found: list[Any] = []
                while not any(isinstance(part.obj, RpcResult) for part in found):
                    answer = wire.state.decrypt_message_data(bytes(await tcp.recv()))
                    found = answer.obj.messages if isinstance(answer.obj, MessageContainer) else [answer]
                assert found[-1].obj.req_msg_id == asked
            assert [message.id for message in parse(found[-1].obj.body).messages] == [5, 3, 1]
        finally:
            await tcp.close()
            await wire.close()


@pytest.mark.parametrize("make", FRAMINGS)
@given(st.lists(st.binary(min_size=8, max_size=600).map(lambda data: bytes(24) + data * 16)), st.integers(1, 700))
def test_packets_come_out_as_they_went_in_however_the_stream_is_cut(
    make: Callable[[], Transport], packets: list[bytes], cut: int
) -> None:
    sender, receiver = make(), make()
    data = b"".join(b"".join(sender.frame(packet[:24], packet[24:])) for packet in packets)
    stream, found = bytearray(), []
    for at in range(0, len(data), cut):
        stream += data[at : at + cut]
        while (packet := receiver.split(stream)) is not None:
            found.append(packet)
    assert not stream
    # the padding of an unencrypted message is cut off by its own length
    assert [packet.data[: len(whole)] for packet, whole in zip(found, packets, strict=True)] == packets


def test_padding_is_taken_off_and_has_0_to_15_bytes() -> None:
    packet = os.urandom(24 + 64)
    sizes = set()
    for _ in range(300):
        framed = b"".join(PaddedIntermediate().frame(packet))
        sizes.add(len(framed) - 4 - len(packet))
        assert PaddedIntermediate().split(bytearray(framed)) == Packet(packet)
    assert sizes == set(range(16))


@pytest.mark.parametrize(
    ("tag", "framing"),
    [(b"\xef", Abridged), (b"\xee" * 4, Intermediate), (b"\xdd" * 4, PaddedIntermediate)],
)
async def test_a_quick_acknowledgement_comes_before_the_answer(tag: bytes, framing: Any) -> None:
    async with running() as lab:
        wire = await Wire.open(lab, tag=tag)
        _, message = wire.message(bytes(FIRST))
        packet = wire.state.encrypt_message_data(message)
        expected = token_of(wire, packet)
        framed = bytearray(b"".join(framing().frame(packet)))
        framed[0 if framing is Abridged else 3] |= 0x80
        wire.writer.write(framed)
        if framing is PaddedIntermediate:
            length = int.from_bytes(await wire.reader.readexactly(4), "little")
            assert 8 <= length <= 16
            assert (await wire.reader.readexactly(length))[:8] == b"\xff" * 4 + expected
        else:
            token = await wire.reader.readexactly(4)
            assert (token[::-1] if framing is Abridged else token) == expected
        await wire.close()


def token_of(wire: Wire, packet: bytes) -> bytes:
    """The token of a packet by its definition: of the hash that the message key is the middle of."""
    key = wire.state.auth_key.key
    plain = AES.decrypt_ige(packet[24:], *wire.state._calc_key(key, packet[8:24], client=True))
    digest = sha256(key[88:120] + plain).digest()
    assert digest[8:24] == packet[8:24]
    return struct.pack("<I", int.from_bytes(digest[:4], "little") | 0x80000000)


async def test_a_message_that_is_not_accepted_is_not_acknowledged() -> None:
    async with running() as lab:
        wire = await Wire.open(lab, tag=b"\xee" * 4)
        wire.state.salt = 1
        packet = wire.state.encrypt_message_data(wire.message(bytes(FIRST))[1])
        wire.writer.write(struct.pack("<I", len(packet) | 0x80000000) + packet)
        length = int.from_bytes(await wire.reader.readexactly(4), "little")
        answer = wire.state.decrypt_message_data(await wire.reader.readexactly(length))
        assert isinstance(answer.obj, types.BadServerSalt)
        await wire.close()


def test_the_stream_cipher_is_that_of_the_published_vectors() -> None:
    """CTR-AES256.Encrypt of NIST SP 800-38A, appendix F.5.5."""
    key = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
    counter = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    plain = bytes.fromhex(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
        "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
    )
    cipher = bytes.fromhex(
        "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
        "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6"
    )
    assert Stream(key, counter).apply(plain) == cipher
    assert Stream(key, counter).apply(cipher) == plain


@given(st.lists(st.binary(max_size=70)), st.integers(0, 3))
def test_the_stream_cipher_goes_on_where_it_was_and_past_its_highest_counter(pieces: list[bytes], left: int) -> None:
    key, counter = bytes(range(32)), ((1 << 128) - 1 - left).to_bytes(16, "big")
    ours, theirs = Stream(key, counter), AESModeCTR(key, counter)
    assert [ours.apply(piece) for piece in pieces] == [theirs.encrypt(piece) for piece in pieces]


def test_what_is_no_transport_is_refused_as_soon_as_that_is_known() -> None:
    for start in (b"POST / HTTP/1.1", b"GET / HTTP/1.1", os.urandom(3) + b"\1" * 61):
        with pytest.raises(BadPacketError):
            detect(bytearray(start))
    for start in (b"", b"\xee" * 3, b"\1" * 7, b"\1" * 63):
        assert detect(bytearray(start)) is None
    assert isinstance(detect(bytearray(b"\1\1\0\0" + bytes(4))), Full)
