"""What each kind of service message tells beyond its name."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from tobs.archive.desktop.layout import render, unix
from tobs.archive.desktop.media import Files, peer_number, photo_keys
from tobs.archive.desktop.peers import label, marked
from tobs.archive.desktop.text import inline_of, plain_of

if TYPE_CHECKING:
    from tobs.archive.desktop.peers import Peers

PREFIX = "MessageAction"
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_PASSPORT = {"Address": "address_information", "Phone": "phone_number"}
_WHOLE = frozenset({"XTR", "JPY", "KRW", "VND", "CLP"})
"""Currencies without minor units; in the others an amount counts hundredths."""


@dataclass(frozen=True, slots=True)
class Event:
    """A service message: its action, what it replies to, who did it, and where names and files are found."""

    action: dict[str, Any]
    reply: dict[str, Any]
    actor: int | None
    peers: Peers
    files: Files

    def names(self, users: list[int] | None) -> list[str | None]:
        """Names of users by id."""
        return [self.peers.name(user) for user in users or []]

    def replied(self, key: str) -> dict[str, Any]:
        """The id of the message that this one is about, under `key`."""
        return replied_to(self.reply, key)


Extras: TypeAlias = Callable[[Event], dict[str, Any]]
"""Makes the keys that follow `action`."""


def replied_to(reply: dict[str, Any], key: str) -> dict[str, Any]:
    """The id of the message that a reply header names, under `key`, and its chat if that is another."""
    if not reply.get("reply_to_msg_id"):
        return {}
    other = marked(reply.get("reply_to_peer_id"))
    return {
        key: reply["reply_to_msg_id"],
        **({} if other is None else {"reply_to_peer_id": label(other)}),
    }


def snake(kind: str) -> str:
    """A class name in words joined by underscores."""
    return _WORD.sub("_", kind.removeprefix(PREFIX)).lower()


def copied(source: str, key: str, default: Any = "") -> Extras:
    """Copies one field of the action under `key`."""
    return lambda event: {key: event.action.get(source, default)}


def copied_if_set(source: str, key: str) -> Extras:
    """Copies one field of the action under `key` unless it is empty or 0."""
    return lambda event: {key: event.action[source]} if event.action.get(source) else {}


def members(source: str) -> Extras:
    """Names of the users that one field of the action lists (or is)."""

    def extras(event: Event) -> dict[str, Any]:
        users = event.action.get(source)
        return {"members": event.names(users if isinstance(users, list) else [users] if users else [])}

    return extras


def replied(key: str) -> Extras:
    """The message that the event is about, under `key`."""
    return lambda event: event.replied(key)


def set_photo(event: Event) -> dict[str, Any]:
    """The photo that was set."""
    return photo_keys(event.action.get("photo"), event.files)


def money(amount: int, currency: str) -> str:
    """An amount in words; Stars are XTR."""
    return f"{amount} {currency}" if currency in _WHOLE else f"{amount / 100:.2f} {currency}"


def payment(event: Event) -> dict[str, Any]:
    """A payment: amount in minor units, currency, the invoice."""
    action = event.action
    recurring = "used" if action.get("recurring_used") else "init" if action.get("recurring_init") else ""
    return {
        "amount": action.get("total_amount", 0),
        "currency": action.get("currency", ""),
        **event.replied("invoice_message_id"),
        "recurring": recurring,
    }


def refund(event: Event) -> dict[str, Any]:
    """A refund: amount, currency, to whom, of which charge."""
    action = event.action
    peer = marked(action.get("peer"))
    named = {} if peer is None else {"peer_name": event.peers.name(peer), "peer_id": label(peer)}
    return {
        "amount": action.get("total_amount", 0),
        "currency": action.get("currency", ""),
        **named,
        "charge_id": (action.get("charge") or {}).get("id", ""),
    }


def phone_call(event: Event) -> dict[str, Any]:
    """How long a call lasted and why it ended."""
    reason = (event.action.get("reason") or {}).get("_", "").removeprefix("PhoneCallDiscardReason")
    return {**copied_if_set("duration", "duration_seconds")(event), "discard_reason": snake(reason)}


def conference(event: Event) -> dict[str, Any]:
    """How long a group call among contacts lasted, and its state."""
    action = event.action
    return {
        **copied_if_set("duration", "duration_seconds")(event),
        "is_active": bool(action.get("active")),
        "is_missed": bool(action.get("missed")),
    }


def bot_permission(action: dict[str, Any]) -> str:
    """The action that allows a bot to write depends on where it was allowed."""
    if action.get("attach_menu"):
        return "attach_menu_bot_allowed"
    return "web_app_bot_allowed" if action.get("from_request") else "allow_sending_messages"


def bot_permission_reason(event: Event) -> dict[str, Any]:
    """The app or the site for which a bot may write."""
    if bot_permission(event.action) != "allow_sending_messages":
        return {}
    app = event.action.get("app")
    if app and app.get("id"):
        return {"reason_app_id": app["id"], "reason_app_name": app.get("title", "")}
    return {"reason_domain": event.action.get("domain", "")}


def passport(event: Event) -> dict[str, Any]:
    """Which documents were handed over, not what is in them."""
    words = [one["_"].removeprefix("SecureValueType") for one in event.action.get("types", [])]
    return {"values": [_PASSPORT.get(word, snake(word)) for word in words]}


def proximity(event: Event) -> dict[str, Any]:
    """Who came near to whom, and the metres between them."""
    keys: dict[str, Any] = {}
    for side in ("from", "to"):
        peer = marked(event.action.get(f"{side}_id"))
        if peer is not None:
            keys[side] = event.peers.name(peer)
            keys[f"{side}_id"] = label(peer)
    return {**keys, "distance": event.action.get("distance", 0)}


def theme(event: Event) -> dict[str, Any]:
    """The emoji that stands for a theme."""
    chosen = event.action.get("theme")
    return {"emoticon": chosen.get("emoticon", "") if isinstance(chosen, dict) else chosen or ""}


def scheduled(event: Event) -> dict[str, Any]:
    """When a call will begin."""
    return {"schedule_date": unix(event.action["schedule_date"])}


def topic_edit(event: Event) -> dict[str, Any]:
    """What of a topic was changed."""
    action = event.action
    keys: dict[str, Any] = {"new_title": action.get("title", "")}
    if action.get("icon_emoji_id") is not None:
        keys["new_icon_emoji_id"] = action["icon_emoji_id"]
    return keys


def requested_peer(event: Event) -> dict[str, Any]:
    """The peers that were picked: a JSON list inside a string."""
    peers = [peer_number(peer) for peer in event.action.get("peers", [])]
    return {"button_id": event.action.get("button_id", 0), "peers": render(peers, 3)}


def premium_gift(event: Event) -> dict[str, Any]:
    """A gift of Premium: price and length."""
    days = event.action.get("days", 0)
    return {**cost(event), **({"months": days // 30, "days": days} if days else {})}


def cost(event: Event) -> dict[str, Any]:
    """The price in words, where one is named."""
    action = event.action
    return {"cost": money(action["amount"], action.get("currency", ""))} if action.get("amount") else {}


def stars_gift(event: Event) -> dict[str, Any]:
    """A gift of Stars: price and number."""
    return {**cost(event), **copied_if_set("stars", "stars")(event)}


def ton_gift(event: Event) -> dict[str, Any]:
    """A gift of TON: price, whole coins and billionths."""
    whole, nano = divmod(event.action.get("crypto_amount") or event.action.get("amount", 0), 10**9)
    return {**cost(event), "amount_whole": whole, "amount_nano": nano}


def star_gift(event: Event) -> dict[str, Any]:
    """A gift that was bought with Stars."""
    action = event.action
    gift = action.get("gift") or {}
    return {
        "gift_id": gift.get("id", 0),
        "stars": gift.get("stars", 0),
        "is_limited": bool(gift.get("limited")),
        "is_anonymous": bool(action.get("name_hidden")),
        "gift_text": inline_of(action.get("message")),
    }


def gift_code(event: Event) -> dict[str, Any]:
    """A code for Premium."""
    action = event.action
    boosted = marked(action.get("boost_peer"))
    return {
        "gift_code": action.get("slug", ""),
        **({} if boosted is None else {"boost_peer_id": label(boosted)}),
        "months": action.get("days", 0) // 30,
        "days": action.get("days", 0),
        "unclaimed": bool(action.get("unclaimed")),
        "via_giveaway": bool(action.get("via_giveaway")),
    }


def stars_prize(event: Event) -> dict[str, Any]:
    """Stars that were won."""
    action = event.action
    boosted = marked(action.get("boost_peer"))
    named: dict[str, Any] = {}
    if boosted is not None:
        named = {"boost_peer_id": label(boosted), "boost_peer_name": event.peers.name(boosted)}
    return {
        **named,
        "stars": action.get("stars", 0),
        "is_unclaimed": bool(action.get("unclaimed")),
        "giveaway_msg_id": action.get("giveaway_msg_id", 0),
        "transaction_id": action.get("transaction_id", ""),
    }


def winners(event: Event) -> dict[str, Any]:
    """How a giveaway ended."""
    action = event.action
    return {
        "winners": action.get("winners_count", 0),
        "unclaimed": action.get("unclaimed_count", 0),
        "stars": bool(action.get("stars")),
    }


def price(event: Event) -> dict[str, Any]:
    """The price of a suggested post in Stars or TON."""
    asked = event.action.get("price") or {}
    if asked.get("_") == "StarsTonAmount":
        whole, nano = divmod(asked.get("amount", 0), 10**9)
        return {"price_amount_whole": str(whole), "price_amount_nano": str(nano), "price_currency": "TON"}
    return {
        "price_amount_whole": str(asked.get("amount", 0)),
        "price_amount_nano": str(asked.get("nanos", 0)),
        "price_currency": "Stars",
    }


def approval(event: Event) -> dict[str, Any]:
    """Whether a suggested post was taken: why not, or for what price and when."""
    action = event.action
    if action.get("rejected"):
        return {"rejected": True, "comment": action.get("reject_comment", "")}
    when = action.get("schedule_date")
    return {**price(event), "scheduled_date": unix(when) if when else 0}


def tasks(event: Event) -> dict[str, Any]:
    """Numbers of tasks that were ticked off, or no more."""
    action = event.action
    return {"completed": action.get("completed", []), "incompleted": action.get("incompleted", [])}


def birthday(event: Event) -> dict[str, Any]:
    """The day that was suggested; the year may be missing."""
    told = event.action.get("birthday") or {}
    return {key: told[key] for key in ("day", "month", "year") if told.get(key)}


def poll_answer(event: Event) -> dict[str, Any]:
    """The answer that was added or taken away."""
    return {"option": plain_of((event.action.get("answer") or {}).get("text"))}
