"""What a message is, as bits: what `messages.search` filters by, kept beside each message.

Source of the filters: https://core.telegram.org/type/MessagesFilter.
"""

from __future__ import annotations

from typing import Any

from telethon.tl import types

PHOTO = 1 << 0
VIDEO = 1 << 1
DOCUMENT = 1 << 2
"""Any other file: neither photo nor video, voice, round video, music, sticker or animation."""

URL = 1 << 3
GIF = 1 << 4
VOICE = 1 << 5
MUSIC = 1 << 6
ROUND = 1 << 7
CHAT_PHOTO = 1 << 8
PINNED = 1 << 9
GEO = 1 << 10
CONTACT = 1 << 11
POLL = 1 << 12
STICKER = 1 << 13
SERVICE = 1 << 14
MENTION = 1 << 15
"""Mentions the account or replies to it."""

PHONE_CALL = 1 << 16

_LINKS = (types.MessageEntityUrl, types.MessageEntityTextUrl, types.MessageEntityEmail)
_ACTIONS = {
    types.MessageActionChatEditPhoto: CHAT_PHOTO,
    types.MessageActionPhoneCall: PHONE_CALL,
}
_FLAT = {
    types.MessageMediaGeo: GEO,
    types.MessageMediaGeoLive: GEO,
    types.MessageMediaVenue: GEO,
    types.MessageMediaContact: CONTACT,
    types.MessageMediaPoll: POLL,
}


def marks_of(message: Any) -> int:
    """The marks of a TL message or service message. A web page's preview makes no photo or document."""
    action = getattr(message, "action", None)
    if action is not None:
        return SERVICE | _ACTIONS.get(type(action), 0) | (MENTION if message.mentioned else 0)
    marks = (PINNED if message.pinned else 0) | (MENTION if message.mentioned else 0)
    if message.entities and any(isinstance(entity, _LINKS) for entity in message.entities):
        marks |= URL
    media = message.media
    if media is None:
        return marks
    if isinstance(media, types.MessageMediaPhoto):
        return marks | (PHOTO if isinstance(media.photo, types.Photo) else 0)
    if isinstance(media, types.MessageMediaDocument):
        return marks | (_document_marks(media.document) if isinstance(media.document, types.Document) else 0)
    return marks | _FLAT.get(type(media), 0)


def _document_marks(document: types.Document) -> int:
    held = {type(attribute): attribute for attribute in document.attributes}
    video, audio = held.get(types.DocumentAttributeVideo), held.get(types.DocumentAttributeAudio)
    if types.DocumentAttributeSticker in held or types.DocumentAttributeCustomEmoji in held:
        return STICKER
    if video is not None and video.round_message:
        return ROUND
    if types.DocumentAttributeAnimated in held:
        return GIF
    if video is not None:
        return VIDEO
    if audio is not None:
        return VOICE if audio.voice else MUSIC
    return DOCUMENT
