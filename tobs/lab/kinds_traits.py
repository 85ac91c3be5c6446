"""Messages that differ by what surrounds their text: origins, replies, buttons, reactions, flags."""

from __future__ import annotations

from typing import Any

from telethon.tl import types

from tobs.lab.crowd import reactors
from tobs.lab.moments import (
    BROADCAST,
    CHANNELS,
    DAY,
    EVERYWHERE,
    GROUPS,
    PRIVATE,
    SAVED,
    UNTHREADED,
    USER,
    Fields,
    Kind,
    Moment,
)
from tobs.lab.people import mark
from tobs.lab.text import FIRST_CUSTOM_EMOJI

MANY = 9
SHOWN = 3
"""Reactions whose givers a message names by itself."""


def _said(**fields: Any) -> Any:
    """A message of plain words that differs by these fields."""

    def make(moment: Moment) -> Fields:
        return {"message": moment.words(12), **fields}

    return make


def _via_bot(moment: Moment) -> Fields:
    return {"message": moment.words(), "via_bot_id": moment.cast.bot.id}


def _via_business(moment: Moment) -> Fields:
    return {"message": moment.words(), "via_business_bot_id": moment.cast.bot.id, "offline": True}


def _via_guest(moment: Moment) -> Fields:
    return {"message": moment.words(), "guestchat_via_from": types.PeerUser(moment.somebody.id)}


def _mention(moment: Moment) -> Fields:
    me = moment.cast.me
    text = f"@{me.username} {moment.words()}"
    return {
        "message": text,
        "entities": [types.MessageEntityMention(0, len(me.username) + 1)],
        "mentioned": True,
        "media_unread": True,
    }


def _forward(moment: Moment, **header: Any) -> Fields:
    return {"message": moment.words(12), "fwd_from": types.MessageFwdHeader(moment.date - DAY, **header)}


def _signed_forward(moment: Moment) -> Fields:
    origin = types.PeerChannel(moment.cast.origin.id)
    fields = _forward(moment, from_id=origin, channel_post=moment.draws.between(1, 999), post_author="Editor")
    return fields | {"views": 10_000, "forwards": 12}


def _imported(moment: Moment) -> Fields:
    return _forward(moment, from_name="Imported 📱", imported=True)


def _announced(moment: Moment) -> Fields:
    return _forward(moment, from_id=types.PeerChannel(moment.cast.origin.id), psa_type="covid")


def _saved(moment: Moment) -> Fields:
    """Saved out of a channel: where it was seen, and who wrote it there."""
    origin = types.PeerChannel(moment.cast.origin.id)
    fields = _forward(moment, from_id=origin, channel_post=7, saved_from_peer=origin, saved_from_msg_id=7)
    return fields | ({"saved_peer_id": origin} if moment.scene == SAVED else {})


def _saved_by_others(moment: Moment) -> Fields:
    """Saved out of a private chat that was forwarded before: all names that a header has."""
    friend = types.PeerUser(moment.cast.people[1].id)
    fields = _forward(
        moment, from_name="Hidden 🕵 Name", saved_from_peer=friend, saved_from_msg_id=3, saved_from_id=friend,
        saved_from_name="Once Known", saved_date=moment.date - 60, saved_out=True,
    )  # fmt: skip
    return fields | {"saved_peer_id": friend}


def _quote(moment: Moment) -> Fields:
    header = types.MessageReplyHeader(
        quote=True, reply_to_msg_id=moment.earlier, quote_text="a quote 🎉",
        quote_entities=[types.MessageEntityBold(2, 5)], quote_offset=4,
    )  # fmt: skip
    return {"message": moment.words(), "reply_to": header}


def _reply_elsewhere(moment: Moment) -> Fields:
    """A reply to a message of another chat, which comes with what the account may see of it."""
    origin = types.PeerChannel(moment.cast.origin.id)
    header = types.MessageReplyHeader(
        reply_to_msg_id=12, reply_to_peer_id=origin, quote_text=moment.words(3), quote=True,
        reply_from=types.MessageFwdHeader(moment.date - DAY, from_id=origin, channel_post=12),
        reply_media=types.MessageMediaPhoto(photo=moment.photo()),
    )  # fmt: skip
    return {"message": moment.words(), "reply_to": header}


def _reply_to_story(moment: Moment) -> Fields:
    header = types.MessageReplyStoryHeader(types.PeerUser(moment.somebody.id), moment.draws.between(1, 99))
    return {"message": moment.words(), "reply_to": header}


def _reply_to_task(moment: Moment) -> Fields:
    header = types.MessageReplyHeader(reply_to_msg_id=moment.earlier, todo_item_id=2)
    return {"message": moment.words(), "reply_to": header}


