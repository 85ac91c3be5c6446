"""Message texts, plain and with entities, whose offsets count UTF-16 code units as Telegram's do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from telethon.tl import types

from tobs.lab.names import WORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tobs.lab.draws import Draws

Text = tuple[str, list[Any] | None, tuple[int, ...]]
"""The text, its entities (None: there are none), and ids of the users that they name."""

_STYLES = (
    types.MessageEntityBold,
    types.MessageEntityItalic,
    types.MessageEntityUnderline,
    types.MessageEntityStrike,
    types.MessageEntitySpoiler,
    types.MessageEntityCode,
)
_LITERALS = (
    (types.MessageEntityHashtag, "#tobs"),
    (types.MessageEntityHashtag, "#экспорт"),
    (types.MessageEntityCashtag, "$TON"),
    (types.MessageEntityBotCommand, "/start"),
    (types.MessageEntityEmail, "ada@example.org"),
    (types.MessageEntityPhone, "+49 30 901820"),
    (types.MessageEntityBankCard, "4242 4242 4242 4242"),
    (types.MessageEntityUrl, "https://example.org/a?b=c&d=1#e"),
    (types.MessageEntityUrl, "example.com"),
)
_LINKS = (
    "https://example.org/",
    "https://example.org/wiki/UTF-16?x=%F0%9F%98%80",
    "tg://resolve?domain=tobs_lab",
)
_EMOJI = ("😀", "🎉", "🦊", "❤\ufe0f", "👩\u200d🚀")
FIRST_CUSTOM_EMOJI = 5_368_324_170_671_202_286
_CODE = 'for page in pages:\n    print("🎉", page)'


def units(text: str) -> int:
    """The length of `text` in UTF-16 code units."""
    return len(text.encode("utf-16-le")) >> 1


_WORD_UNITS = tuple(units(word) for word in WORDS)


def draw_plain(draws: Draws, longest: int = 24) -> Text:
    """One to `longest` words, a few of them on lines of their own."""
    pick = draws.pick
    text = " ".join([pick(WORDS) for _ in range(draws.between(1, longest))])
    if draws.chance(0.1):
        text += "\n\n" + pick(WORDS)
    return text, None, ()


def draw_rich(draws: Draws, people: Sequence[Any]) -> Text:
    """Two to five stretches of words, each before an entity, with emoji and astral characters among them."""
    parts: list[str] = []
    entities: list[Any] = []
    named: list[int] = []
    place = 0
    for _ in range(draws.between(2, 5)):
        for _ in range(draws.between(1, 5)):
            number = draws.below(len(WORDS))
            parts.append(WORDS[number])
            place += _WORD_UNITS[number] + 1
        if draws.chance(0.1):
            piece, entity, user_id = _draw_mention(draws, people, place)
            entities.append(entity)
            named += [user_id] if user_id else []
        else:
            piece, found = draws.pick(_FORMS)(draws, place)
            entities += found
        parts.append(piece)
        place += units(piece) + 1
    return " ".join(parts), entities, tuple(named)


def _draw_mention(draws: Draws, people: Sequence[Any], place: int) -> tuple[str, Any, int]:
    """A user's name at `place`: with @, or linked to the user, whose id is then the third value (else 0)."""
    user = draws.pick(people)
    if user.username and draws.chance(0.5):
        piece = f"@{user.username}"
        return piece, types.MessageEntityMention(place, units(piece)), 0
    name = user.first_name
    return name, types.MessageEntityMentionName(place, units(name), user.id), user.id


Piece = tuple[str, list[Any]]
"""A piece of text and the entities over it."""


def _draw_style(draws: Draws, place: int) -> Piece:
    piece = " ".join([draws.pick(WORDS) for _ in range(draws.between(1, 3))])
    return piece, [draws.pick(_STYLES)(place, units(piece))]


def _draw_literal(draws: Draws, place: int) -> Piece:
    kind, piece = draws.pick(_LITERALS)
    return piece, [kind(place, units(piece))]


def _draw_link(draws: Draws, place: int) -> Piece:
    piece = draws.pick(WORDS)
    return piece, [types.MessageEntityTextUrl(place, units(piece), draws.pick(_LINKS))]


def _draw_custom_emoji(draws: Draws, place: int) -> Piece:
    piece = draws.pick(_EMOJI)
    return piece, [types.MessageEntityCustomEmoji(place, units(piece), FIRST_CUSTOM_EMOJI + draws.below(9))]


def _draw_code(draws: Draws, place: int) -> Piece:
    return _CODE, [types.MessageEntityPre(place, units(_CODE), draws.pick(("python", "")))]


def _draw_quote(draws: Draws, place: int) -> Piece:
    piece = f"{draws.pick(WORDS)} {draws.pick(_EMOJI)}\n{draws.pick(WORDS)}"
    return piece, [types.MessageEntityBlockquote(place, units(piece), collapsed=draws.chance(0.3) or None)]


def _draw_nested(draws: Draws, place: int) -> Piece:
    """Italic words within bold ones, behind an emoji."""
    head = f"{draws.pick(_EMOJI)} "
    tail = f"{draws.pick(WORDS)} {draws.pick(WORDS)}"
    bold = types.MessageEntityBold(place, units(head + tail))
    return head + tail, [bold, types.MessageEntityItalic(place + units(head), units(tail))]


_FORMS: tuple[Callable[[Draws, int], Piece], ...] = (
    _draw_style,
    _draw_style,
    _draw_style,
    _draw_literal,
    _draw_link,
    _draw_custom_emoji,
    _draw_code,
    _draw_quote,
    _draw_nested,
)
