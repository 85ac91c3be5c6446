"""What an archive of this world must hold, as a digest and in numbers.

The digest is made from the very bytes that the lab serves: each is parsed, turned into a dictionary by the
codec and pruned. Nothing of the exporter takes part, so that a mistake there cannot be here too.

A digest is the SHA-256 over lines of JSON (keys sorted, as orjson writes them, a newline behind each): all
message lines by (chat, id), then all file lines by (chat, message). Version 1:

    ["m", chat_id, id, "message" | "service", date, sender_id, text, reply_to, grouped_id, edited, raw]
    ["f", chat_id, message_id, media_kind, file_id, size, sha256]

Ids of chats and senders are marked, dates are ISO 8601 in UTC. `raw` is the TL object without access hashes
and file references, and without what is None, False or an empty list; bytes are base64.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypedDict

import orjson
from telethon.extensions import BinaryReader

from tobs.errors import UsageError
from tobs.lab.live import at_last

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tobs.lab.files import FileSpec
    from tobs.lab.world import World

LEFT_OUT = frozenset({"file_reference", "access_hash"})
DOCUMENT_KINDS = ("sticker", "video_message", "voice_message", "animation", "video_file", "audio_file")
"""In the order in which Telegram Desktop decides, where a document has several attributes."""


class ChatTruth(TypedDict):
    """One chat in numbers: `files` counts messages with a file, `bytes` sums these files' sizes.

    `distinct_files` and `distinct_bytes` count a file that is posted again only once.
    """

    title: str
    messages: int
    files: int
    bytes: int
    distinct_files: int
    distinct_bytes: int


@dataclass(frozen=True, slots=True)
class Truth:
    """The digest in hex, and the chats that it covers by marked id."""

    digest: str
    chats: dict[int, ChatTruth]


def truth(world: World, chat: int | Iterable[int] | None = None) -> Truth:
    """The truth about `chat` (a marked id or several; None: all). Raises UsageError for an unknown one.

    Where chats change while they are served it is what they hold after all changes, whether these were made or not.
    Takes about 60 us a message, and a second for each 1.5 GB of streamed files that were never hashed on this
    machine.
    """
    chosen = choose(world, chat)
    world = at_last(world)
    digest = hashlib.sha256()
    chats: dict[int, ChatTruth] = {}
    file_lines: list[list[Any]] = []
    for chat_id in chosen:
        history = world.histories[chat_id]
        found: list[list[Any]] = []
        for data in history.serialized():
            message = BinaryReader(data).tgread_object().to_dict()
            digest.update(_line(_message_line(message, chat_id, history.kind, world.me.id)))
            found += _file_lines(world, chat_id, message)
        distinct = {line[4]: line[5] for line in found}
        chats[chat_id] = ChatTruth(
            title=world.title(chat_id),
            messages=history.count,
            files=len(found),
            bytes=sum(line[5] for line in found),
            distinct_files=len(distinct),
            distinct_bytes=sum(distinct.values()),
        )
        file_lines += found
    for line in file_lines:
        digest.update(_line(line))
    return Truth(digest.hexdigest(), chats)


def choose(world: World, chat: int | Iterable[int] | None) -> list[int]:
    """The marked ids that `chat` asks for, rising. Raises UsageError for one that has no history here."""
    if chat is None:
        return sorted(world.histories)
    chosen = sorted({chat} if isinstance(chat, int) else set(chat))
    for chat_id in chosen:
        if chat_id not in world.histories:
            known = ", ".join(map(str, sorted(world.histories)))
            raise UsageError(f"this lab has no chat {chat_id}", hint=f"It has: {known}.")
    return chosen


def _line(values: list[Any]) -> bytes:
    return orjson.dumps(values, option=orjson.OPT_SORT_KEYS) + b"\n"


def _message_line(message: dict[str, Any], chat_id: int, chat_kind: str, me: int) -> list[Any]:
    service = message["_"] == "MessageService"
    sender = _marked(message.get("from_id"))
    if sender is None:
        sender = me if chat_kind == "user" and message.get("out") else chat_id
    reply = message.get("reply_to") or {}
    return [
        "m",
        chat_id,
        message["id"],
        "service" if service else "message",
        _plain(message["date"]),
        sender,
        "" if service else message["message"],
        reply.get("reply_to_msg_id") if reply.get("_") == "MessageReplyHeader" else None,
        message.get("grouped_id"),
        _plain(message.get("edit_date")),
        _plain(message),
    ]


def _marked(peer: dict[str, Any] | None) -> int | None:
    if peer is None:
        return None
    if peer["_"] == "PeerUser":
        return int(peer["user_id"])
    if peer["_"] == "PeerChat":
        return -int(peer["chat_id"])
    return -(10**12) - int(peer["channel_id"])


def _plain(value: Any) -> Any:
    """`value` as JSON has it, pruned."""
    if isinstance(value, dict):
        return {
            key: _plain(inner)
            for key, inner in value.items()
            if key not in LEFT_OUT and inner is not None and inner is not False and inner != []
        }
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    return value


def _file_lines(world: World, chat_id: int, message: dict[str, Any]) -> Iterator[list[Any]]:
    """The file line of a message: none or one."""
    holder = message.get("action") or message.get("media") or {}
    kind, held = "photo", None
    if holder.get("_") in ("MessageMediaPhoto", "MessageActionChatEditPhoto"):
        held = holder["photo"]
    elif holder.get("_") == "MessageMediaDocument":
        held = holder["document"]
        kind = _document_kind(held["attributes"])
    if held is None:
        return
    spec = _served(world, held["id"])
    yield ["f", chat_id, message["id"], kind, held["id"], spec.size, spec.sha256()]


def _served(world: World, file_id: int) -> FileSpec:
    spec = world.file(file_id)
    if spec is None:
        raise LookupError(f"a message carries file {file_id}, which this world does not serve")
    return spec


def _document_kind(attributes: list[dict[str, Any]]) -> str:
    kinds = set()
    for attribute in attributes:
        match attribute["_"]:
            case "DocumentAttributeSticker":
                kinds.add("sticker")
            case "DocumentAttributeVideo":
                kinds.add("video_message" if attribute.get("round_message") else "video_file")
            case "DocumentAttributeAudio":
                kinds.add("voice_message" if attribute.get("voice") else "audio_file")
            case "DocumentAttributeAnimated":
                kinds.add("animation")
    return next((kind for kind in DOCUMENT_KINDS if kind in kinds), "file")
