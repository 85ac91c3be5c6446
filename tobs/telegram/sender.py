"""One connection to one data centre: Telethon's sender with its retries off, and errors in our own words.

This module and `wire` are the only ones that touch what Telethon keeps inside; `tests/telegram` holds them against the
lab.
"""

from __future__ import annotations

import asyncio
import logging
import platform
import secrets
from typing import TYPE_CHECKING, Any

import telethon
from telethon.crypto import AuthKey
from telethon.errors import AuthKeyNotFound, RPCError
from telethon.errors.rpcerrorlist import rpc_errors_dict, rpc_errors_re
from telethon.tl.alltlobjects import LAYER
from telethon.tl.functions import InitConnectionRequest, InvokeWithLayerRequest, PingRequest
from telethon.tl.tlobject import TLRequest

from tobs import __version__
from tobs.errors import ConnectError, KeyUnknownError, LostError, RpcError, UnreachableError
from tobs.telegram.wire import Connection, Sender

if TYPE_CHECKING:
    from tobs.telegram.account import Account

CONNECT_TIMEOUT = 15.0
_NAMES: dict[type, str] = {
    **{kind: name for name, kind in rpc_errors_dict.items()},
    **{kind: pattern.replace("_(\\d+)", "") for pattern, kind in rpc_errors_re},
}
_UNAUTHORIZED = frozenset(
    {"AUTH_KEY_UNREGISTERED", "AUTH_KEY_INVALID", "SESSION_REVOKED", "SESSION_EXPIRED", "USER_DEACTIVATED"}
)
GO_ON = "Check the network (for a lab: that it still runs), then run the same command again."
LOGIN_AGAIN = "Log in again with `tobs login`, or name another account with --account."


class _Loggers(dict[str, logging.Logger]):
    """Telethon asks for loggers by module name."""

    def __missing__(self, name: str) -> logging.Logger:
        self[name] = logger = logging.getLogger(name)
        return logger


class _Discard:
    """Takes the updates that a session receives and keeps none: an export reads history instead."""

    def put_nowait(self, item: object) -> None:
        """Forget it."""


class TelegramSender:
    """See `tobs.ports.Sender`."""

    def __init__(self, sender: Sender, dc: int) -> None:
        self._sender = sender
        self._waiting: set[asyncio.Future[Any]] = set()
        self.dc = dc
        self.closed = False
        self._watch = asyncio.ensure_future(sender.disconnected)
        self._watch.add_done_callback(self._ended)

    @property
    def auth_key(self) -> bytes:
        """The key that this connection speaks with."""
        return bytes(self._sender.auth_key.key)

    @property
    def salt(self) -> int:
        """The server salt of the key, as last told."""
        return int(self._sender._state.salt)  # noqa: SLF001 - Telethon shows none

    async def send(self, request: Any) -> Any:
        """Send one request and await its answer; see `tobs.ports.Sender`."""
        try:
            answer = self._sender.send(request)
        except ConnectionError:
            raise self._lost() from None
        self._waiting.add(answer)
        try:
            return await answer
        except RPCError as error:
            raise translate(error, request) from None
        except AuthKeyNotFound:
            raise KeyUnknownError("the server does not know this session", hint=LOGIN_AGAIN) from None
        except (OSError, asyncio.IncompleteReadError, BufferError):
            raise self._lost() from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise self._lost() from None  # the sender cancelled what it could not finish
        finally:
            self._waiting.discard(answer)

    async def ping(self) -> None:
        """See `tobs.ports.Sender`."""
        await self.send(PingRequest(secrets.randbits(63)))

    async def close(self) -> None:
        """Close the connection."""
        self.closed = True
        await self._sender.disconnect()

    def _lost(self) -> LostError:
        return LostError(f"the connection to data centre {self.dc} was lost", hint=GO_ON)

    def _ended(self, watch: asyncio.Future[Any]) -> None:
        self.closed = True
        if not watch.cancelled():
            watch.exception()  # seen; what was waiting is told below or by Telethon
        for answer in list(self._waiting):
            if not answer.done():
                answer.set_exception(ConnectionError("connection ended"))


