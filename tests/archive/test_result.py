"""result.json against Telegram Desktop's format: a hand-written file, and rules that hold for any text."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.archive.rows import CHANNEL, CHAT, OTHER, batch, commit, message, settle, store_file, user
from tobs.archive import Archive
from tobs.archive.desktop.layout import render
from tobs.archive.desktop.service import ACTIONS
from tobs.archive.desktop.text import inline, pieces
from tobs.archive.naming import place
from tobs.archive.result import render_json
from tobs.values import Chat, MediaRef, MessageRow, PeerRow, Settled

if TYPE_CHECKING:
    from collections.abc import Iterator

EXPECTED = Path(__file__).with_name("expected_result.json")
LATER = "2024-02-01T10:30:00+00:00"
ANN, BOB, BOT = 55, 56, 57


@pytest.fixture(autouse=True)
def _berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Dates stand in local time, so the tests' is fixed."""
    if not hasattr(time, "tzset"):
        pytest.skip("this system has no settable time zone")
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def entity(kind: str, offset: int, length: int, **extra: Any) -> dict[str, Any]:
    return {"_": f"MessageEntity{kind}", "offset": offset, "length": length, **extra}


def service(number: int, kind: str, **fields: Any) -> MessageRow:
    raw: dict[str, Any] = {"action": {"_": f"MessageAction{kind}", **fields}}
    if kind == "PinMessage":
        raw["reply_to"] = {"_": "MessageReplyHeader", "reply_to_msg_id": 2}
    return message(number, "", kind="service", raw=raw)


PHOTO = {
    "_": "Photo",
    "id": 500,
    "sizes": [
        {"_": "PhotoStrippedSize", "type": "i", "bytes": "AAAA"},
        {"_": "PhotoSize", "type": "m", "w": 320, "h": 240, "size": 900},
        {"_": "PhotoSizeProgressive", "type": "y", "w": 1280, "h": 960, "sizes": [100, 4000, 5]},
    ],
}


def document(number: int, *attributes: dict[str, Any], mime: str = "video/mp4", **extra: Any) -> dict[str, Any]:
    return {
        "_": "MessageMediaDocument",
        "document": {
            "_": "Document",
            "id": number,
            "size": 7,
            "mime_type": mime,
            "attributes": [{**one, "_": f"DocumentAttribute{one['_']}"} for one in attributes],
            "thumbs": [{"_": "PhotoSize", "type": "m", "w": 10, "h": 10, "size": 33}] if number == 501 else [],
        },
        **extra,
    }


def ref(number: int, file_id: int, kind: str, name: str | None, mime: str) -> MediaRef:
    form, thumb = ("photo", "y") if kind == "photo" else ("document", "")
    return MediaRef(CHANNEL, number, kind, file_id, 2, 7, name, mime, "2024-01-31T12:00:00+00:00", form, 1, b"", thumb)


