"""Answers to MTProto's own messages, which are no method calls: pings, salts, sessions, dropped answers.

Source: https://core.telegram.org/mtproto/service_messages.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from telethon.tl import functions, types

from tobs.lab.outgoing import Outgoing

if TYPE_CHECKING:
    from tobs.lab.connection import Connection
    from tobs.lab.service import Session

RPC_RESULT = 0xF35C6D01
SALT_LIFE = timedelta(days=3650)
"""A salt of this lab never changes."""

RECEIVED = b"\4"
"""`msgs_state_info`: the message was received."""


def result_head(msg_id: int) -> bytes:
    """What stands before the result of the request with this message id: `rpc_result`."""
    return struct.pack("<Iq", RPC_RESULT, msg_id)


def _say(connection: Connection, session: Session, msg_id: int, *body: bytes) -> None:
    connection.send(Outgoing(session, body, msg_id))


def _ping(connection: Connection, session: Session, msg_id: int, request: Any) -> None:
    connection.service.counters.requests["ping"] += 1
    if isinstance(request, functions.PingDelayDisconnectRequest):
        connection.close_after(max(0, request.disconnect_delay))
    _say(connection, session, msg_id, bytes(types.Pong(msg_id, request.ping_id)))


def _future_salts(connection: Connection, session: Session, msg_id: int, request: Any) -> None:
    now = datetime.now(UTC)
    only = types.FutureSalt(now - SALT_LIFE / 100, now + SALT_LIFE, session.client.salt)
    salts = [only] if request.num > 0 else []
    _say(connection, session, msg_id, bytes(types.FutureSalts(msg_id, int(time.time()), salts)))


def _destroy_session(connection: Connection, session: Session, msg_id: int, request: Any) -> None:
    is_other = request.session_id != session.id
    ended = is_other and connection.service.end_session(session.client, request.session_id)
    kind = types.DestroySessionOk if ended else types.DestroySessionNone
    _say(connection, session, msg_id, bytes(kind(request.session_id)))


def _destroy_key(connection: Connection, session: Session, msg_id: int, _request: Any) -> None:
    connection.service.keys.forget(session.client)
    _say(connection, session, msg_id, bytes(types.DestroyAuthKeyOk()))


def _drop_answer(connection: Connection, session: Session, msg_id: int, request: Any) -> None:
    dropped = connection.drop_answer(request.req_msg_id)
    answer = types.RpcAnswerDropped(request.req_msg_id, 0, 0) if dropped else types.RpcAnswerUnknown()
    _say(connection, session, msg_id, result_head(msg_id), bytes(answer))


def _state(connection: Connection, session: Session, msg_id: int, request: Any) -> None:
    _say(connection, session, msg_id, bytes(types.MsgsStateInfo(msg_id, RECEIVED * len(request.msg_ids))))


def _ignore(_connection: Connection, _session: Session, _msg_id: int, _request: Any) -> None:
    """Acknowledgements and the like ask for nothing."""


Answer = Callable[["Connection", "Session", int, Any], None]

SERVICE: dict[int, Answer] = {
    kind.CONSTRUCTOR_ID: answer
    for kind, answer in (
        (functions.PingRequest, _ping),
        (functions.PingDelayDisconnectRequest, _ping),
        (functions.GetFutureSaltsRequest, _future_salts),
        (functions.DestroySessionRequest, _destroy_session),
        (functions.DestroyAuthKeyRequest, _destroy_key),
        (functions.RpcDropAnswerRequest, _drop_answer),
        (types.MsgsStateReq, _state),
        (types.MsgResendReq, _state),
        (types.HttpWait, _ignore),
        (types.MsgsAck, _ignore),
        (types.MsgsStateInfo, _ignore),
        (types.MsgsAllInfo, _ignore),
    )
}
"""What answers each service message, by constructor."""
