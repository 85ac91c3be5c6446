from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.lab.decoding import check
from tobs.lab.dataset import SMALLEST
from tobs.lab.fitting import SMALLEST_ROOM, choices, fit, fits
from tobs.lab.stream import Stream
from tobs.lab.templates import Template, make, templates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EVERY = [template for these in templates().values() for template in these]


@pytest.mark.parametrize("template", EVERY, ids=lambda template: template.name)
def test_a_template_decodes_whatever_is_added_to_it(template: Template) -> None:
    smallest = SMALLEST_ROOM[template.form]
    sizes = {len(template.data) + room for room in (smallest, smallest + 256, 40_000, 210_002)}
    fitting = [size for size in sizes if fits(template, size)]
    assert len(fitting) >= 2
    for size in fitting:
        check(fit(template.data, template.form, Stream(1, "key", size)), template.form, template)


def test_every_kind_has_a_template_for_the_smallest_files() -> None:
    for kind, these in templates().items():
        assert any(fits(template, SMALLEST + 1) for template in these), kind
        assert kind == "document" or any(fits(template, SMALLEST) for template in these), kind
    assert sum(len(template.data) + len(template.preview) for template in EVERY) < 1_000_000


@given(st.sampled_from([kind for kind in templates() if kind != "document"]), st.data())
def test_files_are_made_of_what_fits_and_is_not_much_smaller(kind: str, data: st.DataObject) -> None:
    highest = 256 << 10 if kind == "sticker" else 4_000_000_000
    edges = [len(template.data) + SMALLEST_ROOM[template.form] + more for template in EVERY for more in (-1, 0, 1)]
    edges += [limit + more for limit in (64 << 10, 256 << 10, 512 << 10, 200_000_000) for more in (-1, 0, 1, 2)]
    some = st.sampled_from([edge for edge in edges if SMALLEST <= edge <= highest]) | st.integers(SMALLEST, highest)
    size = data.draw(some)
    fitting = [template for template in templates()[kind] if fits(template, size)]
    longest = max(len(template.data) for template in fitting)
    assert choices(kind, size) == tuple(template for template in fitting if len(template.data) >= longest // 3)


@given(st.sampled_from(EVERY), st.integers(0, 140_000), st.data())
def test_reads_of_a_fitted_file_equal_the_whole(template: Template, more: int, data: st.DataObject) -> None:
    size = len(template.data) + SMALLEST_ROOM[template.form] + more
    if not fits(template, size):
        return
    content = fit(template.data, template.form, Stream(2, "key", size))
    whole = content.read(0, size + 10)
    assert len(whole) == content.size == size
    assert content.sha256() == hashlib.sha256(whole).hexdigest()
    offset, limit = data.draw(st.integers(0, size + 10)), data.draw(st.integers(0, size))
    assert content.read(offset, limit) == whole[offset : offset + limit]
    other = fit(template.data, template.form, Stream(2, "other", size)).read(0, size)
    assert other != whole


@given(st.integers(0, 600), st.sampled_from([0, 59_000, 60_000, 119_700]))
def test_a_voice_note_of_any_size_has_sound_pages_in_order(more: int, base: int) -> None:
    template = templates()["voice"][0]
    size = len(template.data) + SMALLEST_ROOM["ogg"] + base + more
    data = fit(template.data, "ogg", Stream(3, "key", size)).read(0, size)
    places = [place for place in range(len(data)) if data.startswith(b"OggS\0", place)]
    numbers = [int.from_bytes(data[place + 18 : place + 22], "little") for place in places]
    assert numbers == list(range(len(numbers)))
    assert len(data) == size


def test_a_video_of_gigabytes_decodes() -> None:
    content = fit(templates()["video"][2].data, "mp4", Stream(4, "key", 2_000_000_000))
    assert content.size == 2_000_000_000
    check(content, "mp4", templates()["video"][2])


@pytest.mark.parametrize("makers", [make.photos, make.pictures, make.clips, make.sounds, make.stickers])
def test_templates_can_be_made_anew(makers: Callable[[], Iterator[make.Made]]) -> None:
    kind, form, data, facts, small = next(iter(makers()))
    known = {(template.kind, template.form): template for template in EVERY}[kind, form]
    made = replace(known, data=data, shape=tuple(facts.get("shape", (0, 0))), seconds=facts.get("seconds", 0.0))
    check(fit(data, form, Stream(5, "key", len(data) + 800)), form, made)
    assert bool(small) == bool(known.preview)
    if small:
        with Image.open(io.BytesIO(small)) as preview:
            assert preview.size == tuple(facts["small"])
