"""Measure what a commit costs: microseconds a message, pages of 100 in descending order, as JSON.

python experiments/bench_commit.py [MESSAGES]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import orjson

from tobs.archive import Archive
from tobs.archive.digest import digest
from tobs.values import PAGE, Batch, Chat, MediaRef, MessageRow, PeerRow, Span

CHAT = -1000000000123
REPEATS = 5


def page(top: int, *, media: int) -> Batch:
    """A page of `PAGE` messages ending at id `top`, `media` of them with a photo, with twelve users."""
    rows = []
    for number in range(top, top - PAGE, -1):
        text = f"Message {number}: the quick brown fox jumps over the lazy dog, once more and again. " * 2
        raw = {
            "_": "Message",
            "id": number,
            "peer_id": {"_": "PeerChannel", "channel_id": 123},
            "from_id": {"_": "PeerUser", "user_id": 55 + number % 12},
            "date": "2024-01-31T12:00:00+00:00",
            "message": text,
            "entities": [{"_": "MessageEntityBold", "offset": 0, "length": 7}],
            "views": 10,
        }
        rows.append(
            MessageRow(
                CHAT,
                number,
                "2024-01-31T12:00:00+00:00",
                55 + number % 12,
                text,
                "message",
                None,
                None,
                None,
                None,
                10,
                None,
                orjson.dumps(raw).decode(),
            )
        )
    refs = [
        MediaRef(
            CHAT,
            row.id,
            "photo",
            row.id,
            2,
            1000,
            None,
            "image/jpeg",
            row.date,
            "photo",
            5,
            b"r" * 25,
            "y",
        )
        for row in rows[:media]
    ]
    peers = [PeerRow(55 + n, "user", f"User {n}", f"user{n}", f'{{"_":"User","id":{55 + n}}}') for n in range(12)]
    return Batch(CHAT, Span(top - PAGE + 1, top), rows, refs, peers)


async def measure(messages: int, *, media: int) -> dict[str, float]:
    """Commit, commit again unchanged, index, digest; microseconds a message of wall clock and of CPU."""
    pages = [page(top, media=media) for top in range(messages, 0, -PAGE)]
    figures: dict[str, float] = {}

    def note(name: str, wall: float, cpu: float) -> None:
        figures[f"{name}_us"] = round(1e6 * (time.perf_counter() - wall) / messages, 2)
        figures[f"{name}_cpu_us"] = round(1e6 * (time.process_time() - cpu) / messages, 2)

    with tempfile.TemporaryDirectory() as folder:
        archive = Archive.create(Path(folder) / "archive", [Chat(CHAT, "channel", "Bench")])
        for name in ("commit", "commit_again"):
            clocks = time.perf_counter(), time.process_time()
            for batch in pages:
                await archive.write.commit(batch)
            note(name, *clocks)
        clocks = time.perf_counter(), time.process_time()
        archive.index()
        note("index", *clocks)
        archive.close()
        clocks = time.perf_counter(), time.process_time()
        digest(Path(folder) / "archive")
        note("digest", *clocks)
    return figures


async def best(messages: int, *, media: int) -> dict[str, float]:
    """The least of each figure in `REPEATS` measurements: the machine's other work only ever adds."""
    rounds = [await measure(messages, media=media) for _ in range(REPEATS)]
    return {name: min(one[name] for one in rounds) for name in rounds[0]}


async def main() -> None:
    """Print the figures of plain pages and of pages with 30 % photos."""
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    report = {
        "messages": messages,
        "repeats": REPEATS,
        "plain": await best(messages, media=0),
        "media_30_percent": await best(messages, media=30),
    }
    sys.stdout.write(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode() + "\n")


asyncio.run(main())
