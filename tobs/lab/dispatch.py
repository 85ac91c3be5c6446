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

from telethon.tl import functions, types

from tobs.lab import rpc, temporary_keys
from tobs.lab.crypto import BadPacketError
from tobs.lab.floods import FloodBucket, Pending
from tobs.lab.mishaps import LOST
from tobs.lab.outgoing import Outgoing
from tobs.lab.service_messages import SERVICE, SILENT, result_head
from tobs.lab.session import IRRELEVANT, RUNNING, TOO_NEW, TOO_OLD
from tobs.lab.tl import CONTAINER, GZIP_PACKED, MOST_UNPACKED, gunzip, read_object

if TYPE_CHECKING:
    from tobs.lab.connection import Connection
    from tobs.lab.keys import Client
    from tobs.lab.session import Session

MAX_MESSAGES = 1024
SMALL = 4096
"""Answers up to this many bytes are sent again when their request is; of longer ones the client is told."""

LOW_ID, HIGH_ID, WRONG_BITS, SAME_ID = 16, 17, 18, 19
EVEN_EXPECTED, ODD_EXPECTED, WRONG_SALT, WRONG_CONTAINER = 34, 35, 48, 64
"""Codes of `bad_msg_notification`, together with those of `session`."""


OWN = SERVICE | {functions.auth.BindTempAuthKeyRequest.CONSTRUCTOR_ID: temporary_keys.bind}
"""What is answered here and not by `rpc`: also the one method that is about keys and messages themselves."""


@dataclass(frozen=True, slots=True)
class Message:
    """One decrypted message: its header, its body, when it arrived and when it left the client.

    `token`: the quick acknowledgement that was asked for, empty when none was.
    """

    salt: int
    session_id: int
    msg_id: int
    sequence: int
    body: bytes
    now: float
    sent: float
    token: bytes = b""


def _wrong_id(msg_id: int, now: float) -> int:
    """The code of `bad_msg_notification` for the message id of a packet, 0 when it is fine."""
    if msg_id % 4:
        return WRONG_BITS
    behind = now - (msg_id >> 32)
    if behind > TOO_OLD:
        return LOW_ID
    return HIGH_ID if behind < -TOO_NEW else 0


def receive(connection: Connection, client: Client, message: Message) -> None:
    """Check a message's header and answer what is in it, on this connection."""
    service, now = connection.service, time.time()
    session, _ = service.session(client, message.session_id)
    wrong = _wrong_id(message.msg_id, now)
    if wrong:
        _refuse(connection, session, message, wrong)
        return
    if not service.salts.accepts(client, message.salt, now):
        # Nothing is kept for a message that is not accepted: the client has to send it again.
        service.counters.errors["bad_server_salt"] += 1
        right = service.salts.current(client, now)
        answer = types.BadServerSalt(message.msg_id, message.sequence, WRONG_SALT, right)
        connection.send(Outgoing(session, (bytes(answer),), content=False))
        return
    if message.token:
        connection.send(Outgoing(None, (message.token,), token=True))
    if session.connection is not connection:
        connection.attach(session)
    if not session.announced:
        session.announced = True
        right = service.salts.current(client, now)
        created = types.NewSessionCreated(message.msg_id, secrets.randbits(63), right)
        connection.send(Outgoing(session, (bytes(created),)))
    _take(connection, session, message)


def _refuse(connection: Connection, session: Session, message: Message, code: int) -> None:
    connection.service.counters.errors["bad_msg_notification"] += 1
    answer = types.BadMsgNotification(message.msg_id, message.sequence, code)
    connection.send(Outgoing(session, (bytes(answer),), content=False))


