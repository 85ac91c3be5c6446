"""Our reader reads what Telethon's reads, but for the conveniences on messages."""

from __future__ import annotations

import orjson
import pytest
from telethon.errors import TypeNotFoundError
from telethon.extensions import BinaryReader
from telethon.tl import types
from telethon.tl.custom import Message as Custom

from tests.export.labs import world_of
from tobs.telegram.normalise import encode
from tobs.telegram.reading import Message, MessageService, read


def test_every_message_is_the_same_and_writes_the_same_bytes() -> None:
    for history in world_of("small").histories.values():
        for data in history.serialized():
            ours, theirs = read(data), BinaryReader(data).tgread_object()
            assert isinstance(ours, Message | MessageService)
            assert not isinstance(ours, Custom)
            assert orjson.loads(encode(ours)) == orjson.loads(encode(theirs))
            assert bytes(ours) == data


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 253, 254, 255, 256, 70_000])
def test_byte_strings_of_every_padding(length: int) -> None:
    data = bytes(types.upload.File(types.storage.FileJpeg(), 7, b"x" * length))
    assert read(data).bytes == b"x" * length


def test_a_string_that_is_cut_off_is_refused() -> None:
    data = bytes(types.upload.File(types.storage.FileJpeg(), 7, b"x" * 100))
    with pytest.raises(BufferError):
        read(data[:-50])


def test_an_unknown_constructor_is_named() -> None:
    with pytest.raises(TypeNotFoundError):
        read(b"\x01\x02\x03\x04\x05\x06\x07\x08")


def test_vectors_and_booleans_outside_of_classes() -> None:
    assert read(b"\x15\xc4\xb5\x1c\x01\x00\x00\x00\xb5\x75\x72\x99") == [True]
