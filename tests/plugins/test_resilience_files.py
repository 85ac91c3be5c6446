"""resilience's files: only what is missing or wrong is asked for again; what is on the disk is gone on from."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.fakes import Dialler, FakeBooks, FileServer, MemorySink, content, ref
from tests.engine.virtual import now, virtually
from tobs.engine.budget import ByteBudget
from tobs.engine.media import CoreFetch, HomeLanes, SerialParts
from tobs.engine.pool import CorePool, PoolLimits
from tobs.engine.state import FolderState, MemoryState
from tobs.engine.store import PlainDisk, Store
from tobs.errors import ArchiveError, LostError, RpcError, UnreachableError
from tobs.meters import Meters
from tobs.values import BlockHash, Bytes, Part, Same, Settled
from tobs_disk_io.disk import GatheringDisk, Sizes
from tobs_resilience.copies import BLOCK, OPEN, Copies, Copy
from tobs_resilience.hashes import Hashes, sound
from tobs_resilience.journal import BlockJournal
from tobs_resilience.repair import Care, Repaired
from tobs_resilience.told import Told

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tobs.ports import Disk, Fetch, Sink
    from tobs.values import MediaRef

KB = 1024
PART = 4 * BLOCK
SIZE = 10 * BLOCK + 777


@dataclass
class Telegram(FileServer):
    """A file server that names hashes too, of files in `known`; `says` may change a page or raise."""

    known: bool = True
    says: Callable[[int, list[BlockHash]], list[BlockHash]] = lambda _offset, page: page
    hashed: list[int] = field(default_factory=list)

    async def file_hashes(self, wanted: MediaRef, offset: int, dc: int | None = None) -> list[BlockHash]:
        assert dc == wanted.dc
        self.hashed.append(offset)
        await asyncio.sleep(0)
        if wanted.reference != b"fresh":
            raise RpcError(400, "FILE_REFERENCE_EXPIRED", None, "upload.getFileHashes")
        data = content(wanted.file_id, wanted.size)
        page: list[BlockHash] = []
        for at in range(offset, min(wanted.size, offset + 8 * BLOCK), BLOCK):
            block = data[at : at + BLOCK]
            page.append(BlockHash(at, len(block), hashlib.sha256(block).digest()))
        return self.says(offset, page if self.known else [])

    @property
    def offsets(self) -> list[int]:
        """What was asked for, in order."""
        return [offset for _, offset, _ in self.asked]


def fetch_of(
    server: Telegram, copies: Copies | None = None, *, check: str = "always", repairs: int = 5, told: Told | None = None
) -> Fetch:
    pool = CorePool(Dialler(), PoolLimits(part=PART), server.home)

    async def ask(wanted: MediaRef, part: Part, dc: int | None) -> bytes:
        return await server.part(wanted, part, dc)  # which a test may replace

    core = CoreFetch(ask, None, HomeLanes(), SerialParts(pool, ByteBudget(10**8, 10**8)))
    care = Care(check, repairs, 0.5, 4.0)
    context: Any = server
    return Repaired(core, context, copies or Copies(), care, random.Random(0), told or Told())


def once(at: int, spoil: Callable[[bytes], bytes], times: int = 1) -> Callable[[MediaRef, Part, bytes], bytes]:
    """Spoil the part that begins at an offset, so many times."""
    left = [at] * times

    def spoiled(_wanted: MediaRef, part: Part, data: bytes) -> bytes:
        if part.offset == at and left:
            left.pop()
            return spoil(data)
        return data

    return spoiled


def flip(data: bytes, at: int = 5) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def raising(error: Exception) -> Callable[[bytes], bytes]:
    def spoil(_: bytes) -> bytes:
        raise error

    return spoil


# ---------------------------------------------------------------- copies


@given(size=st.integers(1, 5 * BLOCK), data=st.data())
def test_a_copy_knows_the_blocks_that_were_written_whole_in_whatever_pieces(size: int, data: st.DataObject) -> None:
    whole, copy = content(1, size), Copy(size)
    steps = data.draw(st.lists(st.sampled_from([4 * KB, 64 * KB, 128 * KB, 512 * KB]), min_size=1, max_size=4))
    pieces: list[tuple[int, bytes]] = []
    at = 0
    while at < size:
        step = steps[len(pieces) % len(steps)]
        pieces.append((at, whole[at : at + step]))
        at += step
    dropped = data.draw(st.sets(st.sampled_from(range(len(pieces))), max_size=2))
    order = data.draw(st.permutations([piece for number, piece in enumerate(pieces) if number not in dropped]))
    done = [block for offset, piece in order for block in copy.wrote(offset, piece)]
    missing = {
        block
        for number in dropped
        for block in range(pieces[number][0] // BLOCK, -(-(pieces[number][0] + len(pieces[number][1])) // BLOCK))
    }
    blocks = range(-(-size // BLOCK))
    expected = {block for block in blocks if block not in missing}
    if len(pieces) <= OPEN:
        assert set(copy.blocks) == expected
        assert sorted(done) == sorted(expected)
    for block, sha256 in copy.blocks.items():
        assert hashlib.sha256(whole[block * BLOCK : (block + 1) * BLOCK]).digest() == sha256
    assert sum(part.limit for part in copy.stretches()) == sum(copy.length(block) for block in copy.blocks)


def test_a_block_that_is_written_again_in_part_is_not_known_until_it_is_whole() -> None:
    copy = Copy(BLOCK)
    copy.wrote(0, bytes(BLOCK))
    copy.wrote(0, b"x" * 100)
    assert copy.stretches() == []
    copy.wrote(100, bytes(BLOCK - 100))
    assert copy.blocks[0] == hashlib.sha256(b"x" * 100 + bytes(BLOCK - 100)).digest()


def test_pieces_of_few_blocks_are_held() -> None:
    copy = Copy(1000 * BLOCK)
    for block in range(1000):
        copy.wrote(block * BLOCK, b"x")
    assert len(copy._pieces) == OPEN


# ---------------------------------------------------------------- repair


async def test_a_sound_file_is_asked_for_once() -> None:
    server, sink = Telegram(), MemorySink()
    assert await fetch_of(server)(ref(size=SIZE), sink, ()) == Bytes(SIZE)
    assert server.offsets == list(range(0, SIZE, PART))
    assert server.hashed == [0, 8 * BLOCK]
    assert sink.data == content(1, SIZE)


@pytest.mark.parametrize("block", [0, 3, 9, 10])
async def test_a_wrong_block_alone_is_asked_for_again(block: int) -> None:
    cell = block * BLOCK // PART * PART
    told = Told()
    server, sink = Telegram(spoil=once(cell, lambda data: flip(data, block * BLOCK - cell))), MemorySink()
    assert await fetch_of(server, told=told)(ref(size=SIZE), sink, ()) == Bytes(SIZE)
    assert sink.data == content(1, SIZE)
    assert server.offsets == [*range(0, SIZE, PART), block * BLOCK]
    # The last request of a file may reach past its end.
    assert server.asked[-1][2] in {BLOCK, PART - (block * BLOCK - cell)}
    assert told.mended == 1


def test_a_block_that_is_wrong_each_time_otherwise_fails_the_file() -> None:
    chance = random.Random(1)

    async def main() -> None:
        server = Telegram(spoil=lambda _ref, part, data: data if part.offset else flip(data, chance.randrange(BLOCK)))
        with pytest.raises(LostError, match="other than their hashes say"):
            await fetch_of(server, repairs=3)(ref(size=SIZE), MemorySink(), ())
        assert server.offsets == [*range(0, SIZE, PART), 0, 0, 0]
        assert 0 < now() <= 0.5 + 1.0, "the first time at once"

    virtually(main)


async def test_what_comes_twice_alike_is_kept_whatever_its_hash_says(caplog: pytest.LogCaptureFixture) -> None:
    def wrong(_offset: int, page: list[BlockHash]) -> list[BlockHash]:
        return [BlockHash(one.offset, one.limit, bytes(32)) for one in page]

    server, sink = Telegram(says=wrong), MemorySink()
    assert await fetch_of(server)(ref(size=2 * BLOCK), sink, ()) == Bytes(2 * BLOCK)
    assert server.offsets == [0, 0]
    assert sink.data == content(1, 2 * BLOCK)
    assert "it is kept" in caplog.text


async def test_without_hashes_nothing_is_checked_and_all_is_fetched() -> None:
    for server in (Telegram(known=False), Telegram(says=lambda _at, _page: [])):
        sink = MemorySink()
        assert await fetch_of(server)(ref(size=SIZE), sink, ()) == Bytes(SIZE)
        assert server.hashed == [0]
        assert sink.data == content(1, SIZE)


@pytest.mark.parametrize("error", [LostError("gone"), RpcError(400, "LOCATION_INVALID")])
async def test_hashes_that_cannot_be_had_fail_no_file(error: Exception) -> None:
    def fail(_offset: int, _page: list[BlockHash]) -> list[BlockHash]:
        raise error

    assert await fetch_of(Telegram(says=fail))(ref(size=SIZE), MemorySink(), ()) == Bytes(SIZE)


@pytest.mark.parametrize(("check", "have", "asked"), [("never", 1, 0), ("resumed", 0, 0), ("resumed", 1, 2)])
async def test_which_files_are_checked_is_a_knob(check: str, have: int, asked: int) -> None:
    server, sink = Telegram(), MemorySink()
    await fetch_of(server, check=check)(ref(size=SIZE), sink, [Part(0, PART)] * have)
    assert len(server.hashed) == asked
    assert server.offsets == list(range(PART * have, SIZE, PART))


def test_hashes_that_make_no_sense_are_not_believed() -> None:
    good = BlockHash(BLOCK, 100, bytes(32))
    page = [good, BlockHash(5, BLOCK, bytes(32)), BlockHash(0, 7, bytes(32)), BlockHash(0, BLOCK, b"short")]
    page += [BlockHash(2 * BLOCK, BLOCK, bytes(32)), BlockHash(-BLOCK, BLOCK, bytes(32))]
    assert sound(page, BLOCK + 100) == {1: bytes(32)}


async def test_references_may_expire_again_and_again_and_nothing_is_asked_twice() -> None:
    """Each reference is good for one part; the file goes on where it was."""
    server, sink = Telegram(known=False), MemorySink()
    served: dict[bytes, int] = {}

    async def part(wanted: MediaRef, part: Part, dc: int | None) -> bytes:
        if served.get(wanted.reference, 0):
            raise RpcError(400, "FILE_REFERENCE_EXPIRED", None, "upload.getFile")
        served[wanted.reference] = 1
        return await Telegram.part(server, wanted._replace(reference=b"fresh"), part, dc)

    async def refresh(refs: Any) -> dict[tuple[int, int], MediaRef]:
        (one,) = refs
        return {(one.message_id, one.file_id): one._replace(reference=one.reference + b"+")}

    server.part = part  # type: ignore[method-assign]
    server.refresh = refresh  # type: ignore[method-assign]
    told = Told()
    assert await fetch_of(server, check="never", told=told)(ref(size=SIZE), sink, ()) == Bytes(SIZE)
    assert server.offsets == list(range(0, SIZE, PART))
    assert told.renewed == 2
    assert sink.data == content(1, SIZE)


async def test_a_message_that_is_gone_leaves_the_refusal() -> None:
    server = Telegram(gone=True)
    with pytest.raises(RpcError, match="FILE_REFERENCE_EXPIRED"):
        await fetch_of(server)(ref(size=SIZE)._replace(reference=b"old"), MemorySink(), ())


async def test_a_stale_reference_is_renewed_once_for_file_and_hashes() -> None:
    server, sink = Telegram(), MemorySink()
    await fetch_of(server)(ref(size=SIZE)._replace(reference=b"old"), sink, ())
    assert server.refreshed == [1]
    assert sink.data == content(1, SIZE)


async def test_what_failed_midway_goes_on_from_there() -> None:
    server, sink = Telegram(spoil=once(PART, raising(LostError("gone")), times=1)), MemorySink()
    await fetch_of(server)(ref(size=SIZE), sink, ())
    assert server.offsets == [0, PART, PART, 2 * PART]
    assert sink.data == content(1, SIZE)


async def test_what_brings_nothing_more_is_given_up() -> None:
    server = Telegram(spoil=once(PART, raising(LostError("gone")), times=99))
    with pytest.raises(LostError, match="gone"):
        await fetch_of(server)(ref(size=SIZE), MemorySink(), ())
    assert server.offsets == [0, PART, PART], "requests were tried again already"


@pytest.mark.parametrize("error", [UnreachableError("away"), RpcError(400, "FILE_ID_INVALID"), RpcError(500, "X")])
async def test_what_stands_for_all_files_or_stays_is_raised_at_once(error: Exception) -> None:
    server = Telegram(spoil=once(PART, raising(error), times=99))
    with pytest.raises(type(error)):
        await fetch_of(server)(ref(size=SIZE), MemorySink(), ())
    assert server.offsets == [0, PART]


def test_data_centres_that_send_to_one_another_are_asked_again_later_and_not_for_ever() -> None:
    async def main() -> None:
        server = Telegram(spoil=once(PART, raising(RpcError(303, "FILE_MIGRATE", 2)), times=2))
        sink = MemorySink()
        await fetch_of(server, check="never")(ref(size=SIZE), sink, ())
        assert sink.data == content(1, SIZE)
        server = Telegram(spoil=once(PART, raising(RpcError(303, "FILE_MIGRATE", 2)), times=10**6))
        with pytest.raises(RpcError, match="FILE_MIGRATE"):
            await fetch_of(server, check="never", repairs=3)(ref(size=SIZE), MemorySink(), ())
        assert server.offsets.count(PART) == 2 * 4, "home by both of its names"

    virtually(main)


async def test_an_equal_file_passes() -> None:
    async def same(ref: MediaRef, sink: Sink, have: Sequence[Part]) -> Bytes | Same:  # noqa: ARG001
        return Same(7)

    context: Any = Telegram()
    layer = Repaired(same, context, Copies(), Care("always", 5, 0.1, 1.0), random.Random(0), Told())
    assert await layer(ref(size=SIZE), MemorySink(), ()) == Same(7)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_no_question_is_left_when_a_file_fails() -> None:
    async def fail(ref: MediaRef, sink: Sink, have: Sequence[Part]) -> Bytes | Same:  # noqa: ARG001
        raise RpcError(400, "FILE_ID_INVALID")

    context: Any = Telegram()
    layer = Repaired(fail, context, Copies(), Care("always", 5, 0.1, 1.0), random.Random(0), Told())
    with pytest.raises(RpcError):
        await layer(ref(size=100 * BLOCK), MemorySink(), ())
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_hashes_of_a_large_file_are_asked_for_several_at_once_and_each_once() -> None:
    server: Any = Telegram()
    size = 40 * BLOCK
    found = await Hashes(server, ref(size=size)).all()
    assert sorted(found) == list(range(40))
    assert sorted(server.hashed) == list(range(0, size, 8 * BLOCK))


# ---------------------------------------------------------------- journal


@dataclass
class Run:
    """A run of an archive in a folder: a store with the journal and the layer."""

    folder: Path
    server: Telegram
    batch: int = 2 * BLOCK
    smallest: int = BLOCK
    told: Told = field(default_factory=Told)
    books: FakeBooks = field(default_factory=FakeBooks)
    disk: Disk = field(default_factory=PlainDisk)

    def __post_init__(self) -> None:
        copies = Copies()
        state = FolderState(self.folder / ".state")
        self.journal = BlockJournal(lambda: state, copies, self.told, smallest=self.smallest, batch=self.batch)
        self.kept = list(self.journal.kept(self.folder, self.books.holds))
        fetch = fetch_of(self.server, copies)
        self.store = Store(
            self.folder,
            lambda one: f"media/{one.file_id}.bin",
            fetch,
            self.disk,
            self.books,
            self.books,
            [],
            self.journal,
        )

    def state_files(self) -> list[str]:
        return sorted(path.name for path in (self.folder / ".state").glob("*.json"))


def parts_in(folder: Path) -> list[str]:
    """Half-written files."""
    return [path.name for path in folder.rglob("*.part")]


async def killed(run: Run, one: MediaRef, after: int) -> None:
    """Begin a file; once so many parts were asked for and what is to be noted is, freeze it for good."""
    reached = asyncio.Event()
    serve = run.server.spoil

    def spoil(wanted: MediaRef, part: Part, data: bytes) -> bytes:
        if len(run.server.asked) > after:
            reached.set()
        return serve(wanted, part, data)

    async def part(wanted: MediaRef, part: Part, dc: int | None) -> bytes:
        data = await Telegram.part(run.server, wanted, part, dc)
        if reached.is_set():
            await asyncio.Event().wait()
        return data

    run.server.spoil = spoil
    run.server.part = part  # type: ignore[method-assign]
    task = asyncio.ensure_future(run.store(one))
    await reached.wait()
    while syncing := [task for task in asyncio.all_tasks() if _name(task).startswith("_sync")]:
        await asyncio.wait(syncing)
    # Whatever the store would still write or remove must not happen: the folder is put back as it was.
    before = contents(run.folder)
    task.cancel()
    await asyncio.wait([task])
    put_back(run.folder, before)


def contents(folder: Path) -> dict[Path, bytes]:
    """Every file."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def put_back(folder: Path, files: dict[Path, bytes]) -> None:
    """Have these files and no others."""
    for path in contents(folder):
        path.unlink()
    for path, data in files.items():
        path.write_bytes(data)


