"""Holds an archive against the world it was exported from, field by field and byte by byte.

It reads the archive with `sqlite3` and `open` alone. A message's kept JSON is built into a TL object again, whose
bytes must be those that the lab serves; what the columns say is compared with the lab's own object. Nothing of the
exporter and nothing of the truth's digest takes part.
"""

from __future__ import annotations

import base64
import inspect
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from telethon.extensions import BinaryReader
from telethon.tl import types

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from tobs.lab.world import World


def differences(folder: Path, world: World, chats: Collection[int]) -> list[str]:
    """What in the archive differs from `chats` of the world; an empty list is a perfect archive."""
    with closing(sqlite3.connect(f"file:{folder / 'tobs.sqlite'}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        found = [f"chat {number} does not belong here" for number in _strangers(db, chats)]
        for number in chats:
            found += _messages(db, world, number)
            found += _files(db, folder, world, number)
        found += _people(db, world)
        found += [f"{name} lies in media and is no file's" for name in _left_over(db, folder)]
    return found


def _strangers(db: sqlite3.Connection, chats: Collection[int]) -> set[int]:
    return {row[0] for row in db.execute("SELECT DISTINCT chat_id FROM messages")} - set(chats)


def _messages(db: sqlite3.Connection, world: World, chat: int) -> Iterator[str]:
    kept = {row["id"]: row for row in db.execute("SELECT * FROM messages WHERE chat_id = ?", (chat,))}
    history = world.histories[chat]
    for data in history.serialized():
        message = BinaryReader(data).tgread_object()
        row = kept.pop(message.id, None)
        if row is None:
            yield f"message {message.id} is missing"
            continue
        for name, due in _columns(message, chat, history.kind, world.me.id).items():
            if row[name] != due:
                yield f"message {message.id}: {name} is {row[name]!r}, not {due!r}"
        if bytes(rebuilt(json.loads(row["raw"]))) != data:
            yield f"message {message.id}: raw is another object"
    for number in kept:
        yield f"message {number} was never there"


def _columns(message: Any, chat: int, kind: str, me: int) -> dict[str, Any]:
    service = isinstance(message, types.MessageService)
    unnamed = me if kind == "user" and message.out else chat
    sender = unnamed if message.from_id is None else _mark(message.from_id)
    reply = message.reply_to
    return {
        "kind": "service" if service else "message",
        "text": "" if service else message.message,
        "date": message.date.strftime("%Y-%m-%dT%H:%M:%S+00:00"),
        "sender_id": sender,
        "reply_to": reply.reply_to_msg_id if isinstance(reply, types.MessageReplyHeader) else None,
        "grouped_id": None if service else message.grouped_id,
        "edited": message.edit_date.strftime("%Y-%m-%dT%H:%M:%S+00:00") if message.edit_date else None,
        "views": None if service else message.views,
        "forwards": None if service else message.forwards,
    }


def _mark(peer: Any) -> int:
    if isinstance(peer, types.PeerUser):
        return int(peer.user_id)
    return -int(peer.chat_id) if isinstance(peer, types.PeerChat) else -int(peer.channel_id) - 10**12


def _files(db: sqlite3.Connection, folder: Path, world: World, chat: int) -> Iterator[str]:
    query = "SELECT * FROM media LEFT JOIN files ON files.id = media.file_id WHERE chat_id = ?"
    kept = {row["message_id"]: row for row in db.execute(query, (chat,))}
    for data in world.histories[chat].serialized():
        message = BinaryReader(data).tgread_object()
        due = _carried(message)
        row = kept.pop(message.id, None)
        if due is None:
            if row is not None:
                yield f"message {message.id} carries no file, yet one is kept"
            continue
        file_id, kind, name = due
        spec = world.file(file_id)
        assert spec is not None
        if row is None:
            yield f"message {message.id}: its file is not kept"
            continue
        told = (row["file_id"], row["kind"], row["name"], row["status"], row["dc"])
        if told != (file_id, kind, name, "done", spec.dc):
            yield f"message {message.id}: the file is kept as {told}"
        elif (folder / row["path"]).read_bytes() != spec.read(0, spec.size):
            yield f"message {message.id}: {row['path']} has other bytes"
    for number in kept:
        yield f"media of message {number}, which was never there"


def _carried(message: Any) -> tuple[int, str, str | None] | None:
    """Id, kind and name of a message's file."""
    if isinstance(message, types.MessageService):
        photo = getattr(message.action, "photo", None)
        return (photo.id, "photo", None) if isinstance(photo, types.Photo) else None
    if isinstance(message.media, types.MessageMediaPhoto):
        photo = message.media.photo
        return (photo.id, "photo", None) if isinstance(photo, types.Photo) else None
    document = message.media.document if isinstance(message.media, types.MessageMediaDocument) else None
    if not isinstance(document, types.Document):
        return None
    held = {type(attribute): attribute for attribute in document.attributes}
    named = held.get(types.DocumentAttributeFilename)
    video = held.get(types.DocumentAttributeVideo)
    audio = held.get(types.DocumentAttributeAudio)
    kind = "file"
    if types.DocumentAttributeSticker in held:
        kind = "sticker"
    elif video is not None:
        silent = types.DocumentAttributeAnimated in held
        kind = "video_message" if video.round_message else "animation" if silent else "video_file"
    elif audio is not None:
        kind = "voice_message" if audio.voice else "audio_file"
    return document.id, kind, named.file_name if named else None


def _people(db: sqlite3.Connection, world: World) -> Iterator[str]:
    for row in db.execute("SELECT id, username, raw FROM users"):
        user = world.users.get(row["id"])
        if user is None:
            yield f"user {row['id']} is nobody"
        elif row["username"] != user.username or bytes(rebuilt(json.loads(row["raw"]))) != bytes(user):
            yield f"user {row['id']} is another person"


def _left_over(db: sqlite3.Connection, folder: Path) -> set[str]:
    known = {row[0] for row in db.execute("SELECT path FROM files")}
    media = folder / "media"
    return {path.relative_to(folder).as_posix() for path in media.rglob("*") if path.is_file()} - known


@cache
def _fields(name: str) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(_class(name)).parameters)


def _class(name: str) -> Any:
    return getattr(types, name, None) or getattr(types.messages, name)


def rebuilt(kept: Any, form: str = "") -> Any:
    """A TL object from the JSON that was kept of it; `form` is the codec's own word for the field's type."""
    if isinstance(kept, dict):
        arguments = {}
        for name, field in _fields(kept["_"]).items():
            wanted = str(field.annotation)
            if name in kept:
                arguments[name] = rebuilt(kept[name], wanted)
            elif field.default is inspect.Parameter.empty:  # what is empty is not kept
                arguments[name] = [] if "List" in wanted else False if "bool" in wanted else None
        if kept["_"] == "PollAnswerVoters" and "voters" in kept:  # both or neither, though one of them is empty
            arguments.setdefault("recent_voters", [])
        return _class(kept["_"])(**arguments)
    if isinstance(kept, list):
        return [rebuilt(item, form) for item in kept]
    if isinstance(kept, str) and "datetime" in form:
        return datetime.fromisoformat(kept).astimezone(UTC)
    if isinstance(kept, str) and "bytes" in form:
        return base64.b64decode(kept)
    return kept
