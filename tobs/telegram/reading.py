"""Reading history answers: Telethon's codec, without what a message object carries for a client's convenience.

More than half of an export's CPU goes into parsing (`experiments/bench_text.py`). Telethon registers its own message
classes, whose constructors set some seventy attributes; the TL classes below them hold the same fields.
"""

from __future__ import annotations

from struct import Struct
from typing import Any

from telethon.extensions import BinaryReader
from telethon.tl import types
from telethon.tl.alltlobjects import tlobjects

_SIGNED, _UNSIGNED = Struct("<i").unpack_from, Struct("<I").unpack_from
_LONG, _UNSIGNED_LONG = Struct("<q").unpack_from, Struct("<Q").unpack_from


LONG = 254
"""First byte of a byte string whose length takes three more."""


def _plain(registered: type) -> Any:
    """The TL class that a registered message class is made of."""
    return next(kind for kind in registered.__mro__ if kind.__module__ == types.__name__)


Message = _plain(types.Message)
MessageService = _plain(types.MessageService)
MessageEmpty = _plain(types.MessageEmpty)
_KINDS: dict[int, Any] = {
    **tlobjects,
    **{kind.CONSTRUCTOR_ID: kind for kind in (Message, MessageService, MessageEmpty)},
}


class PlainReader(BinaryReader):  # type: ignore[misc]
    """Reads TL objects whose messages are plain TL classes."""

    stream: bytes
    position: int

    def tgread_object(self) -> Any:
        """One boxed object. Raises `TypeNotFoundError` for a constructor that this layer does not have."""
        kind = _KINDS.get(_UNSIGNED(self.stream, self.position)[0])
        if kind is None:
            return super().tgread_object()
        self.position += 4
        return kind.from_reader(self)

    def read_int(self, signed: bool = True) -> int:  # noqa: FBT001, FBT002 - Telethon's signature
        """Four bytes."""
        value: int = (_SIGNED if signed else _UNSIGNED)(self.stream, self.position)[0]
        self.position += 4
        return value

    def read_long(self, signed: bool = True) -> int:  # noqa: FBT001, FBT002 - Telethon's signature
        """Eight bytes."""
        value: int = (_LONG if signed else _UNSIGNED_LONG)(self.stream, self.position)[0]
        self.position += 8
        return value

    def tgread_bytes(self) -> bytes:
        """A byte string: its length in one byte, or in three after 254, and padding to four bytes."""
        stream, at = self.stream, self.position
        length, start = stream[at], at + 1
        if length == LONG:
            length, start = int.from_bytes(stream[start : start + 3], "little"), start + 3
        data: bytes = stream[start : start + length]
        if len(data) != length:
            raise BufferError(f"{length} bytes are announced and {len(data)} are there")
        self.position = start + length + (at - start - length) % 4
        return data


def read(data: bytes) -> Any:
    """The one object that `data` holds."""
    return PlainReader(data).tgread_object()