def _name(task: asyncio.Task[Any]) -> str:
    return getattr(task.get_coro(), "__name__", "")


@pytest.mark.parametrize("after", [0, 1, 2])
async def test_a_killed_run_goes_on_from_what_was_noted(tmp_path: Path, after: int) -> None:
    one = ref(size=SIZE)
    await killed(Run(tmp_path, Telegram()), one, after)
    run = Run(tmp_path, Telegram())
    assert len(run.kept) == (1 if after else 0)
    await run.store(one)
    assert run.server.offsets == list(range(after * PART, SIZE, PART))
    assert run.told.resumed == after * PART
    assert (tmp_path / "media/1.bin").read_bytes() == content(1, SIZE)
    assert run.books.settled[0].sha256 == hashlib.sha256(content(1, SIZE)).hexdigest()
    assert run.state_files() == [], "nothing is kept of a file that is whole"


@pytest.mark.parametrize("damage", ["byte", "short", "gone"])
async def test_only_what_is_still_there_as_it_was_written_is_believed(tmp_path: Path, damage: str) -> None:
    one, beside = ref(size=SIZE), tmp_path / "media/1.bin.part"
    await killed(Run(tmp_path, Telegram()), one, 2)
    data = beside.read_bytes()
    if damage == "byte":
        beside.write_bytes(flip(data, BLOCK + 5))
    elif damage == "short":
        beside.write_bytes(data[: PART + 5])
    else:
        beside.unlink()
    run = Run(tmp_path, Telegram())
    await run.store(one)
    expected = {
        "byte": [BLOCK, 2 * PART],
        "short": [PART, 2 * PART],
        "gone": [0, PART, 2 * PART],
    }[damage]
    assert run.server.offsets == expected
    assert (tmp_path / "media/1.bin").read_bytes() == content(1, SIZE)
    assert run.state_files() == []


