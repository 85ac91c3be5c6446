"""One message of result.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tobs.archive.desktop import media, service
from tobs.archive.desktop.actions import Event, replied_to
from tobs.archive.desktop.layout import local, unix
from tobs.archive.desktop.peers import label, marked
from tobs.archive.desktop.text import inline, pieces

if TYPE_CHECKING:
    from tobs.archive.desktop.media import Files
    from tobs.archive.desktop.peers import Peers

BUTTONS = {
    "InlineButtonTypeUrl": "url",
    "InlineButtonTypeCallback": "callback",
    "InlineButtonTypeSwitchInline": "switch_inline",
    "InlineButtonTypeGame": "game",
    "InlineButtonTypeBuy": "buy",
    "InlineButtonTypeUrlAuth": "auth",
    "InlineButtonTypeUserProfile": "user_profile",
    "InlineButtonTypeWebView": "web_view",
    "InlineButtonTypeCopy": "copy_text",
}


class Row(NamedTuple):
    """The columns of a message that result.json is made from; `raw` is parsed."""

    id: int
    kind: str
    date: str
    edited: str | None
    sender_id: int | None
    text: str
    raw: dict[str, Any]


def convert(row: Row, files: Files, peers: Peers) -> dict[str, Any]:
    """A message with its keys in Telegram Desktop's order. `files` are this message's."""
    raw = row.raw
    carried = raw.get("media")
    if carried is not None and carried["_"] in media.UNSUPPORTED:
        return {"id": row.id, "type": "unsupported"}
    keys: dict[str, Any] = {
        "id": row.id,
        "type": row.kind,
        "date": local(row.date),
        "date_unixtime": str(unix(row.date)),
    }
    if row.edited is not None and not raw.get("edit_hide"):
        keys["edited"] = local(row.edited)
        keys["edited_unixtime"] = str(unix(row.edited))
    reply = raw.get("reply_to") or {}
    action = raw.get("action")
    if row.kind == "service":
        if action is not None:
            keys.update(service.describe(Event(action, reply, row.sender_id, peers, files)))
    else:
        keys.update(_origin(row, reply, peers))
    bot = raw.get("via_bot_id") or row.sender_id
    keys.update(media.describe(carried, media.Setting(files, peers, bot)))
    parts = pieces(row.text, raw.get("entities"))
    keys["text"] = inline(parts)
    keys["text_entities"] = parts
    buttons = _buttons(raw.get("reply_markup"))
    if buttons:
        keys["inline_bot_buttons"] = buttons
    reactions = _reactions(raw.get("reactions"), peers)
    if reactions:
        keys["reactions"] = reactions
    return keys


def _origin(row: Row, reply: dict[str, Any], peers: Peers) -> dict[str, Any]:
    """Who wrote it, where it comes from and what it answers."""
    raw = row.raw
    keys: dict[str, Any] = {}
    if row.sender_id is not None:
        keys["from"] = peers.name(row.sender_id)
        keys["from_id"] = label(row.sender_id)
    if raw.get("post_author"):
        keys["author"] = raw["post_author"]
    forward = raw.get("fwd_from")
    if forward is not None:
        source = marked(forward.get("from_id"))
        if source is not None:
            keys["forwarded_from"] = peers.name(source)
        elif forward.get("from_name"):
            keys["forwarded_from"] = forward["from_name"]
        saved = marked(forward.get("saved_from_peer"))
        if saved is not None:
            keys["saved_from"] = peers.name(saved)
    keys.update(replied_to(reply, "reply_to_message_id"))
    if raw.get("via_bot_id"):
        username = peers.find(raw["via_bot_id"]).username
        if username:
            keys["via_bot"] = f"@{username}"
    return keys


def _buttons(markup: dict[str, Any] | None) -> list[list[dict[str, Any]]]:
    if markup is None or markup["_"] != "ReplyInlineMarkup":
        return []
    return [[_button(button) for button in row.get("buttons", [])] for row in markup.get("rows", [])]


def _button(button: dict[str, Any]) -> dict[str, Any]:
    kind = button.get("type") or {}
    name = BUTTONS.get(kind.get("_", ""), "default")
    if kind.get("requires_password"):
        name = "callback_with_password"
    elif kind.get("same_peer"):
        name = "switch_inline_same"
    keys: dict[str, Any] = {"type": name}
    if button.get("text"):
        keys["text"] = button["text"]
    if kind.get("data"):
        # Bytes of any kind: Telegram Desktop writes them URL-safe and unpadded, and an empty `data` beside them.
        keys["dataBase64"] = kind["data"].translate(str.maketrans("+/", "-_")).rstrip("=")
        keys["data"] = ""
    else:
        told = kind.get("url") or kind.get("query") or kind.get("copy_text") or kind.get("user_id")
        if told:
            keys["data"] = str(told)
    if kind.get("fwd_text"):
        keys["forward_text"] = kind["fwd_text"]
    if kind.get("button_id"):
        keys["button_id"] = kind["button_id"]
    return keys


def _reactions(reactions: dict[str, Any] | None, peers: Peers) -> list[dict[str, Any]]:
    if reactions is None:
        return []
    return [
        _reaction(result, reactions.get("recent_reactions") or [], peers) for result in reactions.get("results") or []
    ]


def _reaction(result: dict[str, Any], recent: list[dict[str, Any]], peers: Peers) -> dict[str, Any]:
    reaction = result["reaction"]
    keys: dict[str, Any] = {"type": "paid", "count": result.get("count", 0)}
    if reaction["_"] == "ReactionEmoji":
        keys |= {"type": "emoji", "emoji": reaction["emoticon"]}
    elif reaction["_"] == "ReactionCustomEmoji":
        keys |= {"type": "custom_emoji", "document_id": str(reaction["document_id"])}
    given = []
    for one in recent:
        peer = marked(one.get("peer_id"))
        if one.get("reaction") == reaction and peer is not None:
            given.append({"from": peers.name(peer), "from_id": label(peer), "date": local(one["date"])})
    if given:
        keys["recent"] = given
    return keys