def _reply_to_answer(moment: Moment) -> Fields:
    header = types.MessageReplyHeader(reply_to_msg_id=moment.earlier, poll_option=b"1")
    return {"message": moment.words(), "reply_to": header}


def _inline_buttons(moment: Moment) -> Fields:
    """A keyboard below the message with every type of button and style."""
    bot = moment.cast.bot
    forms: tuple[Any, ...] = (
        types.InlineButtonTypeUrl("https://example.org/?a=b&c"),
        types.InlineButtonTypeCallback(b"\x00\xff callback"),
        types.InlineButtonTypeCallback(b"give", requires_password=True),
        types.InlineButtonTypeSwitchInline("query"),
        types.InlineButtonTypeSwitchInline("here", same_peer=True),
        types.InlineButtonTypeSwitchInline("there", peer_types=[types.InlineQueryPeerTypePM()]),
        types.InlineButtonTypeGame(),
        types.InlineButtonTypeBuy(),
        types.InlineButtonTypeUrlAuth("https://example.org/login", 3, fwd_text="Log in"),
        types.InlineButtonTypeUserProfile(moment.somebody.id),
        types.InlineButtonTypeWebView("https://example.org/app"),
        types.InlineButtonTypeCopy("copied 📋"),
        types.InlineButtonTypeDisabled(),
    )
    styles = (None, types.KeyboardButtonStyle(bg_danger=True), types.KeyboardButtonStyle(bg_primary=True, icon=7))
    buttons = [
        types.KeyboardInlineButton(f"{moment.words(1)} {place}", form, style=styles[place % len(styles)])
        for place, form in enumerate(forms)
    ]
    rows = [types.KeyboardInlineButtonRow(buttons[at : at + 3]) for at in range(0, len(buttons), 3)]
    return {"message": moment.words(), "reply_markup": types.ReplyInlineMarkup(rows), "via_bot_id": bot.id}


def _reply_buttons(moment: Moment) -> Fields:
    """A keyboard in place of the user's own, with every type of button."""
    forms: tuple[Any, ...] = (
        types.ButtonTypeDefault(),
        types.ButtonTypeRequestPhone(),
        types.ButtonTypeRequestGeoLocation(),
        types.ButtonTypeRequestPoll(quiz=True),
        types.ButtonTypeRequestPeer(4, types.RequestPeerTypeUser(bot=True, premium=True), 2),
        types.ButtonTypeSimpleWebView("https://example.org/app"),
    )
    row = types.KeyboardButtonRow([types.KeyboardButton(moment.words(1), form) for form in forms])
    markup = types.ReplyKeyboardMarkup([row], resize=True, placeholder="Choose")
    return {"message": moment.words(), "reply_markup": markup}


def _reactions(moment: Moment, *reactions: Any, tags: bool = False) -> Any:
    """Reactions with their counts; in groups and private chats also who gave the latest."""
    members = [user.id for user in moment.members]
    private = moment.scene == BROADCAST
    results, recent = [], []
    for place, reaction in enumerate(reactions):
        count = 1 if tags else moment.draws.between(1, 5_000 if private else min(MANY, len(members)))
        acts = reactors(
            moment.seed, mark(moment.peer), moment.id, date=moment.date, place=place, count=count, members=members
        )
        mine = any(act.user_id == moment.cast.me.id for act in acts) and not private
        results.append(types.ReactionCount(reaction, count, chosen_order=place if mine else None))
        recent += [
            types.MessagePeerReaction(
                types.PeerUser(act.user_id), act.date, reaction, big=(place == 1) or None,
                my=act.user_id == moment.cast.me.id or None,
            )
            for act in acts[:SHOWN]
        ]  # fmt: skip
    if private or tags:
        return types.MessageReactions(results, reactions_as_tags=tags or None)
    return types.MessageReactions(results, can_see_list=True, recent_reactions=recent)


def _emoji_reactions(moment: Moment) -> Fields:
    return {"message": moment.words(), "reactions": _reactions(moment, *map(types.ReactionEmoji, ("👍", "❤", "😱")))}


def _custom_reactions(moment: Moment) -> Fields:
    given = (types.ReactionCustomEmoji(FIRST_CUSTOM_EMOJI), types.ReactionEmoji("🔥"))
    return {"message": moment.words(), "reactions": _reactions(moment, *given)}


def _paid_reactions(moment: Moment) -> Fields:
    reactions = _reactions(moment, types.ReactionPaid(), types.ReactionEmoji("🎉"))
    peer = types.PeerUser(moment.somebody.id)
    reactions.top_reactors = [
        types.MessageReactor(50, top=True, peer_id=peer),
        types.MessageReactor(5, anonymous=True),
    ]
    return {"message": moment.words(), "reactions": reactions}


