"""Everything TOBS raises on purpose.

A `TobsError` reaches the user as one line that says what happened and one that says what to do next.
Whatever crosses the boundary to Telegram is translated into `RpcError` or `LostError` there, so that nothing
above it needs to know a client library.
"""

from __future__ import annotations


class TobsError(Exception):
    """Root of all errors of TOBS.

    `hint` says what to do next; `exit_code` is what the command line exits with.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(TobsError):
    """What was asked for cannot be right: an unknown knob, chat or file, an unreadable setting."""

    exit_code = 2


class ArchiveError(TobsError):
    """The archive folder cannot take the export: no space, locked, another chat's, damaged."""


class ConnectError(TobsError):
    """No usable connection: server away, wrong key, session unknown or logged out."""


class KeyUnknownError(ConnectError):
    """The server does not know the auth key that was used, or its authorization is gone."""


class LostError(TobsError):
    """One attempt got no answer: connection lost, deadline passed. Trying again may help."""


class PluginError(TobsError):
    """A plugin cannot be loaded, breaks a hook's contract, or failed; `plugin` is its name."""

    def __init__(self, plugin: str, message: str, *, hint: str = "") -> None:
        super().__init__(f"plugin {plugin} {message}", hint=hint or f"Run without it: --without {plugin}.")
        self.plugin = plugin


class TransformError(TobsError):
    """A file cannot be derived from another one: damaged, too large, too slow.

    `lasting` says that another attempt on the same content, with the same libraries and limits, would end alike.
    """

    def __init__(self, message: str, *, hint: str = "", lasting: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.lasting = lasting


class UnreachableError(LostError):
    """A data centre cannot be connected to: whatever else is asked of it would be lost too."""


class RpcError(TobsError):
    """The server refused one request.

    `name` is the server's word for it without its number (`FLOOD_WAIT`, `FILE_MIGRATE`), `value` that number
    (seconds, data centre) or None, `code` the HTTP-like class of it (420 floods, 303 migrations, 5xx its own).
    """

    def __init__(self, code: int, name: str, value: int | None = None, method: str = "") -> None:
        number = "" if value is None else f"_{value}"
        super().__init__(f"{method or 'request'} was refused: {name}{number} ({code})")
        self.code = code
        self.name = name
        self.value = value
        self.method = method

    @property
    def is_flood(self) -> bool:
        """Whether the server asks to wait `value` seconds before this method is called again."""
        return self.value is not None and self.name in FLOODS

    @property
    def is_stale(self) -> bool:
        """Whether the file reference that was sent is too old or none at all, so that a fresh one may be taken."""
        return self.name in STALE

    @property
    def is_server_fault(self) -> bool:
        """Whether the server itself failed (5xx or -500), so that the same request may succeed later."""
        return self.code >= 500 or self.code < 0


FLOODS = frozenset({"FLOOD_WAIT", "FLOOD_PREMIUM_WAIT", "SLOWMODE_WAIT"})
STALE = frozenset({"FILE_REFERENCE_EXPIRED", "FILE_REFERENCE_INVALID", "FILE_REFERENCE_EMPTY"})
"""Refusals of a file reference (file references, official documentation)."""