async def nameless(run: Run, one: MediaRef) -> None:
    """Bring a file in, and freeze it for good when it has its name and is not yet kept."""
    reached = asyncio.Event()

    async def settle(outcomes: Sequence[Settled]) -> None:
        assert [outcome.status for outcome in outcomes] == ["done"]
        reached.set()
        await asyncio.Event().wait()

    run.books.settle = settle  # type: ignore[method-assign]
    task = asyncio.ensure_future(run.store(one))
    await reached.wait()
    before = contents(run.folder)
    task.cancel()
    await asyncio.wait([task])
    put_back(run.folder, before)


async def test_a_file_that_has_its_name_and_was_not_kept_goes_on(tmp_path: Path) -> None:
    one = ref(size=SIZE)
    await nameless(Run(tmp_path, Telegram()), one)
    assert (tmp_path / "media/1.bin").is_file()
    assert parts_in(tmp_path) == []
    run = Run(tmp_path, Telegram())
    assert run.kept == [tmp_path / "media/1.bin.part"]
    await run.store(one)
    assert run.server.offsets == [], "all of it was noted"
    assert (tmp_path / "media/1.bin").read_bytes() == content(1, SIZE)
    assert run.books.settled[0].sha256 == hashlib.sha256(content(1, SIZE)).hexdigest()
    assert run.state_files() == parts_in(tmp_path) == []


