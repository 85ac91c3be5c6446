"""Temporary keys: made, bound to a permanent key, and gone when their time is over."""

from __future__ import annotations

import os
import struct
import time
from datetime import UTC, datetime
from hashlib import sha1
from typing import TYPE_CHECKING, Any

import cryptg
import pytest
from telethon.crypto import AuthKey
from telethon.network.mtprotostate import MTProtoState
from telethon.sessions import StringSession
from telethon.tl import functions, types

from tests.lab.fakes import HOME, ME_ID, LogsByName, running
from tests.lab.test_wire_handshake import NEW_NONCE, NONCE, Exchange, to_bytes
from tests.lab.wires import FIRST, Wire
from tobs.lab import crypto
from tobs.lab.handshake import DH_PRIME
from tobs.lab.keys import Client
from tobs.lab.temporary_keys import old_aes

if TYPE_CHECKING:
    from tobs.lab.server import Lab

ME = bytes(functions.users.GetUsersRequest([types.InputUserSelf()]))


def with_key(lab: Lab, expires: float) -> tuple[Client, Any]:
    """A temporary key that the lab knows, and Telethon's state for it."""
    raw = b"\1" + os.urandom(255)
    client = lab._service.keys.add(Client(crypto.AuthKey.of(raw), HOME, expires=expires))
    state = MTProtoState(AuthKey(raw), LogsByName())
    state.salt = client.salt
    return client, state


def binding(lab: Lab, wire: Wire, **changes: Any) -> tuple[int, bytes]:
    """A message that binds the wire's key to the server file's, as a client makes it: its id and itself."""
    permanent = crypto.AuthKey.of(StringSession(lab.server_file["session"]).auth_key.key)
    (perm_id,), (temp_id,) = (
        struct.unpack("<q", permanent.id),
        struct.unpack("<q", struct.pack("<Q", wire.state.auth_key.key_id)),
    )
    expires = datetime.fromtimestamp(int(time.time()) + 600, UTC)
    said = {
        "nonce": 5,
        "temp_auth_key_id": temp_id,
        "perm_auth_key_id": perm_id,
        "temp_session_id": wire.state.id,
        "expires_at": expires,
    } | changes
    msg_id = wire.state._get_new_msg_id()
    plain = os.urandom(16) + struct.pack("<qii", msg_id, 0, 40) + bytes(types.BindAuthKeyInner(**said))
    msg_key = sha1(plain).digest()[4:20]
    cipher = cryptg.encrypt_ige(plain + os.urandom(-len(plain) % 16), *old_aes(permanent.key, msg_key))
    request = functions.auth.BindTempAuthKeyRequest(perm_id, 5, expires, permanent.id + msg_key + cipher)
    return msg_id, wire.message(bytes(request), msg_id)[1]


async def test_a_bound_key_acts_for_the_permanent_one_until_another_is_bound() -> None:
    async with running() as lab:
        wires = []
        for _ in range(2):
            client, state = with_key(lab, time.time() + 60)
            wire = await Wire.open(lab, state)
            (early,) = wire.send(bytes(FIRST))
            assert (await wire.result(early)).error_message == "AUTH_KEY_PERM_EMPTY"
            msg_id, message = binding(lab, wire)
            wire.send_packet(wire.state.encrypt_message_data(message))
            assert await wire.result(msg_id) is True
            assert client.expires > time.time() + 500
            (begun,) = wire.send(bytes(FIRST))
            assert isinstance(await wire.result(begun), types.Config)
            (asked,) = wire.send(ME)
            assert [user.id for user in await wire.result(asked)] == [ME_ID]
            wires.append(wire)
        (asked,) = wires[0].send(ME)
        assert (await wires[0].result(asked)).error_message == "AUTH_KEY_PERM_EMPTY"
        for wire in wires:
            await wire.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": 6},
        {"temp_auth_key_id": 1},
        {"perm_auth_key_id": 1},
        {"temp_session_id": 1},
        {"expires_at": datetime.fromtimestamp(1, UTC)},
    ],
)
async def test_what_proves_nothing_binds_nothing(changes: dict[str, Any]) -> None:
    async with running() as lab:
        client, state = with_key(lab, time.time() + 60)
        wire = await Wire.open(lab, state)
        msg_id, message = binding(lab, wire, **changes)
        wire.send_packet(wire.state.encrypt_message_data(message))
        assert (await wire.result(msg_id)).error_message == "ENCRYPTED_MESSAGE_INVALID"
        assert client.bound is None
        await wire.close()


async def test_a_permanent_key_cannot_be_bound_and_an_expired_one_is_unknown() -> None:
    async with running() as lab:
        wire = await Wire.open(lab)
        msg_id, message = binding(lab, wire)
        wire.send_packet(wire.state.encrypt_message_data(message))
        assert (await wire.result(msg_id)).error_message == "TEMP_AUTH_KEY_EMPTY"
        await wire.close()
        client, state = with_key(lab, time.time() - 1)
        wire = await Wire.open(lab, state)
        wire.send(bytes(FIRST))
        assert await wire.packet() == struct.pack("<i", -404)
        assert client not in lab._service.keys.clients.values()
        await wire.close()


def test_the_key_exchange_makes_a_key_of_the_life_that_was_asked_for() -> None:
    done = None
    while done is None:  # one key in 256 begins with a zero, and is refused
        exchange = Exchange()
        pq, server_nonce = exchange.pq.pq, exchange.pq.server_nonce
        p, q = to_bytes(exchange.p), to_bytes(exchange.q)
        offer = exchange.offer(inner=types.PQInnerDataTempDc(pq, p, q, NONCE, server_nonce, NEW_NONCE, 2, 60))
        _, done = exchange.finish(pow(offer.g, 1 << 300, DH_PRIME))
    assert done.lives == 60