def translate(error: RPCError, request: Any) -> Exception:
    """Telethon's exception as ours, by the server's own name for it and the method inside of what wraps it."""
    name = _NAMES.get(type(error)) or str(error.message or "UNKNOWN")
    captured = [value for key, value in vars(error).items() if key != "code" and type(value) is int]
    value = captured[0] if captured else None
    while isinstance(query := getattr(request, "query", None), TLRequest):
        request = query
    named = (kind.__name__ for kind in type(request).__mro__ if kind.__name__.endswith("Request"))
    method = next(named, type(request).__name__).removesuffix("Request")
    if name in _UNAUTHORIZED:
        return KeyUnknownError(f"this account is not logged in any more ({name})", hint=LOGIN_AGAIN)
    return RpcError(int(error.code or 0), name, value, method)


async def open_sender(
    account: Account, dc: int, address: tuple[str, int], key: bytes | None, first: Any, salt: int = 0
) -> tuple[TelegramSender, Any]:
    """`connect_sender`, then `introduce` with the request `first`; returns sender and answer."""
    sender = await connect_sender(dc, address, key, salt)
    return sender, await introduce(sender, account, first)


async def connect_sender(dc: int, address: tuple[str, int], key: bytes | None, salt: int = 0) -> TelegramSender:
    """Connect, and agree on a key if `key` is None.

    A `salt` of this key that is still good saves the round trip in which the server tells it; a wrong one does no harm.
    Raises `UnreachableError` if the address cannot be reached, `ConnectError` if the server is not whom we trust.
    """
    host, port = address
    sender = Sender(
        AuthKey(key) if key else None,
        loggers=_Loggers(),
        retries=1,
        delay=0,
        auto_reconnect=False,
        connect_timeout=CONNECT_TIMEOUT,
        updates_queue=_Discard(),
    )
    connection = Connection(host, port, dc, loggers=_Loggers())
    try:
        async with asyncio.timeout(2 * CONNECT_TIMEOUT):
            await sender.connect(connection)
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        await sender.disconnect()
        if "auth_key" in str(error):
            raise ConnectError(
                f"no key could be agreed with data centre {dc} at {host}:{port}",
                hint="The server's RSA key is not the one in the server file: take the file that this server wrote.",
            ) from None
        raise UnreachableError(
            f"data centre {dc} at {host}:{port} cannot be reached",
            hint=GO_ON,
        ) from None
    except BaseException:
        await sender.disconnect()
        raise
    sender._state.salt = salt  # noqa: SLF001 - Telethon takes none
    return TelegramSender(sender, dc)


async def introduce(sender: TelegramSender, account: Account, first: Any) -> Any:
    """The answer to the request `first`, with which a new connection says what it is; closes one that gives none.

    Raises `UnreachableError` if no answer comes in time.
    """
    try:
        async with asyncio.timeout(2 * CONNECT_TIMEOUT):
            return await sender.send(introduction(account, first))
    except TimeoutError:
        await sender.close()
        raise UnreachableError(f"data centre {sender.dc} does not answer", hint=GO_ON) from None
    except BaseException:
        await sender.close()
        raise


def introduction(account: Account, query: Any) -> Any:
    """`query` wrapped so that the server knows layer and application."""
    return InvokeWithLayerRequest(
        LAYER,
        InitConnectionRequest(
            api_id=account.api_id,
            device_model=platform.machine() or "unknown",
            system_version=platform.system() or "unknown",
            app_version=__version__,
            lang_code="en",
            system_lang_code="en",
            lang_pack="",
            query=query,
            proxy=None,
        ),
    )


def telethon_version() -> str:
    """For reports."""
    return str(telethon.__version__)
