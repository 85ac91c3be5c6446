"""Store: what has a name in the archive is whole and hashed; whatever fails leaves no piece behind."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.fakes import FailingDisk, FakeBooks, MemorySink, Seen, content, ref
from tests.engine.virtual import settle_down
from tobs.engine import store as store_module
from tobs.engine.store import HashingSink, PlainDisk, PlainSink, Store
from tobs.engine.writeback import begin_write_back
from tobs.errors import ArchiveError, ConnectError, LostError, RpcError
from tobs.meters import Meters
from tobs.values import Bytes, Part, Same, Settled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tobs.ports import Fetch, Sink
    from tobs.values import MediaRef

SIZE = 3000


def name_of(one: MediaRef) -> str:
    return f"media/files/{one.file_id}.bin"


class Fetcher:
    """Writes the content of files in pieces, and raises `error` before the last."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.fetched: list[int] = []
        self.hold: asyncio.Event | None = None
        self.begun = asyncio.Event()

    async def __call__(self, ref: MediaRef, sink: Sink, have: Sequence[Part]) -> Bytes | Same:
        assert not have
        self.fetched.append(ref.file_id)
        data = content(ref.file_id, ref.size)
        await sink.write(0, data[:2000])
        self.begun.set()
        if self.hold is not None:
            await self.hold.wait()
        if self.error is not None:
            raise self.error
        await sink.write(2000, data[2000:])
        return Bytes(ref.size)


def store_in(
    folder: Path, fetch: Fetch, books: FakeBooks | None = None, disk: Any = None, seen: Seen | None = None
) -> Store:
    books = books or FakeBooks()
    return Store(folder, name_of, fetch, disk or PlainDisk(), books, books, [seen] if seen else [])


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


async def test_a_whole_file_gets_its_name_and_its_hash(tmp_path: Path) -> None:
    books, seen, one = FakeBooks(), Seen(), ref(size=SIZE)
    await store_in(tmp_path, Fetcher(), books, seen=seen)(one)
    data = content(1, SIZE)
    assert (tmp_path / name_of(one)).read_bytes() == data
    assert files(tmp_path) == [name_of(one)]
    assert books.settled == [Settled(one, "done", hashlib.sha256(data).hexdigest(), SIZE, name_of(one))]
    assert seen.files == books.settled


@pytest.mark.parametrize("error", [None, LostError("short"), RpcError(400, "FILE_ID_INVALID", 0)])
async def test_a_file_is_wanted_no_more_when_it_is_settled(tmp_path: Path, error: Exception | None) -> None:
    meters, books, one = Meters(), FakeBooks(), ref(size=SIZE)
    store = Store(tmp_path, name_of, Fetcher(error), PlainDisk(), books, books, [], meters=meters)
    meters.lane(one.dc).wanted = 2 * SIZE + 5
    await store(one)
    assert meters.lanes[one.dc].wanted == SIZE + 5
    await store(one)
    assert meters.lanes[one.dc].wanted == 5, "also where it was here already"


async def test_until_it_is_whole_a_file_stands_beside_its_name(tmp_path: Path) -> None:
    fetch = Fetcher()
    fetch.hold = asyncio.Event()
    task = asyncio.ensure_future(store_in(tmp_path, fetch)(ref(size=SIZE)))
    await fetch.begun.wait()
    assert files(tmp_path) == [name_of(ref()) + ".part"]
    fetch.hold.set()
    await task
    assert files(tmp_path) == [name_of(ref())]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RpcError(400, "FILE_REFERENCE_EXPIRED"), "failed"),
        (RpcError(303, "FILE_MIGRATE", 4), "failed"),
        (RpcError(400, "FILE_ID_INVALID"), "missing"),
        (RpcError(500, "INTERNAL"), "failed"),
        (RpcError(-503, "Timeout"), "failed"),
        (LostError("no answer"), "failed"),
    ],
)
async def test_a_file_that_cannot_be_had_is_settled_and_leaves_nothing(
    tmp_path: Path, error: Exception, status: str
) -> None:
    books, seen = FakeBooks(), Seen()
    await store_in(tmp_path, Fetcher(error), books, seen=seen)(ref(size=SIZE))
    assert [(one.status, one.reason, one.path) for one in books.settled] == [(status, str(error), None)]
    assert seen.files == books.settled
    assert files(tmp_path) == []


