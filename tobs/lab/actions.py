"""Every service action of layer 229: what happened, in the scenes in which it happens.

Those that belong to a place of their own are written where that place is: the creation of a chat (`compose`), its
migration (`migration`), a forum's topics (`forum`).
"""

from __future__ import annotations

from typing import Any

from telethon.tl import types

from tobs.lab.actions_money import MONEY
from tobs.lab.kinds_polls import poll_media
from tobs.lab.moments import CHANNELS, DAY, EVERYWHERE, GROUPS, PRIVATE, SAVED, Action, Fields, Moment

MANY = GROUPS | CHANNELS


def _about(moment: Moment, action: Any) -> Fields:
    """Something that happened to an earlier message."""
    return {"action": action, "reply_to": moment.reply()}


def _call(moment: Moment) -> types.InputGroupCall:
    return types.InputGroupCall(moment.number(), moment.draws.signed64())


def _call_planned(moment: Moment) -> Fields:
    return {"action": types.MessageActionGroupCallScheduled(_call(moment), moment.date + DAY)}


def _call_joined(moment: Moment) -> Fields:
    return {"action": types.MessageActionInviteToGroupCall(_call(moment), [moment.somebody.id])}


def _photo_set(moment: Moment) -> Fields:
    return {"action": types.MessageActionChatEditPhoto(moment.photo())}


def _photo_suggested(moment: Moment) -> Fields:
    return {"action": types.MessageActionSuggestProfilePhoto(moment.photo())}


def _phone_call(reason: Any, duration: int | None, *, video: bool) -> Any:
    def make(moment: Moment) -> Fields:
        action = types.MessageActionPhoneCall(moment.number(), video=video or None, reason=reason, duration=duration)
        return {"action": action}

    return make


def _conference(moment: Moment) -> Fields:
    others = [types.PeerUser(user.id) for user in moment.members[:2]]
    action = types.MessageActionConferenceCall(
        moment.number(), active=True, video=True, duration=75, other_participants=others
    )
    return {"action": action}


def _conference_missed(moment: Moment) -> Fields:
    return {"action": types.MessageActionConferenceCall(moment.number(), missed=True)}


def _near(moment: Moment) -> Fields:
    """Two people came near each other; the one who asked to be told is the account."""
    action = types.MessageActionGeoProximityReached(
        types.PeerUser(moment.somebody.id), types.PeerUser(moment.cast.me.id), moment.draws.between(1, 500)
    )
    return {"action": action}


def _wallpaper(moment: Moment) -> Fields:
    """A wallpaper with a file, which is no file of the message."""
    if not moment.documents:
        return _plain_wallpaper(moment)
    settings = types.WallPaperSettings(blur=True, background_color=0x112233, intensity=40)
    paper = types.WallPaper(
        moment.number(), moment.draws.signed64(), "paper", moment.document(), pattern=True, settings=settings
    )
    return {"action": types.MessageActionSetChatWallPaper(paper, for_both=True)}


def _plain_wallpaper(moment: Moment) -> Fields:
    paper = types.WallPaperNoFile(moment.number(), dark=True, settings=types.WallPaperSettings(emoticon="🌙"))
    return {"action": types.MessageActionSetChatWallPaper(paper)}


def _same_wallpaper(moment: Moment) -> Fields:
    paper = types.WallPaperNoFile(moment.number(), default=True)
    return _about(moment, types.MessageActionSetChatWallPaper(paper, same=True))


def _theme_of_gift(moment: Moment) -> Fields:
    gift = types.StarGift(moment.number(), moment.document(), 100, 85)
    return {"action": types.MessageActionSetChatTheme(types.ChatThemeUniqueGift(gift, []))}


def _peer_requested(moment: Moment) -> Fields:
    peers = [types.PeerUser(moment.somebody.id), types.PeerChannel(moment.cast.origin.id)]
    return {"action": types.MessageActionRequestedPeer(3, peers)}


