"""What a scenario's chats hold: messages of which kinds, files of which sizes, and where they lie."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tobs.lab.changes import STILL, Live, read_live

if TYPE_CHECKING:
    from tobs.lab.table import Table

KILOBYTE = 1_000
MEGABYTE = 1_000_000
ROUNDING = 1e-6
TOPIC_OVERHEAD = 3
"""Messages that a topic takes at least: it is opened, it may be edited, somebody writes in it."""
SMALLEST = 4 * KILOBYTE
"""Bytes below which no file is drawn: the smallest template of each kind with its padding has to fit."""


@dataclass(frozen=True, slots=True)
class Files:
    """The files of one kind, `[dataset.photos]` and its like.

    TOML keys: `count` of distinct files (0); sizes are log-normal with `median_kb` and `sigma` (defaults by
    kind, all assumed); `total_mb`: then all sizes are scaled so that they sum to it;
    `largest_mb`: no drawn size is above it (default for stickers 0.06, for others none).
    """

    count: int
    median: int
    sigma: float
    total: int | None = None
    largest: int | None = None


@dataclass(frozen=True, slots=True)
class Dataset:
    """The content, `[dataset]`. Shares are 0 to 1.

    TOML keys: `kind`: "megagroup" (messages have senders), "broadcast" (posts of the channel with views) or
    "private" (in place of the channel a chat with one user, whose `username` it is; it has no `side_messages`);
    `title`, `username` of the channel; `messages`: all messages of the channel, those with files included;
    `users` who write in it; `side_messages`: messages in each of two further chats, a private one and a basic
    group (0: neither exists). More chats, none by default: `saved_messages`: messages in the chat with oneself;
    `migrated`: messages in each half of a basic group that became a supergroup; `topics` of a forum beside the
    General one, and its `topic_messages` (20 a topic), those that open and edit topics included; `comments` in
    the discussion group of a "broadcast", which holds a copy of each post besides.

    Of texts and captions: `rich`: share with entities; `services`: share of *all* messages that are
    service messages (the first, the creation, always is). Of all messages but these: `replies`, `forwards`,
    `edited`, `reactions`. In every chat `kinds` is the share of messages that go, in turn, through all kinds of
    message that Telegram has (polls, places, buttons, previews, …) and `actions` that of service messages that go
    through all actions, each kind and action in those sorts of chat where it occurs. `gaps`: share of message ids
    that are deleted.

    Files: `photos`, `documents`, `videos`, `voices`, `audios` (music), `rounds` (round videos), `animations`,
    `stickers` (tables, see `Files`); `files`: percent of the files on each data centre (`{2 = 60, 4 = 40}`;
    default all on the home one); `albums`: share of photos and videos that come in albums; `repeats`: further
    messages that post a file again, as a share of the files; `hostile`: share of documents with a hostile name.

    `duplicates`: share of the files of each kind whose content is that of an earlier one, under an id of its
    own; `lookalikes`: share whose content has the size, the beginning and the end of an earlier one and
    differs in 64 bytes between (as far as there are files of 400 kB). Such files have the smallest of the
    sizes drawn for them; the other files grow so that they all still sum to `total_mb`, as far as they can.

    `live`: what changes while the lab runs (table, see `changes.Live`).
    """

    kind: str
    title: str
    username: str
    messages: int
    users: int
    side_messages: int
    rich: float
    services: float
    replies: float
    forwards: float
    edited: float
    reactions: float
    gaps: float
    albums: float
    repeats: float
    hostile: float
    duplicates: float
    lookalikes: float
    photos: Files
    documents: Files
    videos: Files
    voices: Files
    audios: Files
    rounds: Files
    animations: Files
    stickers: Files
    files: tuple[tuple[int, float], ...]
    live: Live = STILL
    saved_messages: int = 0
    migrated: int = 0
    topics: int = 0
    topic_messages: int = 0
    comments: int = 0
    kind_share: float = 0.0
    action_share: float = 0.0

    @property
    def kinds(self) -> tuple[tuple[str, Files], ...]:
        """Name and files of each kind, in the order in which they are numbered."""
        return (
            ("photo", self.photos),
            ("document", self.documents),
            ("video", self.videos),
            ("voice", self.voices),
            ("audio", self.audios),
            ("round", self.rounds),
            ("animation", self.animations),
            ("sticker", self.stickers),
        )

    @property
    def file_messages(self) -> int:
        """Messages of the channel that carry a file, repeats included."""
        count = sum(files.count for _, files in self.kinds)
        return count + round(count * self.repeats)

    @property
    def all_messages(self) -> int:
        """Messages of all chats, but for the copies of posts in a discussion group."""
        beside = self.saved_messages + 2 * (self.side_messages + self.migrated) + self.topic_messages
        return self.messages + beside + self.comments

    def scaled(self, scale: float) -> Dataset:
        """The same content with `scale` times the messages and files (and their total bytes)."""

        def grow(files: Files) -> Files:
            total = None if files.total is None else max(1, round(files.total * scale))
            return replace(files, count=_times(files.count, scale), total=total)

        grown: dict[str, Any] = {name: grow(getattr(self, name)) for name in _DEFAULT_SIZES}
        larger = replace(
            self,
            messages=_times(self.messages, scale),
            side_messages=_times(self.side_messages, scale),
            saved_messages=_times(self.saved_messages, scale),
            migrated=max(2, _times(self.migrated, scale)) if self.migrated else 0,
            topic_messages=max(_times(self.topic_messages, scale), TOPIC_OVERHEAD * self.topics),
            comments=_times(self.comments, scale),
            **grown,
            live=self.live.scaled(scale),
        )
        return replace(larger, messages=max(larger.messages, larger.file_messages + 1))


def _times(count: int, scale: float) -> int:
    """`count` times `scale`, rounded, but nothing that exists vanishes."""
    return max(1, round(count * scale)) if count else 0


_DEFAULT_SIZES = {  # median in kB and sigma, assumed: no published dataset gives usable shares
    "photos": (150.0, 0.6),
    "documents": (1_000.0, 2.0),
    "videos": (8_000.0, 1.5),
    "voices": (60.0, 0.7),
    "audios": (4_000.0, 0.6),
    "rounds": (1_500.0, 0.8),
    "animations": (600.0, 1.0),
    "stickers": (25.0, 0.5),
}
_LARGEST = 4_000 * MEGABYTE
_LARGEST_STICKER = 256 * KILOBYTE
"""https://core.telegram.org/stickers"""
_USUAL_STICKER = 60 * KILOBYTE


