"""From TL objects to rows. The hot path: called once a page, with no call of ours a field.

`raw` holds the whole object as JSON: `_` names its class, bytes are base64, dates ISO 8601, and what is None,
False or an empty list is left out.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
from telethon.tl import types
from telethon.tl.tlobject import TLObject

from tobs.telegram.reading import MessageEmpty, MessageService
from tobs.values import Batch, MediaRef, MessageRow, PeerRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tobs.values import Page

CHANNEL = -1_000_000_000_000
"""Marked id of channel 0; channel n is CHANNEL - n."""
_SIZES = (types.PhotoSize, types.PhotoSizeProgressive)


def marked(peer: Any) -> int | None:
    """A peer's marked id."""
    if isinstance(peer, types.PeerUser):
        return int(peer.user_id)
    if isinstance(peer, types.PeerChannel):
        return CHANNEL - int(peer.channel_id)
    if isinstance(peer, types.PeerChat):
        return -int(peer.chat_id)
    return None


def encode(thing: TLObject) -> str:
    """A TL object as JSON text."""
    return orjson.dumps(thing, default=_fields).decode()


def _fields(thing: Any) -> Any:
    if isinstance(thing, TLObject):
        fields: dict[str, Any] = thing.__dict__
        if "_" in fields:  # it holds no more than that: see `tobs.telegram.sparse`
            return fields
        kept = {
            key: value
            for key, value in fields.items()
            if value is not None and value is not False and key[0] != "_" and (value or value.__class__ is not list)
        }
        kept["_"] = type(thing).__name__
        return kept
    if isinstance(thing, bytes):
        return b64encode(thing).decode()
    raise TypeError(type(thing).__name__)


class Normaliser:
    """Makes batches. `me` is the account's own user id; peers are handed on once a run."""

    def __init__(self, me: int) -> None:
        self.me = me
        self.peers: dict[int, Any] = {}
        self._known: set[int] = set()

    def __call__(self, page: Page) -> Batch:
        """Rows of one page, newest first as it came."""
        chat = page.chat
        chat_id = chat.id
        rows: list[MessageRow] = []
        media: list[MediaRef] = []
        for message in page.messages:
            if isinstance(message, MessageEmpty):
                continue
            reply = message.reply_to
            reply_to = topic = None
            if isinstance(reply, types.MessageReplyHeader):
                reply_to = reply.reply_to_msg_id
                if reply.forum_topic:
                    topic = reply.reply_to_top_id or reply_to
            sender = marked(message.from_id) if message.from_id is not None else None
            if sender is None:
                sender = self.me if chat.kind == "user" and message.out else chat_id
            head = (chat_id, message.id, message.date.isoformat(), sender)
            if isinstance(message, MessageService):
                row = MessageRow(*head, "", "service", reply_to, None, topic, None, None, None, encode(message))
                ref = reference(chat_id, message)
            else:
                edited = message.edit_date
                row = MessageRow(
                    *head,
                    message.message or "",
                    "message",
                    reply_to,
                    message.grouped_id,
                    topic,
                    None if edited is None else edited.isoformat(),
                    message.views,
                    message.forwards,
                    encode(message),
                )
                ref = None if message.media is None else reference(chat_id, message)
            rows.append(row)
            if ref is not None:
                media.append(ref)
        return Batch(chat_id, page.span, rows, media, self._fresh(page.peers))

    def _fresh(self, peers: Iterable[Any]) -> list[PeerRow]:
        rows = []
        for peer in peers:
            row_id = peer_id(peer)
            if row_id not in self._known:
                self._known.add(row_id)
                rows.append(peer_row(row_id, peer))
        return rows


def peer_id(peer: Any) -> int:
    """Marked id of a user, group or channel object."""
    if isinstance(peer, types.User | types.UserEmpty):
        return int(peer.id)
    if isinstance(peer, types.Channel | types.ChannelForbidden):
        return CHANNEL - int(peer.id)
    return -int(peer.id)


def peer_row(row_id: int, peer: Any) -> PeerRow:
    """A user, group or channel as the archive keeps it."""
    if row_id > 0:
        names = (getattr(peer, "first_name", None), getattr(peer, "last_name", None))
        kind, name = "user", " ".join(part for part in names if part)
    else:
        kind, name = ("channel" if row_id <= CHANNEL else "chat"), getattr(peer, "title", "") or ""
    return PeerRow(row_id, kind, name, getattr(peer, "username", None), encode(peer))


def references(chat_id: int, messages: Iterable[Any]) -> Iterator[MediaRef]:
    """The files of some messages."""
    for message in messages:
        if not isinstance(message, MessageEmpty):
            ref = reference(chat_id, message)
            if ref is not None:
                yield ref


def reference(chat_id: int, message: Any) -> MediaRef | None:
    """The file that a message carries, or the photo that a service message sets (chat) or suggests (profile)."""
    if isinstance(message, MessageService):
        action = message.action
        changed = isinstance(action, types.MessageActionChatEditPhoto | types.MessageActionSuggestProfilePhoto)
        return _photo(chat_id, message.id, action.photo) if changed else None
    media = message.media
    if isinstance(media, types.MessageMediaPhoto):
        return _photo(chat_id, message.id, media.photo)
    if isinstance(media, types.MessageMediaDocument):
        return _document(chat_id, message.id, media.document)
    return None


def _photo(chat_id: int, message_id: int, photo: Any) -> MediaRef | None:
    if not isinstance(photo, types.Photo):
        return None
    sizes = [(size.w * size.h, _bytes(size), size.type) for size in photo.sizes if isinstance(size, _SIZES)]
    if not sizes:
        return None
    _, size, thumb = max(sizes)
    return MediaRef(
        chat_id,
        message_id,
        "photo",
        photo.id,
        photo.dc_id,
        size,
        None,
        "image/jpeg",
        _date(photo.date),
        "photo",
        photo.access_hash,
        photo.file_reference,
        thumb,
    )


def _bytes(size: Any) -> int:
    return int(max(size.sizes) if isinstance(size, types.PhotoSizeProgressive) else size.size)


def _document(chat_id: int, message_id: int, document: Any) -> MediaRef | None:
    if not isinstance(document, types.Document):
        return None
    name = next((a.file_name for a in document.attributes if isinstance(a, types.DocumentAttributeFilename)), None)
    return MediaRef(
        chat_id,
        message_id,
        kind_of(document),
        document.id,
        document.dc_id,
        document.size,
        name,
        document.mime_type,
        _date(document.date),
        "document",
        document.access_hash,
        document.file_reference,
        "",
    )


def kind_of(document: types.Document) -> str:
    """Telegram Desktop's word for a document, by its attributes and in its order of precedence."""
    found: set[str] = set()
    for attribute in document.attributes:
        if isinstance(attribute, types.DocumentAttributeSticker):
            found.add("sticker")
        elif isinstance(attribute, types.DocumentAttributeVideo):
            found.add("video_message" if attribute.round_message else "video_file")
        elif isinstance(attribute, types.DocumentAttributeAudio):
            found.add("voice_message" if attribute.voice else "audio_file")
        elif isinstance(attribute, types.DocumentAttributeAnimated):
            found.add("animation")
    order = ("sticker", "video_message", "voice_message", "animation", "video_file", "audio_file")
    return next((kind for kind in order if kind in found), "file")


def _date(date: datetime | None) -> str:
    return (date or datetime.fromtimestamp(0, UTC)).isoformat()
