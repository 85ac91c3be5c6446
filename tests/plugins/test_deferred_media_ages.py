"""deferred_media and file references: old ones are read again by the hundred, just before they are used."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.engine.fakes import CHAT, ref
from tests.engine.virtual import now, virtually
from tobs.errors import ConnectError, LostError, RpcError
from tobs.meters import Meters
from tobs.values import Attempt, MediaRef, Traffic
from tobs_deferred_media import ages
from tobs_deferred_media.ages import Ages, Expiries
from tobs_deferred_media.backlog import Backlog

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

OLD, NEW = b"old", b"new"


@dataclass
class Server:
    """Reads messages again. `gone` it does not have, `refuses` it fails with."""

    gone: set[int] = field(default_factory=set)
    refuses: Exception | None = None
    asked: list[list[int]] = field(default_factory=list)
    meters: Meters = field(default_factory=Meters)

    async def refresh(self, refs: Iterable[MediaRef]) -> dict[tuple[int, int], MediaRef]:
        wanted = list(refs)
        self.asked.append([one.message_id for one in wanted])
        if self.refuses is not None:
            raise self.refuses
        return {
            (one.message_id, one.file_id): one._replace(reference=NEW, access_hash=7, name="edited", date="edited")
            for one in wanted
            if one.message_id not in self.gone
        }


@dataclass
class Inner:
    """What stands below: a second a chunk."""

    got: list[MediaRef] = field(default_factory=list)

    async def __call__(self, refs: Sequence[MediaRef]) -> None:
        self.got += refs
        await asyncio.sleep(1)


def refs(*numbers: int) -> list[MediaRef]:
    return [ref(number, message_id=number)._replace(reference=OLD) for number in numbers]


def attempt(outcome: str) -> Attempt:
    return Attempt("upload.getFile", Traffic.MEDIA, 2, 0.1, 0, outcome, 1)


def backlog(server: Server, inner: Inner, *, after: float = 100.0, size: int = 1_000, late: bool = False) -> Backlog:
    ctx: Any = server
    return Backlog(inner, ctx, Ages(after, now), size=size, after=late)


def test_a_chunk_of_an_earlier_run_costs_one_request() -> None:
    server, inner = Server(), Inner()

    async def main() -> None:
        it = backlog(server, inner)
        async with it.fed():
            await it.drain()
            await it(refs(*range(1, 101)))
            await it(refs(*range(101, 131)))

    virtually(main)
    assert server.asked == [list(range(1, 101)), list(range(101, 131))]
    assert [one.message_id for one in inner.got] == list(range(1, 131))
    assert {one.reference for one in inner.got} == {NEW}
    assert {one.access_hash for one in inner.got} == {7}
    assert {(one.name, one.date) for one in inner.got} == {(one.name, one.date) for one in refs(1)}, "names stay"


def test_what_waited_long_is_read_again_together_when_it_is_used() -> None:
    server, inner = Server(), Inner()

    async def main() -> None:
        it = backlog(server, inner, late=True)
        async with it.fed():
            for number in (1, 2, 3):
                await it(refs(*range(number * 10, number * 10 + 5)))
            await asyncio.sleep(100)
            await it(refs(40, 41))
            await it.drain()

    virtually(main)
    assert server.asked == [[10, 11, 12, 13, 14, 20, 21, 22, 23, 24, 30, 31, 32, 33, 34]]
    assert [one.reference for one in inner.got] == [NEW] * 15 + [OLD] * 2


def test_what_was_let_go_is_as_old_as_its_page() -> None:
    server, inner = Server(), Inner()

    async def main() -> None:
        it = backlog(server, inner, size=0)
        async with it.fed():
            await it(refs(50, 40))
            await asyncio.sleep(60)
            await it(refs(20, 10))
            await asyncio.sleep(50)
            await it.drain()
            await it(refs(10, 20, 30, 40, 45, 50, 60))

    virtually(main)
    assert server.asked == [[30, 60, 40, 45, 50]]  # 30 and 60 are an earlier run's; 45 lies in a page of this one
    assert {one.message_id for one in inner.got if one.reference == OLD} == {10, 20}
    assert sorted(one.message_id for one in inner.got) == [10, 20, 30, 40, 45, 50, 60]


def test_what_is_noted_of_pages_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ages, "NOTED", 2)
    it = Ages(100.0, lambda: 5.0)
    for number in (1, 2, 3):
        it.note(refs(number))
    assert {read: [one.message_id for one in found] for found, read in it.dated(refs(1, 2, 3))} == {
        5.0: [1, 2],
        ages.NEVER: [3],
    }


@pytest.mark.parametrize(
    "server",
    [Server(gone={2}), Server(refuses=LostError("lost")), Server(refuses=RpcError(400, "CHANNEL_PRIVATE"))],
    ids=["gone", "lost", "refused"],
)
def test_what_cannot_be_read_again_is_handed_on_as_it_was(server: Server) -> None:
    inner = Inner()

    async def main() -> None:
        it = backlog(server, inner)
        async with it.fed():
            await it.drain()
            await it(refs(1, 2))

    virtually(main)
    assert [one.message_id for one in inner.got] == [1, 2]
    assert [one.reference for one in inner.got] == ([NEW, OLD] if server.gone else [OLD, OLD])


def test_what_would_stop_everything_stops_the_run() -> None:
    server, inner = Server(refuses=ConnectError("logged out")), Inner()

    async def main() -> None:
        it = backlog(server, inner)
        async with it.fed():
            await it.drain()
            with pytest.raises(ConnectError):
                await it(refs(1))

    virtually(main)
    assert not inner.got


async def test_a_message_of_another_chat_with_the_same_numbers_is_not_taken_for_this_one() -> None:
    class Mixed(Server):
        async def refresh(self, refs: Iterable[MediaRef]) -> dict[tuple[int, int], MediaRef]:
            found = await super().refresh(refs)
            return {key: one._replace(chat_id=CHAT.id) for key, one in found.items()}

    ctx: Any = Mixed()
    given = [refs(1)[0], refs(1)[0]._replace(chat_id=-7)]
    mine, others = await Ages(0.0).renewed([(given, ages.NEVER)], ctx)
    assert (mine.chat_id, mine.reference) == (CHAT.id, NEW)
    assert (others.chat_id, others.reference) == (-7, OLD)


def test_a_reference_that_expired_lowers_the_age_that_is_taken_as_safe() -> None:
    server = Server()

    async def main() -> None:
        it = Ages(1_000.0, now)
        probe = Expiries(it)
        ctx: Any = server
        read = it.now()
        await asyncio.sleep(60)
        await it.renewed([(refs(1), read)], ctx)
        probe.attempt(attempt("ok"))
        probe.attempt(attempt("FILE_MIGRATE"))
        assert it.safe == 1_000.0
        probe.attempt(attempt("FILE_REFERENCE_EXPIRED"))
        probe.attempt(attempt("FILE_REFERENCE_EXPIRED"))
        assert it.safe == 30.0
        assert not server.asked
        (fresh,) = await it.renewed([(refs(2), read)], ctx)
        assert fresh.reference == NEW
        assert server.asked == [[2]]

    virtually(main)


async def test_what_is_gone_says_nothing_of_the_others() -> None:
    ctx: Any = Server(gone={1})
    it = Ages(1_000.0, lambda: 5_000.0)
    await it.renewed([(refs(1, 2), ages.NEVER)], ctx)
    it.expired()
    assert it.safe == 1_000.0
    it.expired()
    assert it.safe == 0.0
