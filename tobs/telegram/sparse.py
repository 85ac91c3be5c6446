"""Decoders for the TL objects that history pages are made of: each makes an object that holds only what is set.

Telethon's constructors set every field there is, fifty of a plain message, and its readers make a call for each number.
Here a line of the schema is compiled into one function over the bytes. The objects are Telethon's: of its classes, or
of subclasses that answer None, False or an empty list for what is not set. Their `__dict__` holds the set fields as the
schema orders them and, last, `_`: the name of the class. So it is what `raw` keeps of an object.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from telethon.tl import types

from tobs.telegram.schema import LINES

if TYPE_CHECKING:
    from collections.abc import Iterator

Decode: TypeAlias = "Any"
"""`(data, at) -> (object, position behind it)`, with `at` behind the constructor's number."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NUMBER = Struct("<I").unpack_from
LONG = 254
"""First byte of a byte string whose length takes three more."""
_LINE = re.compile(r"(\w+)#(\w+)((?: [^ ]+)*) = \w+")
_FIELD = re.compile(r"(\w+):(?:(flags\d*)\.(\d+)\?)?([\w#<>]+)")
_FIXED = {"#": "I", "int": "i", "long": "q", "double": "d"}
_DATES = frozenset({"expires", "was_online"})
"""Fields beside those that end in "date" which Telethon takes for a time."""


class Field(NamedTuple):
    """A field of a constructor: `flags` and `bit` say where its presence stands, None where it is always there."""

    name: str
    flags: str | None
    bit: int
    type: str

    @property
    def is_time(self) -> bool:
        """Whether its seconds since 1970 become a `datetime`."""
        return self.type == "int" and (self.name.endswith("date") or self.name in _DATES)


class Constructor(NamedTuple):
    """A line of the schema."""

    name: str
    number: int
    fields: tuple[Field, ...]
    line: str


def constructors() -> Iterator[Constructor]:
    """The lines of the schema."""
    for text in LINES.split(";"):
        line = " ".join(text.split())
        if line:
            name, number, fields = _matched(_LINE, line)
            found = tuple(
                Field(field, flags or None, int(bit or 0), kind)
                for field, flags, bit, kind in (_matched(_FIELD, each) for each in fields.split())
            )
            yield Constructor(name[0].upper() + name[1:], int(number, 16), found, line)


def _matched(pattern: re.Pattern[str], text: str) -> tuple[str, ...]:
    match = pattern.fullmatch(text)
    if match is None:
        raise ValueError(f"not TL: {text}")
    return tuple(group or "" for group in match.groups())


def decoders(others: Any) -> dict[int, Decode]:
    """A decoder for every line whose constructor Telethon knows by the same number.

    `others` maps the number of any constructor to its decoder, these included: what is nested is looked up in it.
    """
    made: dict[int, Decode] = {}
    for constructor in constructors():
        kind = getattr(types, constructor.name, None)
        if kind is not None and constructor.number == kind.CONSTRUCTOR_ID:
            made[constructor.number] = _compiled(constructor, plain(kind), others)
    return made


def plain(kind: Any) -> Any:
    """The TL class that a class is made of: Telethon registers its own message classes."""
    return next(each for each in kind.__mro__ if each.__module__ == types.__name__)


def _compiled(constructor: Constructor, kind: Any, others: Any) -> Decode:
    absent: dict[str, Any] = {
        each.name: False if each.type == "true" else None for each in constructor.fields if each.flags
    }
    absent |= {each.name: [] for each in constructor.fields if not each.flags and each.type.startswith("Vector<")}
    if absent:
        kind = type(kind.__name__, (kind,), {"__slots__": (), "__module__": __name__, **absent})
    named: dict[str, Any] = {
        "kind": kind,
        "new": object.__new__,
        "others": others,
        "U": NUMBER,
        **{kind: Struct(f"<{code}").unpack_from for kind, code in _FIXED.items() if kind != "#"},
        "text": text,
        "octets": octets,
        "numbers": numbers,
        "EPOCH": EPOCH,
        "seconds": timedelta,
    }
    code = "\n".join(_code(constructor, kind.__name__, named))
    exec(compile(code, f"<{constructor.name}>", "exec"), named)  # noqa: S102 - made of the schema above
    return named["decode"]


