from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from telethon.extensions import BinaryReader
from telethon.tl import types
from telethon.utils import stripped_photo_to_jpg

from tobs.lab.draws import Draws
from tobs.lab.files import FileSpec, draw_centres, draw_sizes
from tobs.lab.history import Entry, History
from tobs.lab.kept import folder
from tobs.lab.scenario import load
from tobs.lab.stream import BLOCK, Stream
from tobs.lab.text import draw_plain, draw_rich, units
from tobs.lab.world import World, build

ROOT = Path(__file__).parents[2]


@cache
def small() -> World:
    """A tenth of the demo: 200 messages, 13 files of all kinds."""
    return build(load("demo", scale=0.1))


@cache
def parsed(world_of: str = "demo") -> dict[int, list[Any]]:
    """Every message of a world by chat, oldest first."""
    world = small() if world_of == "demo" else build(load(world_of, scale=0.05))
    return {
        peer: [BinaryReader(data).tgread_object() for data in history.serialized()]
        for peer, history in world.histories.items()
    }


def channel(world: World) -> History:
    return next(history for history in world.histories.values() if history.kind == "channel")


# The same in any process


FINGERPRINT = """
import hashlib, json, sys
from tobs.lab.scenario import load
from tobs.lab.world import build
world = build(load("demo", scale=0.05))
digest = hashlib.sha256()
for peer, history in world.histories.items():
    digest.update(str(peer).encode())
    for data in history.serialized():
        digest.update(data)
for known in (world.users, world.chats):
    for number, value in known.items():
        digest.update(bytes(value))
for spec in (*world.shelf.specs.values(), *world.shelf.previews.values()):
    digest.update(spec.read(0, spec.size))
json.dump([digest.hexdigest(), list(world.usernames.items()), world.dialogs()], sys.stdout)
"""


def fingerprint(hash_seed: str, media: Path) -> Any:
    environment = os.environ | {
        "PYTHONHASHSEED": hash_seed,
        "TOBS_CACHE": str(media),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", FINGERPRINT], env=environment, capture_output=True, check=True, timeout=100
    )
    return json.loads(done.stdout)


def test_two_processes_that_share_nothing_build_the_same_bytes(tmp_path: Path) -> None:
    assert fingerprint("1", tmp_path / "one") == fingerprint("2", tmp_path / "two")


def test_another_seed_gives_other_content() -> None:
    other = build(load("text_far", scale=0.01, seed=1))
    same = build(load("text_far", scale=0.01, seed=2))
    assert list(channel(other).serialized()) != list(channel(same).serialized())


# Offsets


def history_of(ids: list[int], dates: list[int]) -> History:
    return History(
        -1,
        "channel",
        [Entry(i, date, str(i).encode(), (i,), (), 0) for i, date in zip(ids, dates, strict=True)],
    )


def naive_slice(
    ids: list[int],
    dates: list[int],
    offset_id: int,
    offset_date: int,
    add_offset: int,
    limit: int,
    max_id: int,
    min_id: int,
) -> list[int]:
    """The documented rules, read literally: place in the whole list, cut, then filter."""
    newest_first = sorted(zip(ids, dates, strict=True), reverse=True)
    offset = 0
    for message_id, date in newest_first:
        at_or_after = message_id >= offset_id if offset_id else (date >= offset_date if offset_date else False)
        offset += at_or_after
    wanted = range(offset + add_offset, offset + add_offset + min(limit or 20, 100))
    cut = [message_id for place, (message_id, _) in enumerate(newest_first) if place in wanted]
    return [i for i in cut if (not max_id or i < max_id) and (not min_id or i > min_id)]


steps = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3)), max_size=160)


@settings(max_examples=300)
@given(
    steps,
    st.integers(0, 420),
    st.integers(0, 320),
    st.integers(-130, 130),
    st.integers(0, 130),
    st.integers(0, 420),
    st.integers(0, 420),
)
def test_slices_follow_the_offset_rules(
    steps: list[tuple[int, int]],
    offset_id: int,
    offset_date: int,
    add_offset: int,
    limit: int,
    max_id: int,
    min_id: int,
) -> None:
    ids: list[int] = []
    dates: list[int] = []
    for step, seconds in steps:
        ids.append((ids[-1] if ids else 0) + step)
        dates.append((dates[-1] if dates else 1) + seconds)
    found = history_of(ids, dates).slice(offset_id, offset_date, add_offset, limit, max_id, min_id)
    expected = naive_slice(ids, dates, offset_id, offset_date, add_offset, limit, max_id, min_id)
    assert [int(data) for data in found.messages] == expected
    assert found.user_ids == set(expected)
    assert found.count == len(ids)
    if expected:
        assert found.offset_id_offset == sum(i > expected[0] for i in ids)


