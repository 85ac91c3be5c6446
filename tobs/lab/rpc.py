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

from tobs.lab.floods import PremiumWait
from tobs.lab.keys import App
from tobs.lab.tl import read_object

if TYPE_CHECKING:
    from tobs.lab.floods import FloodBucket, Wait
    from tobs.lab.keys import Client
    from tobs.lab.service import Service
    from tobs.lab.takeout import Takeout
    from tobs.lab.tl import Chunks

PASSWORD, UNREGISTERED = "SESSION_PASSWORD_NEEDED", "AUTH_KEY_UNREGISTERED"
TRUE, FALSE = b"\xb5ur\x99", b"7\x97y\xbc"
ABROAD = frozenset({"users.getUsers", "updates.getState", "account.updateStatus", "account.getPassword"})
"""What an account may ask beside `upload.*`, `help.*` and `auth.*` where it is not at home; of users only itself."""

IN_TAKEOUT = frozenset({"history", "file"})
"""The limits that are wider inside a takeout session."""

FOR_MEDIA = frozenset({"help.getConfig", "auth.importAuthorization", "auth.bindTempAuthKey"})
"""What an address for files alone answers beside `upload.*`."""

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

    `method` is what was asked ("" for what is no method); `bucket` granted the request, or is None; `delivered` is
    called with the time when the client has it, `acknowledged` when it says so itself.
    `quiet`: the request does not make its connection one that hears of updates.
    """

    body: Chunks
    served: Callable[[], None] | None = None
    bucket: FloodBucket | None = None
    delivered: Callable[[float], None] | None = None
    acknowledged: Callable[[], None] | None = None
    is_flood: bool = False
    method: str = ""
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

    @property
    def family(self) -> str:
        """The first part of its name: `upload`."""
        return self.name.partition(".")[0]

    def is_served(self, client: Client, request: Any, home: int) -> bool:
        """Whether the account behind a key may ask this where it asks, away from home or not."""
        if client.dc == home or client.user_id is None or self.family in {"upload", "help", "auth"}:
            return True
        return self.name in ABROAD and all(isinstance(i, types.InputUserSelf) for i in getattr(request, "id", ()))


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


def _handle(method: Method, call: Call) -> Result:
    try:
        result = method.handle(call)
        return bytes(result) if isinstance(result, TLObject) else result  # what cannot be written fails here, too
    except RpcFault:
        raise
    except Exception as error:
        log.exception("%s failed", method.name)
        raise RpcFault("INTERNAL", 500) from error


def answer(
    service: Service, client: Client, body: bytes, now: float, sent: float, *, media_only: bool = False
) -> Reply:
    """Answer one serialized request that arrived at `now`, sent at `sent`; a fault becomes a reply.

    `media_only`: it came to an address that serves files alone.
    """
    quiet, name = True, ""
    try:
        wrapped = _unwrap(_parsed(body, service))
        quiet = wrapped.quiet
        _know(client, wrapped, service)
        method = METHODS.get(type(wrapped.request))
        if method is None:
            service.counters.requests["unknown"] += 1
            raise RpcFault("INPUT_METHOD_INVALID")
        name = method.name
        service.counters.requests[name] += 1
        _admit(service, client, method, wrapped, media_only=media_only)
        reply = _serve(_call(service, client, wrapped, now), method, sent)
    except RpcFault as fault:
        service.counters.errors[fault.text] += 1
        reply = Reply((fault.serialize(),))
    reply.quiet, reply.method = quiet, name
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


def _admit(service: Service, client: Client, method: Method, wrapped: Wrapped, *, media_only: bool) -> None:
    """Refuse what cannot be asked here, by this client."""
    if media_only and method.family != "upload" and method.name not in FOR_MEDIA:
        # No document names the error; this is the one that Telegram has for a method out of place.
        raise RpcFault("METHOD_INVALID")
    if client.user_id is None and (method.login or wrapped.takeout_id is not None):
        raise RpcFault(client.ended or (PASSWORD if client.awaits_password else UNREGISTERED), 401)
    home = service.world.scenario.network.home
    if not method.is_served(client, wrapped.request, home):
        service.counters.migrations += 1
        raise RpcFault(f"USER_MIGRATE_{home}", 303)


def _call(service: Service, client: Client, wrapped: Wrapped, now: float) -> Call:
    """What the handler gets of a client that may ask this."""
    takeout = None
    if client.user_id is not None:
        client.active = int(time.time())
        if wrapped.takeout_id is not None:
            takeout = service.takeouts.find(client.user_id, wrapped.takeout_id)
            if takeout is None:
                raise RpcFault("TAKEOUT_INVALID")
            service.counters.takeout_requests += 1
    return Call(service, client, wrapped.request, now, takeout, wrapped.range)


def _serve(call: Call, method: Method, sent: float) -> Reply:
    service, client = call.service, call.client
    inside = call.takeout is not None and method.limit in IN_TAKEOUT
    bucket = service.bucket(client, method.limit) if method.limit else None
    premium = service.premium_wait(client) if method.limit == "file" else None
    if premium is not None and (seconds := premium.take(call.now, sent)):
        return flooded(service, premium, seconds)
    factor = service.world.scenario.limits.takeout.factor if inside else 1.0
    if bucket is not None and (seconds := bucket.take(call.now, sent, factor)):
        return flooded(service, bucket, seconds)
    if service.mishaps.errors and (mishap := service.mishaps.error(client, method.name)) is not None:
        raise RpcFault(mishap[1], mishap[0])
    result = _handle(method, call)
    if isinstance(result, bool):
        result = TRUE if result else FALSE
    reply = result if isinstance(result, Reply) else Reply((bytes(result),))
    if service.references.expire and method.family != "upload":
        reply.body = service.references.stamp(reply.body)
    reply.bucket = bucket
    return reply


def flooded(service: Service, wait: Wait, seconds: int) -> Reply:
    """The refusal that asks to wait so many seconds."""
    service.counters.refused += 1
    word = "FLOOD_PREMIUM_WAIT" if isinstance(wait, PremiumWait) else "FLOOD_WAIT"
    body = RpcFault(f"{word}_{seconds}", 420).serialize()
    return Reply((body,), delivered=wait.delivered, is_flood=True)
