"""What an encrypted message asks for: MTProto's own messages are answered here, the rest goes to `rpc`.

Source: https://core.telegram.org/mtproto/service_messages. Requests are told apart by their first four bytes,
since containers and gzip have to be opened before the codec may see what is in them.
"""

from __future__ import annotations

import asyncio
import secrets
import struct
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from telethon.extensions import BinaryReader
from telethon.tl import types

from tobs.lab import rpc
from tobs.lab.crypto import BadPacketError
from tobs.lab.floods import FloodBucket, Pending
from tobs.lab.mishaps import LOST
from tobs.lab.outgoing import Outgoing
from tobs.lab.service_messages import SERVICE, result_head
from tobs.lab.tl import GZIP_PACKED, gunzip

if TYPE_CHECKING:
    from tobs.lab.connection import Connection
    from tobs.lab.keys import Client
    from tobs.lab.service import Session

CONTAINER = 0x73F1F8DC
MAX_MESSAGES = 1024
MAX_BODY = 1 << 20
TOO_OLD, TOO_NEW = 300, 30
"""Seconds by which a client's message id may be behind and ahead of the server's clock."""


@dataclass(frozen=True, slots=True)
class Message:
    """One decrypted message: its header, its body, when it arrived and when it left the client."""

    salt: int
    session_id: int
    msg_id: int
    sequence: int
    body: bytes
    now: float
    sent: float


def _wrong_id(msg_id: int) -> int:
    """The code of `bad_msg_notification` for this message id, 0 when it is fine."""
    if msg_id % 4:
        return 18
    behind = time.time() - (msg_id >> 32)
    if behind > TOO_OLD:
        return 16
    return 17 if behind < -TOO_NEW else 0


def receive(connection: Connection, client: Client, message: Message) -> None:
    """Check a message's header and answer what is in it, on this connection."""
    service = connection.service
    wrong = _wrong_id(message.msg_id)
    if wrong or not client.accepts(message.salt):
        # Nothing is kept for a message that is not accepted: the client has to send it again.
        session, _ = service.session(client, message.session_id)
        answer = (
            types.BadMsgNotification(message.msg_id, message.sequence, wrong)
            if wrong
            else types.BadServerSalt(message.msg_id, message.sequence, 48, client.salt)
        )
        service.counters.errors["bad_msg_notification" if wrong else "bad_server_salt"] += 1
        connection.send(Outgoing(session, (bytes(answer),)))
        return
    session, _ = service.session(client, message.session_id)
    if not session.announced:
        session.announced = True
        created = types.NewSessionCreated(message.msg_id, secrets.randbits(63), client.salt)
        connection.send(Outgoing(session, (bytes(created),)))
    _take(connection, session, message)


def _take(connection: Connection, session: Session, message: Message, *, inside: bool = False) -> None:
    if len(message.body) < 4:
        raise BadPacketError("a message without a constructor")
    constructor = int.from_bytes(message.body[:4], "little")
    if constructor == CONTAINER:
        if inside:
            raise BadPacketError("a container in a container")
        for part in _parts(message):
            _take(connection, session, part, inside=True)
        return
    if constructor == GZIP_PACKED:
        _take(connection, session, _unpacked(message), inside=inside)
        return
    if not session.is_new(message.msg_id):
        connection.send(Outgoing(session, (bytes(types.MsgsAck([message.msg_id])),)))
        return
    service_message = SERVICE.get(constructor)
    if service_message is None:
        _call(connection, session, message)
        return
    try:
        request = BinaryReader(message.body).tgread_object()
    except Exception as error:  # the codec fails in many ways on hostile bytes
        raise BadPacketError("a service message that is cut short") from error
    service_message(connection, session, message.msg_id, request)


def _unpacked(message: Message) -> Message:
    try:
        body = gunzip(message.body[4:], MAX_BODY)
    except ValueError as error:
        raise BadPacketError(str(error)) from error
    if body[:4] == message.body[:4]:
        raise BadPacketError("packed data in packed data")
    return replace(message, body=body)


def _parts(message: Message) -> list[Message]:
    body = message.body
    if len(body) < 8:
        raise BadPacketError("a container without a count")
    (count,) = struct.unpack_from("<i", body, 4)
    if not 0 <= count <= MAX_MESSAGES:
        raise BadPacketError(f"a container of {count} messages")
    found, at = [], 8
    for _ in range(count):
        if at + 16 > len(body):
            raise BadPacketError("a container that is cut short")
        msg_id, sequence, length = struct.unpack_from("<qii", body, at)
        at += 16
        if not 4 <= length <= len(body) - at:
            raise BadPacketError("a message that runs past its container")
        found.append(replace(message, msg_id=msg_id, sequence=sequence, body=body[at : at + length]))
        at += length
    return found


def _call(connection: Connection, session: Session, message: Message) -> None:
    service, client = connection.service, session.client
    reply = rpc.answer(service, client, message.body, message.now, message.sent, media_only=connection.media_only)
    held = 0.0
    if service.mishaps.delays and reply.method and not reply.is_flood:
        held = service.mishaps.fate(client, reply.method)
        if held == LOST:
            return
    out = Outgoing(session, (result_head(message.msg_id), *reply.body), message.msg_id, served=reply.served)
    out.delivered = reply.delivered
    if held:
        # Out of line: what is answered meanwhile overtakes it.
        out.left = message.now + held
        asyncio.get_running_loop().call_later(held, connection.send, out, service.shared_link(client))
    else:
        connection.send(out, service.shared_link(client))
    if reply.bucket is not None and out.left > message.now:

        def refuse(wait: int, bucket: FloodBucket = reply.bucket) -> None:
            refusal = rpc.flooded(service, bucket, wait)
            out.body = (result_head(message.msg_id), *refusal.body)
            out.served, out.delivered = None, bucket.delivered

        reply.bucket.grant(message.now, Pending(out.left, refuse))
