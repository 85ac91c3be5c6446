"""The media path of the baseline: lanes, parts in turn, migrations, expired references."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engine.fakes import Dialler, FileServer, MemorySink, content, ref
from tobs.engine.budget import ByteBudget
from tobs.engine.media import CoreFetch, HomeLanes, SerialAgenda, SerialParts, follow
from tobs.engine.pool import CorePool, PoolLimits
from tobs.errors import STALE, LostError, RpcError
from tobs.values import Bytes, MediaRef, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KB = 1024
HALF = 512 * KB


def fetch_of(server: FileServer, part: int = HALF) -> CoreFetch:
    parts = SerialParts(CorePool(Dialler(), PoolLimits(part=part), server.home), ByteBudget(10**6, 10**6))
    return CoreFetch(server.part, server.refresh, HomeLanes(), parts)


@pytest.mark.parametrize(
    ("size", "requests"),
    [(0, 0), (1, 1), (HALF - 1, 1), (HALF, 1), (HALF + 1, 2), (1_300_000, 3), (3 * HALF, 3), (5_000_000, 10)],
)
async def test_a_file_is_asked_in_as_many_parts_as_it_has(size: int, requests: int) -> None:
    server, sink = FileServer(), MemorySink()
    one = ref(size=size)
    assert await fetch_of(server)(one, sink, ()) == Bytes(size)
    assert server.asked == [(None, number * HALF, HALF) for number in range(requests)]
    assert sink.data == content(one.file_id, size)


async def test_the_part_size_is_the_pool_s() -> None:
    server = FileServer()
    await fetch_of(server, 128 * KB)(ref(size=300 * KB), MemorySink(), ())
    assert server.asked == [(None, offset * KB, 128 * KB) for offset in (0, 128, 256)]


async def test_what_an_earlier_attempt_left_is_not_asked_for() -> None:
    server, sink, one = FileServer(), MemorySink(), ref(size=1_300_000)
    await sink.write(0, content(1, 1_300_000)[: 640 * KB])
    assert await fetch_of(server)(one, sink, [Part(0, 640 * KB)]) == Bytes(1_300_000)
    assert [(offset, limit) for _, offset, limit in server.asked] == [(640 * KB, 384 * KB), (2 * HALF, HALF)]
    assert sink.data == content(1, 1_300_000)
    asked = len(server.asked)
    assert await fetch_of(server)(one, sink, [Part(0, 1_300_000)]) == Bytes(1_300_000)
    assert len(server.asked) == asked


async def test_a_migration_is_followed_once_and_remembered_within_the_file() -> None:
    server, sink = FileServer(), MemorySink()
    fetch, one = fetch_of(server), ref(size=1_300_000, dc=4)
    await fetch(one, sink, ())
    first = [(None, 0), (4, 0), (4, HALF), (4, 2 * HALF)]
    assert [(dc, offset) for dc, offset, _ in server.asked] == first
    assert sink.data == content(1, 1_300_000)
    await fetch(one, MemorySink(), ())
    assert [(dc, offset) for dc, offset, _ in server.asked] == first * 2, "the next file asks home again"


async def test_a_data_centre_that_sends_to_itself_is_not_followed_round_and_round() -> None:
    async def part(wanted: MediaRef, part: Part, dc: int | None) -> bytes:  # noqa: ARG001
        raise RpcError(303, "FILE_MIGRATE", 4, "upload.getFile")

    fetch = fetch_of(FileServer())
    fetch._ask = part
    with pytest.raises(RpcError, match="FILE_MIGRATE_4"):
        await fetch(ref(), MemorySink(), ())


async def test_data_centres_that_send_to_one_another_end_the_file() -> None:
    async def part(wanted: MediaRef, part: Part, dc: int | None) -> bytes:  # noqa: ARG001
        asked.append(dc)
        raise RpcError(303, "FILE_MIGRATE", 4 if dc != 4 else 2, "upload.getFile")

    asked: list[int | None] = []
    fetch = fetch_of(FileServer())
    fetch._ask = part
    with pytest.raises(RpcError, match="FILE_MIGRATE_4"):
        await fetch(ref(), MemorySink(), ())
    assert asked == [None, 4, 2], "home by its number, too, and then none is left"


class Told(HomeLanes):
    """Lanes that keep what they are told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []

    def moved(self, ref: MediaRef, dc: int) -> None:
        self.told.append((ref.file_id, dc))


async def test_a_question_about_a_file_follows_it_and_lanes_are_told() -> None:
    asked: list[int | None] = []

    async def ask(dc: int | None) -> str:
        asked.append(dc)
        if dc != 4:
            raise RpcError(303, "FILE_MIGRATE", 4, "upload.getFileHashes")
        return "answer"

    lanes = Told()
    assert await follow(ask, ref(7), None, lanes) == "answer"
    assert (asked, lanes.told) == ([None, 4], [(7, 4)])
    assert await follow(ask, ref(7), 4, lanes) == "answer"
    assert (asked, lanes.told) == ([None, 4, 4], [(7, 4)])


