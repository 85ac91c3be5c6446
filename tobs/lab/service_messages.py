"""Answers to MTProto's own messages, which are no method calls: pings, salts, sessions, dropped answers.

Source: https://core.telegram.org/mtproto/service_messages.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from telethon.tl import functions, types

from tobs.lab.outgoing import Outgoing
from tobs.lab.tl import RPC_RESULT

if TYPE_CHECKING:
    from tobs.lab.connection import Connection
    from tobs.lab.session import Session

MOST_IDS = 8192
"""Message ids in one service message; more are answered with the transport's error 429."""

TOO_MUCH = struct.pack("<i", -429)


def result_head(msg_id: int) -> bytes:
    """What stands before the result of the request with this message id: `rpc_result`."""
    return struct.pack("<Iq", RPC_RESULT, msg_id)


def _say(connection: Connection, session: Session, msg_id: int, *body: bytes, content: bool = False) -> None:
    connection.send(Outgoing(session, body, msg_id, content=content))


def _ping(connection: Connection, session: Session, msg_id: int, request: Any) -> None:
    connection.service.counters.requests["ping"] += 1
    if isinstance(request, functions.PingDelayDisconnectRequest):
        connection.close_after(max(0, request.disconnect_delay))
    _say(connection, session, msg_id, bytes(types.Pong(msg_id, request.ping_id)))


def _future_salts(connection: Connection, session: Session, msg_id: int, request: Any) -> None:
    now = time.time()
    salts = [
        types.FutureSalt(datetime.fromtimestamp(since, UTC), datetime.fromtimestamp(until, UTC), salt)
        for since, until, salt in connection.service.salts.ahead(session.client, now, request.num)
    ]
    _say(connection, session, msg_id, bytes(types.FutureSalts(msg_id, int(now), salts)))


def _destroy_session(connection: Connection, session: Session, msg_id: int, request: Any) -> None:
    is_other = request.session_id != session.id
    ended = is_other and connection.service.end_session(session.client, request.session_id)
    kind = types.DestroySessionOk if ended else types.DestroySessionNone
    _say(connection, session, msg_id, bytes(kind(request.session_id)))


def _destroy_key(connection: Connection, session: Session, msg_id: int, _request: Any) -> None:
    connection.service.keys.forget(session.client)
    _say(connection, session, msg_id, bytes(types.DestroyAuthKeyOk()))


def _drop_answer(connection: Connection, session: Session, msg_id: int, request: Any) -> None:
    dropped = connection.drop_answer(session, request.req_msg_id) or session.drop(request.req_msg_id)
    answer = (
        types.RpcAnswerUnknown()
        if dropped is None
        else types.RpcAnswerDropped(dropped.msg_id, dropped.sequence, dropped.size)
    )
    _say(connection, session, msg_id, result_head(msg_id), bytes(answer), content=True)


def _too_many(connection: Connection, ids: list[int]) -> bool:
    """Whether there are more ids than allowed; then the client is told, and the connection closed."""
    if len(ids) <= MOST_IDS:
        return False
    connection.send(Outgoing(None, (TOO_MUCH,), closes=True))
    return True


def _state(connection: Connection, session: Session, msg_id: int, request: Any) -> None:
    if not _too_many(connection, request.msg_ids):
        states = bytes(session.state(asked) for asked in request.msg_ids)
        _say(connection, session, msg_id, bytes(types.MsgsStateInfo(msg_id, states)))


def _resend(connection: Connection, session: Session, msg_id: int, request: Any) -> None:
    if _too_many(connection, request.msg_ids):
        return
    again = [session.sent(asked) for asked in request.msg_ids]
    if None in again:  # one that is unknown: all are answered as by msgs_state_req
        _state(connection, session, msg_id, request)
        return
    for message in again:
        if message is not None:
            connection.send(message)


def _acknowledge(connection: Connection, session: Session, _msg_id: int, request: Any) -> None:
    if not _too_many(connection, request.msg_ids):
        for acknowledged in request.msg_ids:
            session.acknowledge(acknowledged)


def _ignore(_connection: Connection, _session: Session, _msg_id: int, _request: Any) -> None:
    """What a client says of the server's messages unasked changes nothing."""


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
        (types.MsgResendReq, _resend),
        (types.HttpWait, _ignore),
        (types.MsgsAck, _acknowledge),
        (types.MsgsStateInfo, _ignore),
        (types.MsgsAllInfo, _ignore),
    )
}
"""What answers each service message, by constructor."""

SILENT = frozenset(
    kind.CONSTRUCTOR_ID for kind in (types.MsgsAck, types.MsgsStateInfo, types.MsgsAllInfo, types.HttpWait)
)
"""Service messages that nobody acknowledges, so that their sequence numbers are even."""
