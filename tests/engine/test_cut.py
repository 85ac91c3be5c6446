"""A file cut into requests: every missing byte once, in cells that the server takes, and nothing that is here."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tobs.values import Part, cut

KB = 1024


def test_a_whole_file_is_cut_into_equal_requests() -> None:
    assert list(cut(0, 512 * KB)) == []
    assert list(cut(1_300_000, 512 * KB)) == [Part(number * 512 * KB, 512 * KB) for number in range(3)]


def test_what_is_here_is_left_out() -> None:
    have = [Part(512 * KB, 512 * KB), Part(1024 * KB, 128 * KB), Part(1280 * KB, 20_000_000)]
    assert list(cut(9_000_000, 512 * KB, have)) == [Part(0, 512 * KB), Part(1152 * KB, 128 * KB)]


def test_a_cell_may_have_several_gaps() -> None:
    have = [Part(128 * KB, 128 * KB), Part(384 * KB, 64 * KB)]
    found = list(cut(500 * KB, 512 * KB, have))
    assert found == [Part(0, 128 * KB), Part(256 * KB, 128 * KB), Part(448 * KB, 64 * KB)]


@given(
    size=st.integers(0, 3_000_000),
    step=st.sampled_from([4 * KB, 64 * KB, 128 * KB, 512 * KB, 1024 * KB]),
    have=st.lists(st.builds(Part, st.integers(0, 3_000_000), st.integers(0, 900_000)), max_size=6),
)
def test_every_missing_byte_is_asked_for_once_and_as_the_server_takes_it(
    size: int, step: int, have: list[Part]
) -> None:
    here, asked = bytearray(size), bytearray(size)
    for part in have:
        for at in range(part.offset, min(size, part.offset + part.limit)):
            here[at] = 1
    for part in cut(size, step, have):
        assert part.offset % KB == part.limit % KB == 0
        assert 0 < part.limit <= step
        assert part.offset // step == (part.offset + part.limit - 1) // step, "a request stays inside its cell"
        end = min(size, part.offset + part.limit)
        asked[part.offset : end] = bytes(one + 1 for one in asked[part.offset : end])
    missing = [at for at in range(size) if not here[at]]
    assert all(asked[at] for at in missing)
    edges = 2 * KB * (2 * len(have) + 1)
    assert sum(asked) <= len(missing) + edges, "beside what is missing, only what widens a gap to whole KB"
