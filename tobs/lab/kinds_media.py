"""Messages with media other than a plain file: contacts, places, shops, previews, stories, what has expired.

Of these only those whose medium is itself a photo or a document carry a file of the message. What is inside a web
page's preview, a game, a story or paid media is no file of the message, as in Telegram Desktop's export.
"""

from __future__ import annotations

from typing import Any

from telethon.tl import types

from tobs.lab.moments import BROADCAST, CHANNELS, EVERYWHERE, GROUPS, SAVED, Fields, Kind, Moment

DICE = (("🎲", 6), ("🎯", 6), ("🏀", 5), ("⚽", 5), ("🎳", 6), ("🎰", 64))
"""The emoji that roll, and their highest value: https://core.telegram.org/api/dice."""
VCARD = "BEGIN:VCARD\r\nVERSION:3.0\r\nN:{last};{first};;;\r\nFN:{first} {last}\r\nTEL:{phone}\r\nEND:VCARD\r\n"
MONTH = 30 * 86_400


def _contact(moment: Moment) -> Fields:
    user = moment.somebody
    phone, last = f"4930{moment.draws.between(100_000, 999_999)}", user.last_name or ""
    vcard = VCARD.format(first=user.first_name, last=last, phone=phone)
    return {"media": types.MessageMediaContact(phone, user.first_name, last, vcard, user.id)}


def _stranger(moment: Moment) -> Fields:
    """A contact that has no account."""
    return {"media": types.MessageMediaContact("+1 555 0100", moment.words(2), "", "", 0)}


def _point(moment: Moment, radius: int | None = None) -> types.GeoPoint:
    draws = moment.draws
    return types.GeoPoint(draws.unit() * 360 - 180, draws.unit() * 170 - 85, draws.signed64(), radius)


def _place(moment: Moment) -> Fields:
    return {"media": types.MessageMediaGeo(_point(moment, moment.draws.pick((None, 25))))}


def _nowhere(_moment: Moment) -> Fields:
    return {"media": types.MessageMediaGeo(types.GeoPointEmpty())}


def _live_place(moment: Moment) -> Fields:
    live = types.MessageMediaGeoLive(_point(moment, 12), 900, heading=moment.draws.below(360) + 1)
    return {"media": live, "edit_date": moment.later(900), "edit_hide": True}


def _venue(moment: Moment) -> Fields:
    venue = types.MessageMediaVenue(_point(moment), moment.words(3), "Unter den Linden 1", "foursquare", "4b", "arts")
    return {"media": venue}


def _game(moment: Moment) -> Fields:
    draws = moment.draws
    game = types.Game(moment.number(), draws.signed64(), "lumber", moment.words(3), moment.words(8), moment.photo())
    button = types.KeyboardInlineButton("Play", types.InlineButtonTypeGame())
    markup = types.ReplyInlineMarkup([types.KeyboardInlineButtonRow([button])])
    return {"media": types.MessageMediaGame(game), "reply_markup": markup, "via_bot_id": moment.cast.bot.id}


def _invoice(moment: Moment) -> Fields:
    shape = [types.DocumentAttributeImageSize(640, 480)]
    url = "https://example.org/mug.jpg"
    picture = types.WebDocument(url, moment.draws.signed64(), 4_321, "image/jpeg", shape)
    receipt = moment.draws.pick((None, moment.earlier))
    invoice = types.MessageMediaInvoice(
        moment.words(3), moment.words(9), "EUR", moment.draws.between(100, 99_999), "mug", photo=picture,
        shipping_address_requested=True, test=True, receipt_msg_id=receipt,
    )  # fmt: skip
    buy = types.KeyboardInlineButton("Pay 9.99 €", types.InlineButtonTypeBuy())
    return {
        "media": invoice,
        "reply_markup": types.ReplyInlineMarkup([types.KeyboardInlineButtonRow([buy])]),
        "via_bot_id": moment.cast.bot.id,
    }


def _veiled_invoice(moment: Moment) -> Fields:
    veil = types.MessageExtendedMediaPreview(640, 480, types.PhotoStrippedSize("i", b"\x01\x28\x1e"))
    return {"media": types.MessageMediaInvoice(moment.words(2), "", "XTR", 50, "", extended_media=veil)}


def _todo(moment: Moment) -> Fields:
    items = [types.TodoItem(number + 1, moment.phrase()) for number in range(moment.draws.between(2, 5))]
    todo = types.TodoList(moment.phrase(), items, others_can_append=True, others_can_complete=True)
    done = [types.TodoCompletion(1, types.PeerUser(moment.somebody.id), moment.later())]
    return {"media": types.MessageMediaToDo(todo, completions=done)}