async def test_a_file_that_was_kept_when_the_run_was_killed_stays_as_it_is(tmp_path: Path) -> None:
    one = ref(size=SIZE)
    await nameless(Run(tmp_path, Telegram()), one)
    data = content(1, SIZE)
    kept = Settled(one, "done", hashlib.sha256(data).hexdigest(), SIZE, "media/1.bin")
    run = Run(tmp_path, Telegram(), books=FakeBooks(files={1: kept}))
    assert run.kept == []
    assert run.state_files() == []
    await run.store(one)
    assert run.server.asked == []
    assert (tmp_path / "media/1.bin").read_bytes() == data


async def test_a_file_that_cannot_be_kept_stays_for_the_next_run(tmp_path: Path) -> None:
    async def settle(outcomes: Sequence[Settled]) -> None:
        raise ArchiveError(f"the disk is full, {outcomes[0].path} cannot be kept", hint="")

    one, first = ref(size=SIZE), Run(tmp_path, Telegram())
    first.books.settle = settle  # type: ignore[method-assign]
    with pytest.raises(ArchiveError, match="full"):
        await first.store(one)
    run = Run(tmp_path, Telegram())
    await run.store(one)
    assert run.server.offsets == []
    assert run.told.resumed == SIZE
    assert run.books.settled[0].sha256 == hashlib.sha256(content(1, SIZE)).hexdigest()


