"""Media of a message: photos, documents, contacts, places, polls and the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tobs.archive.desktop.layout import local, render
from tobs.archive.desktop.peers import bare, marked
from tobs.archive.desktop.text import inline_of, plain_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tobs.archive.desktop.peers import Peers

NOT_INCLUDED = "(File not included. Change data exporting settings to download.)"
TOO_BIG = "(File exceeds maximum size. Change data exporting settings to download.)"
UNAVAILABLE = "(File unavailable, please try again later)"
UNSUPPORTED = frozenset({"MessageMediaUnsupported", "MessageMediaStory"})
"""Media for which Telegram Desktop writes nothing but the message's id."""


@dataclass(frozen=True, slots=True)
class Held:
    """What became of a file: its path if it is here, the status of its reference and the reason of that."""

    path: str | None
    status: str
    reason: str
    thumb: str

    def shown(self) -> str:
        """The path, or what Telegram Desktop writes in its place."""
        if self.path is not None:
            return self.path
        if self.status == "skipped":
            return TOO_BIG if "size" in self.reason else NOT_INCLUDED
        return UNAVAILABLE


Files = dict[int, Held]
"""The files of one message by id."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a media object is seen in: its message's files, the archive's peers, and who may be its bot."""

    files: Files
    peers: Peers
    bot: int | None


def describe(media: dict[str, Any] | None, setting: Setting) -> dict[str, Any]:
    """The keys that a media object adds to its message."""
    if media is None:
        return {}
    make = _KINDS.get(media["_"])
    return {} if make is None else make(media, setting)


def photo_keys(photo: dict[str, Any] | None, files: Files) -> dict[str, Any]:
    """`photo` and its size in bytes and pixels; also of a service message that sets one."""
    if photo is None or photo.get("_") != "Photo":
        return {"photo": UNAVAILABLE, "photo_file_size": 0}
    held = files.get(photo["id"])
    sizes = [size for size in photo.get("sizes", []) if size["_"] in ("PhotoSize", "PhotoSizeProgressive")]
    chosen = [size for size in sizes if held is not None and size["type"] == held.thumb] or sizes
    if not chosen:
        return {"photo": UNAVAILABLE, "photo_file_size": 0}
    largest = max(chosen, key=lambda size: size["w"] * size["h"])
    return {
        "photo": held.shown() if held is not None else NOT_INCLUDED,
        "photo_file_size": _bytes(largest),
        "width": largest["w"],
        "height": largest["h"],
    }


def _photo(media: dict[str, Any], setting: Setting) -> dict[str, Any]:
    return {**photo_keys(media.get("photo"), setting.files), **_veil(media)}


def _document(media: dict[str, Any], setting: Setting) -> dict[str, Any]:
    document = media.get("document")
    if document is None or document.get("_") != "Document":
        return {"file": UNAVAILABLE, "file_size": 0, **_veil(media)}
    held = setting.files.get(document["id"])
    attributes: dict[str, dict[str, Any]] = {one["_"]: one for one in document.get("attributes", [])}
    keys: dict[str, Any] = {"file": held.shown() if held is not None else NOT_INCLUDED}
    name = attributes.get("DocumentAttributeFilename", {}).get("file_name")
    if name:
        keys["file_name"] = name
    keys["file_size"] = document["size"]
    thumbs = [size for size in document.get("thumbs", []) if size["_"] in ("PhotoSize", "PhotoSizeProgressive")]
    if thumbs:
        keys["thumbnail"] = NOT_INCLUDED
        keys["thumbnail_file_size"] = max(_bytes(size) for size in thumbs)
    keys.update(_document_type(attributes))
    keys["mime_type"] = document.get("mime_type", "")
    shape = attributes.get("DocumentAttributeVideo") or attributes.get("DocumentAttributeImageSize") or {}
    duration = shape.get("duration") or attributes.get("DocumentAttributeAudio", {}).get("duration")
    if duration and int(duration):
        keys["duration_seconds"] = int(duration)
    if shape.get("w") and shape.get("h"):
        keys |= {"width": shape["w"], "height": shape["h"]}
    return {**{key: value for key, value in keys.items() if value != ""}, **_veil(media)}


def _document_type(attributes: dict[str, dict[str, Any]]) -> dict[str, Any]:  # noqa: PLR0911 - by precedence
    audio = attributes.get("DocumentAttributeAudio")
    video = attributes.get("DocumentAttributeVideo")
    sticker = attributes.get("DocumentAttributeSticker") or attributes.get("DocumentAttributeCustomEmoji")
    if sticker is not None:
        return {"media_type": "sticker", "sticker_emoji": sticker.get("alt", "")}
    if video is not None and video.get("round_message"):
        return {"media_type": "video_message"}
    if audio is not None and audio.get("voice"):
        return {"media_type": "voice_message"}
    if "DocumentAttributeAnimated" in attributes:
        return {"media_type": "animation"}
    if video is not None:
        return {"media_type": "video_file"}
    if audio is not None:
        return {
            "media_type": "audio_file",
            "performer": audio.get("performer", ""),
            "title": audio.get("title", ""),
        }
    return {}


def _veil(media: dict[str, Any]) -> dict[str, Any]:
    keys: dict[str, Any] = {}
    if media.get("spoiler"):
        keys["media_spoiler"] = True
    if media.get("ttl_seconds"):
        keys["self_destruct_period_seconds"] = media["ttl_seconds"]
    return keys


def _bytes(size: dict[str, Any]) -> int:
    return max(size.get("sizes") or [0]) if size["_"] == "PhotoSizeProgressive" else int(size["size"])


