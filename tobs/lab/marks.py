"""What a message is, as bits: what `messages.search` filters by, kept beside each message.

Source of the filters: https://core.telegram.org/type/MessagesFilter.
"""

from __future__ import annotations

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