def _peer_requested_sent(moment: Moment) -> Fields:
    user = moment.somebody
    peers = [
        types.RequestedPeerUser(user.id, first_name=user.first_name, last_name="", photo=moment.photo()),
        types.RequestedPeerChannel(moment.cast.origin.id, title=moment.cast.origin.title),
        types.RequestedPeerChat(moment.cast.group.id, title=moment.cast.group.title),
    ]
    return {"action": types.MessageActionRequestedPeerSentMe(3, peers)}


def _bot_by_app(moment: Moment) -> Fields:
    app = types.BotApp(moment.number(), moment.draws.signed64(), "notes", "Notes", moment.words(), moment.photo(), 0)
    return {"action": types.MessageActionBotAllowed(app=app)}


def _passport_received(_moment: Moment) -> Fields:
    value = types.SecureValue(types.SecureValueTypePhone(), b"\x05" * 32, plain_data=types.SecurePlainPhone("493012"))
    credentials = types.SecureCredentialsEncrypted(b"\x01" * 16, b"\x02" * 32, b"\x03" * 32)
    return {"action": types.MessageActionSecureValuesSentMe([value], credentials), "reactions_are_possible": True}


def _answer(moment: Moment) -> Any:
    return poll_media(moment).poll.answers[0]


def _answer_added(moment: Moment) -> Fields:
    answer = _answer(moment)
    answer.added_by, answer.date = types.PeerUser(moment.somebody.id), moment.date
    return _about(moment, types.MessageActionPollAppendAnswer(answer))


def _tasks_added(moment: Moment) -> Fields:
    items = [types.TodoItem(7, moment.phrase()), types.TodoItem(8, moment.phrase())]
    return _about(moment, types.MessageActionTodoAppendTasks(items))


def _of_somebody(action: Any, *, several: bool = False) -> Any:
    """An action that names a member by id."""

    def make(moment: Moment) -> Fields:
        number = moment.somebody.id
        return {"action": action([number] if several else number)}

    return make


def _plain(action: Any, **fields: Any) -> Any:
    """An action that is the same wherever it stands."""
    return lambda _moment: {"action": action, **fields}


def _earlier(action: Any) -> Any:
    return lambda moment: _about(moment, action)