MESSAGES = [
    service(1, "ChannelCreate", title="News"),
    message(
        2,
        "Hi 🎉 bold link code",
        edited=LATER,
        raw={
            "entities": [
                entity("Bold", 6, 4),
                entity("Italic", 6, 2),
                entity("TextUrl", 11, 4, url="https://example.org/"),
                entity("Pre", 16, 4, language="py"),
            ],
            "reactions": {
                "_": "MessageReactions",
                "results": [
                    {"reaction": {"_": "ReactionEmoji", "emoticon": "👍"}, "count": 2},
                    {"reaction": {"_": "ReactionCustomEmoji", "document_id": 9}, "count": 1},
                ],
                "recent_reactions": [
                    {
                        "peer_id": {"_": "PeerUser", "user_id": BOB},
                        "date": LATER,
                        "reaction": {"_": "ReactionEmoji", "emoticon": "👍"},
                    }
                ],
            },
        },
    ),
    message(
        3,
        "answer",
        reply_to=2,
        raw={
            "reply_to": {"_": "MessageReplyHeader", "reply_to_msg_id": 2},
            "fwd_from": {
                "_": "MessageFwdHeader",
                "from_id": {"_": "PeerUser", "user_id": BOB},
                "saved_from_peer": {"_": "PeerChannel", "channel_id": 123},
            },
            "via_bot_id": BOT,
            "reply_markup": {
                "_": "ReplyInlineMarkup",
                "rows": [
                    {
                        "buttons": [
                            {"text": "Open", "type": {"_": "InlineButtonTypeUrl", "url": "https://example.org"}},
                            {"text": "Vote", "type": {"_": "InlineButtonTypeCallback", "data": "+/8="}},
                        ]
                    }
                ],
            },
        },
    ),
    message(
        4,
        "forwarded",
        sender_id=CHANNEL,
        raw={"fwd_from": {"from_name": "Somebody"}, "post_author": "Ed"},
    ),
    message(5, "caption", raw={"media": {"_": "MessageMediaPhoto", "photo": PHOTO, "spoiler": True}}),
    message(
        6,
        "",
        raw={
            "media": document(
                501,
                {"_": "Video", "duration": 12.6, "w": 640, "h": 360},
                {"_": "Filename", "file_name": "clip.mp4"},
            )
        },
    ),
    message(7, "", raw={"media": document(502, {"_": "Audio", "voice": True, "duration": 3}, mime="audio/ogg")}),
    message(
        8,
        "",
        raw={"media": document(503, {"_": "Filename", "file_name": "a.pdf"}, mime="application/pdf", ttl_seconds=9)},
    ),
    message(9, "", raw={"media": document(504, {"_": "Sticker", "alt": "😀"}, mime="image/webp")}),
    message(
        10,
        "",
        raw={
            "media": {
                "_": "MessageMediaPoll",
                "poll": {
                    "question": {"text": "Tea?"},
                    "answers": [{"text": {"text": "Yes"}, "option": "MA=="}, {"text": "No", "option": "MQ=="}],
                },
                "results": {
                    "total_voters": 3,
                    "results": [{"option": "MA==", "voters": 3, "chosen": True}],
                },
            }
        },
    ),
    message(
        11,
        "",
        raw={"media": {"_": "MessageMediaGeo", "geo": {"_": "GeoPoint", "lat": 52.5, "long": 13.25}}},
    ),
    message(
        12,
        "",
        raw={"media": {"_": "MessageMediaContact", "phone_number": "4930", "first_name": "Ann", "last_name": ""}},
    ),
    service(13, "PinMessage"),
    service(14, "ChatEditPhoto", photo=PHOTO),
    service(15, "ChatAddUser", users=[BOB, 999]),
    service(16, "SomethingOfTomorrow", why=1),
    message(17, "", raw={"media": {"_": "MessageMediaUnsupported"}}),
    service(18, "CustomAction", message="told"),
]
REFS = [
    ref(5, 500, "photo", None, "image/jpeg"),
    ref(6, 501, "video_file", "clip.mp4", "video/mp4"),
    ref(7, 502, "voice_message", None, "audio/ogg"),
    ref(8, 503, "file", "a.pdf", "application/pdf"),
    ref(9, 504, "sticker", None, "image/webp"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with Archive.create(tmp_path, [CHAT]) as archive:
        channel = PeerRow(CHANNEL, "channel", "News", "news", '{"_":"Channel","broadcast":true}')
        bot = user(BOT, "Bot", bot=True)._replace(username="thebot")
        commit(archive, batch(MESSAGES, REFS, [user(ANN, "Ann A"), user(BOB, "Bob"), bot, channel]))
        store_file(archive, REFS[0], b"photo")
        store_file(archive, REFS[1], b"video")
        settle(
            archive,
            Settled(REFS[2], "missing", reason="LOCATION_INVALID"),
            Settled(REFS[3], "skipped", reason="larger than the size asked for"),
            Settled(REFS[4], "skipped", reason="kind not asked for"),
        )
    return tmp_path


def pairs(text: str) -> Any:
    """JSON with objects as lists of pairs, so that the order of keys is compared too."""
    return json.loads(text, object_pairs_hook=list)


def test_a_channel_is_written_as_telegram_desktop_does(folder: Path) -> None:
    assert render_json(folder) == [folder / "result.json"]
    assert pairs((folder / "result.json").read_text("utf-8")) == pairs(EXPECTED.read_text("utf-8"))


def test_the_layout_is_one_space_a_level(tmp_path: Path) -> None:
    with Archive.create(tmp_path, [OTHER]) as archive:
        commit(archive, batch([message(1, "a\x1fb", chat=OTHER.id, sender_id=None)], chat=OTHER.id))
    (path,) = render_json(tmp_path)
    assert path.read_text("utf-8").splitlines() == [
        "{",
        ' "name": "Family",',
        ' "type": "private_group",',
        ' "id": 77,',
        ' "messages": [',
        "  {",
        '   "id": 1,',
        '   "type": "message",',
        '   "date": "2024-01-31T13:00:00",',
        '   "date_unixtime": "1706702400",',
        '   "text": "a\\u001fb",',
        '   "text_entities": [',
        "    {",
        '     "type": "plain",',
        '     "text": "a\\u001fb"',
        "    }",
        "   ]",
        "  }",
        " ]",
        "}",
    ]


def test_several_chats_stand_in_a_list(tmp_path: Path) -> None:
    with Archive.create(tmp_path, [CHAT, OTHER, Chat(ANN, "user", "Ann A")]) as archive:
        commit(archive, batch([message(1)], peers=[user(ANN, "Ann A", is_self=True)]))
        commit(archive, batch([message(2, chat=ANN)], chat=ANN))
    (path,) = render_json(tmp_path, tmp_path / "elsewhere" / "all.json")
    whole = json.loads(path.read_text("utf-8"))
    assert list(whole) == ["about", "chats"]
    chats = {chat["id"]: chat for chat in whole["chats"]["list"]}
    assert {number: chat["type"] for number, chat in chats.items()} == {
        123: "public_supergroup",
        77: "private_group",
        ANN: "saved_messages",
    }
    assert "name" not in chats[ANN]
    assert chats[77]["messages"] == []
    assert [one["text"] for one in chats[ANN]["messages"]] == ["message 2"]
    assert not list((tmp_path / "elsewhere").glob("*.part"))


def test_more_messages_than_are_read_at_a_time(tmp_path: Path) -> None:
    with Archive.create(tmp_path, [CHAT]) as archive:
        commit(archive, batch([message(number) for number in range(2500, 0, -1)]))
    (path,) = render_json(tmp_path)
    assert [one["id"] for one in json.loads(path.read_text("utf-8"))["messages"]] == list(range(1, 2501))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abcxyz_"), inner),
)


@given(JSON)
def test_layout_is_json(value: Any) -> None:
    text = render(value)
    assert json.loads(text) == value
    assert not {sign for sign in text if sign < " "} - {"\n"}
    assert "\u2028" not in text


KINDS = st.sampled_from(["Bold", "Url", "Blockquote", "CustomEmoji", "Pre", "TomorrowsKind"])


@given(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.lists(st.builds(entity, KINDS, st.integers(-2, 30), st.integers(-2, 30))),
)
def test_pieces_are_the_whole_text_in_order(text: str, entities: list[dict[str, Any]]) -> None:
    """Whatever the offsets; only one that cuts an astral character in two may harm that character."""
    units = text.encode("utf-16-le")
    edges = {edge for one in entities for edge in (one["offset"], one["offset"] + one["length"])}
    splits = any(0xDC <= units[2 * edge + 1] <= 0xDF for edge in edges if 0 <= 2 * edge < len(units))
    parts = pieces(text, entities)
    if not splits:
        assert "".join(part["text"] for part in parts) == text
    assert all(part["text"] for part in parts)
    assert json.loads(render(inline(parts))) == inline(parts)


def test_a_blockquote_says_whether_it_is_collapsed() -> None:
    quote = entity("Blockquote", 0, 2, collapsed=True)
    assert pieces("hi", [quote]) == [{"type": "blockquote", "text": "hi", "collapsed": True}]


@pytest.mark.parametrize("kind", sorted(ACTIONS))
def test_every_known_action_is_written_even_with_all_its_fields_missing(tmp_path: Path, kind: str) -> None:
    fields = {"schedule_date": LATER} if kind == "GroupCallScheduled" else {}
    with Archive.create(tmp_path, [CHAT]) as archive:
        commit(archive, batch([service(1, kind, **fields)]))
    (path,) = render_json(tmp_path)
    (written,) = orjson.loads(path.read_bytes())["messages"]
    assert written["type"] == "service"
    assert ("action" in written) == (kind != "CustomAction")


def test_place_is_what_result_json_points_to(folder: Path) -> None:
    (path,) = render_json(folder)
    shown = {one["id"]: one for one in orjson.loads(path.read_bytes())["messages"]}
    assert shown[5]["photo"] == place(REFS[0])
    assert (folder / shown[6]["file"]).read_bytes() == b"video"