def _tags(moment: Moment) -> Fields:
    return {"message": moment.words(), "reactions": _reactions(moment, types.ReactionEmoji("🔖"), tags=True)}


def _edited_unseen(moment: Moment) -> Fields:
    return {"message": moment.words(), "edit_date": moment.later(), "edit_hide": True}


def _factcheck(moment: Moment) -> Fields:
    checked = types.FactCheck(moment.number(), country="DE", text=moment.phrase(9))
    return {"message": moment.words(), "factcheck": checked}


def _suggested(moment: Moment) -> Fields:
    price = types.StarsAmount(100, 5)
    suggested = types.SuggestedPost(accepted=True, price=price, schedule_date=moment.later())
    return {"message": moment.words(), "suggested_post": suggested, "paid_suggested_post_stars": True}


def _rich(_moment: Moment) -> Fields:
    """A message made of blocks, as articles are."""
    blocks = [
        types.PageBlockParagraph(types.TextConcat([types.TextPlain("Rich "), types.TextBold(types.TextPlain("text"))])),
        types.PageBlockDivider(),
    ]
    return {"message": "", "rich_message": types.RichMessage(blocks, [], [])}


def _signed(moment: Moment) -> Fields:
    return {"message": moment.words(), "post_author": "Émilie 🖋"}


_RESTRICTED = [types.RestrictionReason("android", "porn", "This message cannot be shown.")]

TRAITS = (
    Kind("pinned", EVERYWHERE, _said(pinned=True)),
    Kind("silent", EVERYWHERE, _said(silent=True)),
    Kind("content protected", EVERYWHERE, _said(noforwards=True)),
    Kind("scheduled", EVERYWHERE, _said(from_scheduled=True)),
    Kind("effect", PRIVATE, _said(effect=5_104_841_245_755_180_586)),
    Kind("life limited", EVERYWHERE, _said(ttl_period=86_400)),
    Kind("restricted", CHANNELS | GROUPS, _said(restriction_reason=_RESTRICTED)),
    Kind("boosted", GROUPS, _said(from_boosts_applied=4, from_rank="Poet 🪶")),
    Kind("paid for", GROUPS | {USER}, _said(paid_message_stars=10)),
    Kind("summary", CHANNELS, _said(summary_from_language="de")),
    Kind("delivery report", PRIVATE, lambda moment: _said(report_delivery_until_date=moment.later())(moment)),
    Kind("legacy", EVERYWHERE, _said(legacy=True)),
    Kind("signed", CHANNELS, _signed),
    Kind("via bot", EVERYWHERE, _via_bot),
    Kind("via business bot", PRIVATE, _via_business),
    Kind("via guest", GROUPS, _via_guest),
    Kind("mention", GROUPS, _mention),
    Kind("forward, signed", EVERYWHERE, _signed_forward),
    Kind("forward, imported", EVERYWHERE, _imported),
    Kind("forward, announced", EVERYWHERE, _announced),
    Kind("saved from", EVERYWHERE, _saved),
    Kind("saved from a person", frozenset({SAVED}), _saved_by_others),
    Kind("quote", UNTHREADED, _quote),
    Kind("reply to another chat", UNTHREADED, _reply_elsewhere),
    Kind("reply to a story", PRIVATE, _reply_to_story),
    Kind("reply to a task", UNTHREADED - CHANNELS, _reply_to_task),
    Kind("reply to an answer", UNTHREADED - CHANNELS, _reply_to_answer),
    Kind("inline buttons", EVERYWHERE, _inline_buttons),
    Kind("reply buttons", EVERYWHERE - CHANNELS - {SAVED}, _reply_buttons),
    Kind("keyboard hidden", GROUPS | PRIVATE, _said(reply_markup=types.ReplyKeyboardHide(selective=True))),
    Kind("reply forced", GROUPS | PRIVATE, _said(reply_markup=types.ReplyKeyboardForceReply(placeholder="Say"))),
    Kind("reactions", EVERYWHERE - {SAVED}, _emoji_reactions),
    Kind("reactions, custom emoji", EVERYWHERE - {SAVED}, _custom_reactions),
    Kind("reactions, paid", CHANNELS | GROUPS, _paid_reactions),
    Kind("tags", frozenset({SAVED}), _tags),
    Kind("edited unseen", EVERYWHERE, _edited_unseen),
    Kind("fact check", CHANNELS, _factcheck),
    Kind("suggested post", CHANNELS, _suggested),
    Kind("rich message", EVERYWHERE, _rich),
)
