from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from telethon.extensions import BinaryReader
from telethon.tl import types

from tobs.errors import UsageError
from tobs.lab.files import FileSpec, Shelf
from tobs.lab.history import Entry, History
from tobs.lab.scenario import load
from tobs.lab.truth import truth
from tobs.lab.world import World, build


@cache
def small() -> World:
    return build(load("demo", scale=0.05))


@dataclass(frozen=True)
class Plain:
    """File content that a test gives as it is."""

    data: bytes

    def read(self, offset: int, limit: int, /) -> bytes:
        return self.data[offset : offset + limit]

    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


DATE = 1_706_702_400  # 2024-01-31 12:00 UTC


def document(*attributes: Any) -> Any:
    return types.Document(
        id=70,
        access_hash=-5,
        file_reference=b"ref",
        date=DATE,
        mime_type="video/mp4",
        size=3,
        dc_id=2,
        attributes=list(attributes),
    )


def world_of(messages: list[Any], *, peer_id: int, kind: str) -> World:
    """The small world, with one chat that holds exactly `messages` and one file, 70, of three bytes."""
    entries = [Entry(message.id, DATE, bytes(message), (), (), 0) for message in messages]
    spec = FileSpec(70, -5, b"ref", 2, 3, "video", Plain(b"abc"))
    return replace(
        small(),
        histories={peer_id: History(peer_id, kind, entries)},
        shelf=Shelf([], {70: spec}, {}),
    )


def digest_of(*lines: list[Any]) -> str:
    text = "".join(json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n" for line in lines)
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_digest_is_that_of_the_lines_in_the_specification() -> None:
    channel = next(chat for chat in small().chats.values() if isinstance(chat, types.Channel))
    chat_id = -(10**12) - channel.id
    peer = types.PeerChannel(channel.id)
    video = types.MessageMediaDocument(
        document=document(types.DocumentAttributeVideo(1.5, 4, 4, round_message=True)), round=True
    )
    messages = [
        types.MessageService(id=1, peer_id=peer, date=DATE, action=types.MessageActionChannelCreate("T")),
        types.Message(
            id=4,
            peer_id=peer,
            date=DATE,
            message="a 😀",
            from_id=types.PeerUser(8),
            reply_to=types.MessageReplyHeader(reply_to_msg_id=1),
            media=video,
            grouped_id=6,
            edit_date=DATE + 60,
        ),
    ]
    noon, later = "2024-01-31T12:00:00+00:00", "2024-01-31T12:01:00+00:00"
    raw_peer = {"_": "PeerChannel", "channel_id": channel.id}
    raw_first = {
        "_": "MessageService",
        "id": 1,
        "peer_id": raw_peer,
        "date": noon,
        "action": {"_": "MessageActionChannelCreate", "title": "T"},
    }
    raw_second = {
        "_": "Message",
        "id": 4,
        "peer_id": raw_peer,
        "date": noon,
        "message": "a 😀",
        "from_id": {"_": "PeerUser", "user_id": 8},
        "reply_to": {"_": "MessageReplyHeader", "reply_to_msg_id": 1},
        "media": {
            "_": "MessageMediaDocument",
            "round": True,
            "document": {
                "_": "Document",
                "id": 70,
                "date": noon,
                "mime_type": "video/mp4",
                "size": 3,
                "dc_id": 2,
                "attributes": [{"_": "DocumentAttributeVideo", "duration": 1.5, "w": 4, "h": 4, "round_message": True}],
            },
        },
        "grouped_id": 6,
        "edit_date": later,
    }
    expected = digest_of(
        ["m", chat_id, 1, "service", noon, chat_id, "", None, None, None, raw_first],
        ["m", chat_id, 4, "message", noon, 8, "a 😀", 1, 6, later, raw_second],
        ["f", chat_id, 4, "video_message", 70, 3, hashlib.sha256(b"abc").hexdigest()],
    )
    world = world_of(messages, peer_id=chat_id, kind="channel")
    assert truth(world).digest == expected


def test_senders_of_a_private_chat_are_the_other_or_the_account_itself() -> None:
    friend = next(user for user in small().users.values() if not user.is_self)
    peer = types.PeerUser(friend.id)
    messages = [
        types.Message(id=1, peer_id=peer, date=DATE, message="in"),
        types.Message(id=2, peer_id=peer, date=DATE, message="out", out=True),
    ]
    raw = {"_": "Message", "peer_id": {"_": "PeerUser", "user_id": friend.id}, "date": "2024-01-31T12:00:00+00:00"}
    lines = [
        [
            "m",
            friend.id,
            1,
            "message",
            raw["date"],
            friend.id,
            "in",
            None,
            None,
            None,
            raw | {"id": 1, "message": "in"},
        ],
        [
            "m",
            friend.id,
            2,
            "message",
            raw["date"],
            small().me.id,
            "out",
            None,
            None,
            None,
            raw | {"id": 2, "message": "out", "out": True},
        ],
    ]
    assert truth(world_of(messages, peer_id=friend.id, kind="user")).digest == digest_of(*lines)


VIDEO = types.DocumentAttributeVideo
AUDIO = types.DocumentAttributeAudio


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ((), "file"),
        ((types.DocumentAttributeFilename("a"),), "file"),
        ((VIDEO(1.0, 1, 1),), "video_file"),
        ((VIDEO(1.0, 1, 1, round_message=True),), "video_message"),
        ((VIDEO(1.0, 1, 1), types.DocumentAttributeAnimated()), "animation"),
        ((AUDIO(1, voice=True),), "voice_message"),
        ((AUDIO(1),), "audio_file"),
        ((types.DocumentAttributeSticker("x", types.InputStickerSetEmpty()),), "sticker"),
    ],
)
def test_media_kinds_are_told_as_telegram_desktop_does(attributes: tuple[Any, ...], kind: str) -> None:
    friend = next(user for user in small().users.values() if not user.is_self)
    media = types.MessageMediaDocument(document=document(*attributes))
    message = types.Message(id=1, peer_id=types.PeerUser(friend.id), date=DATE, message="", media=media)
    world = world_of([message], peer_id=friend.id, kind="user")
    raw = base_raw(BinaryReader(bytes(message)).tgread_object().to_dict())
    assert truth(world).digest == digest_of(
        ["m", friend.id, 1, "message", "2024-01-31T12:00:00+00:00", friend.id, "", None, None, None, raw],
        ["f", friend.id, 1, kind, 70, 3, hashlib.sha256(b"abc").hexdigest()],
    )