@pytest.mark.parametrize("error", [ConnectError("logged out"), RuntimeError("a bug")])
async def test_what_stops_every_file_is_raised_and_leaves_nothing(tmp_path: Path, error: Exception) -> None:
    books = FakeBooks()
    with pytest.raises(type(error)):
        await store_in(tmp_path, Fetcher(error), books)(ref(size=SIZE))
    assert books.settled == []
    assert files(tmp_path) == []


async def test_a_cancelled_file_leaves_nothing_and_can_be_asked_again(tmp_path: Path) -> None:
    fetch = Fetcher()
    fetch.hold = asyncio.Event()
    store = store_in(tmp_path, fetch)
    task = asyncio.ensure_future(store(ref(size=SIZE)))
    await fetch.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert files(tmp_path) == []
    fetch.hold.set()
    await store(ref(size=SIZE))
    assert files(tmp_path) == [name_of(ref())]


@pytest.mark.parametrize("when", ["open", "write", "close"])
async def test_a_full_disk_says_what_to_do(tmp_path: Path, when: str) -> None:
    disk = FailingDisk(OSError(errno.ENOSPC, "No space left on device"), when)
    books = FakeBooks()
    with pytest.raises(ArchiveError, match=r"cannot write 1\.bin: No space left on device") as raised:
        await store_in(tmp_path, Fetcher(), books, disk)(ref(size=SIZE))
    assert "Free some space" in raised.value.hint
    assert books.settled == []
    assert files(tmp_path) == []


async def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "media").write_text("a file where a folder should be")
    with pytest.raises(ArchiveError) as raised:
        await store_in(tmp_path, Fetcher())(ref(size=SIZE))
    assert raised.value.hint


async def test_a_file_asked_for_twice_at_once_is_fetched_once(tmp_path: Path) -> None:
    fetch, books, seen = Fetcher(), FakeBooks(), Seen()
    store = store_in(tmp_path, fetch, books, seen=seen)
    first, second = ref(size=SIZE), ref(size=SIZE, message_id=11)
    await asyncio.gather(store(first), store(second), store(second))
    await store(ref(size=SIZE, message_id=12))
    assert fetch.fetched == [1]
    assert [one.ref.message_id for one in seen.files] == [10], "probes are told of it once"
    assert [(one.ref.message_id, one.status) for one in books.settled] == [
        (10, "done"),
        (11, "done"),
        (11, "done"),
        (12, "done"),
    ]
    assert len({one.sha256 for one in books.settled}) == 1


async def test_a_file_that_failed_is_asked_again_by_who_waited(tmp_path: Path) -> None:
    fetch, books = Fetcher(LostError("gone")), FakeBooks()
    fetch.hold = asyncio.Event()
    store = store_in(tmp_path, fetch, books)
    tasks = [asyncio.ensure_future(store(ref(size=SIZE, message_id=number))) for number in (10, 11)]
    await settle_down()
    fetch.hold.set()
    await asyncio.wait(tasks[:1])
    await tasks[1]
    assert fetch.fetched == [1, 1]


async def test_different_files_move_at_once(tmp_path: Path) -> None:
    fetch = Fetcher()
    fetch.hold = asyncio.Event()
    store = store_in(tmp_path, fetch)
    tasks = [asyncio.ensure_future(store(ref(number, SIZE))) for number in (1, 2)]
    await settle_down()
    assert sorted(fetch.fetched) == [1, 2]
    fetch.hold.set()
    await asyncio.gather(*tasks)