def test_paging_by_the_last_id_reads_everything_once() -> None:
    history = channel(small())
    seen: list[bytes] = []
    offset = 0
    while page := history.slice(offset, 0, 0, 100, 0, 0).messages:
        seen += page
        offset = BinaryReader(page[-1]).tgread_object().id
    assert seen == list(history.serialized())[::-1]


def test_an_offset_date_may_be_a_datetime() -> None:
    history = history_of([1, 2, 3], [1000, 2000, 3000])
    assert history.slice(0, datetime.fromtimestamp(2000, UTC), 0, 10, 0, 0).messages == [b"1"]


def test_get_keeps_the_order_asked_and_tells_what_is_not_there() -> None:
    history = channel(small())
    ids = history.ids
    missing = next(i for i in range(1, ids[-1]) if i not in ids)
    found = [BinaryReader(data).tgread_object() for data in history.get([ids[5], missing, ids[2]]).messages]
    assert [message.id for message in found] == [ids[5], missing, ids[2]]
    assert isinstance(found[1], types.MessageEmpty)


# Messages


@pytest.mark.parametrize("name", ["demo", "mixed_home", "text_loopback"])
def test_every_message_survives_the_codec(name: str) -> None:
    world = small() if name == "demo" else build(load(name, scale=0.05))
    for history in world.histories.values():
        for data in history.serialized():
            reader = BinaryReader(data)
            assert bytes(reader.tgread_object()) == data
            assert reader.tell_position() == len(data)


def test_ids_and_dates_rise_and_deleted_ids_leave_gaps() -> None:
    for history in small().histories.values():
        assert history.ids == sorted(set(history.ids))
    dates = [message.date for message in parsed()[channel(small()).peer_id]]
    assert dates == sorted(dates)
    many = channel(build(load("text_far", scale=0.2)))
    assert 1 - many.count / many.ids[-1] == pytest.approx(0.03, abs=0.01)


def test_a_private_chat_and_a_basic_group_share_one_numbering() -> None:
    private, group = (next(h for h in small().histories.values() if h.kind == kind) for kind in ("user", "chat"))
    assert not set(private.ids) & set(group.ids)


def test_every_kind_of_message_is_there() -> None:
    histories = build(load("demo")).histories.values()
    messages = [read(data) for history in histories for data in history.serialized()]
    assert {type(message.action) for message in messages if message.action} == {
        types.MessageActionChannelCreate,
        types.MessageActionChatCreate,
        types.MessageActionContactSignUp,
        types.MessageActionPinMessage,
        types.MessageActionChatEditTitle,
        types.MessageActionChatEditPhoto,
        types.MessageActionChatAddUser,
        types.MessageActionChatJoinedByLink,
    }
    fields = ("entities", "reply_to", "fwd_from", "edit_date", "grouped_id", "reactions", "out", "views", "media")
    for field in fields:
        assert any(getattr(message, field) for message in messages), field


def test_a_broadcast_has_posts_with_views_and_no_senders() -> None:
    messages = next(chat for peer, chat in parsed("mixed_home").items() if peer < -(10**12))
    assert all(message.from_id is None and message.post for message in messages)
    assert all(message.views for message in messages if isinstance(message, types.Message))


def test_a_pure_text_scenario_has_no_files() -> None:
    world = build(load("text_loopback", scale=0.05))
    assert not world.shelf.specs
    assert all(message.media is None for message in map(read, channel(world).serialized()) if message.message)


def read(data: bytes) -> Any:
    return BinaryReader(data).tgread_object()


def test_albums_are_two_to_ten_files_of_one_moment_and_sender() -> None:
    albums: dict[int, list[Any]] = {}
    for message in map(read, channel(build(load("demo"))).serialized()):
        if message.grouped_id:
            albums.setdefault(message.grouped_id, []).append(message)
    assert albums
    for album in albums.values():
        assert 1 < len(album) <= 10
        assert len({(message.date, str(message.from_id)) for message in album}) == 1
        assert all(message.media for message in album)


def test_slices_name_everyone_whom_their_messages_name() -> None:
    world = small()
    for history in world.histories.values():
        whole = history.slice(0, 0, 0, 100, 0, 0)
        users: set[int] = set()
        chats: set[int] = set()
        for data in whole.messages:
            collect(read(data).to_dict(), users, chats)
        assert whole.user_ids >= users
        assert whole.chat_ids >= chats
        assert whole.user_ids <= set(world.users)
        assert whole.chat_ids <= set(world.chats)


