"""hash_dedup: what is here under another id is kept once, and nothing is ever taken for what it is not."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.fakes import content
from tests.plugins.fakes_dedup import BLOCK, KB, PAGE, SIZE, Server, bench, known
from tobs.archive.verify import verify
from tobs.engine.state import MemoryState
from tobs.errors import LostError, RpcError
from tobs.values import Stored
from tobs_hash_dedup import stored_blocks
from tobs_hash_dedup.stored_blocks import KEPT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tobs.values import BlockHash

    Named = Callable[[int, int, list[BlockHash]], list[BlockHash]]

LONG = 40 * BLOCK + 17
"""A file of six pages, its last block short."""
A = content(1, SIZE)


def changed(data: bytes, at: int) -> bytes:
    """The same but for one byte."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


async def test_the_same_content_under_another_id_is_not_fetched_and_kept_once(tmp_path: Path) -> None:
    with bench(tmp_path, Server({1: A, 2: A, 3: A})) as made:
        await known(made)
        await made.bring(1, 2, 3)
        assert made.fetched() == {1}
        assert len(made.paths()) == 3
        assert len(set(made.paths().values())) == 1
        assert (made.layer.files, made.layer.size) == (2, 2 * SIZE)
    found = verify(tmp_path / "archive")
    assert (found.ok, found.foreign, found.pending) == (True, (), 0)


async def test_a_file_of_a_size_that_nothing_has_costs_no_question(tmp_path: Path) -> None:
    with bench(tmp_path, Server({n: content(n, SIZE + n) for n in range(1, 6)})) as made:
        await known(made)
        await made.bring(*range(1, 6))
        assert made.server.pages == []
        assert made.fetched() == set(range(1, 6))


@pytest.mark.parametrize(("size", "pages"), [(32 * KB - 1, 0), (32 * KB, 1)])
async def test_small_files_are_fetched_without_a_question(tmp_path: Path, size: int, pages: int) -> None:
    data = content(1, size)
    with bench(tmp_path, Server({1: data, 2: data}), min_kb=32) as made:
        await known(made)
        await made.bring(1, 2)
        assert len(made.server.pages) == pages
        assert made.right()


TWIN = content(7, LONG)


@pytest.mark.parametrize("at", [0, BLOCK, PAGE * BLOCK - 1, PAGE * BLOCK, LONG // 2, LONG - 18, LONG - 17, LONG - 1])
async def test_twins_that_differ_in_one_byte_are_two_files(tmp_path: Path, at: int) -> None:
    with bench(tmp_path, Server({1: TWIN, 2: changed(TWIN, at)})) as made:
        await known(made)
        await made.bring(1, 2)
        assert made.right()
        assert len(set(made.paths().values())) == 2


async def test_a_file_is_found_among_its_twins_with_the_hashes_asked_for_once(tmp_path: Path) -> None:
    files = {1: TWIN, 2: changed(TWIN, LONG // 2), 3: changed(TWIN, LONG - 1), 4: TWIN}
    with bench(tmp_path, Server(files)) as made:
        await known(made)
        await made.bring(1, 2, 3)
        made.server.pages.clear()
        made.server.parts.clear()
        await made.bring(4)
        assert made.fetched() == set()
        assert made.paths()[4] == made.paths()[1]
        assert sorted(made.server.pages) == [(4, offset) for offset in range(0, LONG, PAGE * BLOCK)]


BLOCKS = [random.Random(n).randbytes(BLOCK) for n in range(2)]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 1), min_size=1, max_size=18), st.sampled_from([0, 1, BLOCK - 1])),
        min_size=2,
        max_size=5,
    )
)
async def test_files_share_a_path_exactly_if_their_bytes_are_equal(
    tmp_path_factory: pytest.TempPathFactory, recipes: list[tuple[list[int], int]]
) -> None:
    files = {
        number: b"".join(BLOCKS[which] for which in blocks) + b"x" * tail
        for number, (blocks, tail) in enumerate(recipes, 1)
    }
    with bench(tmp_path_factory.mktemp("any"), Server(files)) as made:
        await known(made)
        await made.bring(*files)
        assert made.right()
        assert len(set(made.paths().values())) == len(set(files.values()))
        assert len(made.paths()) == len(files)


async def test_candidates_may_be_of_an_earlier_run_and_one_without_the_plugin(tmp_path: Path) -> None:
    server = Server({1: A, 2: A})
    with bench(tmp_path, server, min_kb=1_000_000) as made:
        await known(made)
        await made.bring(1)
    with bench(tmp_path, server) as made:
        await made.bring(2)
        assert made.fetched() == {1}
        assert made.right()


# ---------------------------------------------------------------- what is on the disk