def _giveaway(moment: Moment) -> Fields:
    media = types.MessageMediaGiveaway(
        [moment.cast.channel.id], 5, moment.date + MONTH, only_new_subscribers=True, winners_are_visible=True,
        countries_iso2=["DE", "FR"], prize_description=moment.words(4), months=3,
    )  # fmt: skip
    return {"media": media}


def _stars_giveaway(moment: Moment) -> Fields:
    return {"media": types.MessageMediaGiveaway([moment.cast.channel.id], 1, moment.date + MONTH, stars=500)}


def _giveaway_results(moment: Moment) -> Fields:
    winners = [user.id for user in moment.members[:2]]
    media = types.MessageMediaGiveawayResults(
        moment.cast.channel.id, moment.earlier, len(winners), 3, winners, moment.date, months=3,
        additional_peers_count=1, prize_description=moment.words(4),
    )  # fmt: skip
    return {"media": media}


def _paid(moment: Moment) -> Fields:
    """Paid media that the account has not paid for."""
    veil = types.MessageExtendedMediaPreview(640, 480, video_duration=moment.draws.pick((None, 12)))
    return {"media": types.MessageMediaPaidMedia(25, [veil]), "message": moment.words()}


def _bought(moment: Moment) -> Fields:
    inner = types.MessageExtendedMedia(types.MessageMediaPhoto(photo=moment.photo()))
    return {"media": types.MessageMediaPaidMedia(25, [inner]), "message": moment.words()}


def _story(moment: Moment) -> Fields:
    peer = types.PeerUser(moment.somebody.id)
    return {"media": types.MessageMediaStory(peer, moment.draws.between(1, 99), via_mention=True)}


def _told_story(moment: Moment) -> Fields:
    """A story whose content comes with the message."""
    number = moment.draws.between(1, 99)
    inner = types.MessageMediaPhoto(photo=moment.photo())
    item = types.StoryItem(number, moment.date, moment.date + 86_400, inner, public=True, caption=moment.words())
    return {"media": types.MessageMediaStory(types.PeerChannel(moment.cast.origin.id), number, story=item)}


def _roller(emoji: str, highest: int) -> Any:
    def make(moment: Moment) -> Fields:
        return {"media": types.MessageMediaDice(moment.draws.between(1, highest), emoji)}

    return make


def _staked_dice(_moment: Moment) -> Fields:
    outcome = types.messages.EmojiGameOutcome(b"\x07" * 8, 1_000_000_000, 1_500_000_000)
    return {"media": types.MessageMediaDice(6, "🎲", game_outcome=outcome)}


def _page(moment: Moment, **fields: Any) -> Fields:
    page = types.WebPage(
        moment.number(), "https://example.org/news", "example.org/news", 0, type="article", site_name="Example",
        title=moment.words(5), description=moment.words(20), author=moment.somebody.first_name, **fields,
    )  # fmt: skip
    text = "https://example.org/news"
    return {
        "media": types.MessageMediaWebPage(page, force_large_media=True, safe=True),
        "message": text,
        "entities": [types.MessageEntityUrl(0, len(text))],
    }


def _photo_page(moment: Moment) -> Fields:
    return _page(moment, photo=moment.photo(), has_large_media=True)


def _document_page(moment: Moment) -> Fields:
    return _page(moment, document=moment.document(), embed_url="https://example.org/v", embed_type="iframe", duration=9)


def _instant_page(moment: Moment) -> Fields:
    blocks = [types.PageBlockParagraph(types.TextPlain(moment.words(20))), types.PageBlockDivider()]
    return _page(moment, cached_page=types.Page("https://example.org/news", blocks, [], [], views=7))


def _story_page(moment: Moment) -> Fields:
    return _page(moment, attributes=[types.WebPageAttributeStory(types.PeerChannel(moment.cast.origin.id), 3)])


def _pending_page(moment: Moment) -> Fields:
    page = types.WebPagePending(moment.number(), moment.date + 5, url="https://example.org/slow")
    return {"media": types.MessageMediaWebPage(page), "message": "https://example.org/slow"}


def _lost_page(moment: Moment) -> Fields:
    page = types.WebPageEmpty(moment.number(), url="https://example.org/gone")
    return {"media": types.MessageMediaWebPage(page, force_small_media=True, manual=True), "message": moment.words()}


def _unsupported(_moment: Moment) -> Fields:
    return {"media": types.MessageMediaUnsupported()}


