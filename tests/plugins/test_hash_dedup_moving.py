"""hash_dedup: equal files that are wanted at once. The second waits for the first, if it begins alike."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.engine.fakes import content
from tests.plugins.fakes_dedup import SIZE, Server, bench, known
from tests.plugins.test_hash_dedup import changed
from tobs.errors import ConnectError, RpcError
from tobs_hash_dedup import moving
from tobs_hash_dedup.hashes import Hashes

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path
    from typing import Any

    from tests.plugins.fakes_dedup import Bench
    from tobs.values import BlockHash

A = content(1, SIZE)
B = content(2, SIZE)


async def until(condition: Callable[[], object]) -> None:
    """Let others go on until something holds; the test's own timeout ends what never comes."""
    while not condition():  # noqa: ASYNC110 - what is waited for is not the test's own
        await asyncio.sleep(0)


def start(*calls: Coroutine[Any, Any, None]) -> list[asyncio.Task[None]]:
    return [asyncio.ensure_future(call) for call in calls]


async def moved(made: Bench, first: int, *others: int) -> list[asyncio.Task[None]]:
    """The first file is being fetched and held there; the others come after it."""
    made.server.gates[first] = asyncio.Event()
    tasks = start(made.bring(first))
    await until(lambda: made.server.parts[first])
    return [*tasks, *start(*(made.bring(other) for other in others))]


async def test_an_equal_file_waits_for_the_one_in_motion(tmp_path: Path) -> None:
    with bench(tmp_path, Server({1: A, 2: A, 3: A, 4: B})) as made:
        await known(made)
        tasks = await moved(made, 1, 2, 3, 4)
        await until(lambda: 4 in made.paths())
        assert set(made.paths()) == {4}
        made.server.gates[1].set()
        await asyncio.gather(*tasks)
        assert made.fetched() == {1, 4}
        assert made.right()
        assert len(set(made.paths().values())) == 2
        assert made.server.pages.count((1, 0)) == 1, "the hashes of the one in motion are asked for once"
        assert made.plugin._moving._by_size == {}


@pytest.mark.parametrize("waiting", [0, 1, 2])
async def test_no_more_wait_than_may(tmp_path: Path, waiting: int) -> None:
    with bench(tmp_path, Server({1: A, 2: A, 3: A, 4: A}), waiting=waiting) as made:
        await known(made)
        tasks = await moved(made, 1, 2, 3, 4)
        await until(lambda: len(made.paths()) == 3 - waiting)
        made.server.gates[1].set()
        await asyncio.gather(*tasks)
        assert made.right()
        assert len(made.paths()) == 4
        assert 1 <= len(made.fetched()) <= 4 - waiting


async def test_files_without_hashes_do_not_wait(tmp_path: Path) -> None:
    def none(file_id: int, _offset: int, page: list[BlockHash]) -> list[BlockHash]:
        return [] if file_id == lacking else page

    for lacking in (1, 2):
        with bench(tmp_path / str(lacking), Server({1: A, 2: A}, named=none)) as made:
            await known(made)
            tasks = await moved(made, 1, 2)
            await until(lambda: 2 in made.paths())
            made.server.gates[1].set()
            await asyncio.gather(*tasks)
            assert made.right()


async def test_twins_with_an_equal_first_page_wait_and_are_two_files(tmp_path: Path) -> None:
    with bench(tmp_path, Server({1: A, 2: changed(A, SIZE - 1)})) as made:
        await known(made)
        tasks = await moved(made, 1, 2)
        await until(lambda: made.server.pages == [(2, 0), (1, 0)])
        made.server.gates[1].set()
        await asyncio.gather(*tasks)
        assert made.right()
        assert len(set(made.paths().values())) == 2


async def test_whoever_waits_for_a_file_that_is_not_to_be_had_fetches_its_own(tmp_path: Path) -> None:
    def sent(file_id: int, _offset: int, data: bytes) -> bytes:
        if file_id == 1:
            raise RpcError(400, "FILE_ID_INVALID", None, "upload.getFile")
        return data

    with bench(tmp_path, Server({1: A, 2: A, 3: A}, sent=sent)) as made:
        await known(made)
        tasks = await moved(made, 1, 2, 3)
        await until(lambda: (1, 0) in made.server.pages)
        made.server.gates[1].set()
        await asyncio.gather(*tasks)
        assert set(made.paths()) == {2, 3}
        assert made.right()
        assert len(made.fetched()) == 2, "of the two that waited, one waits for the other"


async def test_nobody_waits_for_ever_for_a_file_that_stopped_the_run(tmp_path: Path) -> None:
    def sent(file_id: int, _offset: int, data: bytes) -> bytes:
        if file_id == 1:
            raise ConnectError("logged out")
        return data

    with bench(tmp_path, Server({1: A, 2: A}, sent=sent)) as made:
        await known(made)
        first, second = await moved(made, 1, 2)
        await until(lambda: (1, 0) in made.server.pages)
        made.server.gates[1].set()
        with pytest.raises(ConnectError):
            await first
        await second
        assert made.fetched() == {1, 2}


async def test_nor_for_one_that_is_fetched_and_never_settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "SETTLING", 0.0)
    with bench(tmp_path, Server({1: A, 2: A})) as made:
        await known(made)
        hashes = Hashes(made.layer._ctx, made.ref(1))
        with made.plugin._moving.fetching(hashes):
            pass
        await made.bring(2)
        assert made.fetched() == {2}
        assert made.right()


async def test_who_is_cancelled_while_waiting_gives_up_its_place(tmp_path: Path) -> None:
    with bench(tmp_path, Server({1: A, 2: A, 3: A}), waiting=1) as made:
        await known(made)
        first, second = await moved(made, 1, 2)
        await until(lambda: (1, 0) in made.server.pages)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        (third,) = start(made.bring(3))
        await until(lambda: (3, 0) in made.server.pages)
        made.server.gates[1].set()
        await asyncio.gather(first, third)
        assert made.fetched() == {1}