def _code(constructor: Constructor, name: str, named: dict[str, Any]) -> Iterator[str]:
    """The lines of `decode`; the structs that it needs are put into `named`."""
    yield "def decode(data, at):"
    fields = [each for each in constructor.fields if each.type != "true"]
    simple = all(not each.flags and each.type in {"int", "long", "double"} and not each.is_time for each in fields)
    if not simple:
        yield " held = {}"
    while fields:
        fixed = []
        while fields and not fields[0].flags and fields[0].type in _FIXED:
            fixed.append(fields.pop(0))
        if fixed:
            yield from _fixed(constructor, fixed, named, simple=simple)
        elif fields[0].flags:
            first = fields.pop(0)
            yield f" if {first.flags} & {1 << first.bit}:"
            yield from (" " + line for line in _single(first))
        else:
            yield from _single(fields.pop(0))
    if simple:
        items = "".join(f"{each.name!r}: {each.name}_, " for each in constructor.fields)
        yield f" held = {{{items}'_': {name!r}}}"
    else:
        yield f" held['_'] = {name!r}"
    yield " made = new(kind)"
    yield " made.__dict__ = held"
    yield " return made, at"


def _fixed(constructor: Constructor, fields: list[Field], named: dict[str, Any], *, simple: bool) -> Iterator[str]:
    """Fields of fixed length that follow one another, in one go; of flags the set ones are noted."""
    struct = Struct("<" + "".join(_FIXED[each.type] for each in fields))
    named[f"S{struct.format[1:]}"] = struct.unpack_from
    targets = ", ".join(each.name if each.type == "#" else f"{each.name}_" for each in fields)
    yield f" {targets}, = S{struct.format[1:]}(data, at)"
    yield f" at += {struct.size}"
    if simple:
        return
    for each in fields:
        if each.type == "#":
            true = [one for one in constructor.fields if one.flags == each.name and one.type == "true"]
            if true:
                yield f" if {each.name} & {sum(1 << one.bit for one in true)}:"
            for one in true:
                yield f"  if {each.name} & {1 << one.bit}: held[{one.name!r}] = True"
        elif each.is_time:
            yield f" held[{each.name!r}] = EPOCH + seconds(0, {each.name}_)"
        else:
            yield f" held[{each.name!r}] = {each.name}_"


def _single(field: Field) -> Iterator[str]:
    """One field."""
    target, kind = f"held[{field.name!r}]", field.type
    if field.is_time:
        yield f" {target} = EPOCH + seconds(0, int(data, at)[0])"
        yield " at += 4"
    elif kind in _FIXED:
        yield f" {target} = {kind}(data, at)[0]"
        yield f" at += {Struct('<' + _FIXED[kind]).size}"
    elif kind == "string":  # a short one needs no call
        yield " length = data[at]"
        yield " found = data[at + 1 : at + 1 + length]"
        yield f" if length < {LONG} and len(found) == length:"
        yield f"  {target} = str(found, 'utf-8', 'replace')"
        yield "  at += length + 4 & -4"
        yield " else:"
        yield f"  {target}, at = text(data, at)"
    elif kind == "bytes":
        yield f" {target}, at = octets(data, at)"
    elif kind == "Vector<int>":
        yield " found, at = numbers(data, at)"
        yield f" if found: {target} = found"
    elif kind.startswith("Vector<"):
        yield " count = U(data, at + 4)[0]"
        yield " at += 8"
        yield f" if count: {target} = found = []"
        yield " for _ in range(count):"
        yield "  thing, at = others[U(data, at)[0]](data, at + 4)"
        yield "  found.append(thing)"
    else:
        yield f" {target}, at = others[U(data, at)[0]](data, at + 4)"


def octets(data: bytes, at: int) -> tuple[bytes, int]:
    """A byte string: its length in one byte, or in three after 254, and padding to four bytes; and what is behind it.

    Raises `BufferError` if it is cut off.
    """
    length, start = data[at], at + 1
    if length == LONG:
        length, start = int.from_bytes(data[start : start + 3], "little"), start + 3
    end = start + length
    held = data[start:end]
    if len(held) != length:
        raise BufferError(f"{length} bytes are announced and {len(held)} are there")
    return held, end + (at - end) % 4


def text(data: bytes, at: int) -> tuple[str, int]:
    """A byte string as text."""
    held, at = octets(data, at)
    return str(held, "utf-8", "replace"), at


def numbers(data: bytes, at: int) -> tuple[list[int], int]:
    """A list of numbers of four bytes."""
    count = NUMBER(data, at + 4)[0]
    at += 8
    return list(Struct(f"<{count}i").unpack_from(data, at)), at + 4 * count