def _contact(media: dict[str, Any], _: Setting) -> dict[str, Any]:
    phone = media.get("phone_number", "")
    keys: dict[str, Any] = {
        "contact_information": {
            "first_name": media.get("first_name", ""),
            "last_name": media.get("last_name", ""),
            "phone_number": f"+{phone}" if phone.isdigit() else phone,
        }
    }
    if media.get("vcard"):
        keys["contact_vcard"] = NOT_INCLUDED
        keys["contact_vcard_file_size"] = len(media["vcard"].encode())
    return keys


def _point(geo: dict[str, Any] | None) -> dict[str, Any] | None:
    if geo is None or geo.get("_") != "GeoPoint":
        return None
    return {"latitude": geo["lat"], "longitude": geo["long"]}


def _geo(media: dict[str, Any], _: Setting) -> dict[str, Any]:
    keys: dict[str, Any] = {"location_information": _point(media.get("geo"))}
    if media.get("period"):
        keys["live_location_period_seconds"] = media["period"]
    return keys


def _venue(media: dict[str, Any], _: Setting) -> dict[str, Any]:
    keys = {"place_name": media.get("title", ""), "address": media.get("address", "")}
    point = _point(media.get("geo"))
    return {
        **{key: value for key, value in keys.items() if value},
        **({"location_information": point} if point else {}),
    }


def _game(media: dict[str, Any], setting: Setting) -> dict[str, Any]:
    game = media["game"]
    keys = {"game_title": game.get("title", ""), "game_description": game.get("description", "")}
    bot = setting.peers.find(setting.bot) if setting.bot is not None else None
    if bot is not None and bot.is_bot and bot.username and game.get("short_name"):
        keys["game_link"] = f"https://t.me/{bot.username}?game={game['short_name']}"
    return {key: value for key, value in keys.items() if value}


def _invoice(media: dict[str, Any], _: Setting) -> dict[str, Any]:
    facts = {
        "title": media.get("title", ""),
        "description": media.get("description", ""),
        "amount": media.get("total_amount", 0),
        "currency": media.get("currency", ""),
    }
    if media.get("receipt_msg_id"):
        facts["receipt_message_id"] = media["receipt_msg_id"]
    return {"invoice_information": render(facts, 3)}


def _poll(media: dict[str, Any], _: Setting) -> dict[str, Any]:
    poll = media["poll"]
    results = media.get("results") or {}
    votes = {result["option"]: result for result in results.get("results") or []}
    return {
        "poll": {
            "question": plain_of(poll.get("question")),
            "closed": bool(poll.get("closed")),
            "total_voters": results.get("total_voters") or 0,
            "answers": [
                {
                    "text": plain_of(answer.get("text")),
                    "voters": votes.get(answer.get("option"), {}).get("voters") or 0,
                    "chosen": bool(votes.get(answer.get("option"), {}).get("chosen")),
                }
                for answer in poll.get("answers", [])
            ],
        }
    }


def todo_items(items: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """The tasks of a to-do list, also those that a service message adds."""
    return [{"text": inline_of(item.get("title")), "id": item["id"]} for item in items or []]


def _todo(media: dict[str, Any], _: Setting) -> dict[str, Any]:
    todo = media["todo"]
    return {
        "todo_list": {
            "title": inline_of(todo.get("title")),
            "others_can_append": bool(todo.get("others_can_append")),
            "others_can_complete": bool(todo.get("others_can_complete")),
            "answers": todo_items(todo.get("list")),
        }
    }


def _giveaway(media: dict[str, Any], _: Setting) -> dict[str, Any]:
    return {
        "giveaway_information": {
            "quantity": media.get("quantity", 0),
            "months": media.get("months", 0),
            "until_date": local(media["until_date"]),
            "channels": media.get("channels", []),
            "countries": media.get("countries_iso2", []),
            "additional_prize": media.get("prize_description", ""),
            "stars": media.get("stars", 0),
            "is_only_new_subscribers": bool(media.get("only_new_subscribers")),
        }
    }


def _giveaway_results(media: dict[str, Any], _: Setting) -> dict[str, Any]:
    return {
        "giveaway_results": {
            "channel": media.get("channel_id", 0),
            "winners": media.get("winners", []),
            "additional_prize": media.get("prize_description", ""),
            "until_date": local(media["until_date"]),
            "launch_message_id": media.get("launch_msg_id", 0),
            "additional_peers_count": media.get("additional_peers_count", 0),
            "winners_count": media.get("winners_count", 0),
            "unclaimed_count": media.get("unclaimed_count", 0),
            "months": media.get("months", 0),
            "stars": media.get("stars", 0),
            "is_refunded": bool(media.get("refunded")),
            "is_only_new_subscribers": bool(media.get("only_new_subscribers")),
        }
    }


def _paid(media: dict[str, Any], _: Setting) -> dict[str, Any]:
    return {"paid_stars_amount": media.get("stars_amount", 0)}


_KINDS: dict[str, Callable[[dict[str, Any], Setting], dict[str, Any]]] = {
    "MessageMediaPhoto": _photo,
    "MessageMediaDocument": _document,
    "MessageMediaContact": _contact,
    "MessageMediaGeo": _geo,
    "MessageMediaGeoLive": _geo,
    "MessageMediaVenue": _venue,
    "MessageMediaGame": _game,
    "MessageMediaInvoice": _invoice,
    "MessageMediaPoll": _poll,
    "MessageMediaToDo": _todo,
    "MessageMediaGiveaway": _giveaway,
    "MessageMediaGiveawayResults": _giveaway_results,
    "MessageMediaPaidMedia": _paid,
}


def peer_number(peer: dict[str, Any] | None) -> int:
    """The bare id of a Peer object, 0 for none."""
    found = marked(peer)
    return 0 if found is None else bare(found)
