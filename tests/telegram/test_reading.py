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
from tobs.telegram.reading import Message, MessageEmpty, MessageService, read, read_history


def test_every_message_is_the_same_and_writes_the_same_bytes() -> None:
    for history in world_of("small").histories.values():
        for data in history.serialized():
            ours, theirs = read(data), BinaryReader(data).tgread_object()
            assert isinstance(ours, Message | MessageService)
            assert not isinstance(ours, Custom)
            assert orjson.loads(encode(ours)) == orjson.loads(encode(theirs))
            assert bytes(ours) == data


def test_the_place_of_every_message_in_an_answer() -> None:
    history = next(iter(world_of("small").histories.values()))
    serialized = list(history.serialized())[:50]
    messages = [BinaryReader(data).tgread_object() for data in serialized]
    empty = MessageEmpty(999_999)
    answers = [
        types.messages.Messages([*messages, empty], [], [types.ChatEmpty(messages[0].id)], []),
        types.messages.MessagesSlice(70, [*messages, empty], [], [types.ChatEmpty(7)], [], next_rate=3),
        types.messages.ChannelMessages(1, 70, [*messages, empty], [], [], [types.UserEmpty(messages[1].id)]),
    ]
    for answer in answers:
        data = bytes(answer)
        found, places = read_history(data)
        assert [message.id for message in found.messages] == [message.id for message in (*messages, empty)]
        assert [data[places[message.id]] for message in messages] == serialized
        assert data[places[empty.id]] == bytes(empty)
        assert len(places) == len(answer.messages)


def test_an_answer_without_messages_has_no_places() -> None:
    found, places = read_history(bytes(types.messages.MessagesNotModified(3)))
    assert (found.count, places) == (3, {})
    with pytest.raises(TypeNotFoundError):
        read_history(b"\x01\x02\x03\x04\x05\x06\x07\x08")


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
