"""What a program left in a folder, held by content hashes against the files of the chats that it was to fetch.

Names play no part, so any program can be judged, whatever it calls its files and wherever it puts them.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from telethon.extensions import BinaryReader

from tobs.lab.live import at_last
from tobs.lab.truth import choose

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tobs.lab.world import World

HEAD = 4096
SHORTEST = 512
"""Bytes below which neither a head nor a size says which file was meant."""

MOST_ALIKE = 200
"""Files among which the one is looked for that a damaged file was meant to be."""

PROBE, PROBES = 64, 32
BLOCK = 1 << 20


class Bytes(Protocol):
    """Bytes that can be read in any order."""

    def read(self, offset: int, limit: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Expected:
    """One distinct file of the chats: `head` is the SHA-256 of its first 4096 bytes, `content` has them all."""

    id: int
    size: int
    sha256: str
    head: bytes
    content: Bytes = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Judgement:
    """Every expected file is one of `found`, `corrupt` and `missing`, once, however often it was posted.

    `corrupt` lists what is not there, but for something like it: a file of another content that begins with the
    same 4096 bytes (so one that was cut off too) or has the same size, with that file's path within the folder.
    Where this fits several files it is the one that more of the bytes agree with.
    `extra` counts all other files that hold none of what was expected; second copies are nothing to be judged.
    """

    found: list[Expected]
    missing: list[Expected]
    corrupt: list[tuple[Expected, str]]
    extra: int

    @property
    def complete(self) -> bool:
        """Whether everything is there, byte for byte."""
        return not self.missing and not self.corrupt


@dataclass(frozen=True, slots=True)
class _Left:
    """A file that holds nothing of what was expected."""

    path: Path
    size: int
    head: bytes


def expected(world: World, chats: int | Iterable[int] | None = None) -> list[Expected]:
    """The distinct files of `chats` (marked ids; None: all), in the order of their posting, by content.

    Where chats change while they are served, those that they hold after all changes.
    Raises `UsageError` for an unknown chat. Hashing a stream that was never hashed on this machine takes a
    second for each 1.5 GB.
    """
    files: dict[str, Expected] = {}
    chosen = choose(world, chats)
    world = at_last(world)
    for file_id in dict.fromkeys(file_id for chat in chosen for file_id in _posted(world, chat)):
        spec = world.shelf.specs[file_id]
        content = spec.sha256()
        if content not in files:
            files[content] = Expected(file_id, spec.size, content, sha256(spec.read(0, HEAD)).digest(), spec)
    return list(files.values())


def _posted(world: World, chat: int) -> Iterable[int]:
    """The ids of the files that a chat holds at last."""
    history = world.histories[chat]
    if all(change.peer_id != chat for change in world.changes):
        return history.file_ids
    messages = (BinaryReader(data).tgread_object() for data in history.serialized())
    holders = [getattr(message, "action", None) or getattr(message, "media", None) for message in messages]
    held = [getattr(holder, "photo", None) or getattr(holder, "document", None) for holder in holders]
    numbers = (getattr(file, "id", 0) for file in held)
    return [number for number in numbers if number in world.shelf.specs]


def judge(folder: Path, files: Iterable[Expected]) -> Judgement:
    """Read every file below `folder` (links are not followed) and say which of `files` are there."""
    wanted = {file.sha256: file for file in files}
    found: set[str] = set()
    others: list[_Left] = []
    for path in _walk(folder):
        content, left = _read(path)
        if content in wanted:
            found.add(content)
        else:
            others.append(left)
    lost = {key: file for key, file in wanted.items() if key not in found}
    by_head, by_size = defaultdict(list), defaultdict(list)
    for file in lost.values():
        by_head[file.head].append(file)
        by_size[file.size].append(file)
    corrupt: list[tuple[Expected, str]] = []
    for left in others:
        alike = by_head[left.head] + by_size[left.size] if left.size >= SHORTEST else []
        meant = [file for file in alike if file.sha256 in lost][:MOST_ALIKE]
        if meant:
            likest = max(meant, key=lambda file: _likeness(file, left))
            del lost[likest.sha256]
            corrupt.append((likest, left.path.relative_to(folder).as_posix()))
    return Judgement(
        found=[file for key, file in wanted.items() if key in found],
        missing=list(lost.values()),
        corrupt=corrupt,
        extra=len(others) - len(corrupt),
    )


def _walk(folder: Path) -> Iterator[Path]:
    for at, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(at, name)
            if path.is_file() and not path.is_symlink():
                yield path


def _likeness(file: Expected, left: _Left) -> int:
    """In how many of some places, evenly spread over the shorter of both, the two agree."""
    step = max(PROBE, min(file.size, left.size) // PROBES)
    with left.path.open("rb") as held:
        agreed = 0
        for place in range(0, min(file.size, left.size) - PROBE + 1, step):
            held.seek(place)
            agreed += held.read(PROBE) == file.content.read(place, PROBE)
    return agreed


def _read(path: Path) -> tuple[str, _Left]:
    whole = sha256()
    with path.open("rb") as file:
        head = file.read(HEAD)
        whole.update(head)
        while block := file.read(BLOCK):
            whole.update(block)
        size = file.tell()
    return whole.hexdigest(), _Left(path, size, sha256(head).digest())