class Remembers:
    """A journal of one file: it has what `have` says, and keeps what is there if it is told to."""

    def __init__(self, *, keep: bool) -> None:
        self.have: list[Part] = []
        self.keep = keep
        self.ends: list[tuple[bool, bool]] = []
        self.written: list[tuple[int, int]] = []

    def kept(self, folder: Path, holds: Callable[[str], bool]) -> list[Path]:
        assert not holds(name_of(ref()))
        return [folder / (name_of(ref()) + ".part")]

    async def open(self, ref: MediaRef, path: Path) -> Remembers:
        assert path.name.endswith(f"{ref.file_id}.bin.part")
        return self

    def around(self, sink: Sink) -> Sink:
        written = self.written

        class Around(MemorySink):
            async def write(self, offset: int, data: bytes) -> None:
                await sink.write(offset, data)
                written.append((offset, len(data)))

            async def close(self) -> None:
                await sink.close()

        return Around()

    def end(self, *, whole: bool, again: bool) -> bool:
        self.ends.append((whole, again))
        return self.keep


async def test_a_journal_has_a_file_go_on_where_it_was(tmp_path: Path) -> None:
    """The half-written file stays with its bytes, the next attempt is told of them, and the whole is hashed."""
    data, books, journal = content(1, SIZE), FakeBooks(), Remembers(keep=True)
    asked: list[list[Part]] = []

    async def fetch(ref: MediaRef, sink: Sink, have: Sequence[Part]) -> Bytes | Same:
        asked.append(list(have))
        if not have:
            await sink.write(1000, data[1000:2000])
            raise LostError("the line is gone")
        await sink.write(0, data[:1000])
        await sink.write(2000, data[2000:])
        return Bytes(ref.size)

    store = Store(tmp_path, name_of, fetch, PlainDisk(), books, books, [], journal)
    await store(ref(size=SIZE))
    assert files(tmp_path) == [name_of(ref()) + ".part"]
    journal.have = [Part(1000, 1000)]
    await store(ref(size=SIZE))
    assert asked == [[], [Part(1000, 1000)]]
    assert journal.ends == [(False, True), (True, True)]
    assert journal.written == [(1000, 1000), (0, 1000), (2000, 1000)]
    assert (tmp_path / name_of(ref())).read_bytes() == data
    assert [one.status for one in books.settled] == ["failed", "done"]
    assert books.settled[1].sha256 == hashlib.sha256(data).hexdigest()


async def test_the_note_of_a_file_ends_when_the_file_is_kept(tmp_path: Path) -> None:
    """So a run that is killed has a note or a row of it at every moment."""
    books, journal = FakeBooks(), Remembers(keep=True)
    settle, seen = books.settle, []

    async def watched(outcomes: Sequence[Settled]) -> None:
        seen.append((list(journal.ends), files(tmp_path)))
        if len(seen) == 1:
            raise ArchiveError("the database is locked", hint="")
        await settle(outcomes)

    books.settle = watched  # type: ignore[method-assign]
    store = Store(tmp_path, name_of, Fetcher(), PlainDisk(), books, books, [], journal)
    with pytest.raises(ArchiveError):
        await store(ref(size=SIZE))
    await store(ref(size=SIZE))
    assert seen == [([], [name_of(ref())]), ([(False, True)], [name_of(ref())])]
    assert journal.ends == [(False, True), (True, True)]


@pytest.mark.parametrize(
    ("error", "again"), [(RpcError(400, "FILE_ID_INVALID"), False), (RpcError(500, "INTERNAL"), True)]
)
async def test_a_journal_is_told_whether_a_file_may_be_asked_for_again(
    tmp_path: Path, error: Exception, again: bool
) -> None:
    books, journal = FakeBooks(), Remembers(keep=False)
    fetch = Fetcher(error)
    await Store(tmp_path, name_of, fetch, PlainDisk(), books, books, [], journal)(ref(size=SIZE))
    assert journal.ends == [(False, again)]
    assert files(tmp_path) == []


