"""Who reacted and who voted: drawn from a message's own numbers, never stored.

The counts that a message carries and the lists that methods answer are made by the same functions, so they agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tobs.lab.draws import Draws

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY = 86_400
VOTERS = 0.8
"""Share of the members that vote in a poll."""


@dataclass(frozen=True, slots=True)
class Act:
    """A reaction or a vote: whose (bare user id), when, and in a poll for which answers (by place)."""

    user_id: int
    date: int
    answers: tuple[int, ...] = ()


def reactors(
    seed: int, chat: int, message_id: int, *, date: int, place: int, count: int, members: Sequence[int]
) -> list[Act]:
    """Who gave a message its reaction at `place` among its results, the newest first.

    `chat` is the marked id, `date` that of the message. Nobody gives the same reaction twice, so there are at most
    as many as `members`.
    """
    draws = Draws(seed, "reactors", chat, message_id, place)
    first = draws.below(len(members))
    chosen = [members[(first + step) % len(members)] for step in range(min(count, len(members)))]
    return sorted((Act(user, date + 1 + draws.below(DAY)) for user in chosen), key=_newest_first)


def voters(seed: int, poll_id: int, *, date: int, answers: int, multiple: bool, members: Sequence[int]) -> list[Act]:
    """Who voted for which of a poll's `answers`, the newest first; with `multiple` for up to two."""
    draws = Draws(seed, "voters", poll_id)
    found = []
    for user in members:
        if not draws.chance(VOTERS):
            continue
        first = draws.below(answers)
        more = draws.below(answers)
        picked = (first, more) if multiple and more != first else (first,)
        found.append(Act(user, date + 1 + draws.below(DAY), tuple(sorted(picked))))
    return sorted(found, key=_newest_first)


def _newest_first(act: Act) -> tuple[int, int]:
    return -act.date, act.user_id