def _broadcasting(moment: Moment) -> Fields:
    call = types.InputGroupCall(moment.number(), moment.draws.signed64())
    return {"media": types.MessageMediaVideoStream(call)}


def _photo(moment: Moment, **fields: Any) -> Fields:
    if not moment.photos:
        return {"media": types.MessageMediaPhoto(ttl_seconds=30)}
    return {"media": types.MessageMediaPhoto(photo=moment.photo(), **fields)}


def _veiled_photo(moment: Moment) -> Fields:
    return _photo(moment, spoiler=True) | {"message": moment.words(), "invert_media": True}


def _brief_photo(moment: Moment) -> Fields:
    """A photo that destroys itself after it was seen."""
    return _photo(moment, ttl_seconds=30)


def _live_photo(moment: Moment) -> Fields:
    """A photo that moves: the video beside it is no file of the message."""
    return _photo(moment, live_photo=True, video=moment.document())


def _expired_photo(_moment: Moment) -> Fields:
    return {"media": types.MessageMediaPhoto(ttl_seconds=10)}


def _expired_document(_moment: Moment) -> Fields:
    return {"media": types.MessageMediaDocument(voice=True, ttl_seconds=2**31 - 1)}


def _lost_photo(moment: Moment) -> Fields:
    return {"media": types.MessageMediaPhoto(photo=types.PhotoEmpty(moment.number()))}


def _lost_document(moment: Moment) -> Fields:
    return {"media": types.MessageMediaDocument(document=types.DocumentEmpty(moment.number()))}


def _document(moment: Moment) -> Fields:
    """A document with a cover and an alternative, of which neither is the file of the message."""
    if not moment.documents:
        return _lost_document(moment)
    media = types.MessageMediaDocument(
        document=moment.document(), alt_documents=[moment.document()], video_timestamp=3, spoiler=True, nopremium=True,
        video_cover=moment.photo(),
    )  # fmt: skip
    return {"media": media, "message": moment.words()}


MEDIA = (
    Kind("contact", EVERYWHERE, _contact),
    Kind("contact without account", EVERYWHERE, _stranger),
    Kind("location", EVERYWHERE, _place),
    Kind("location unknown", EVERYWHERE, _nowhere),
    Kind("live location", EVERYWHERE, _live_place),
    Kind("venue", EVERYWHERE, _venue),
    Kind("game", EVERYWHERE - CHANNELS, _game),
    Kind("invoice", EVERYWHERE, _invoice),
    Kind("invoice with a veil", EVERYWHERE, _veiled_invoice),
    Kind("to-do list", EVERYWHERE - CHANNELS, _todo),
    Kind("giveaway", CHANNELS | GROUPS, _giveaway),
    Kind("giveaway of stars", CHANNELS | GROUPS, _stars_giveaway),
    Kind("giveaway results", CHANNELS | GROUPS, _giveaway_results),
    Kind("paid media", CHANNELS | GROUPS, _paid),
    Kind("paid media, bought", CHANNELS | GROUPS, _bought),
    Kind("story", EVERYWHERE, _story),
    Kind("story with content", EVERYWHERE, _told_story),
    *(Kind(f"dice {emoji}", EVERYWHERE, _roller(emoji, highest)) for emoji, highest in DICE),
    Kind("dice with a stake", EVERYWHERE, _staked_dice),
    Kind("web page", EVERYWHERE, _page),
    Kind("web page with photo", EVERYWHERE, _photo_page),
    Kind("web page with document", EVERYWHERE, _document_page),
    Kind("web page, instant view", EVERYWHERE, _instant_page),
    Kind("web page of a story", EVERYWHERE, _story_page),
    Kind("web page pending", EVERYWHERE, _pending_page),
    Kind("web page empty", EVERYWHERE, _lost_page),
    Kind("unsupported", EVERYWHERE, _unsupported),
    Kind("video stream", CHANNELS | GROUPS, _broadcasting),
    Kind("photo behind a spoiler", EVERYWHERE, _veiled_photo),
    Kind("photo that destroys itself", EVERYWHERE - {BROADCAST, SAVED}, _brief_photo),
    Kind("live photo", EVERYWHERE, _live_photo),
    Kind("photo expired", EVERYWHERE - {BROADCAST, SAVED}, _expired_photo),
    Kind("document expired", EVERYWHERE - {BROADCAST, SAVED}, _expired_document),
    Kind("photo lost", EVERYWHERE, _lost_photo),
    Kind("document lost", EVERYWHERE, _lost_document),
    Kind("document with alternatives", EVERYWHERE, _document),
)