async def test_a_question_is_not_followed_round_and_round() -> None:
    async def ask(dc: int | None) -> str:  # noqa: ARG001
        raise RpcError(303, "FILE_MIGRATE", 4, "upload.getFileHashes")

    with pytest.raises(RpcError, match="FILE_MIGRATE_4"):
        await follow(ask, ref(), None, HomeLanes())


@pytest.mark.parametrize("name", sorted(STALE))
async def test_an_expired_reference_is_refreshed_once_and_the_file_starts_again(name: str) -> None:
    def expire(_wanted: MediaRef, part: Part, data: bytes) -> bytes:
        if part.offset == HALF and not server.refreshed:
            raise RpcError(400, name, None, "upload.getFile")
        return data

    server, sink = FileServer(spoil=expire), MemorySink()
    await fetch_of(server)(ref(size=1_300_000), sink, ())
    assert server.refreshed == [1]
    assert [offset for _, offset, _ in server.asked] == [0, HALF, 0, HALF, 2 * HALF]
    assert sink.writes == [0, 0, HALF, 2 * HALF]
    assert sink.data == content(1, 1_300_000)


async def test_a_reference_that_expires_again_is_given_up() -> None:
    server = FileServer(spoil=refuse("FILE_REFERENCE_EXPIRED"))
    with pytest.raises(RpcError, match="FILE_REFERENCE_EXPIRED"):
        await fetch_of(server)(ref(), MemorySink(), ())
    assert server.refreshed == [1]
    assert len(server.asked) == 2


async def test_where_a_layer_repairs_core_refreshes_nothing() -> None:
    server = FileServer(spoil=refuse("FILE_REFERENCE_EXPIRED"))
    fetch = fetch_of(server)
    fetch._refresh = None
    with pytest.raises(RpcError, match="FILE_REFERENCE_EXPIRED"):
        await fetch(ref(), MemorySink(), ())
    assert (server.refreshed, len(server.asked)) == ([], 1)


async def test_a_message_that_is_gone_leaves_the_refusal() -> None:
    server = FileServer(gone=True)
    with pytest.raises(RpcError, match="FILE_REFERENCE_EXPIRED"):
        await fetch_of(server)(ref()._replace(reference=b"old"), MemorySink(), ())
    assert len(server.asked) == 1


async def test_another_refusal_passes_and_refreshes_nothing() -> None:
    server = FileServer(spoil=refuse("FILE_ID_INVALID"))
    with pytest.raises(RpcError, match="FILE_ID_INVALID"):
        await fetch_of(server)(ref(), MemorySink(), ())
    assert server.refreshed == []


@pytest.mark.parametrize("kept", [0, 1, 999])
async def test_a_short_part_is_a_lost_attempt(kept: int) -> None:
    server = FileServer(spoil=lambda _ref, _part, data: data[:kept])
    with pytest.raises(LostError, match=f"{kept} bytes came where 1000 were due"):
        await fetch_of(server)(ref(size=1000), MemorySink(), ())


async def test_the_last_part_may_be_short_and_not_longer() -> None:
    server = FileServer(spoil=lambda _ref, _part, data: data + b"x")
    with pytest.raises(LostError, match="1001 bytes came where 1000 were due"):
        await fetch_of(server)(ref(size=1000), MemorySink(), ())


async def test_the_agenda_accepts_what_is_finished() -> None:
    done: list[int] = []

    async def work(one: MediaRef) -> None:
        done.append(one.file_id)

    agenda = SerialAgenda(work, HomeLanes())
    await agenda.put([ref(3), ref(1), ref(2)])
    assert done == [3, 1, 2]
    await agenda.drain()
    assert done == [3, 1, 2]


async def test_the_lanes_say_whose_file_comes_next() -> None:
    done: list[int] = []
    asked: list[dict[int, int]] = []

    class MostLeft(HomeLanes):
        def first(self, left: Mapping[int, int]) -> int:
            asked.append(dict(left))
            return max(left, key=left.__getitem__)

    async def work(one: MediaRef) -> None:
        done.append(one.file_id)

    await SerialAgenda(work, MostLeft()).put([ref(1, 10, dc=2), ref(2, 40, dc=4), ref(3, 20, dc=4), ref(4, 25, dc=2)])
    assert done == [2, 1, 4, 3]
    assert asked == [{2: 35, 4: 60}, {2: 35, 4: 20}, {2: 25, 4: 20}, {4: 20}]


async def test_what_stops_one_file_stops_those_behind_it() -> None:
    async def work(one: MediaRef) -> None:
        if one.file_id == 2:
            raise RuntimeError("no disk")
        done.append(one.file_id)

    done: list[int] = []
    with pytest.raises(RuntimeError):
        await SerialAgenda(work, HomeLanes()).put([ref(1), ref(2), ref(3)])
    assert done == [1]


def refuse(name: str) -> Callable[[MediaRef, Part, bytes], bytes]:
    def spoil(_wanted: MediaRef, _part: Part, _data: bytes) -> bytes:
        raise RpcError(400, name, None, "upload.getFile")

    return spoil
