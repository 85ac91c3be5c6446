"""Reading history answers: Telethon's codec, but for the objects that come by the thousand.

More than half of an export's CPU went into parsing with Telethon's own classes (`experiments/bench_text.py`); what
history pages are made of is decoded by `tobs.telegram.sparse` instead. Everything else is read as Telethon reads it.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any

from telethon.extensions import BinaryReader
from telethon.tl import types
from telethon.tl.alltlobjects import tlobjects

from tobs.telegram import sparse

if TYPE_CHECKING:
    from tobs.telegram.sparse import Decode

_SIGNED, _UNSIGNED = Struct("<i").unpack_from, Struct("<I").unpack_from
_LONG, _UNSIGNED_LONG = Struct("<q").unpack_from, Struct("<Q").unpack_from

Message = sparse.plain(types.Message)
MessageService = sparse.plain(types.MessageService)
MessageEmpty = sparse.plain(types.MessageEmpty)


class PlainReader(BinaryReader):  # type: ignore[misc]
    """Reads TL objects whose messages are plain TL classes."""

    stream: bytes
    position: int

    def tgread_object(self) -> Any:
        """One boxed object. Raises `TypeNotFoundError` for a constructor that this layer does not have."""
        at = self.position
        thing, self.position = _DECODERS[_UNSIGNED(self.stream, at)[0]](self.stream, at + 4)
        return thing

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
        """A byte string. Raises `BufferError` if it is cut off."""
        data, self.position = sparse.octets(self.stream, self.position)
        return data


class _NotingReader(PlainReader):
    """Notes where each of its objects stands; those inside of them are not its own."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.noted: list[tuple[Any, slice]] = []

    def tgread_object(self) -> Any:
        """One boxed object."""
        at = self.position
        thing = super().tgread_object()
        self.noted.append((thing, slice(at, self.position)))
        return thing


class _Decoders(dict[int, "Decode"]):
    """Decoders by constructor: those of `tobs.telegram.sparse`, and around Telethon's classes what is read by these."""

    def __missing__(self, number: int) -> Decode:
        kind = MessageEmpty if number == MessageEmpty.CONSTRUCTOR_ID else tlobjects.get(number)

        def decode(data: bytes, at: int) -> tuple[Any, int]:
            reader = PlainReader(data)
            if kind is None:  # a boolean or a vector outside of a class, or nothing that is known
                reader.position = at - 4
                return BinaryReader.tgread_object(reader), reader.position
            reader.position = at
            return kind.from_reader(reader), reader.position

        if kind is not None:
            self[number] = decode
        return decode


_DECODERS = _Decoders()
_DECODERS.update(sparse.decoders(_DECODERS))


def read(data: bytes) -> Any:
    """The one object that `data` holds."""
    return PlainReader(data).tgread_object()


def read_history(data: bytes) -> tuple[Any, dict[int, slice]]:
    """An answer with messages, and where in `data` each of these stands, by its id."""
    reader = _NotingReader(data)
    kind = tlobjects.get(reader.read_int(signed=False))
    if kind is None:
        return read(data), {}
    answer = kind.from_reader(reader)
    messages = {id(message) for message in getattr(answer, "messages", ())}
    return answer, {thing.id: place for thing, place in reader.noted if id(thing) in messages}
