"""CPU of what bloom_filter does, page by page, beside what it spares; and memory of what it remembers.

`python experiments/bench_rescan.py` takes the plain history of text_loopback, 20,000 messages in pages of 100, and
prints microseconds of CPU a page: reading an answer, making rows, committing them, for a first export and a rescan of
the same, without the plugin and with each kind. Then it remembers 200,000 messages whose ids lie densely, with gaps
and far apart, and prints bytes a message for each kind: filters alone, and the most with the records in memory.
"""

from __future__ import annotations

import random
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from telethon.extensions import BinaryReader
from telethon.tl import types

from tobs.archive.archive import Archive
from tobs.engine.state import FolderState, MemoryState
from tobs.lab.scenario import load
from tobs.lab.world import build
from tobs.telegram.normalise import Normaliser
from tobs.telegram.reading import read, read_history
from tobs.telegram.service import as_page
from tobs.values import PAGE, Chat, Span, Wire
from tobs_bloom_filter.leaf import Choice
from tobs_bloom_filter.record import WIDE
from tobs_bloom_filter.shelf import Shelf
from tobs_bloom_filter.sieve import Sieve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tobs.api import Context
    from tobs.values import Batch, Page

T = TypeVar("T")
R = TypeVar("R")
SCENARIO = Path(__file__).parent / "scenarios" / "text_loopback.toml"
MESSAGES, REMEMBERED = 20_000, 200_000
KINDS = ("auto", "bloom", "exact", "set")
CHOICE = Choice("auto", 0.01, 4096, 24)
"""The knobs as they come, with 16 history requests in flight."""


def main() -> None:
    """Print both tables."""
    chat, answers = history()
    print(f"{len(answers)} pages of {sum(map(len, answers)) / len(answers):.0f} bytes; us of CPU a page\n")
    timed("read an answer", read, answers)
    timed("read it and note where messages stand", read_history, answers)
    pages = [page_of(chat, answer) for answer in answers]
    with tempfile.TemporaryDirectory() as folder, Archive.create(Path(folder) / "archive", [chat]) as archive:
        normalise = Normaliser(1)
        batches = timed("first export: make rows", normalise, pages)
        timed("first export: commit", lambda batch: commit(archive, batch), batches)
        again = timed("rescan without: make rows", normalise, pages)
        timed("rescan without: commit", lambda batch: commit(archive, batch), again)
        for kind in KINDS:
            with_kind(kind, archive, FolderState(Path(folder) / kind), list(zip(pages, batches, strict=True)))
    memory()


def with_kind(kind: str, archive: Archive, state: FolderState, told: Sequence[tuple[Page, Batch]]) -> None:
    """A first export and a rescan with a kind."""
    choice, context = CHOICE._replace(kind=kind), cast("Context", archive)
    first = Sieve(context, state, 7, choice)
    timed(f"first export, {kind}: look", lambda both: first.sift(both[0]), told)
    timed(f"first export, {kind}: remember", lambda both: first.mark(*both), told)
    began = time.process_time()
    first.save()
    print(f"{f'first export, {kind}: write':45}{(time.process_time() - began) / len(told) * 1e6:8.0f}")
    later = Sieve(context, state, 7, choice)
    left = timed(f"rescan, {kind}: look", lambda both: later.sift(both[0]), told)
    rest = timed(f"rescan, {kind}: make rows of the rest", Normaliser(1), left)
    timed(f"rescan, {kind}: commit", lambda batch: commit(archive, batch), rest)


def memory() -> None:
    """Bytes a message by kind and by how ids lie."""
    draws = random.Random(1)
    chats = {
        "every id": range(1, REMEMBERED + 1),
        "half of them": draws.sample(range(1, 2 * REMEMBERED), REMEMBERED),
        "one in a hundred": draws.sample(range(1, 100 * REMEMBERED), REMEMBERED),
    }
    print(f"\n{'bytes a message: filters (most, with records)':45}" + "".join(f"{kind:>16}" for kind in KINDS))
    for name, ids in chats.items():
        line, ordered = f"{name:45}", sorted(ids, reverse=True)
        for kind in KINDS:
            shelf = Shelf(1, MemoryState(), CHOICE._replace(kind=kind))
            for at in range(0, len(ordered), PAGE):
                shelf.put({number: draws.randbytes(WIDE) for number in ordered[at : at + PAGE]})
            shelf.save()
            line += f"{f'{shelf.size / REMEMBERED:.2f} ({shelf.peak / REMEMBERED:.1f})':>16}"
        print(line)


def history() -> tuple[Chat, list[bytes]]:
    """The scenario's history as answers, newest first."""
    scenario = load(SCENARIO)
    world = build(replace(scenario, dataset=replace(scenario.dataset, messages=MESSAGES)))
    chat = max(world.histories.values(), key=lambda one: one.count)
    messages = [BinaryReader(data).tgread_object() for data in chat.serialized()][::-1]
    answers = [
        bytes(types.messages.ChannelMessages(1, len(messages), messages[at : at + PAGE], [], [], []))
        for at in range(0, len(messages), PAGE)
    ]
    return Chat(chat.peer_id, "channel", "Bench"), answers


def page_of(chat: Chat, answer: bytes) -> Page:
    """An answer as a page that keeps it."""
    found, places = read_history(answer)
    found.wire = Wire(answer, places)
    return as_page(chat, Span(1, 2**31 - 1), found)


def commit(archive: Archive, batch: Batch) -> None:
    """Commit outside a loop: the archive's own Write never waits."""
    work: Any = archive.write.commit(batch)
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")


def timed(name: str, work: Callable[[T], R], over: Sequence[T]) -> list[R]:
    """Do it for each, print the CPU that one took."""
    began = time.process_time()
    made = [work(each) for each in over]
    print(f"{name:45}{(time.process_time() - began) / len(over) * 1e6:8.0f}")
    return made


if __name__ == "__main__":
    main()
