"""Texts at their extremes: every entity, the longest message, scripts that run from the right, no text at all."""

from __future__ import annotations

from telethon.tl import types

from tobs.lab.moments import EVERYWHERE, Fields, Kind, Moment
from tobs.lab.text import FIRST_CUSTOM_EMOJI, units

LONGEST = 4096
"""UTF-16 code units of a message: https://core.telegram.org/api/config, `message_length_max`."""


def _entities(moment: Moment) -> Fields:
    """One entity of each class, one after the other, with astral characters between them."""
    user = moment.somebody
    made = (
        types.MessageEntityUnknown,
        types.MessageEntityMention,
        types.MessageEntityHashtag,
        types.MessageEntityBotCommand,
        types.MessageEntityUrl,
        types.MessageEntityEmail,
        types.MessageEntityBold,
        types.MessageEntityItalic,
        types.MessageEntityCode,
        lambda at, size: types.MessageEntityPre(at, size, "rust"),
        lambda at, size: types.MessageEntityTextUrl(at, size, "https://example.org/?q=a#b"),
        lambda at, size: types.MessageEntityMentionName(at, size, user.id),
        types.MessageEntityPhone,
        types.MessageEntityCashtag,
        types.MessageEntityUnderline,
        types.MessageEntityStrike,
        types.MessageEntityBankCard,
        types.MessageEntitySpoiler,
        lambda at, size: types.MessageEntityCustomEmoji(at, size, FIRST_CUSTOM_EMOJI),
        lambda at, size: types.MessageEntityBlockquote(at, size, collapsed=True),
        lambda at, size: types.MessageEntityFormattedDate(at, size, moment.date, long_date=True, day_of_week=True),
        types.MessageEntityDiffInsert,
        lambda at, size: types.MessageEntityDiffReplace(at, size, "before"),
        types.MessageEntityDiffDelete,
    )
    text, entities = "", []
    for make in made:
        word = moment.words(1).split()[0]
        entities.append(make(units(text), units(word)))
        text += f"{word} 🜁 "
    return {"message": text.rstrip(), "entities": entities}


def _overlapping(_moment: Moment) -> Fields:
    """Entities within and across each other, and one at the very end."""
    text = "🦊 nested and crossing 𝔘"  # noqa: RUF001 (a letter outside the basic plane)
    return {
        "message": text,
        "entities": [
            types.MessageEntityBold(0, 9),
            types.MessageEntityItalic(3, 6),
            types.MessageEntityUnderline(5, 10),
            types.MessageEntityStrike(units(text) - 2, 2),
        ],
    }


def _longest(moment: Moment) -> Fields:
    text = ""
    while units(text) < LONGEST:
        text += moment.words(40) + "\n"
    while units(text) > LONGEST:
        text = text[:-1]
    return {"message": text}


def _from_the_right(_moment: Moment) -> Fields:
    return {"message": "\u202bשלום, עולם — مرحبا بالعالم 123\u202c \u2067abc\u2069"}  # noqa: RUF001


def _astral(_moment: Moment) -> Fields:
    return {"message": "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 👩🏽\u200d🚀 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f \U0010fffd"}  # noqa: RUF001


def _odd(_moment: Moment) -> Fields:
    """Separators, a zero-width space, a soft hyphen, quotes and markup that must not be taken for markup."""
    return {"message": "\u2028\u2029\u200b\u00ad<b>&amp;</b> \\u0041 {\"a\": 'b'} ```\t\r\nend"}


TEXTS = (
    Kind("every entity", EVERYWHERE, _entities),
    Kind("entities over each other", EVERYWHERE, _overlapping),
    Kind("longest text", EVERYWHERE, _longest),
    Kind("right to left", EVERYWHERE, _from_the_right),
    Kind("astral characters", EVERYWHERE, _astral),
    Kind("odd characters", EVERYWHERE, _odd),
)
