"""From TL objects to rows: kinds, senders, sizes, and a `raw` from which nothing is missing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from telethon.extensions import BinaryReader
from telethon.tl import types

from tests.export.checker import rebuilt
from tobs.telegram.normalise import Normaliser, kind_of, marked, peer_id, reference, references
from tobs.values import Chat, MessageRow, Page, Span

DATE = datetime(2024, 1, 31, 12, tzinfo=UTC)
CHANNEL, GROUP, FRIEND, ME = -1_000_000_000_005, -7, 11, 10


def read(message: Any) -> Any:
    """The message as it comes off the wire."""
    return BinaryReader(bytes(message)).tgread_object()


def message(**fields: Any) -> Any:
    return read(types.Message(**{"id": 3, "peer_id": types.PeerChannel(5), "date": DATE, "message": "hi"} | fields))


def row_of(said: Any, *, kind: str = "channel", chat: int = CHANNEL) -> MessageRow:
    page = Page(Chat(chat, kind, "T"), Span(1, 9), [said], [], 1, ended=True, doubtful=False, size=0)
    (row,) = Normaliser(ME)(page).messages
    return row


def document(*attributes: Any, size: int = 9) -> Any:
    return types.Document(1, 2, b"ref", DATE, "x/y", size, 4, list(attributes))


VIDEO = types.DocumentAttributeVideo(1.0, 2, 2)
ROUND = types.DocumentAttributeVideo(1.0, 2, 2, round_message=True)
VOICE = types.DocumentAttributeAudio(1, voice=True)
SONG = types.DocumentAttributeAudio(1)
MOVING = types.DocumentAttributeAnimated()
STICKER = types.DocumentAttributeSticker("🙂", types.InputStickerSetEmpty())
NAME = types.DocumentAttributeFilename("a.b")


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ((), "file"),
        ((NAME,), "file"),
        ((NAME, VIDEO), "video_file"),
        ((ROUND,), "video_message"),
        ((VIDEO, MOVING), "animation"),
        ((MOVING,), "animation"),
        ((VOICE,), "voice_message"),
        ((NAME, SONG), "audio_file"),
        ((STICKER, NAME), "sticker"),
        ((VIDEO, STICKER, MOVING), "sticker"),
    ],
)
def test_kinds_are_telegram_desktops(attributes: tuple[Any, ...], kind: str) -> None:
    assert kind_of(document(*attributes)) == kind
    assert kind_of(document(*attributes[::-1])) == kind


@pytest.mark.parametrize(
    ("peer", "number"),
    [(types.PeerUser(11), 11), (types.PeerChat(7), -7), (types.PeerChannel(5), CHANNEL), (None, None)],
)
def test_ids_are_marked(peer: Any, number: int | None) -> None:
    assert marked(peer) == number


@pytest.mark.parametrize(
    ("peer", "number"),
    [
        (types.User(11), 11),
        (types.UserEmpty(11), 11),
        (types.Chat(7, "t", types.ChatPhotoEmpty(), 1, DATE, 1), -7),
        (types.ChatForbidden(7, "t"), -7),
        (types.ChatEmpty(7), -7),
        (types.Channel(5, "t", types.ChatPhotoEmpty(), DATE), CHANNEL),
        (types.ChannelForbidden(5, 1, "t"), CHANNEL),
    ],
)
def test_peers_have_marked_ids(peer: Any, number: int) -> None:
    assert peer_id(peer) == number


@pytest.mark.parametrize(
    ("fields", "kind", "chat", "sender"),
    [
        ({"from_id": types.PeerUser(FRIEND)}, "channel", CHANNEL, FRIEND),
        ({"from_id": types.PeerChannel(6)}, "channel", CHANNEL, CHANNEL - 1),
        ({"post": True}, "channel", CHANNEL, CHANNEL),
        ({"post": True, "out": True}, "channel", CHANNEL, CHANNEL),
        ({"from_id": types.PeerUser(FRIEND)}, "chat", GROUP, FRIEND),
        ({}, "user", FRIEND, FRIEND),
        ({"out": True}, "user", FRIEND, ME),
        ({"out": True}, "user", ME, ME),
    ],
)
def test_everybody_is_a_sender(fields: dict[str, Any], kind: str, chat: int, sender: int) -> None:
    assert row_of(message(**fields), kind=kind, chat=chat).sender_id == sender


def test_a_row_has_what_a_message_says() -> None:
    said = message(
        reply_to=types.MessageReplyHeader(reply_to_msg_id=2),
        grouped_id=77,
        edit_date=DATE,
        views=5,
        forwards=6,
        entities=[types.MessageEntityBold(0, 2)],
    )
    row = row_of(said)
    assert row[:12] == (
        *(CHANNEL, 3, "2024-01-31T12:00:00+00:00", CHANNEL, "hi", "message"),
        *(2, 77, None, "2024-01-31T12:00:00+00:00", 5, 6),
    )
    assert json.loads(row.raw)["entities"] == [{"_": "MessageEntityBold", "offset": 0, "length": 2}]


@pytest.mark.parametrize(
    ("header", "reply", "topic"),
    [
        (types.MessageReplyHeader(reply_to_msg_id=2), 2, None),
        (types.MessageReplyHeader(reply_to_msg_id=2, forum_topic=True), 2, 2),
        (types.MessageReplyHeader(reply_to_msg_id=5, reply_to_top_id=2, forum_topic=True), 5, 2),
        (types.MessageReplyHeader(reply_to_msg_id=5, reply_to_top_id=2), 5, None),
        (types.MessageReplyStoryHeader(types.PeerUser(1), 9), None, None),
    ],
)
def test_replies_and_topics(header: Any, reply: int | None, topic: int | None) -> None:
    row = row_of(message(reply_to=header))
    assert (row.reply_to, row.topic_id) == (reply, topic)


def test_service_messages() -> None:
    said = read(
        types.MessageService(
            id=4, peer_id=types.PeerChannel(5), date=DATE, action=types.MessageActionChatEditTitle("New")
        )
    )
    row = row_of(said)
    assert (row.kind, row.text, row.views) == ("service", "", None)
    assert json.loads(row.raw)["action"] == {"_": "MessageActionChatEditTitle", "title": "New"}


def test_nothing_is_missing_from_raw() -> None:
    photo = types.Photo(1, 2, b"\0\xff", DATE, [types.PhotoStrippedSize("i", b"\1\2"), PROGRESSIVE], 4)
    said = types.Message(
        id=3,
        peer_id=types.PeerChannel(5),
        date=DATE,
        message="a 🚀",
        out=True,
        entities=[types.MessageEntityCustomEmoji(2, 2, 1 << 62)],
        media=types.MessageMediaPhoto(photo=photo, spoiler=True),
        fwd_from=types.MessageFwdHeader(DATE, from_name="N"),
        reactions=types.MessageReactions([types.ReactionCount(types.ReactionEmoji("👍"), 3)]),
    )
    assert bytes(rebuilt(json.loads(row_of(read(said)).raw))) == bytes(said)


SMALL = types.PhotoSize("m", 320, 200, 900)
LARGE = types.PhotoSize("x", 800, 600, 5000)
PROGRESSIVE = types.PhotoSizeProgressive("y", 1280, 960, [100, 900, 7000])


@pytest.mark.parametrize(
    ("sizes", "size", "thumb"),
    [
        ([SMALL, LARGE], 5000, "x"),
        ([LARGE, SMALL], 5000, "x"),
        ([SMALL, LARGE, PROGRESSIVE], 7000, "y"),
        ([types.PhotoStrippedSize("i", b"1"), types.PhotoPathSize("j", b"2"), SMALL], 900, "m"),
        ([types.PhotoCachedSize("s", 9999, 9999, b"3"), SMALL], 900, "m"),
    ],
)
def test_the_largest_photo_is_asked_for(sizes: list[Any], size: int, thumb: str) -> None:
    photo = types.Photo(1, 2, b"ref", DATE, sizes, 4)
    ref = reference(CHANNEL, message(media=types.MessageMediaPhoto(photo=photo)))
    assert ref is not None
    assert (ref.size, ref.thumb, ref.form, ref.kind, ref.dc) == (size, thumb, "photo", "photo", 4)
    assert (ref.access_hash, ref.reference, ref.date) == (2, b"ref", "2024-01-31T12:00:00+00:00")


def test_documents() -> None:
    ref = reference(
        CHANNEL, message(media=types.MessageMediaDocument(document=document(NAME, VIDEO, size=3_000_000_000)))
    )
    assert ref is not None
    assert (ref.size, ref.thumb, ref.form, ref.name, ref.mime) == (3_000_000_000, "", "document", "a.b", "x/y")
    assert (ref.chat_id, ref.message_id, ref.file_id) == (CHANNEL, 3, 1)


@pytest.mark.parametrize(
    "media",
    [
        types.MessageMediaPhoto(photo=types.PhotoEmpty(1)),
        types.MessageMediaPhoto(ttl_seconds=5),
        types.MessageMediaPhoto(photo=types.Photo(1, 2, b"", DATE, [types.PhotoStrippedSize("i", b"1")], 4)),
        types.MessageMediaDocument(document=types.DocumentEmpty(1)),
        types.MessageMediaDocument(ttl_seconds=5),
        types.MessageMediaGeo(types.GeoPointEmpty()),
        types.MessageMediaUnsupported(),
        types.MessageMediaContact("1", "a", "b", "", 1),
    ],
)
def test_what_is_no_file_is_none(media: Any) -> None:
    assert reference(CHANNEL, message(media=media)) is None


def test_a_chats_new_photo_is_a_file() -> None:
    photo = types.Photo(1, 2, b"ref", DATE, [LARGE], 4)
    said = read(
        types.MessageService(
            id=4, peer_id=types.PeerChannel(5), date=DATE, action=types.MessageActionChatEditPhoto(photo)
        )
    )
    ref = reference(CHANNEL, said)
    assert ref is not None
    assert (ref.kind, ref.file_id, ref.message_id) == ("photo", 1, 4)
    removed = read(
        types.MessageService(id=4, peer_id=types.PeerChannel(5), date=DATE, action=types.MessageActionChatDeletePhoto())
    )
    assert reference(CHANNEL, removed) is None


def test_empty_messages_are_passed_over_and_peers_handed_on_once() -> None:
    user = types.User(FRIEND, first_name="A", last_name="B", username="ab", access_hash=5)
    said = [message(), read(types.MessageEmpty(2, types.PeerChannel(5)))]
    normalise = Normaliser(ME)
    page = Page(Chat(CHANNEL, "channel", "T"), Span(1, 9), said, [user], 2, ended=True, doubtful=False, size=0)
    first, second = normalise(page), normalise(page)
    assert [row.id for row in first.messages] == [3]
    assert [(row.id, row.kind, row.name, row.username) for row in first.peers] == [(FRIEND, "user", "A B", "ab")]
    assert second.peers == []
    assert list(references(CHANNEL, said)) == []
    assert first.span == Span(1, 9)