def _read_files(table: Table, name: str) -> Files:
    median_kb, sigma = _DEFAULT_SIZES[name]
    total = table.optional_number("total_mb", low=0, high=1e6)
    highest = _LARGEST_STICKER if name == "stickers" else _LARGEST
    largest = table.optional_number("largest_mb", low=0.01, high=highest / MEGABYTE)
    if largest is None and name == "stickers":
        largest = _USUAL_STICKER / MEGABYTE
    files = Files(
        count=table.whole("count", 0, low=0, high=1_000_000),
        median=round(table.number("median_kb", median_kb, low=4, high=4e6) * KILOBYTE),
        sigma=table.number("sigma", sigma, low=0, high=4),
        total=None if total is None else round(total * MEGABYTE),
        largest=None if largest is None else round(largest * MEGABYTE),
    )
    if files.total is not None and files.total < files.count * SMALLEST:
        raise table.fail(
            "total_mb",
            f"at least {files.count * SMALLEST / MEGABYTE:g}: 4 kB for each of {files.count} files",
        )
    if files.total is not None and files.largest is not None and files.total > files.count * files.largest:
        raise table.fail("total_mb", "at most count x largest_mb")
    table.finish()
    return files


def _read_shares(table: Table, home: int, centres: tuple[int, ...]) -> tuple[tuple[int, float], ...]:
    shares = []
    for key in table.keys():  # noqa: SIM118 (a Table is no mapping)
        if not key.isdecimal() or int(key) not in centres:
            raise table.fail(key, f"the id of a data centre of this scenario ({', '.join(map(str, centres))})")
        shares.append((int(key), table.number(key, None, low=0, high=100)))
    if shares and abs(sum(share for _, share in shares) - 100) > ROUNDING:
        raise table.fail(table.keys()[-1], "a percentage such that all of them sum to 100")
    return tuple(sorted(shares)) or ((home, 100.0),)


def read_dataset(table: Table, *, home: int, centres: tuple[int, ...]) -> Dataset:
    """The dataset in `table`; `home` and `centres` are ids of data centres. Raises UsageError."""
    kinds = {name: _read_files(table.table(name), name) for name in _DEFAULT_SIZES}

    def share(key: str, default: float, high: float = 1) -> float:
        return table.number(key, default, low=0, high=high)

    messages = table.whole("messages", None, low=1, high=10_000_000)
    topics = table.whole("topics", 0, low=0, high=10_000)
    topic_messages = table.whole("topic_messages", 20 * topics, low=TOPIC_OVERHEAD * topics, high=1_000_000)
    dataset = Dataset(
        kind=table.word("kind", "megagroup", of=("megagroup", "broadcast", "private")),
        title=table.word("title", "TOBS Lab"),
        username=table.word("username", "tobs_lab"),
        messages=messages,
        users=table.whole("users", 12, low=2, high=10_000),
        side_messages=table.whole("side_messages", 40, low=0, high=100_000),
        rich=share("rich", 0.3),
        services=share("services", 0.02),
        replies=share("replies", 0.15),
        forwards=share("forwards", 0.05),
        edited=share("edited", 0.05),
        reactions=share("reactions", 0.1),
        gaps=share("gaps", 0.03, high=0.95),
        albums=share("albums", 0.3),
        repeats=share("repeats", 0.0),
        hostile=share("hostile", 0.1),
        duplicates=share("duplicates", 0.0, high=0.9),
        lookalikes=share("lookalikes", 0.0, high=0.9),
        files=_read_shares(table.table("files"), home, centres),
        live=read_live(table.table("live"), messages=messages),
        saved_messages=table.whole("saved_messages", 0, low=0, high=100_000),
        migrated=table.whole("migrated", 0, low=0, high=100_000),
        topics=topics,
        topic_messages=topic_messages if topics else 0,
        comments=table.whole("comments", 0, low=0, high=1_000_000),
        kind_share=share("kinds", 0.0),
        action_share=share("actions", 0.0),
        **kinds,
    )
    table.finish()
    if dataset.migrated == 1:
        raise table.fail("migrated", "0 or a whole number from 2: each half begins, and one of them ends")
    if dataset.kind == "private" and dataset.side_messages:
        raise table.fail("side_messages", '0 where the kind is "private"')
    if dataset.comments and dataset.kind != "broadcast":
        raise table.fail("comments", '0 unless the kind is "broadcast"')
    if dataset.messages <= dataset.file_messages:
        raise table.fail(
            "messages",
            f"at least {dataset.file_messages + 1}: one creation and {dataset.file_messages} with files",
        )
    return dataset