ACTIONS = (
    *MONEY,
    Action("title", MANY, lambda m: {"action": types.MessageActionChatEditTitle(m.words(3))}),
    Action("photo", MANY, _photo_set),
    Action("photo deleted", MANY, _plain(types.MessageActionChatDeletePhoto())),
    Action("added", GROUPS, _of_somebody(types.MessageActionChatAddUser, several=True)),
    Action("removed", GROUPS, _of_somebody(types.MessageActionChatDeleteUser)),
    Action("joined by link", GROUPS, _of_somebody(types.MessageActionChatJoinedByLink)),
    Action("joined by request", MANY, _plain(types.MessageActionChatJoinedByRequest())),
    Action("joined via community", GROUPS, _plain(types.MessageActionChatJoinedViaCommunity(77))),
    Action("community", MANY, _plain(types.MessageActionChangeCommunity(77))),
    Action("creator pending", GROUPS, _of_somebody(types.MessageActionNewCreatorPending)),
    Action("creator", GROUPS, _of_somebody(types.MessageActionChangeCreator)),
    Action("pin", EVERYWHERE, _earlier(types.MessageActionPinMessage())),
    Action("history cleared", PRIVATE | {SAVED}, _plain(types.MessageActionHistoryClear())),
    Action("game score", GROUPS | PRIVATE, lambda m: _about(m, types.MessageActionGameScore(m.number(), 4_200))),
    Action("call", PRIVATE, _phone_call(types.PhoneCallDiscardReasonHangup(), 61, video=False)),
    Action("call busy", PRIVATE, _phone_call(types.PhoneCallDiscardReasonBusy(), None, video=True)),
    Action("call missed", PRIVATE, _phone_call(types.PhoneCallDiscardReasonMissed(), None, video=False)),
    Action("call lost", PRIVATE, _phone_call(types.PhoneCallDiscardReasonDisconnect(), 5, video=True)),
    Action("call moved", PRIVATE, _phone_call(types.PhoneCallDiscardReasonMigrateConferenceCall("abc"), 5, video=True)),
    Action("conference", PRIVATE, _conference),
    Action("conference missed", PRIVATE, _conference_missed),
    Action("video chat", MANY, lambda m: {"action": types.MessageActionGroupCall(_call(m))}),
    Action("video chat ended", MANY, lambda m: {"action": types.MessageActionGroupCall(_call(m), duration=3_661)}),
    Action(
        "video chat planned", MANY, lambda m: {"action": types.MessageActionGroupCallScheduled(_call(m), m.date + DAY)}
    ),
    Action(
        "video chat, invited",
        GROUPS,
        lambda m: {"action": types.MessageActionInviteToGroupCall(_call(m), [m.somebody.id])},
    ),
    Action("screenshot", PRIVATE, _plain(types.MessageActionScreenshotTaken())),
    Action("sign-up", PRIVATE, _plain(types.MessageActionContactSignUp())),
    Action("life", EVERYWHERE - {SAVED}, _plain(types.MessageActionSetMessagesTTL(86_400))),
    Action("life by default", PRIVATE, lambda m: {"action": types.MessageActionSetMessagesTTL(604_800, m.cast.me.id)}),
    Action("theme", PRIVATE, _plain(types.MessageActionSetChatTheme(types.ChatTheme("🌷")))),
    Action("theme of a gift", PRIVATE, _theme_of_gift),
    Action("wallpaper", PRIVATE | CHANNELS, _wallpaper),
    Action("wallpaper without file", PRIVATE | CHANNELS, _plain_wallpaper),
    Action("wallpaper, the same", PRIVATE, _same_wallpaper),
    Action("proximity", GROUPS, _near),
    Action("peer requested", PRIVATE, _peer_requested),
    Action("peer requested, received", PRIVATE, _peer_requested_sent),
    Action("bot by site", PRIVATE, _plain(types.MessageActionBotAllowed(domain="example.org"))),
    Action("bot by app", PRIVATE, _bot_by_app),
    Action("bot by menu", PRIVATE, _plain(types.MessageActionBotAllowed(attach_menu=True))),
    Action("bot by request", PRIVATE, _plain(types.MessageActionBotAllowed(from_request=True))),
    Action("bot made", PRIVATE, lambda m: {"action": types.MessageActionManagedBotCreated(m.cast.bot.id)}),
    Action("web app data", PRIVATE, _plain(types.MessageActionWebViewDataSent("Send 📤"))),
    Action("web app data received", PRIVATE, _plain(types.MessageActionWebViewDataSentMe("Send", '{"a": 1}'))),
    Action(
        "passport",
        PRIVATE,
        _plain(
            types.MessageActionSecureValuesSent(
                [types.SecureValueTypePassport(), types.SecureValueTypeAddress(), types.SecureValueTypeUtilityBill()]
            )
        ),
    ),
    Action("passport received", PRIVATE, _passport_received),
    Action("photo suggested", PRIVATE, _photo_suggested),
    Action("birthday", PRIVATE, _plain(types.MessageActionSuggestBirthday(types.Birthday(29, 2, 1996)))),
    Action("birthday without year", PRIVATE, _plain(types.MessageActionSuggestBirthday(types.Birthday(1, 1)))),
    Action("protection", PRIVATE | MANY, _plain(types.MessageActionNoForwardsToggle(prev_value=False, new_value=True))),
    Action(
        "protection asked for",
        PRIVATE,
        _earlier(types.MessageActionNoForwardsRequest(prev_value=True, new_value=False, expired=True)),
    ),
    Action("tasks done", GROUPS | PRIVATE, _earlier(types.MessageActionTodoCompletions([1, 2], [3]))),
    Action("tasks added", GROUPS | PRIVATE, _tasks_added),
    Action("answer added", GROUPS | PRIVATE, _answer_added),
    Action("answer deleted", GROUPS | PRIVATE, lambda m: _about(m, types.MessageActionPollDeleteAnswer(_answer(m)))),
    Action("custom", EVERYWHERE, lambda m: {"action": types.MessageActionCustomAction(m.words())}),
)
"""In the order in which a chat goes through them."""