@pytest.mark.parametrize("name", ["../outside.bin.part", "/etc/outside.bin.part", "media/other.bin.part"])
async def test_nothing_but_the_archive_s_own_file_is_made_half_written_again(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "archive"
    (folder / "media").mkdir(parents=True)
    for path in (tmp_path / "outside.bin", folder / "media/other.bin"):
        path.write_bytes(b"somebody else's")
    FolderState(folder / ".state").put("files", {"1": {"path": name, "size": SIZE}})
    run = Run(folder, Telegram())
    assert run.kept == []
    assert parts_in(tmp_path) == []


async def test_what_was_noted_is_held_against_the_server_s_hashes_too(tmp_path: Path) -> None:
    """A block that came wrong and was written and noted so is found when the file goes on."""
    one = ref(size=SIZE)
    await killed(Run(tmp_path, Telegram(spoil=once(0, flip))), one, 2)
    run = Run(tmp_path, Telegram())
    await run.store(one)
    assert run.server.offsets == [2 * PART, 0]
    assert run.server.asked[1][2] == BLOCK
    assert (tmp_path / "media/1.bin").read_bytes() == content(1, SIZE)


async def test_a_failed_file_loses_nothing_and_stays(tmp_path: Path) -> None:
    one = ref(size=SIZE)
    run = Run(tmp_path, Telegram(spoil=once(2 * PART, raising(LostError("gone")), 99)), batch=100 * BLOCK)
    await run.store(one)
    assert run.books.settled[0].status == "failed"
    again = Run(tmp_path, Telegram())
    assert again.kept == [tmp_path / "media/1.bin.part"]
    await again.store(one)
    assert again.server.offsets == [2 * PART]
    assert (tmp_path / "media/1.bin").read_bytes() == content(1, SIZE)


async def test_a_file_that_is_gone_on_the_server_leaves_nothing(tmp_path: Path) -> None:
    run = Run(tmp_path, Telegram(spoil=once(PART, raising(RpcError(400, "FILE_ID_INVALID")), 99)))
    await run.store(ref(size=SIZE))
    assert parts_in(tmp_path) == []
    assert run.state_files() == []


async def test_small_files_leave_nothing(tmp_path: Path) -> None:
    run = Run(tmp_path, Telegram(spoil=once(PART, raising(LostError("gone")), 99)), smallest=SIZE)
    await run.store(ref(size=SIZE))
    assert parts_in(tmp_path) == []
    assert run.state_files() == []


async def test_a_file_of_another_size_or_place_begins_anew(tmp_path: Path) -> None:
    await killed(Run(tmp_path, Telegram()), ref(size=SIZE), 2)
    run = Run(tmp_path, Telegram())
    await run.store(ref(size=SIZE - 1))
    assert run.server.offsets == list(range(0, SIZE - 1, PART))
    assert (tmp_path / "media/1.bin").read_bytes() == content(1, SIZE - 1)


async def test_it_is_synced_before_it_is_noted_and_not_for_each_part(tmp_path: Path) -> None:
    events: list[str] = []

    class Sync(MemorySink):
        async def sync(self) -> None:
            events.append(f"sync {len(self.data) // BLOCK}")
            await asyncio.sleep(0)

    class Noting(MemoryState):
        def put(self, key: str, value: dict[str, Any]) -> None:
            if key != "files" and value:
                events.append(f"note {', '.join(value)}")
            super().put(key, value)

    state, one = Noting(), ref(size=20 * BLOCK)
    journal = BlockJournal(lambda: state, Copies(), Told(), smallest=0, batch=8 * BLOCK)
    assert journal.kept(tmp_path, FakeBooks().holds) == []
    note = await journal.open(one, tmp_path / "file.part")
    sink = note.around(Sync())
    for at in range(0, 20 * BLOCK, 2 * BLOCK):
        await sink.write(at, bytes(2 * BLOCK))
        for _ in range(5):
            await asyncio.sleep(0)
    await sink.close()
    assert note.end(whole=False, again=True)
    assert events == [
        "sync 8",
        f"note {', '.join(map(str, range(8)))}",
        "sync 16",
        f"note {', '.join(map(str, range(8, 16)))}",
        f"note {', '.join(map(str, range(16, 20)))}",
    ]


async def test_a_slow_disk_holds_the_line_so_that_no_more_than_two_batches_can_be_lost(tmp_path: Path) -> None:
    class Slow(MemorySink):
        allowed = asyncio.Semaphore(0)

        async def sync(self) -> None:
            await self.allowed.acquire()

    state, one, disk = MemoryState(), ref(size=24 * BLOCK), Slow()
    journal = BlockJournal(lambda: state, Copies(), Told(), smallest=0, batch=4 * BLOCK)
    journal.kept(tmp_path, FakeBooks().holds)
    note = await journal.open(one, tmp_path / "file.part")
    sink = note.around(disk)

    async def noted() -> int:
        for _ in range(50):
            await asyncio.sleep(0)
        return sum(len(state.get(f"1-{number}")) for number in range(6))

    writes = [asyncio.ensure_future(sink.write(at, bytes(BLOCK))) for at in range(0, 24 * BLOCK, BLOCK)]
    seen = []
    for _ in range(6):
        seen.append((await noted(), len(disk.data) // BLOCK))
        disk.allowed.release()
    assert seen == [(0, 8), (4, 12), (8, 16), (12, 20), (16, 24), (20, 24)]
    await asyncio.gather(*writes)
    await sink.close()
    assert await noted() == 24
    assert note.end(whole=False, again=True)


@pytest.mark.parametrize("then", ["write", "close"])
async def test_a_sync_that_fails_fails_the_file_whatever_the_disk_says_later(tmp_path: Path, then: str) -> None:
    """The system tells once that bytes could not be brought to the disk: a later sync succeeds without them."""

    class Failing(MemorySink):
        begun = asyncio.Event()

        async def sync(self) -> None:
            await self.begun.wait()
            raise OSError(5, "Input/output error")

    state, disk = MemoryState(), Failing()
    journal = BlockJournal(lambda: state, Copies(), Told(), smallest=0, batch=BLOCK)
    journal.kept(tmp_path, FakeBooks().holds)
    note = await journal.open(ref(size=SIZE), tmp_path / "file.part")
    sink = note.around(disk)
    writes = [asyncio.ensure_future(sink.write(at, bytes(BLOCK))) for at in range(0, 4 * BLOCK, BLOCK)]
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(disk.data) == 2 * BLOCK
    disk.begun.set()
    failed = [str(one) for one in await asyncio.gather(*writes, return_exceptions=True)]
    assert failed == ["None", "None", *["[Errno 5] Input/output error"] * 2], "who waited is not held, and is told"
    with pytest.raises(OSError, match="Input/output error"):
        await (sink.write(0, bytes(BLOCK)) if then == "write" else sink.close())
    assert len(disk.data) == 2 * BLOCK
    with pytest.raises(OSError, match="Input/output error"):
        await sink.close()
    assert disk.closed
    assert not note.end(whole=False, again=True), "nothing is known to be on the disk"
    assert state.get("files") == {}


async def test_a_batch_that_could_not_be_kept_leaves_no_gap(tmp_path: Path) -> None:
    class Full(MemoryState):
        refuse = False

        def put(self, key: str, value: dict[str, Any]) -> None:
            if not self.refuse:
                super().put(key, value)

    state, one = Full(), ref(size=SIZE)
    journal = BlockJournal(lambda: state, Copies(), Told(), smallest=0, batch=BLOCK)
    journal.kept(tmp_path, FakeBooks().holds)
    (tmp_path / "file.part").write_bytes(content(1, SIZE))
    note = await journal.open(one, tmp_path / "file.part")
    sink = note.around(await PlainDisk().open(tmp_path / "file.part", SIZE, keep=True))
    for number in range(4):
        state.refuse = number in {1, 2}
        await sink.write(number * BLOCK, content(1, SIZE)[number * BLOCK : (number + 1) * BLOCK])
        while syncing := [task for task in asyncio.all_tasks() if _name(task).startswith("_sync")]:
            await asyncio.wait(syncing)
    await sink.close()
    assert note.end(whole=False, again=True)
    again = BlockJournal(lambda: state, Copies(), Told(), smallest=0, batch=BLOCK)
    again.kept(tmp_path, FakeBooks().holds)
    note = await again.open(one, tmp_path / "file.part")
    assert note.have == [Part(0, BLOCK), Part(3 * BLOCK, BLOCK)]
    note.end(whole=True, again=False)
    assert not any(value for value in state._values.values()), "and nothing is left over"


async def test_a_disk_that_is_full_is_told_and_what_is_noted_stays(tmp_path: Path) -> None:
    class Full(MemorySink):
        async def sync(self) -> None:
            raise OSError(28, "No space left on device")

        async def close(self) -> None:
            raise OSError(28, "No space left on device")

    state = MemoryState()
    journal = BlockJournal(lambda: state, Copies(), Told(), smallest=0, batch=BLOCK)
    journal.kept(tmp_path, FakeBooks().holds)
    note = await journal.open(ref(size=SIZE), tmp_path / "file.part")
    sink = note.around(Full())
    await sink.write(0, bytes(BLOCK))
    await asyncio.sleep(0)
    with pytest.raises(OSError, match="No space left"):
        await sink.close()
    assert not note.end(whole=False, again=True), "nothing is known to be on the disk"
    assert state.get("files") == {}
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("fails", [1, 2, 3])
async def test_a_file_whose_write_failed_behind_its_back_gets_no_name_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: int
) -> None:
    """disk_io writes later than it is told to, and it is the journal that hears of it first."""
    real, calls = os.pwritev, count(1)

    def full(fd: int, pieces: Any, offset: int) -> int:
        if next(calls) == fails:
            raise OSError(28, "No space left on device")
        return real(fd, pieces, offset)

    monkeypatch.setattr(os, "pwritev", full)
    one, data = ref(size=SIZE), content(1, SIZE)
    disk = GatheringDisk(Meters(), Sizes(gather=8 * SIZE, buffer=8 * SIZE), threads=2, group=0)
    run = Run(tmp_path, Telegram(), batch=PART, disk=disk)
    with pytest.raises(ArchiveError, match="No space left"):
        await run.store(one)
    await disk.close()
    assert run.books.settled == []
    assert not (tmp_path / "media/1.bin").exists()
    run = Run(tmp_path, Telegram())
    await run.store(one)
    assert (tmp_path / "media/1.bin").read_bytes() == data
    assert run.told.resumed == (fails - 1) * PART
    assert run.server.offsets == list(range((fails - 1) * PART, SIZE, PART))


@pytest.mark.parametrize("kept", [{"1": 7}, {"1": {"path": 5}}, {"1": {"path": "../../etc", "size": 1}}, {"x": {}}])
async def test_a_damaged_journal_is_no_journal(tmp_path: Path, kept: dict[str, Any]) -> None:
    FolderState(tmp_path / ".state").put("files", kept)
    FolderState(tmp_path / ".state").put("1-0", {"0": "no hash", "x": 5})
    run = Run(tmp_path, Telegram())
    assert run.kept == []
    await run.store(ref(size=SIZE))
    assert (tmp_path / "media/1.bin").read_bytes() == content(1, SIZE)
