"""disk_io's way of writing the database: outcomes that come together share a transaction, and each its own fate."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.archive.rows import CHANNEL, CHAT, batch, photo, with_photo
from tests.engine.fakes import ref
from tests.engine.virtual import now, settle_down, virtually
from tobs.archive import Archive
from tobs.archive.store import Store
from tobs.errors import ArchiveError
from tobs.meters import Meters
from tobs.values import Settled, Span
from tobs_disk_io import manifest
from tobs_disk_io.plugin import DiskIO
from tobs_disk_io.write import GroupWrite

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tobs.values import Batch


def outcome(number: int) -> Settled:
    return Settled(ref(number), "failed", reason="of the test")


@dataclass
class Keeper:
    """An archive's `Write` that remembers its transactions; those with a file in `bad` are refused."""

    bad: set[int] = field(default_factory=set)
    kept: list[list[int]] = field(default_factory=list)
    asked: int = 0

    async def commit(self, given: Batch) -> None:
        self.kept.append([given.span.low])

    async def settle(self, outcomes: Sequence[Settled]) -> None:
        self.asked += 1
        numbers = [one.ref.file_id for one in outcomes]
        if self.bad & set(numbers):
            raise ArchiveError(f"refused {numbers}")
        self.kept.append(numbers)


def grouped(keeper: Keeper, others: int = 0, *, batch_size: int = 64) -> GroupWrite:
    return GroupWrite(keeper, lambda: others, linger=0.005, batch=batch_size)


async def at_rest(write: GroupWrite) -> None:
    await write.close()
    assert len(asyncio.all_tasks()) == 1


async def test_one_alone_is_kept_at_once_and_without_a_task() -> None:
    keeper = Keeper()
    write = grouped(keeper)
    settling = write.settle([outcome(1)])
    with pytest.raises(StopIteration):
        settling.send(None)
    assert keeper.kept == [[1]]
    await at_rest(write)


def test_those_that_come_together_are_one_transaction() -> None:
    async def main() -> None:
        keeper = Keeper()
        write = grouped(keeper, others=1)
        settling = [asyncio.ensure_future(write.settle([outcome(number)])) for number in range(5)]
        await settle_down()
        assert keeper.kept == []
        assert not any(one.done() for one in settling)
        await asyncio.gather(*settling)
        assert keeper.kept == [[0, 1, 2, 3, 4]]
        assert now() == pytest.approx(0.005)
        await at_rest(write)

    virtually(main)


def test_a_full_group_waits_for_nobody_and_the_rest_makes_another() -> None:
    async def main() -> None:
        keeper = Keeper()
        write = grouped(keeper, others=1, batch_size=2)
        await asyncio.gather(*(write.settle([outcome(number)]) for number in range(4)))
        assert keeper.kept == [[0, 1], [2, 3]]
        assert now() == 0
        await at_rest(write)

    virtually(main)


def test_a_page_does_not_wait() -> None:
    async def main() -> None:
        keeper = Keeper()
        write = grouped(keeper, others=1)
        settling = asyncio.ensure_future(write.settle([outcome(7)]))
        await settle_down()
        await write.commit(batch(span=Span(1, 2)))
        assert keeper.kept == [[1]]
        await settling
        await at_rest(write)

    virtually(main)


def test_one_that_is_refused_harms_no_other() -> None:
    async def main() -> None:
        keeper = Keeper(bad={2})
        write = grouped(keeper, others=1)
        results = await asyncio.gather(
            *(write.settle([outcome(number)]) for number in range(4)), return_exceptions=True
        )
        assert [type(one) for one in results] == [type(None), type(None), ArchiveError, type(None)]
        assert keeper.kept == [[0], [1], [3]]
        assert keeper.asked == 5
        await at_rest(write)

    virtually(main)


def test_who_is_cancelled_stops_no_other() -> None:
    async def main() -> None:
        keeper = Keeper()
        write = grouped(keeper, others=1)
        first, second = (asyncio.ensure_future(write.settle([outcome(number)])) for number in (1, 2))
        await settle_down()
        first.cancel()
        await second
        with suppress(asyncio.CancelledError):
            await first
        assert first.cancelled()
        assert keeper.kept == [[1, 2]]  # its file is there and whole
        await at_rest(write)

    virtually(main)


def test_the_end_of_the_run_keeps_what_waits_and_makes_later_ones_wait_for_nobody() -> None:
    async def main() -> None:
        keeper = Keeper()
        write = grouped(keeper, others=1)
        settling = asyncio.ensure_future(write.settle([outcome(1)]))
        await settle_down()
        await write.close()
        assert keeper.kept == [[1]]
        await settling
        await write.settle([outcome(2)])
        assert keeper.kept == [[1], [2]]
        assert now() == 0
        await at_rest(write)

    virtually(main)


# ---------------------------------------------------------------- the plugin


class Context:
    """What the plugin takes of core."""

    def __init__(self) -> None:
        self.meters = Meters()


def plugin(**changed: Any) -> DiskIO:
    return DiskIO({**{knob.name: knob.default for knob in manifest.knobs}, **changed})


def pragma(archive: Archive, name: str) -> Any:
    return archive._db.execute(f"PRAGMA {name}").fetchone()[0]


@pytest.mark.parametrize(("page_kb", "size"), [(1, 1024), (5, 4096), (16, 16_384), (63, 32_768), (64, 65_536)])
def test_the_page_size_is_a_power_of_two(tmp_path: Path, page_kb: int, size: int) -> None:
    context: Any = Context()
    with Archive.create(tmp_path, [CHAT]) as archive:
        write = archive.write
        assert isinstance(write, Store)
        plugin(page_kb=page_kb).tobs_write(context, write)
        assert pragma(archive, "page_size") == size
        assert pragma(archive, "wal_autocheckpoint") == (32 << 20) // size
        assert (pragma(archive, "journal_mode"), pragma(archive, "synchronous")) == ("wal", 1)


async def test_files_of_a_page_are_settled_in_fewer_transactions_and_all_are_there(tmp_path: Path) -> None:
    context: Any = Context()
    with Archive.create(tmp_path, [CHAT]) as archive:
        own = archive.write
        assert isinstance(own, Store)
        made = plugin(threads=1)
        disk = made.tobs_disk(context)
        write = made.tobs_write(context, own)
        transactions: list[str] = []
        archive._db.set_trace_callback(lambda sql: transactions.append(sql) if sql == "COMMIT" else None)
        numbers = range(1, 41)
        async with made.tobs_lifespan(context):
            await write.commit(batch([with_photo(n, n) for n in numbers], [photo(n, n) for n in numbers]))

            async def bring(number: int) -> None:
                sink = await disk.open(tmp_path / str(number), 5)
                await sink.write(0, b"photo")
                await sink.close()
                await write.settle([Settled(photo(number, number), "done", "0" * 64, 5, str(number))])
                assert archive.stored(number) is not None

            async with asyncio.TaskGroup() as group:
                for number in numbers:
                    group.create_task(bring(number))
        assert list(archive.pending(CHANNEL)) == []
        assert len(transactions) <= 5
    assert len(asyncio.all_tasks()) == 1