def collect(value: Any, users: set[int], chats: set[int]) -> None:
    if isinstance(value, list):
        for inner in value:
            collect(inner, users, chats)
    elif isinstance(value, dict):
        users |= {value["user_id"]} if "user_id" in value else set()
        users |= set(value.get("users", ()))
        chats |= {value[key] for key in ("channel_id", "chat_id") if key in value}
        for inner in value.values():
            collect(inner, users, chats)


def test_replies_go_to_earlier_messages() -> None:
    for messages in parsed().values():
        for message in messages:
            if isinstance(message.reply_to, types.MessageReplyHeader):
                assert 0 < message.reply_to.reply_to_msg_id < message.id


# Text


SHAPES = {
    types.MessageEntityMention: r"@\w+",
    types.MessageEntityHashtag: r"#\w+",
    types.MessageEntityCashtag: r"\$[A-Z]+",
    types.MessageEntityBotCommand: r"/\w+",
    types.MessageEntityEmail: r"\S+@\S+",
    types.MessageEntityUrl: r"(https://)?example\S*",
    types.MessageEntityPhone: r"\+[\d ]+",
    types.MessageEntityBankCard: r"[\d ]+",
    types.MessageEntityPre: r"for [^\0]*page\)",
}


@given(st.integers(0, 2**40))
def test_entities_lie_on_whole_characters_inside_the_text(seed: int) -> None:
    people = list(small().users.values())
    text, entities, named = draw_rich(Draws(seed), people)
    coded = text.encode("utf-16-le")
    assert entities
    assert text == text.strip()
    names = {person.id: person.first_name for person in people}
    for entity in entities:
        assert 0 <= entity.offset < entity.offset + entity.length <= units(text)
        piece = coded[2 * entity.offset : 2 * (entity.offset + entity.length)].decode("utf-16-le")
        assert piece == piece.strip()
        assert re.fullmatch(SHAPES.get(type(entity), r"[^\0]+"), piece)
        if isinstance(entity, types.MessageEntityMentionName):
            assert entity.user_id in named
            assert piece == names[entity.user_id]
    offsets = [entity.offset for entity in entities]
    assert offsets == sorted(offsets)


def test_texts_have_characters_outside_the_basic_plane_and_right_to_left_ones() -> None:
    text = "".join(draw_plain(Draws(seed))[0] for seed in range(100))
    assert any(ord(letter) > 0xFFFF for letter in text)
    assert "ש" in text
    assert "م" in text


# Files


def test_photos_are_jpeg_of_the_announced_sizes() -> None:
    world = small()
    photos = [posting.photo for posting in world.shelf.postings if posting.photo]
    assert len(photos) == 6
    for photo in photos:
        for size in photo.sizes:
            if isinstance(size, types.PhotoStrippedSize):
                open_jpeg(stripped_photo_to_jpg(size.bytes))
                continue
            spec = world.file(photo.id, size.type)
            assert spec is not None
            length = max(size.sizes) if isinstance(size, types.PhotoSizeProgressive) else size.size
            data = spec.read(0, spec.size)
            assert length == spec.size == len(data)
            assert open_jpeg(data) == (size.w, size.h)
            if isinstance(size, types.PhotoSizeProgressive):
                assert size.sizes == sorted(size.sizes)
                assert len(size.sizes) > 2


