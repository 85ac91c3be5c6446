"""What the compiled decoders read is what Telethon reads, whatever is set; and the schema is TL's own."""

from __future__ import annotations

import random
import re
import zlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from telethon.extensions import BinaryReader
from telethon.tl import types

from tobs.telegram.normalise import encode
from tobs.telegram.reading import PlainReader, read
from tobs.telegram.sparse import EPOCH, Constructor, Field, constructors

if TYPE_CHECKING:
    from collections.abc import Callable

    from telethon.tl.tlobject import TLObject

SCHEMA = list(constructors())
NAMES = [constructor.name for constructor in SCHEMA]
ELSEWHERE: dict[str, TLObject] = {
    "MessageAction": types.MessageActionChatEditTitle("title"),
    "WebPage": types.WebPageEmpty(7, "https://example.org"),
    "RestrictionReason": types.RestrictionReason("all", "porn", "no"),
    "ReplyMarkup": types.ReplyKeyboardHide(selective=True),
    "Username": types.Username("name", editable=True),
    "VideoSize": types.VideoSize("v", 1, 2, 3),
    "MaskCoords": types.MaskCoords(1, 0.5, 0.25, 2.0),
}
"""Objects of types that the schema has no line for: they are read by Telethon's classes, inside of ours."""


def named(name: str) -> Constructor:
    return next(constructor for constructor in SCHEMA if constructor.name == name)


def result(constructor: Constructor) -> str:
    return constructor.line.rsplit(" = ", 1)[1]


@pytest.mark.parametrize("name", NAMES)
def test_a_line_has_the_number_that_tl_gives_it(name: str) -> None:
    """https://core.telegram.org/mtproto/TL: the CRC-32 of the line, bare of what does not count."""
    bare = re.sub(r"#[0-9a-f]+", "", named(name).line).replace(":bytes", ":string").replace("?bytes", "?string")
    bare = re.sub(r" \w+:flags\d*\.\d+\?true", "", bare).replace("<", " ").replace(">", "")
    assert zlib.crc32(bare.encode()) == named(name).number


@pytest.mark.parametrize("name", NAMES)
def test_telethon_knows_it_by_the_same_number(name: str) -> None:
    """After an update of Telethon this names the lines that are no longer used."""
    assert named(name).number == getattr(types, name).CONSTRUCTOR_ID


def number(chance: random.Random, bits: int) -> int:
    half = 2 ** (bits - 1)
    return chance.choice((0, 1, -1, half - 1, -half, chance.randint(-half, half - 1)))


def size(chance: random.Random, depth: int) -> int:
    """A length; all paddings and both ways to say it where that does not make objects endless."""
    return chance.choice((0, 1, 2, 3, 4, 253, 254, 255, 300)) if depth < 2 else chance.randint(0, 9)


PLAIN: dict[str, Callable[[random.Random, int], Any]] = {
    "true": lambda _, __: True,
    "int": lambda chance, _: number(chance, 32),
    "long": lambda chance, _: number(chance, 64),
    "double": lambda chance, _: chance.choice((0.0, -1.5, chance.random())),
    "string": lambda chance, depth: "".join(chance.choice("aé\u4e2d😀\0") for _ in range(size(chance, depth))),
    "bytes": lambda chance, depth: chance.randbytes(size(chance, depth)),
}


def value(field: Field, chance: random.Random, depth: int) -> Any:
    """A random value of a field; None for a type that cannot be made here."""
    kind = field.type
    if field.is_time:
        return EPOCH + timedelta(0, number(chance, 32))
    if kind in PLAIN:
        return PLAIN[kind](chance, depth)
    if kind.startswith("Vector<"):
        one = Field(field.name, None, 0, kind[7:-1])
        found = [value(one, chance, depth) for _ in range(chance.randint(1 if field.flags else 0, 3))]
        return found if None not in found else None
    makers = [each for each in SCHEMA if result(each) == kind]
    if not makers:
        return ELSEWHERE.get(kind)
    flat = [each for each in makers if all(one.flags or one.type in PLAIN for one in each.fields)]
    return made(chance.choice(flat if depth > 2 else makers), chance, depth + 1)


def made(constructor: Constructor, chance: random.Random, depth: int = 0) -> Any:
    """An object of Telethon's with random fields; which of its flags are set is random, too."""
    bits = {(field.flags, field.bit) for field in constructor.fields if field.flags}
    share = chance.choice((0.0, 0.1, 0.5, 1.0)) if depth < 2 else 0.1
    wanted: dict[str, Any] = {}
    for bit in sorted(bits, key=str):
        if chance.random() < share:
            fields = [field for field in constructor.fields if (field.flags, field.bit) == bit]
            values = {field.name: value(field, chance, depth) for field in fields}
            if None not in values.values():
                wanted |= values
    for field in constructor.fields:
        if not field.flags and field.type != "#":
            wanted[field.name] = value(field, chance, depth)
    return getattr(types, constructor.name)(**wanted)


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=25)
def test_everything_that_may_be_set_is_read_as_telethon_reads_it(name: str, seed: int) -> None:
    data = bytes(made(named(name), random.Random(seed)))
    reader = PlainReader(data)
    ours, theirs = reader.tgread_object(), BinaryReader(data).tgread_object()
    assert reader.position == len(data)
    assert ours.to_dict() == theirs.to_dict()
    assert orjson.loads(encode(ours)) == orjson.loads(encode(theirs))
    assert bytes(ours) == data
    assert isinstance(ours, next(kind for kind in type(theirs).__mro__ if kind.__module__ == types.__name__))


def test_an_object_holds_what_is_set_and_answers_none_for_the_rest() -> None:
    message = read(bytes(types.Message(5, types.PeerUser(7), EPOCH, "text", out=True)))
    assert vars(message).keys() == {"id", "peer_id", "date", "message", "out", "_"}
    assert message.media is None
    assert not message.silent
    assert message.entities is None


def test_an_empty_list_is_empty_and_is_not_kept() -> None:
    made_empty = types.Photo(1, 2, b"", EPOCH, [], 4), types.Message(1, types.PeerUser(1), EPOCH, "", entities=[])
    for data in map(bytes, made_empty):
        ours, theirs = read(data), BinaryReader(data).tgread_object()
        assert ours.to_dict() == theirs.to_dict()
        assert orjson.loads(encode(ours)) == orjson.loads(encode(theirs))
    assert read(bytes(made_empty[0])).sizes == []


@pytest.mark.parametrize("name", ["Message", "User", "Document", "MessageEntityBold"])
def test_what_is_cut_off_is_refused(name: str) -> None:
    data = bytes(made(named(name), random.Random(3)))
    for length in range(0, len(data), 4):
        with pytest.raises(Exception, match=r"requires|announced|range"):
            read(data[:length])