@pytest.mark.parametrize("harm", ["rot in its first page", "rot in its last block", "too short", "gone"])
async def test_a_stored_file_that_is_damaged_is_equal_to_nothing(tmp_path: Path, harm: str) -> None:
    with bench(tmp_path, Server({1: TWIN, 2: TWIN})) as made:
        await known(made)
        await made.bring(1)
        path = tmp_path / "archive" / made.paths()[1]
        if harm == "gone":
            path.unlink()
        else:
            at = {"rot in its first page": 5, "rot in its last block": LONG - 2}.get(harm)
            path.write_bytes(TWIN[:-1] if at is None else changed(TWIN, at))
        await made.bring(2)
        assert made.fetched() == {1, 2}
        second = tmp_path / "archive" / made.paths()[2]
        assert second != path
        assert second.read_bytes() == TWIN


async def test_many_files_of_one_size_are_read_once_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    compare = stored_blocks.compare

    def counted(stored: Stored, blocks: list[BlockHash]) -> tuple[bool, bytes]:
        read.append(stored.file_id)
        return compare(stored, blocks)

    monkeypatch.setattr(stored_blocks, "compare", counted)
    memory = MemoryState()
    server = Server({n: content(n, SIZE) for n in range(1, 9)})
    with bench(tmp_path, server, memory=memory) as made:
        await known(made)
        await made.bring(*range(1, 8))
        assert sorted(read) == list(range(1, 7))
        async with made.plugin._held():
            pass
    with bench(tmp_path, server, memory=memory) as made:
        await made.bring(8)
        assert sorted(read) == list(range(1, 8)), "what an earlier run read of the others rules them out"
        assert made.right()


async def test_a_remembered_hash_alone_makes_nothing_equal(tmp_path: Path) -> None:
    memory = MemoryState()
    with bench(tmp_path, Server({1: A, 2: changed(A, 0)}), memory=memory) as made:
        await known(made)
        await made.bring(1)
        lie = sha256(made.server.files[2][:BLOCK]).hexdigest()
        memory.put("heads", {"1": [BLOCK, lie]})
    with bench(tmp_path, made.server, memory=memory) as made:
        await made.bring(2)
        assert made.right()
        assert len(made.paths()) == len(set(made.paths().values())) == 2


@pytest.mark.parametrize("value", [{"one": [1, "a"]}, {"1": "a"}, {"1": [1]}, {"1": ["a", 1]}, {"²": [1, "a"]}])
async def test_a_damaged_memory_is_ignored(tmp_path: Path, value: dict[str, object]) -> None:
    memory = MemoryState()
    memory.put("heads", value)
    with bench(tmp_path, Server({1: A, 2: A}), memory=memory) as made:
        await known(made)
        await made.bring(1, 2)
        assert made.fetched() == {1}


def test_what_is_remembered_is_bounded(tmp_path: Path) -> None:
    memory = MemoryState()
    heads = stored_blocks.Heads(memory)
    for number in range(KEPT + 5):
        heads.learn(Stored(number, SIZE, tmp_path), BLOCK, b"\0" * 32)
    heads.save()
    assert set(memory.get("heads")) == {str(number) for number in range(5, KEPT + 5)}


# ---------------------------------------------------------------- what the server says


def no_hashes(_id: int, _offset: int, _page: list[BlockHash]) -> list[BlockHash]:
    return []


def refused(_id: int, _offset: int, _page: list[BlockHash]) -> list[BlockHash]:
    raise RpcError(400, "LOCATION_INVALID", None, "upload.getFileHashes")


def lost(_id: int, _offset: int, _page: list[BlockHash]) -> list[BlockHash]:
    raise LostError("no answer")


def none_later(_id: int, offset: int, page: list[BlockHash]) -> list[BlockHash]:
    return [] if offset else page


def a_short_page(_id: int, offset: int, page: list[BlockHash]) -> list[BlockHash]:
    return page[:-1] if offset == PAGE * BLOCK else page


def a_gap(_id: int, _offset: int, page: list[BlockHash]) -> list[BlockHash]:
    return [*page[:2], *page[3:]]


def another_place(_id: int, offset: int, page: list[BlockHash]) -> list[BlockHash]:
    return [replace(one, offset=one.offset + BLOCK) for one in page] if offset else page


def past_the_end(_id: int, _offset: int, page: list[BlockHash]) -> list[BlockHash]:
    return [*page[:-1], replace(page[-1], limit=BLOCK * PAGE * 40)]


def no_length(_id: int, _offset: int, page: list[BlockHash]) -> list[BlockHash]:
    return [replace(one, limit=0) for one in page]


def half_a_digest(_id: int, _offset: int, page: list[BlockHash]) -> list[BlockHash]:
    return [replace(one, sha256=one.sha256[:16]) for one in page]


@pytest.mark.parametrize(
    "named",
    [no_hashes, refused, lost, none_later, a_short_page, a_gap, another_place, past_the_end, no_length, half_a_digest],
    ids=lambda named: named.__name__,
)
async def test_hashes_that_are_not_all_there_mean_unknown(tmp_path: Path, named: Named) -> None:
    with bench(tmp_path, Server({1: TWIN, 2: TWIN}, named=named)) as made:
        await known(made)
        await made.bring(1, 2)
        assert made.fetched() == {1, 2}
        assert made.right()
        assert len(set(made.paths().values())) == 2


