"""Every file of a world is what it says: it decodes, has its size, and is like no other unless it has to be."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from telethon.tl import functions, types
from telethon.utils import stripped_photo_to_jpg

from tests.lab.decoding import check
from tests.lab.fakes import connected, running
from tobs.lab.dataset import SMALLEST, Files
from tobs.lab.descriptions import OUTLINE, pack_waveform
from tobs.lab.draws import Draws
from tobs.lab.files import FileSpec, Posting, draw_files
from tobs.lab.inventory import LOOKALIKE, draw_twins
from tobs.lab.scenario import load
from tobs.lab.world import World, build

if TYPE_CHECKING:
    from tobs.lab.dataset import Dataset
    from tobs.lab.files import Shelf

HEAD = 131_072
DEMO = load("demo", scale=0.05).dataset


def dataset(**changes: Any) -> Dataset:
    """Files of every kind, 20 each."""
    some = Files(count=20, median=60_000, sigma=1.0)
    names = ("photos", "documents", "videos", "voices", "audios", "rounds", "animations")
    kinds: dict[str, Any] = dict.fromkeys(names, some)
    return replace(DEMO, **(kinds | {"stickers": replace(some, largest=60_000)} | changes))


@cache
def shelf() -> Shelf:
    return draw_files(dataset(), 5, 0)


@cache
def world() -> World:
    scenario = load("demo", scale=0.05)
    return build(replace(scenario, dataset=replace(dataset(), messages=300)))


# Files of a world


def specs(kind: str) -> list[tuple[Posting, FileSpec]]:
    return [(posting, posting.spec) for posting in shelf().postings if posting.kind == kind]


@pytest.mark.parametrize("kind", [kind for kind, _ in DEMO.kinds])
def test_files_are_what_they_are_called(kind: str) -> None:
    forms = set()
    for posting, spec in specs(kind):
        form = posting.inventory.form(posting.number)
        forms.add(form)
        check(spec, form, posting.inventory.template(posting.number))
        assert len(spec.read(0, spec.size + 1)) == spec.size
    expected = {
        "photo": {"jpg"},
        "document": {"pdf", "zip", "png", "webp"},
        "voice": {"ogg"},
        "audio": {"mp3", "m4a", "flac"},
        "sticker": {"tgs", "webp", "webm"},
    }
    assert forms == expected.get(kind, {"mp4"})


def test_no_two_files_and_no_two_previews_are_alike() -> None:
    contents = [spec.sha256() for spec in (*shelf().specs.values(), *shelf().previews.values())]
    assert len(contents) > 250
    assert len(set(contents)) == len(contents)


def test_documents_say_what_their_content_is() -> None:
    seen = set()
    for posting in shelf().postings:
        if posting.kind == "photo":
            continue
        media, template = posting.media, posting.inventory.template(posting.number)
        document = media.document
        attributes = {type(attribute): attribute for attribute in document.attributes}
        seen |= set(attributes)
        assert (document.id, document.size) == (posting.spec.id, posting.spec.size)
        assert bool(media.voice) == (posting.kind == "voice")
        assert bool(media.round) == (posting.kind == "round")
        if template is None:
            continue
        if video := attributes.get(types.DocumentAttributeVideo):
            assert (video.w, video.h, video.duration) == (*template.shape, template.seconds)
            assert bool(video.nosound) == (posting.kind == "animation")
            assert bool(video.round_message) == (posting.kind == "round")
        if image := attributes.get(types.DocumentAttributeImageSize):
            assert (image.w, image.h) == template.shape
        if audio := attributes.get(types.DocumentAttributeAudio):
            assert abs(audio.duration - template.seconds) <= 0.5
            assert (len(audio.waveform) if audio.voice else audio.title) == (63 if audio.voice else template.title)
    assert seen == {
        types.DocumentAttributeVideo,
        types.DocumentAttributeImageSize,
        types.DocumentAttributeAudio,
        types.DocumentAttributeAnimated,
        types.DocumentAttributeSticker,
        types.DocumentAttributeFilename,
    }


def test_previews_are_pictures_of_the_announced_sizes() -> None:
    kinds = set()
    for posting in shelf().postings:
        media = posting.media
        sizes = media.photo.sizes if posting.kind == "photo" else media.document.thumbs or []
        for size in sizes:
            if isinstance(size, types.PhotoStrippedSize):
                Image.open(io.BytesIO(stripped_photo_to_jpg(size.bytes))).load()
            elif isinstance(size, types.PhotoSize) and size.type == "m":
                spec = shelf().previews[posting.spec.id]
                assert spec.size == size.size
                with Image.open(io.BytesIO(spec.read(0, spec.size))) as image:
                    assert image.size == (size.w, size.h)
                kinds.add(posting.kind)
    assert kinds == {"photo", "document", "video", "round", "animation", "sticker"}
    assert set(shelf().previews) <= set(shelf().specs)
    assert len(shelf().previews) == len(list(shelf().previews))


def test_a_world_serves_previews_of_documents_and_no_other_size_of_them() -> None:
    one = world()
    for file_id, spec in one.shelf.specs.items():
        preview = one.file(file_id, "m")
        assert one.file(file_id) == spec
        if spec.kind == "photo":
            assert one.file(file_id, "y") == spec
        else:
            assert one.file(file_id, "y") is None
            assert preview is None or preview != spec
    assert one.file(1, "m") is None


def test_a_waveform_has_five_bits_a_sample() -> None:
    packed = pack_waveform((31, 0, 1, *(0,) * 97))
    assert packed == bytes((0b11111, 0b100)) + bytes(61)


def test_the_outline_of_stickers_is_a_path() -> None:
    letters = "AACAAAAHAAALMAAAQASTAVAAAZaacaaaahaaalmaaaqastava.az0123456789-,"
    assert "".join(letters[byte - 192] for byte in OUTLINE).startswith("256,32c124,0,")


def test_no_id_but_a_file_s_own_leads_to_it() -> None:
    for file_id in list(shelf().specs)[::7]:
        assert shelf().specs[file_id].id == file_id
        for near in (file_id + 1, file_id ^ 1 << 56, file_id ^ 1 << 24, -file_id):
            assert near not in shelf().specs


# Duplicates and lookalikes


LARGE = Files(count=20, median=700_000, sigma=0.3, total=14_000_000)


@cache
def twins() -> Shelf:
    few = Files(count=0, median=10_000, sigma=0)
    kinds: dict[str, Any] = dict.fromkeys(("voices", "audios", "rounds", "animations", "stickers"), few)
    large = {"photos": LARGE, "videos": LARGE, "documents": LARGE}
    return draw_files(replace(DEMO, **(kinds | large), duplicates=0.2, lookalikes=0.2), 6, 0)


def test_duplicates_have_the_content_of_an_earlier_file_under_another_id() -> None:
    hashes: dict[str, list[FileSpec]] = {}
    for spec in twins().specs.values():
        hashes.setdefault(spec.sha256(), []).append(spec)
    assert len(hashes) == 60 - 12
    for same in hashes.values():
        assert len({spec.access_hash for spec in same}) == len(same)
        assert len({(spec.kind, spec.size) for spec in same}) == 1


def test_lookalikes_share_size_head_and_tail_and_nothing_else() -> None:
    ends: dict[tuple[int, bytes, bytes], set[str]] = {}
    for posting in twins().postings:
        spec = posting.spec
        parts = (spec.size, spec.read(0, HEAD), spec.read(spec.size - HEAD, HEAD))
        ends.setdefault(parts, set()).add(spec.sha256())
    groups = [contents for contents in ends.values() if len(contents) > 1]
    assert sum(len(contents) - 1 for contents in groups) == 12
    for posting in twins().postings:
        form = posting.inventory.form(posting.number)
        check(posting.spec, form, posting.inventory.template(posting.number))


def test_sizes_sum_to_the_total_in_spite_of_twins() -> None:
    for kind in ("photo", "video", "document"):
        assert sum(spec.size for spec in twins().specs.values() if spec.kind == kind) == 14_000_000


@given(st.integers(0, 50), st.floats(0, 0.9), st.floats(0, 0.9), st.integers(0, 99))
def test_twins_follow_what_they_resemble(count: int, duplicates: float, lookalikes: float, seed: int) -> None:
    draws = Draws(seed)
    sizes = [draws.between(SMALLEST, 2 * LOOKALIKE) for _ in range(count)]
    files = Files(count=count, median=0, sigma=0)
    asked = replace(DEMO, duplicates=duplicates, lookalikes=lookalikes)
    origins, alike = draw_twins(sizes, files, asked, draws)
    for place, origin in enumerate(origins):
        assert origin <= place
        assert origins[origin] == origin
        assert sizes[origin] == sizes[place] >= SMALLEST
    assert all(sizes[place] >= LOOKALIKE and origins[place] != place for place in alike)


# Scale


def test_a_hundred_thousand_files_are_a_few_numbers_each() -> None:
    some = Files(count=12_500, median=800_000, sigma=1.0)
    kinds: dict[str, Any] = dict.fromkeys(("photos", "documents", "videos"), some)
    shelf = draw_files(replace(DEMO, **kinds, duplicates=0.1), 1, 0)
    inventory = shelf.postings[0].inventory
    columns = [value for value in vars(inventory).values() if hasattr(value, "__len__")]
    assert len(shelf.specs) >= 37_500
    assert sum(memoryview(column).nbytes for column in columns if not isinstance(column, list)) < 20 * len(shelf.specs)
    last = list(shelf.specs)[-1]
    assert shelf.specs[last].read(0, 64) == shelf.postings[-1].spec.read(0, 64)


# On the wire, and on any machine


async def test_a_client_gets_files_and_their_previews_of_every_kind() -> None:
    one = world()
    got = set()
    async with running(one) as lab, connected(lab) as client:
        for posting in one.shelf.postings:
            spec, preview = posting.spec, one.shelf.previews.get(posting.spec.id)
            if spec.dc != one.scenario.network.home or posting.kind in got:
                continue
            form = types.InputPhotoFileLocation if posting.kind == "photo" else types.InputDocumentFileLocation
            for size, expected in (("", spec), ("m", preview)):
                if expected is None:
                    continue
                location = form(spec.id, spec.access_hash, spec.file_reference, size)
                part = await client(functions.upload.GetFileRequest(location, 0, 131_072))
                assert part.bytes == expected.read(0, 131_072)
                hashes = await client(functions.upload.GetFileHashesRequest(location, 0))
                assert hashes[0].hash == hashlib.sha256(part.bytes).digest()
            got.add(posting.kind)
        assert lab.counters()["duplicate_parts"] == 0
    assert got == {kind for kind, _ in DEMO.kinds}


def test_the_bytes_are_the_same_on_any_day_and_machine() -> None:
    digest = hashlib.sha256()
    for files in (shelf(), twins()):
        for posting in files.postings:
            spec, preview = posting.spec, files.previews.get(posting.spec.id)
            digest.update(f"{spec.id} {spec.size} {spec.sha256()} {preview and preview.sha256()}\n".encode())
            digest.update(bytes(posting.media))
    assert digest.hexdigest() == "8b2fabf33c31b3f96a279b486bcb0a5d2c1e79d9ad432c8fc7a83ce5367f38dd"
