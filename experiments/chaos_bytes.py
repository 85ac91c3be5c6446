"""What stops cost, in bytes of files: what was lost at each, and how much of that was in flight.

The lab tells which parts left and which of them the client's session acknowledged; the archive tells what is kept:
files that are settled, and blocks that the journal notes and that have their hash on the disk. What left whole, is not
kept after the stop and left once more afterwards was *lost* at that stop. Nothing of this is asked of the exporter.

In flight is of what was lost

`wire`      what the client had not acknowledged and what had left less than `WIRE` before the last part did. A part
            leaves the lab when it is delivered, the line's delay lies before that: what remains is that the client
            reads it, and that the acknowledgement comes back. An acknowledgement alone says too little: it waits for
            the connection's next request, by when much more may have come. Requests without an answer cost no bytes.
            Where the disk was full, what left from then on counts as well: there is nowhere to put it.
`open`      what it had of a block of 128 KB that was not whole yet: only whole blocks can be noted.
`journal`   whole blocks that were not noted yet. Of each file this is at most two batches, one that is gathered and one
            that is being synced: a bound, not a measurement, since only the exporter knows what is being synced. A part
            comes as a whole and is written and noted as a whole: a batch of 128 KB is never less than one part.
`small`     all of a file of at most `RESUME_KB`: such a file begins anew, as is promised.

What is lost beyond that was not in flight, and neither was what left although it was kept: both are `beyond`. The
bounds are those of this module, whatever the arm's knobs say: an arm that promises less does not keep to them.

Faults cost bytes also between stops, and in a run that is not stopped

`spoilt`    parts that came short or wrong.
`unheard`   what left again before another stop, its copies not acknowledged: a connection broke, or an answer came
            later than the exporter waited.
`heard`     the same where another copy was acknowledged: a block that was mended whole, for one.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from math import inf
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

RESUME_KB = 128
"""Files that are larger go on where they were stopped."""
JOURNAL_KB = 128
"""A batch of blocks that are synced and noted at once, or one part where that is more."""
WIRE = 0.05
"""Seconds after which a part is no longer on the wire, whether it is acknowledged or not: a bound, some round trips."""
BATCHES = 2
"""Batches of a file that may be lost: one is gathered while the other is synced."""
BLOCK = 131_072
PAGE = 1024
"""Parts begin and end at multiples of this, or with their file."""
PAGES = BLOCK // PAGE
KINDS = ("wire", "open", "journal", "small")
FAULTS = ("spoilt", "unheard", "heard")

Pages = dict[int, set[int]]
"""Numbers of pages by file."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What an archive holds: ids of settled files, and numbers of blocks of half-written ones."""

    files: frozenset[int] = frozenset()
    blocks: Mapping[int, frozenset[int]] = field(default_factory=dict)

    def of(self, file: int, pages: set[int]) -> set[int]:
        """Those of a file's pages that are there."""
        if file in self.files:
            return pages
        blocks = self.blocks.get(file, frozenset())
        return {page for page in pages if page // PAGES in blocks}


@dataclass(slots=True)
class Life:
    """From one stop to the next, or to the end: the parts that left, and what was kept after it.

    `full`: when the disk became full, as the parts have it.
    """

    parts: Sequence[Mapping[str, Any]]
    kept: Kept
    full: float = inf


@dataclass(slots=True)
class Cost:
    """What the stops of a run cost, and its faults, in bytes; `flight` and `faults` by kind."""

    lost: int = 0
    flight: Counter[str] = field(default_factory=Counter)
    kept_again: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    @property
    def in_flight(self) -> int:
        """All that was in flight."""
        return sum(self.flight.values())

    @property
    def beyond(self) -> int:
        """What was fetched again though it was not in flight."""
        return self.lost - self.in_flight + self.kept_again


def read_kept(archive: Path) -> Kept:
    """What an archive holds after a stop; nothing where there is none yet."""
    database, state = archive / "tobs.sqlite", archive / ".tobs-state" / "resilience"
    files: frozenset[int] = frozenset()
    if database.is_file():
        with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as db:
            if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'files'").fetchone():
                files = frozenset(number for (number,) in db.execute("SELECT id FROM files"))
    blocks = {int(name): _noted(archive, state, name, entry) for name, entry in _read(state / "files.json").items()}
    return Kept(files, blocks)


def _noted(archive: Path, state: Path, name: str, entry: Mapping[str, Any]) -> frozenset[int]:
    """Blocks of a half-written file that are noted and on the disk as they were noted."""
    found: set[int] = set()
    try:
        with (archive / entry["path"]).open("rb") as file:
            for number in count():
                if not (batch := _read(state / f"{name}-{number}.json")):
                    break
                for block, sha256 in batch.items():
                    file.seek(int(block) * BLOCK)
                    if hashlib.sha256(file.read(BLOCK)[: entry["size"] - int(block) * BLOCK]).hexdigest() == sha256:
                        found.add(int(block))
    except FileNotFoundError:
        return frozenset()
    return frozenset(found)


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def cost(lives: Sequence[Life]) -> Cost:
    """What the stops cost between these lives; the last one came to its end."""
    found, sizes = Cost(), {part["file"]: part["whole"] for life in lives for part in life.parts}
    left = [_pages(life.parts) for life in lives]
    right = [_pages(part for part in life.parts if not part["spoilt"]) for life in lives]
    ever: Pages = {}  # that left whole, up to and with this life
    kept: Pages = {}  # of these, what was kept at the stop before
    for number, life in enumerate(lives):
        found.faults.update(_faults(life.parts))
        for file, pages in kept.items():
            again = _whole_blocks(pages, ever[file], sizes[file]) & left[number].get(file, set())
            found.kept_again += _size(again, sizes[file])
        for file, pages in right[number].items():
            ever.setdefault(file, set()).update(pages)
        if number + 1 == len(lives):
            break
        had = _pages(part for part in _had(life) if not part["spoilt"])
        batches: dict[int, int] = {}
        for part in life.parts:
            batches[part["file"]] = max(JOURNAL_KB * 1024, part["size"], batches.get(part["file"], 0))
        for file in ever:
            now, size = right[number].get(file, set()), sizes[file]
            there = now | kept.get(file, set())
            lost = {page for page in there - life.kept.of(file, there) if _leaves(left[number + 1 :], file, page)}
            found.lost += _size(lost, size)
            found.flight.update(_in_flight(lost & now, had.get(file, set()), size, batches.get(file, 0)))
        kept = {file: life.kept.of(file, pages) for file, pages in ever.items()}
    return found


def _faults(parts: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Bytes that faults cost between two stops, by kind."""
    left: Counter[tuple[int, int]] = Counter()
    heard: Counter[tuple[int, int]] = Counter()
    for part in (part for part in parts if not part["spoilt"]):
        places = [(part["file"], page) for page in _pages([part]).get(part["file"], ())]
        left.update(places)
        if part["acknowledged"]:
            heard.update(places)
    sizes = {part["file"]: part["whole"] for part in parts}
    again = {place: (times - 1, max(0, heard[place] - 1)) for place, times in left.items() if times > 1}
    found = dict.fromkeys(FAULTS, 0) | {"spoilt": sum(part["size"] for part in parts if part["spoilt"])}
    for (file, page), (all_, had) in again.items():
        size = _size({page}, sizes[file])
        found["heard"] += had * size
        found["unheard"] += (all_ - had) * size
    return found


def _had(life: Life) -> Iterator[Mapping[str, Any]]:
    """Parts that were not on the wire at the end of a life, nor when the disk became full."""
    end = max((part["at"] for part in life.parts), default=0.0)
    for part in life.parts:
        if part["at"] < life.full - WIRE and (part["acknowledged"] or part["at"] < end - WIRE):
            yield part


def _in_flight(lost: set[int], had: set[int], size: int, batch: int) -> dict[str, int]:
    """Bytes of the lost pages of one file that were in flight, by kind; `had` was not on the wire."""
    if size <= RESUME_KB * 1024:
        return {"small": _size(lost, size)}
    wire = lost - had
    whole = _whole_blocks(lost & had, had, size)
    return {
        "wire": _size(wire, size),
        "open": _size(lost - wire - whole, size),
        "journal": min(_size(whole, size), BATCHES * batch),
    }


def _pages(parts: Iterable[Mapping[str, Any]]) -> Pages:
    """Pages that some parts cover; of a short part those that it covers whole."""
    found: Pages = {}
    for part in parts:
        end = part["offset"] + part["size"]
        last = -(-end // PAGE) if end == part["whole"] else end // PAGE
        found.setdefault(part["file"], set()).update(range(part["offset"] // PAGE, last))
    return found


def _whole_blocks(pages: set[int], there: set[int], size: int) -> set[int]:
    """Those of the pages whose block is there in all its pages."""
    last = -(-size // PAGE)
    whole = {
        block
        for block in {page // PAGES for page in pages}
        if there.issuperset(range(block * PAGES, min((block + 1) * PAGES, last)))
    }
    return {page for page in pages if page // PAGES in whole}


def _leaves(later: Sequence[Pages], file: int, page: int) -> bool:
    return any(page in life.get(file, ()) for life in later)


def _size(pages: set[int], size: int) -> int:
    """Bytes of some pages of a file of this size."""
    return sum(min(PAGE, size - page * PAGE) for page in pages)