async def test_a_plain_file_can_be_synced_before_it_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    sink = await PlainDisk().open(tmp_path / "file", 10)
    await sink.write(0, b"half")
    await sink.sync()
    assert len(synced) == 1
    await sink.close()
    again = await PlainDisk().open(tmp_path / "file", 10, keep=True)
    await again.write(4, b"whole")
    await again.close()
    assert (tmp_path / "file").read_bytes() == b"halfwhole"


async def test_a_stored_file_is_not_fetched_again(tmp_path: Path) -> None:
    fetch, books = Fetcher(), FakeBooks()
    books.files[1] = Settled(ref(message_id=3), "done", "ab" * 32, SIZE, "media/files/first.bin")
    await store_in(tmp_path, fetch, books)(ref(size=SIZE))
    assert fetch.fetched == []
    assert books.settled == [Settled(ref(size=SIZE), "done", "ab" * 32, SIZE, "media/files/first.bin")]


async def test_an_equal_file_is_linked_to_the_stored_one(tmp_path: Path) -> None:
    async def same(ref: MediaRef, sink: Sink, have: Sequence[Part]) -> Bytes | Same:  # noqa: ARG001
        return Same(7)

    books = FakeBooks()
    with pytest.raises(ArchiveError, match="file 7, named as equal to 1"):
        await store_in(tmp_path, same, books)(ref(size=SIZE))
    books.files[7] = Settled(ref(7), "done", "cd" * 32, SIZE, "media/files/7.bin")
    await store_in(tmp_path, same, books)(ref(size=SIZE))
    assert books.settled == [Settled(ref(size=SIZE), "done", "cd" * 32, SIZE, "media/files/7.bin")]
    assert files(tmp_path) == []


@pytest.mark.parametrize("used", [False, True])
async def test_what_a_killed_run_left_of_an_equal_file_is_removed_unless_it_is_used(tmp_path: Path, used: bool) -> None:
    async def same(ref: MediaRef, sink: Sink, have: Sequence[Part]) -> Bytes | Same:  # noqa: ARG001
        return Same(7)

    books, one = FakeBooks(), ref(size=SIZE)
    books.files[7] = Settled(ref(7), "done", "cd" * 32, SIZE, "media/files/7.bin")
    if used:
        books.files[8] = Settled(ref(8), "done", "cd" * 32, SIZE, name_of(one))
    left = tmp_path / name_of(one)
    left.parent.mkdir(parents=True)
    left.write_bytes(b"renamed, and then the run was killed")
    await store_in(tmp_path, same, books)(one)
    assert left.exists() == used


async def test_a_fetch_that_claims_more_than_it_wrote_is_a_failure(tmp_path: Path) -> None:
    async def short(ref: MediaRef, sink: Sink, have: Sequence[Part]) -> Bytes:  # noqa: ARG001
        await sink.write(0, b"half")
        return Bytes(ref.size)

    books = FakeBooks()
    await store_in(tmp_path, short, books)(ref(size=SIZE))
    assert [one.status for one in books.settled] == ["failed"]
    assert files(tmp_path) == []


async def test_a_disk_that_has_less_than_it_took_is_a_failure(tmp_path: Path) -> None:
    class Forgetful(PlainDisk):
        async def open(self, path: Path, size: int, *, keep: bool = False) -> PlainSink:
            sink = await super().open(path, size, keep=keep)
            close = sink.close

            async def closed() -> None:
                await close()
                os.truncate(path, size - 1)

            sink.close = closed  # type: ignore[method-assign]
            return sink

    books = FakeBooks()
    await store_in(tmp_path, Fetcher(), books, Forgetful())(ref(size=SIZE))
    assert [(one.status, one.reason) for one in books.settled] == [
        ("failed", f"file 1: the disk has {SIZE - 1} of its {SIZE} bytes")
    ]
    assert files(tmp_path) == []