def open_jpeg(data: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert image.format == "JPEG"
        return image.size


@given(st.data())
def test_reads_anywhere_equal_the_whole(data: st.DataObject) -> None:
    specs = sorted(small().shelf.specs.values(), key=lambda spec: spec.id)
    spec = data.draw(st.sampled_from(specs))
    offset = data.draw(st.integers(0, spec.size + 10) | st.sampled_from([0, BLOCK - 7, BLOCK, BLOCK + 60, spec.size]))
    limit = data.draw(st.integers(0, 3 * BLOCK) | st.sampled_from([1, 64, 4096, BLOCK]))
    assert spec.read(offset, limit) == whole(spec.id)[offset : offset + limit]


@cache
def whole(file_id: int) -> bytes:
    spec = small().shelf.specs[file_id]
    data = b"".join(spec.read(offset, 1_000) for offset in range(0, spec.size, 1_000))
    assert len(data) == spec.size
    assert hashlib.sha256(data).hexdigest() == spec.sha256()
    return data


def test_a_file_has_nothing_before_its_start() -> None:
    spec = next(iter(small().shelf.specs.values()))
    with pytest.raises(ValueError, match="-1"):
        spec.read(-1, 10)


def test_no_two_blocks_of_streams_are_alike_and_nothing_compresses() -> None:
    streams = [Stream(1, key, 40 * BLOCK) for key in ("a", "b")]
    pieces = {s.read(place, 4096) for s in streams for place in range(0, s.size, BLOCK // 4)}
    assert len(pieces) == 2 * 40 * 4


@given(st.integers(0, 60), st.integers(0, 100), st.integers(4_000, 10**7), st.floats(0, 2))
def test_sizes_sum_to_the_total_asked_for(count: int, seed: int, median: int, sigma: float) -> None:
    asked = replace(load("demo").dataset.photos, count=count, median=median, sigma=sigma, largest=None)
    total = count * 50_000
    sizes = draw_sizes(replace(asked, total=total), Draws(seed))
    assert len(sizes) == count
    assert sum(sizes) == total
    assert all(size >= 4_000 for size in sizes)


def test_sizes_are_spread_about_the_median() -> None:
    asked = replace(load("demo").dataset.photos, count=2_001, median=100_000, sigma=0.5, total=None, largest=None)
    sizes = sorted(draw_sizes(asked, Draws(3)))
    assert sizes[1_000] == pytest.approx(100_000, rel=0.06)
    assert sizes[1_683] / sizes[1_000] == pytest.approx(1.65, rel=0.1)  # one sigma above: e ** 0.5


@given(st.integers(0, 300), st.integers(0, 100))
def test_data_centres_get_their_percentage_exactly(count: int, share: int) -> None:
    centres = draw_centres(count, ((2, share), (4, 100 - share)), Draws(count))
    assert len(centres) == count
    assert abs(centres.count(2) - count * share / 100) <= 0.5


def test_hostile_names_are_among_the_documents() -> None:
    scenario = load("mixed_home", scale=0.25)
    world = build(replace(scenario, dataset=replace(scenario.dataset, hostile=1.0)))
    names = [
        attribute.file_name
        for posting in world.shelf.postings
        if posting.spec.kind == "document"
        for attribute in posting.media.document.attributes
        if isinstance(attribute, types.DocumentAttributeFilename)
    ]
    assert names
    assert not [name for name in names if name.startswith("report-")]


def test_the_same_file_is_posted_again() -> None:
    postings = [entry_file(message) for message in map(read, channel(build(load("demo"))).serialized())]
    posted = [file_id for file_id in postings if file_id]
    assert len(posted) > len(set(posted)) == 100


def entry_file(message: Any) -> int:
    if isinstance(message.media, types.MessageMediaPhoto):
        return int(message.media.photo.id)
    if isinstance(message.media, types.MessageMediaDocument):
        return int(message.media.document.id)
    return 0


# The cache


def test_a_damaged_kept_hash_of_a_stream_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOBS_CACHE", str(tmp_path))
    stream = Stream(9, "kept", 2 * BLOCK)
    expected = hashlib.sha256(stream.read(0, 2 * BLOCK)).hexdigest()
    assert stream.sha256() == expected
    (kept,) = folder().glob("sha256-*")
    kept.write_text(kept.read_text().replace(expected[0], "0" if expected[0] != "0" else "1"))
    assert stream.sha256() == expected


# The rest of the world


def test_dialogs_are_sorted_by_their_newest_message() -> None:
    world = small()
    newest = [parsed()[peer][-1].date for peer in world.dialogs()]
    assert len(newest) == 3
    assert newest == sorted(newest, reverse=True)


def test_usernames_lead_to_users_and_channels() -> None:
    world = small()
    assert world.usernames["tobs_demo"] == channel(world).peer_id
    assert world.usernames[world.me.username.lower()] == world.me.id
    assert all(name == name.lower() for name in world.usernames)


def test_titles_are_those_of_the_chats() -> None:
    world = small()
    assert world.title(channel(world).peer_id) == "TOBS Demo 🚀"
    assert all(world.title(peer) for peer in world.histories)


def test_ids_hashes_and_references_are_all_different() -> None:
    world = small()
    specs: list[FileSpec] = list(world.shelf.specs.values())
    assert len({spec.access_hash for spec in specs}) == len(specs)
    assert len({spec.file_reference for spec in specs}) == len(specs)
    assert not set(world.users) & set(world.chats)
    assert world.file(1) is None


def test_a_private_chat_may_stand_in_for_the_channel() -> None:
    private = build(load("text_flood", scale=0.01))
    (history,) = private.histories.values()
    assert (history.kind, history.count) == ("user", 80)
    assert private.usernames["tobs_text_flood"] == history.peer_id
    assert not any(getattr(chat, "username", None) == "tobs_text_flood" for chat in private.chats.values())
    messages = [BinaryReader(data).tgread_object() for data in history.serialized()]
    assert all(message.peer_id == types.PeerUser(history.peer_id) for message in messages)
    assert {bool(message.out) for message in messages} == {False, True}