async def test_a_file_of_blocks_of_another_length_is_compared_too(tmp_path: Path) -> None:
    def halves(file_id: int, _offset: int, page: list[BlockHash]) -> list[BlockHash]:
        data = made.server.files[file_id]
        half = BLOCK // 2
        found = []
        for one in page:
            for at in range(one.offset, one.offset + one.limit, half):
                piece = data[at : min(at + half, one.offset + one.limit)]
                found.append(replace(one, offset=at, limit=len(piece), sha256=sha256(piece).digest()))
        return found

    with bench(tmp_path, Server({1: TWIN, 2: TWIN, 3: changed(TWIN, LONG - 1)}, named=halves)) as made:
        await known(made)
        await made.bring(1, 2, 3)
        assert made.fetched() == {1, 3}
        assert made.right()


async def test_hashes_that_lie_merge_nothing_and_lose_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def lies(_id: int, _offset: int, page: list[BlockHash]) -> list[BlockHash]:
        return [replace(one, sha256=sha256(one.sha256).digest()) for one in page]

    with bench(tmp_path, Server({1: A, 2: A}, named=lies)) as made:
        await known(made)
        await made.bring(1, 2)
        assert made.right()
        assert len(set(made.paths().values())) == 2
        assert made.server.parts[2] == 2 * made.server.parts[1]
    assert "came twice alike" in caplog.text


async def test_bytes_that_differ_from_hashes_known_anyway_are_fetched_again(tmp_path: Path) -> None:
    spoilt = iter([True])

    def sent(file_id: int, offset: int, data: bytes) -> bytes:
        return changed(data, 9) if file_id == 2 and not offset and next(spoilt, False) else data

    files = {1: A, 2: content(2, SIZE)}
    with bench(tmp_path, Server(files, sent=sent)) as made:
        await known(made)
        await made.bring(1, 2)
        assert made.right()
        assert made.server.pages == [(2, 0)], "no hash is asked for in order to check"


async def test_bytes_that_differ_every_time_are_not_kept(tmp_path: Path) -> None:
    times = iter(range(100))

    def sent(file_id: int, offset: int, data: bytes) -> bytes:
        return changed(data, next(times)) if file_id == 2 and offset == 0 else data

    with bench(tmp_path, Server({1: A, 2: content(2, SIZE)}, sent=sent)) as made:
        await known(made)
        await made.bring(1, 2)
        assert set(made.paths()) == {1}
        assert next(times) == 2
        assert verify(tmp_path / "archive").pending == 1, "it is tried again another day"


async def test_an_expired_reference_is_renewed_once_for_hashes_and_file(tmp_path: Path) -> None:
    with bench(tmp_path, Server({1: A, 2: A, 3: content(3, SIZE)})) as made:
        await known(made)
        await made.bring(1)
        await made.bring(2, 3, reference=b"old")
        assert made.server.refreshed == [2, 3]
        assert made.fetched() == {1, 3}
        assert made.right()


# ---------------------------------------------------------------- how hashes are asked for


@pytest.mark.parametrize(("ahead", "room", "most"), [(4, 8, 4), (4, 2, 2), (1, 8, 1), (32, 8, 5)])
async def test_pages_are_asked_for_in_windows_and_once(tmp_path: Path, ahead: int, room: int, most: int) -> None:
    with bench(tmp_path, Server({1: TWIN, 2: TWIN}), in_flight=room, ahead=ahead) as made:
        await known(made)
        await made.bring(1, 2)
        assert made.server.pages[0] == (2, 0)
        assert sorted(made.server.pages) == [(2, offset) for offset in range(0, LONG, PAGE * BLOCK)]
        assert made.server.most == most
        assert made.server.asked_at == [None, 2, 2, 2, 2, 2]


async def test_nothing_is_asked_for_past_the_window_of_the_first_difference(tmp_path: Path) -> None:
    with bench(tmp_path, Server({1: TWIN, 2: changed(TWIN, 2 * PAGE * BLOCK)}), ahead=2) as made:
        await known(made)
        await made.bring(1, 2)
        assert sorted(made.server.pages) == [(2, offset * PAGE * BLOCK) for offset in (0, 1, 2)]


async def test_a_cancelled_comparison_leaves_nothing_running(tmp_path: Path) -> None:
    reached = asyncio.Event()

    def named(_id: int, offset: int, page: list[BlockHash]) -> list[BlockHash]:
        if offset:
            reached.set()
            raise asyncio.CancelledError
        return page

    with bench(tmp_path, Server({1: TWIN, 2: TWIN}, named=named)) as made:
        await known(made)
        await made.bring(1)
        with pytest.raises(asyncio.CancelledError):
            await made.bring(2)
        assert reached.is_set()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        made.server.named = lambda _id, _offset, page: page
        await made.bring(2)
        assert made.fetched() == {1}
