"""From a serialized request to its answer: wrappers come off, login and limits are checked.

The modules of `tobs.lab.methods` register their handlers here, one module a family of methods.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from telethon.errors import TypeNotFoundError
from telethon.tl import functions, types
from telethon.tl.tlobject import TLObject, TLRequest

from tobs.lab.keys import App
from tobs.lab.tl import read_object

if TYPE_CHECKING:
    from tobs.lab.floods import FloodBucket
    from tobs.lab.keys import Client
    from tobs.lab.service import Service
    from tobs.lab.takeout import Takeout
    from tobs.lab.tl import Chunks

PASSWORD, UNREGISTERED = "SESSION_PASSWORD_NEEDED", "AUTH_KEY_UNREGISTERED"
TRUE, FALSE = b"\xb5ur\x99", b"7\x97y\xbc"
log = logging.getLogger(__name__)


class RpcFault(Exception):  # noqa: N818  rpc_error is its form on the wire
    """A request is refused: becomes `rpc_error`. Codes as in https://core.telegram.org/api/errors."""

    def __init__(self, text: str, code: int = 400) -> None:
        super().__init__(text)
        self.code = code
        self.text = text

    def serialize(self) -> bytes:
        """The serialized `rpc_error`."""
        return bytes(types.RpcError(self.code, self.text))


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as a handler sees it: when it arrived (loop's clock), and what it was wrapped in."""

    service: Service
    client: Client
    request: Any
    now: float = 0.0
    takeout: Takeout | None = None
    range: types.MessageRange | None = None

    @property
    def dc(self) -> int:
        """The data centre that was asked."""
        return self.client.dc

    @property
    def user_id(self) -> int:
        """The account that asks; only for methods that need a login."""
        if self.client.user_id is None:
            raise RpcFault(UNREGISTERED, 401)
        return self.client.user_id


@dataclass(slots=True)
class Reply:
    """A serialized result; `served` is called as it leaves, to count what was really given out.

    `quiet`: the request does not make its connection one that hears of updates.
    """

    body: Chunks
    served: Callable[[], None] | None = None
    bucket: FloodBucket | None = None
    is_flood: bool = False
    quiet: bool = True


Result: TypeAlias = Reply | TLObject | bytes | bool
Handler: TypeAlias = Callable[[Call], Result]


@dataclass(frozen=True, slots=True)
class Method:
    """A method the lab knows: name, handler, whether it needs a login, and the limit it falls under."""

    name: str
    handle: Handler
    login: bool
    limit: str | None


METHODS: dict[type[TLRequest], Method] = {}


def method_name(request: type[TLRequest]) -> str:
    """The official name of a method: `messages.getHistory`."""
    family = request.__module__.rpartition(".functions")[2].lstrip(".")
    name = request.__name__.removesuffix("Request")
    name = name[0].lower() + name[1:]
    return f"{family}.{name}" if family else name


def method(request: type[TLRequest], *, login: bool = True, limit: str | None = None) -> Callable[[Handler], Handler]:
    """Register a handler for a request. `limit` names the field of `Limits` whose bucket it draws from."""

    def register(handle: Handler) -> Handler:
        METHODS[request] = Method(method_name(request), handle, login, limit)
        return handle

    return register


@dataclass(slots=True)
class Wrapped:
    """A request out of its wrappers, and what they said: `quiet` asks for no updates on this connection."""

    request: Any
    layer: int | None = None
    app: App | None = None
    quiet: bool = False
    takeout_id: int | None = None
    range: types.MessageRange | None = None


_SILENT = (functions.InvokeAfterMsgRequest, functions.InvokeAfterMsgsRequest)


def _unwrap(request: Any) -> Wrapped:
    found = Wrapped(request)
    while True:
        if isinstance(request, functions.InvokeWithLayerRequest):
            found.layer = request.layer
        elif isinstance(request, functions.InitConnectionRequest):
            found.app = App.of(request)
        elif isinstance(request, functions.InvokeWithoutUpdatesRequest):
            found.quiet = True
        elif isinstance(request, functions.InvokeWithTakeoutRequest):
            found.takeout_id = request.takeout_id
        elif isinstance(request, functions.InvokeWithMessagesRangeRequest):
            found.range = request.range
        elif not isinstance(request, _SILENT):
            break
        request = request.query
    found.request = request
    return found


def _know(client: Client, wrapped: Wrapped, service: Service) -> None:
    """Keep what a client says of itself: everything else needs it once."""
    if wrapped.layer is not None and wrapped.app is not None:
        if (wrapped.layer, wrapped.app) != (client.layer, client.app):
            client.layer, client.app = wrapped.layer, wrapped.app
            service.keys.save()
    elif client.layer is None:
        raise RpcFault("CONNECTION_NOT_INITED")


def _call(service: Service, client: Client, wrapped: Wrapped, method: Method, now: float) -> Call:
    """What the handler gets, if whoever asks may ask this."""
    if client.user_id is None:
        if method.login or wrapped.takeout_id is not None:
            raise RpcFault(client.ended or (PASSWORD if client.awaits_password else UNREGISTERED), 401)
        return Call(service, client, wrapped.request, now)
    client.active = int(time.time())
    if wrapped.takeout_id is None:
        return Call(service, client, wrapped.request, now, None, wrapped.range)
    takeout = service.takeouts.find(client.user_id, wrapped.takeout_id)
    if takeout is None:
        raise RpcFault("TAKEOUT_INVALID")
    service.counters.takeout_requests += 1
    return Call(service, client, wrapped.request, now, takeout, wrapped.range)


def _handle(method: Method, call: Call) -> Result:
    try:
        result = method.handle(call)
        return bytes(result) if isinstance(result, TLObject) else result  # what cannot be written fails here, too
    except RpcFault:
        raise
    except Exception as error:
        log.exception("%s failed", method.name)
        raise RpcFault("INTERNAL", 500) from error


def answer(service: Service, client: Client, body: bytes, now: float, sent: float) -> Reply:
    """Answer one serialized request that arrived at `now`, sent at `sent`; a fault becomes a reply."""
    counters, quiet = service.counters, True
    try:
        wrapped = _unwrap(_parsed(body, service))
        quiet = wrapped.quiet
        _know(client, wrapped, service)
        reply = _serve(service, client, wrapped, now, sent)
    except RpcFault as fault:
        counters.errors[fault.text] += 1
        reply = Reply((fault.serialize(),))
    reply.quiet = quiet
    return reply


def _parsed(body: bytes, service: Service) -> Any:
    try:
        return read_object(body)
    except TypeNotFoundError as error:
        service.counters.requests["unknown"] += 1
        raise RpcFault("INPUT_METHOD_INVALID") from error
    except Exception as error:  # the codec fails in many ways on what is cut short or makes no sense
        service.counters.requests["malformed"] += 1
        raise RpcFault("INPUT_FETCH_ERROR") from error


def _serve(service: Service, client: Client, wrapped: Wrapped, now: float, sent: float) -> Reply:
    method = METHODS.get(type(wrapped.request))
    if method is None:
        service.counters.requests["unknown"] += 1
        raise RpcFault("INPUT_METHOD_INVALID")
    service.counters.requests[method.name] += 1
    call = _call(service, client, wrapped, method, now)
    bucket = service.bucket(client, method.limit, takeout=call.takeout is not None) if method.limit else None
    if bucket is not None and (wait := bucket.take(now, sent)):
        return flooded(service, bucket, wait)
    result = _handle(method, call)
    if isinstance(result, Reply):
        result.bucket = bucket
        return result
    if isinstance(result, bool):
        result = TRUE if result else FALSE
    return Reply((bytes(result),), bucket=bucket)


def flooded(service: Service, bucket: FloodBucket, wait: int) -> Reply:
    """The refusal that asks to wait so many seconds."""
    service.counters.refused += 1
    return Reply((RpcFault(f"FLOOD_WAIT_{wait}", 420).serialize(),), bucket=bucket, is_flood=True)