def base_raw(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k not in {"access_hash", "file_reference"}}
        return {k: base_raw(v) for k, v in kept.items() if not (v is None or v is False or v == [])}
    if isinstance(value, list):
        return [base_raw(inner) for inner in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return value


def test_the_truth_covers_all_chats_or_those_asked_for() -> None:
    world = small()
    everything = truth(world)
    assert set(everything.chats) == set(world.histories)
    peer = min(world.histories)
    one = truth(world, peer)
    assert list(one.chats) == [peer]
    assert one.chats[peer] == everything.chats[peer]
    assert one.digest != everything.digest
    assert truth(world, [peer]).digest == truth(world, (peer, peer)).digest == one.digest
    numbers = one.chats[peer]
    assert numbers["messages"] == world.histories[peer].count == 100
    assert numbers["title"] == "TOBS Demo 🚀"
    assert numbers["distinct_files"] == len(world.shelf.specs) <= numbers["files"]
    assert numbers["distinct_bytes"] == sum(spec.size for spec in world.shelf.specs.values())


def test_an_unknown_chat_is_a_usage_error_that_names_the_known() -> None:
    with pytest.raises(UsageError) as caught:
        truth(small(), 5)
    assert str(min(small().histories)) in caught.value.hint


def test_the_truth_is_the_same_twice() -> None:
    assert truth(build(load("demo", scale=0.05))) == truth(small())


def test_one_other_byte_in_any_file_changes_the_digest() -> None:
    world = small()
    known = truth(world).digest
    for file_id, spec in world.shelf.specs.items():
        data = bytearray(spec.read(0, spec.size))
        data[len(data) // 3] ^= 1
        specs = {**world.shelf.specs, file_id: replace(spec, content=Plain(bytes(data)))}
        changed = replace(world, shelf=replace(world.shelf, specs=specs))
        assert truth(changed).digest != known


def altered(world: World, peer: int, place: int, change: dict[str, Any] | None) -> World:
    """The world with the fields in `change` set in one message, or (None) without that message."""
    messages = [BinaryReader(data).tgread_object() for data in world.histories[peer].serialized()]
    if change is None:
        del messages[place]
    for field, value in (change or {}).items():
        setattr(messages[place], field, value)
    entries = [Entry(message.id, 0, bytes(message), (), (), 0) for message in messages]
    history = History(peer, world.histories[peer].kind, entries)
    return replace(world, histories=world.histories | {peer: history})


@pytest.mark.parametrize(
    "change",
    [{"message": "other"}, {"date": 5}, {"id": 999_999}, {"silent": True}, {"from_id": types.PeerUser(3)}, None],
    ids=["text", "date", "id", "flag", "sender", "gone"],
)
def test_one_change_in_a_message_changes_the_digest(change: dict[str, Any] | None) -> None:
    world = small()
    peer = min(world.histories)
    assert truth(altered(world, peer, -1, {})).digest == truth(world).digest
    assert truth(altered(world, peer, -1, change)).digest != truth(world).digest


def test_access_hashes_and_file_references_do_not_count() -> None:
    world = small()
    peer = min(world.histories)
    messages = [BinaryReader(data).tgread_object() for data in world.histories[peer].serialized()]
    place = next(place for place, message in enumerate(messages) if getattr(message.media, "photo", None))
    photo = messages[place].media.photo
    photo.access_hash, photo.file_reference = 1, b"another"
    assert truth(altered(world, peer, place, {"media": messages[place].media})).digest == truth(world).digest
