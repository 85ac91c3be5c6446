"""Text with entities as consecutive pieces."""

from __future__ import annotations

from typing import Any

KINDS = {
    "MessageEntityBold": "bold",
    "MessageEntityItalic": "italic",
    "MessageEntityUnderline": "underline",
    "MessageEntityStrike": "strikethrough",
    "MessageEntitySpoiler": "spoiler",
    "MessageEntityCode": "code",
    "MessageEntityPre": "pre",
    "MessageEntityBlockquote": "blockquote",
    "MessageEntityMention": "mention",
    "MessageEntityMentionName": "mention_name",
    "InputMessageEntityMentionName": "mention_name",
    "MessageEntityHashtag": "hashtag",
    "MessageEntityCashtag": "cashtag",
    "MessageEntityBotCommand": "bot_command",
    "MessageEntityUrl": "link",
    "MessageEntityTextUrl": "text_link",
    "MessageEntityEmail": "email",
    "MessageEntityPhone": "phone",
    "MessageEntityBankCard": "bank_card",
    "MessageEntityCustomEmoji": "custom_emoji",
}


def pieces(text: str, entities: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """Cut a text into consecutive pieces `{type, text, ...}`, as Telegram Desktop does.

    Entities count in UTF-16 code units. One that begins before the end of the one before it (nested,
    overlapping), that is empty or that ends behind the text is left out: its text is in the others.
    """
    if not text:
        return []
    if not entities:
        return [{"type": "plain", "text": text}]
    units = text.encode("utf-16-le")
    size = len(units) // 2

    def cut(start: int, end: int) -> str:
        return units[2 * start : 2 * end].decode("utf-16-le", errors="replace")

    found: list[dict[str, Any]] = []
    at = 0
    for entity in entities:
        # Zero is left out of nothing, but a missing offset can only be zero.
        start = entity.get("offset", 0)
        end = start + entity.get("length", 0)
        if start < at or end <= start or end > size:
            continue
        if start > at:
            found.append({"type": "plain", "text": cut(at, start)})
        kind = KINDS.get(entity["_"], "unknown")
        found.append({"type": kind, "text": cut(start, end), **_extra(kind, entity)})
        at = end
    if at < size:
        found.append({"type": "plain", "text": cut(at, size)})
    return found


def inline(parts: list[dict[str, Any]]) -> str | list[str | dict[str, Any]]:
    """What stands under `text`: a string if nothing is marked up, else strings and marked pieces."""
    if not parts:
        return ""
    if len(parts) == 1 and parts[0]["type"] == "plain":
        return str(parts[0]["text"])
    return [part["text"] if part["type"] == "plain" else part for part in parts]


def inline_of(value: Any) -> str | list[str | dict[str, Any]]:
    """The same of a TextWithEntities (or of a plain string, as older layers have it)."""
    if isinstance(value, dict):
        return inline(pieces(value.get("text", ""), value.get("entities")))
    return value or ""


def plain_of(value: Any) -> str:
    """The bare text of a TextWithEntities or of a plain string."""
    return str(value.get("text", "") if isinstance(value, dict) else value or "")


def _extra(kind: str, entity: dict[str, Any]) -> dict[str, Any]:
    if kind == "mention_name":
        user = entity.get("user_id", 0)
        return {"user_id": user.get("user_id", 0) if isinstance(user, dict) else user}
    if kind == "custom_emoji":
        return {"document_id": str(entity.get("document_id", ""))}
    if kind == "pre":
        return {"language": entity.get("language", "")}
    if kind == "text_link":
        return {"href": entity.get("url", "")}
    if kind == "blockquote":
        return {"collapsed": bool(entity.get("collapsed"))}
    return {}