async def test_who_is_stopped_while_a_file_is_looked_at_leaves_it_as_it_is(tmp_path: Path) -> None:
    """Reading a large half-written file takes a while: a stop then must not cost it."""
    looking = asyncio.Event()

    class Looks(Remembers):
        async def open(self, ref: MediaRef, path: Path) -> Remembers:
            looking.set()
            await asyncio.Event().wait()
            return await super().open(ref, path)

    beside = tmp_path / (name_of(ref()) + ".part")
    beside.parent.mkdir(parents=True)
    beside.write_bytes(b"half of it")
    books, journal = FakeBooks(), Looks(keep=True)
    store = Store(tmp_path, name_of, Fetcher(), PlainDisk(), books, books, [], journal)
    task = asyncio.ensure_future(store(ref(size=SIZE)))
    await looking.wait()
    task.cancel()
    await asyncio.wait([task])
    assert beside.read_bytes() == b"half of it"
    assert journal.ends == []


async def test_an_empty_file_is_a_file(tmp_path: Path) -> None:
    async def nothing(ref: MediaRef, sink: Sink, have: Sequence[Part]) -> Bytes:  # noqa: ARG001
        return Bytes(0)

    books = FakeBooks()
    await store_in(tmp_path, nothing, books)(ref(size=0))
    assert books.settled[0].sha256 == hashlib.sha256(b"").hexdigest()
    assert (tmp_path / name_of(ref())).read_bytes() == b""


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=12),
    data=st.data(),
    ahead=st.sampled_from([0, 30, 10_000]),
)
def test_the_hash_is_the_content_s_in_whatever_order_the_parts_come(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], data: st.DataObject, ahead: int
) -> None:
    """Parts in any order, some of them twice, with more or less room for those that come too early."""
    whole = content(1, sum(sizes))
    parts = [(sum(sizes[:number]), size) for number, size in enumerate(sizes)]
    order = data.draw(st.permutations(parts))
    again = data.draw(st.lists(st.sampled_from(parts), max_size=4))
    path = tmp_path_factory.mktemp("hash") / "file"

    async def main() -> str:
        sink = HashingSink(await PlainDisk().open(path, len(whole)), path, len(whole))
        for offset, size in [*order, *again]:
            await sink.write(offset, whole[offset : offset + size])
        await sink.close()
        digest = await sink.digest()
        assert sink.hashed == len(whole)
        return digest

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_module, "AHEAD", ahead)
        assert asyncio.run(main()) == hashlib.sha256(whole).hexdigest()
    assert path.read_bytes() == whole


async def test_parts_in_order_are_hashed_on_the_way(tmp_path: Path) -> None:
    """Nothing is read back: the file below never exists."""
    below = MemorySink()
    sink = HashingSink(below, tmp_path / "none", 4)
    for offset, data in [(0, b"a"), (2, b"c"), (3, b"d"), (1, b"b")]:
        await sink.write(offset, data)
    await sink.close()
    assert below.closed
    assert await sink.digest() == hashlib.sha256(b"abcd").hexdigest()


@pytest.mark.parametrize(("parts", "times"), [(1, 0), (3, 0), (4, 1), (11, 2)])
async def test_a_large_file_goes_to_the_disk_while_more_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: int, times: int
) -> None:
    begun: list[int] = []
    monkeypatch.setattr(store_module, "WRITE_BACK", 40)
    monkeypatch.setattr(store_module, "begin_write_back", begun.append)
    whole = content(1, parts * 10)
    sink = await PlainDisk().open(tmp_path / "file", len(whole))
    for offset in range(0, len(whole), 10):
        await sink.write(offset, whole[offset : offset + 10])
        if sink._begun is not None:
            await sink._begun
    assert begun == [sink._file.fileno()] * times
    await sink.close()
    assert (tmp_path / "file").read_bytes() == whole


def test_to_begin_writing_back_is_only_a_hint(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        file.write(b"bytes")
        file.flush()
        begin_write_back(file.fileno())
        closed = file.fileno()
    begin_write_back(closed)
    assert (tmp_path / "file").read_bytes() == b"bytes"
