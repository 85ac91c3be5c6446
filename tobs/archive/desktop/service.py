"""Service messages: what happened in a chat, and who did it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tobs.archive.desktop import actions
from tobs.archive.desktop.media import todo_items
from tobs.archive.desktop.peers import label

if TYPE_CHECKING:
    from collections.abc import Callable

    from tobs.archive.desktop.actions import Event, Extras


def describe(event: Event) -> dict[str, Any]:
    """Who did what: `actor`, `actor_id`, `action` and its extras. An action unknown here keeps its name."""
    kind = event.action["_"].removeprefix(actions.PREFIX)
    name, has_actor, extras = ACTIONS.get(kind, (actions.snake(kind), True, None))
    if callable(name):
        name = name(event.action)
    keys: dict[str, Any] = {}
    if has_actor and event.actor is not None:
        keys["actor"] = event.peers.name(event.actor)
        keys["actor_id"] = label(event.actor)
    if name:
        keys["action"] = name
    if extras is not None:
        keys.update((key, value) for key, value in extras(event).items() if value != "")
    return keys


ACTIONS: dict[str, tuple[str | Callable[[dict[str, Any]], str], bool, Extras | None]] = {
    "ChatCreate": (
        "create_group",
        True,
        lambda event: {**actions.copied("title", "title")(event), **actions.members("users")(event)},
    ),
    "ChatEditTitle": ("edit_group_title", True, actions.copied("title", "title")),
    "ChatEditPhoto": ("edit_group_photo", True, actions.set_photo),
    "ChatDeletePhoto": ("delete_group_photo", True, None),
    "ChatAddUser": ("invite_members", True, actions.members("users")),
    "ChatDeleteUser": ("remove_members", True, actions.members("user_id")),
    "ChatJoinedByLink": (
        "join_group_by_link",
        True,
        lambda event: {"inviter": event.peers.name(event.action.get("inviter_id", 0))},
    ),
    "ChatJoinedByRequest": ("join_group_by_request", True, None),
    "ChannelCreate": ("create_channel", True, actions.copied("title", "title")),
    "ChatMigrateTo": ("migrate_to_supergroup", True, None),
    "ChannelMigrateFrom": ("migrate_from_group", True, actions.copied("title", "title")),
    "PinMessage": ("pin_message", True, actions.replied("message_id")),
    "HistoryClear": ("clear_history", True, None),
    "GameScore": (
        "score_in_game",
        True,
        lambda event: {**event.replied("game_message_id"), "score": event.action.get("score", 0)},
    ),
    "PaymentSent": ("send_payment", False, actions.payment),
    "PaymentSentMe": ("send_payment", False, actions.payment),
    "PaymentRefunded": ("refunded_payment", False, actions.refund),
    "PhoneCall": ("phone_call", True, actions.phone_call),
    "ConferenceCall": ("conference_call", True, actions.conference),
    "GroupCall": ("group_call", True, actions.copied_if_set("duration", "duration")),
    "GroupCallScheduled": ("group_call_scheduled", True, actions.scheduled),
    "InviteToGroupCall": ("invite_to_group_call", True, actions.members("users")),
    "ScreenshotTaken": ("take_screenshot", True, None),
    "ContactSignUp": ("joined_telegram", True, None),
    "SetMessagesTTL": ("set_messages_ttl", True, actions.copied("period", "period", 0)),
    "SetChatTheme": ("edit_chat_theme", True, actions.theme),
    "SetChatWallPaper": (
        lambda action: "set_same_chat_wallpaper" if action.get("same") else "set_chat_wallpaper",
        True,
        actions.replied("message_id"),
    ),
    "TopicCreate": ("topic_created", True, actions.copied("title", "title")),
    "TopicEdit": ("topic_edit", True, actions.topic_edit),
    "GeoProximityReached": ("proximity_reached", False, actions.proximity),
    "PhoneNumberRequest": ("requested_phone_number", True, None),
    "RequestedPeer": ("requested_peer", True, actions.requested_peer),
    "RequestedPeerSentMe": ("requested_peer", True, actions.requested_peer),
    "BotAllowed": (actions.bot_permission, False, actions.bot_permission_reason),
    "WebViewDataSent": ("send_webview_data", False, actions.copied("text", "text")),
    "WebViewDataSentMe": ("send_webview_data", False, actions.copied("text", "text")),
    "SecureValuesSent": ("send_passport_values", False, actions.passport),
    "SuggestProfilePhoto": ("suggest_profile_photo", True, actions.set_photo),
    "BoostApply": ("boost_apply", True, actions.copied("boosts", "boosts", 0)),
    "GiftPremium": ("send_premium_gift", True, actions.premium_gift),
    "GiftStars": ("send_stars_gift", True, actions.stars_gift),
    "GiftTon": ("send_ton_gift", True, actions.ton_gift),
    "StarGift": ("send_star_gift", True, actions.star_gift),
    "StarGiftUnique": ("send_star_gift", True, actions.star_gift),
    "GiftCode": ("gift_code_prize", False, actions.gift_code),
    "PrizeStars": ("stars_prize", True, actions.stars_prize),
    "GiveawayLaunch": ("giveaway_launch", False, None),
    "GiveawayResults": ("giveaway_results", False, actions.winners),
    "PaidMessagesRefunded": (
        "paid_messages_refund",
        True,
        lambda event: {
            "messages_count": event.action.get("count", 0),
            "stars_count": event.action.get("stars", 0),
        },
    ),
    "PaidMessagesPrice": (
        "paid_messages_price_change",
        True,
        lambda event: {
            "price_stars": event.action.get("stars", 0),
            "is_broadcast_messages_allowed": bool(event.action.get("broadcast_messages_allowed")),
        },
    ),
    "TodoCompletions": ("todo_completions", True, actions.tasks),
    "TodoAppendTasks": (
        "todo_append_tasks",
        True,
        lambda event: {"items": todo_items(event.action.get("list"))},
    ),
    "PollAppendAnswer": ("poll_append_answer", True, actions.poll_answer),
    "PollDeleteAnswer": ("poll_delete_answer", True, actions.poll_answer),
    "SuggestedPostApproval": ("process_suggested_post", True, actions.approval),
    "SuggestedPostSuccess": ("suggested_post_success", True, actions.price),
    "SuggestedPostRefund": (
        "suggested_post_refund",
        True,
        lambda event: {"user_initiated": bool(event.action.get("payer_initiated"))},
    ),
    "SuggestBirthday": ("suggest_birthday", True, actions.birthday),
    # A custom action has only its text.
    "CustomAction": ("", True, actions.copied("message", "information_text")),
}
"""By TL class without its prefix: the action's name, whether its actor is named, and its extras."""
