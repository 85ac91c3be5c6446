"""Temporary keys, which a client binds to its permanent one so that only they go over the wire (PFS).

Source: https://core.telegram.org/api/pfs and https://core.telegram.org/method/auth.bindTempAuthKey. What proves
that a client has both keys is encrypted with the permanent one as MTProto 1.0 did it:
https://core.telegram.org/mtproto/description_v1.
"""

from __future__ import annotations

import struct
from hashlib import sha1
from typing import TYPE_CHECKING, Any

import cryptg
from telethon.tl import types

from tobs.lab.outgoing import Outgoing
from tobs.lab.rpc import TRUE, RpcFault
from tobs.lab.service_messages import result_head
from tobs.lab.tl import read_object

if TYPE_CHECKING:
    from tobs.lab.connection import Connection
    from tobs.lab.keys import Client
    from tobs.lab.session import Session

INNER = 40
"""Bytes of `bind_auth_key_inner`."""

_HEAD = struct.Struct("<16xqii")
"""16 random bytes, message id, sequence number, length of the body."""


def old_aes(key: bytes, msg_key: bytes) -> tuple[bytes, bytes]:
    """AES key and IV of a message of a client in MTProto 1.0."""

    def digest(*parts: bytes) -> bytes:
        return sha1(b"".join(parts), usedforsecurity=False).digest()

    a, b = digest(msg_key, key[:32]), digest(key[32:48], msg_key, key[48:64])
    c, d = digest(key[64:96], msg_key), digest(msg_key, key[96:128])
    return a[:8] + b[8:20] + c[4:16], a[8:20] + b[:8] + c[16:20] + d[:8]


def _proof(client: Client, data: bytes, msg_id: int) -> Any:
    """The `bind_auth_key_inner` in an encrypted message of a permanent key; ValueError when it is none."""
    cipher = data[24:]
    if data[:8] != client.key.id or not cipher or len(cipher) % 16:
        raise ValueError("not of this key")
    plain = cryptg.decrypt_ige(cipher, *old_aes(client.key.key, data[8:24]))
    end = _HEAD.size + INNER
    if len(plain) < end or _HEAD.unpack_from(plain) != (msg_id, 0, INNER):
        raise ValueError("not a binding message of this request")
    if sha1(plain[:end], usedforsecurity=False).digest()[4:20] != data[8:24]:
        raise ValueError("the message key does not fit the message")
    if int.from_bytes(plain[_HEAD.size : _HEAD.size + 4], "little") != types.BindAuthKeyInner.CONSTRUCTOR_ID:
        raise ValueError("not a binding message")
    return read_object(plain[_HEAD.size : end])


def _bind(connection: Connection, session: Session, msg_id: int, request: Any) -> None:
    temporary, keys = session.client, connection.service.keys
    if not temporary.is_temporary:
        raise RpcFault("TEMP_AUTH_KEY_EMPTY")
    permanent = keys.find(temporary.dc, struct.pack("<q", request.perm_auth_key_id))
    if permanent is None or permanent.is_temporary:
        raise RpcFault("ENCRYPTED_MESSAGE_INVALID")
    if temporary.bound not in (None, permanent):
        raise RpcFault("TEMP_AUTH_KEY_ALREADY_BOUND")
    try:
        inner = _proof(permanent, request.encrypted_message, msg_id)
    except Exception as error:  # the codec fails in many ways on hostile bytes
        raise RpcFault("ENCRYPTED_MESSAGE_INVALID") from error
    (key_id,) = struct.unpack("<q", temporary.key.id)
    said = inner.nonce, inner.temp_auth_key_id, inner.perm_auth_key_id, inner.temp_session_id, inner.expires_at
    if said != (request.nonce, key_id, request.perm_auth_key_id, session.id, request.expires_at):
        raise RpcFault("ENCRYPTED_MESSAGE_INVALID")
    keys.bind(temporary, permanent, request.expires_at.timestamp())


def bind(connection: Connection, session: Session, msg_id: int, request: Any) -> None:
    """Answer `auth.bindTempAuthKey`: what this session's key asks from now on is asked by the permanent key."""
    service = connection.service
    service.counters.requests["auth.bindTempAuthKey"] += 1
    try:
        _bind(connection, session, msg_id, request)
    except RpcFault as fault:
        service.counters.errors[fault.text] += 1
        answer = fault.serialize()
    else:
        answer = TRUE
    connection.send(Outgoing(session, (result_head(msg_id), answer), msg_id))