def _take(connection: Connection, session: Session, message: Message, *, inside: bool = False) -> None:
    if len(message.body) < 4:
        raise BadPacketError("a message without a constructor")
    constructor = int.from_bytes(message.body[:4], "little")
    if constructor == GZIP_PACKED:
        message = _unpacked(message)
        constructor = int.from_bytes(message.body[:4], "little")
    if constructor == CONTAINER:
        _open(connection, session, message, inside=inside)
        return
    if session.has(message.msg_id):
        _again(connection, session, message.msg_id)
        return
    service_message = OWN.get(constructor)
    wrong = session.refuses(message.msg_id, message.sequence)
    # Pings and the like are left alone: Telethon numbers them as requests, kurigram does not.
    if service_message is None:
        wrong = wrong or (0 if message.sequence & 1 else ODD_EXPECTED)
    elif constructor in SILENT:
        wrong = wrong or (EVEN_EXPECTED if message.sequence & 1 else 0)
    if wrong:
        _refuse(connection, session, message, wrong)
        return
    if service_message is None:
        session.note(message.msg_id, message.sequence, RUNNING)
        _call(connection, session, message)
        return
    session.note(message.msg_id, message.sequence, IRRELEVANT)
    try:
        request = read_object(message.body)
    except Exception as error:  # the codec fails in many ways on hostile bytes
        raise BadPacketError("a service message that is cut short") from error
    service_message(connection, session, message.msg_id, request)


def _again(connection: Connection, session: Session, msg_id: int) -> None:
    """Answer a message that came before: what it asks for is done once, its answer may have been lost."""
    answer = session.answer(msg_id)
    if answer is None:
        connection.send(Outgoing(session, (bytes(types.MsgsAck([msg_id])),), content=False))
    elif answer.size <= SMALL:
        connection.send(answer)
    else:
        detailed = types.MsgDetailedInfo(msg_id, answer.msg_id, answer.size, 0)
        connection.send(Outgoing(session, (bytes(detailed),), content=False))


def _unpacked(message: Message) -> Message:
    try:
        body = gunzip(message.body[4:], MOST_UNPACKED)
    except ValueError as error:
        raise BadPacketError(str(error)) from error
    if len(body) < 4 or body[:4] == message.body[:4]:
        raise BadPacketError("packed data that holds nothing or packed data")
    return replace(message, body=body)


def _open(connection: Connection, session: Session, message: Message, *, inside: bool) -> None:
    """Take the messages out of a container, whose message id is above all of theirs."""
    msg_id, sequence = message.msg_id, message.sequence
    parts = None if inside else _parts(message)
    if session.has(msg_id) or (parts and any(part.msg_id == msg_id for part in parts)):
        _refuse(connection, session, message, SAME_ID)
    elif parts is None or any(part.msg_id > msg_id for part in parts):
        _refuse(connection, session, message, WRONG_CONTAINER)
    elif sequence & 1:
        _refuse(connection, session, message, EVEN_EXPECTED)
    elif wrong := session.refuses(msg_id, sequence):
        _refuse(connection, session, message, wrong)
    else:
        for part in parts:
            if part.msg_id % 4:
                _refuse(connection, session, part, WRONG_BITS)
            else:
                _take(connection, session, part, inside=True)
        session.note(msg_id, sequence, IRRELEVANT)


def _parts(message: Message) -> list[Message] | None:
    """The messages in a container, in their order; None when it is malformed."""
    body = message.body
    if len(body) < 8:
        return None
    (count,) = struct.unpack_from("<i", body, 4)
    if not 0 <= count <= MAX_MESSAGES:
        return None
    found, at = [], 8
    for _ in range(count):
        if at + 16 > len(body):
            return None
        msg_id, sequence, length = struct.unpack_from("<qii", body, at)
        at += 16
        if not 4 <= length <= len(body) - at:
            return None
        found.append(replace(message, msg_id=msg_id, sequence=sequence, body=body[at : at + length]))
        at += length
    return found


def _call(connection: Connection, session: Session, message: Message) -> None:
    service, client = connection.service, session.holder
    if client.is_temporary:
        fault = rpc.RpcFault("AUTH_KEY_PERM_EMPTY", 401)  # it is not bound yet
        connection.send(Outgoing(session, (result_head(message.msg_id), fault.serialize()), message.msg_id))
        return
    reply = rpc.answer(service, client, message.body, message.now, message.sent, media_only=connection.media_only)
    session.listens |= not reply.quiet
    held = 0.0
    if service.mishaps.delays and reply.method and not reply.is_flood:
        held = service.mishaps.fate(client, reply.method)
        if held == LOST:
            return
    out = Outgoing(session, (result_head(message.msg_id), *reply.body), message.msg_id, served=reply.served)
    out.delivered, out.acknowledged = reply.delivered, reply.acknowledged
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
            out.served, out.delivered, out.acknowledged = None, bucket.delivered, None

        reply.bucket.grant(message.now, Pending(out.left, refuse))
