"""Polls: regular, quiz, closed, multiple choice; their results are counted from who voted (`tobs.lab.crowd`)."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from telethon.tl import types

from tobs.lab.crowd import voters
from tobs.lab.moments import CHANNELS, EVERYWHERE, SAVED, Fields, Kind, Moment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tobs.lab.crowd import Act

ANSWERS = 4
SHOWN = 3
"""Voters that a message names by itself."""


def poll_media(
    moment: Moment,
    *,
    public: bool = False,
    quiz: bool = False,
    closed: bool = False,
    multiple: bool = False,
    **more: Any,
) -> types.MessageMediaPoll:
    """A poll with its results, as somebody sees them who voted or for whom it is closed."""
    poll_id = moment.number()
    answers = [types.PollAnswer(moment.phrase(4), bytes((48 + place,))) for place in range(ANSWERS)]
    poll = types.Poll(
        poll_id, moment.phrase(8), answers, 0, closed=closed or None, public_voters=public or None,
        multiple_choice=multiple or None, quiz=quiz or None, **more,
    )  # fmt: skip
    acts = voters(
        moment.seed,
        poll_id,
        date=moment.date,
        answers=ANSWERS,
        multiple=multiple,
        members=[user.id for user in moment.members],
    )
    me = moment.cast.me.id
    results = [
        types.PollAnswerVoters(
            answer.option,
            chosen=any(act.user_id == me and place in act.answers for act in acts) or None,
            correct=(quiz and place == 1) or None,
            voters=sum(place in act.answers for act in acts),
            recent_voters=_latest(act for act in acts if place in act.answers) if public else [],
        )
        for place, answer in enumerate(answers)
    ]
    solution = moment.words(5) if quiz else None
    outcome = types.PollResults(
        results=results,
        total_voters=len(acts),
        recent_voters=_latest(acts) if public else None,
        solution=solution,
        solution_entities=[types.MessageEntityBold(0, 1)] if solution else None,
    )
    return types.MessageMediaPoll(poll, outcome)


def _latest(acts: Iterable[Act]) -> list[types.PeerUser]:
    return [types.PeerUser(act.user_id) for act in islice(acts, SHOWN)]


def _poll(**forms: bool) -> Any:
    def make(moment: Moment) -> Fields:
        return {"media": poll_media(moment, **forms)}

    return make


def _timed(moment: Moment) -> Fields:
    """A poll that closes by itself, whose answers were added by members and one of which has a picture."""
    media = poll_media(moment, public=True, close_period=600, close_date=moment.date + 600, open_answers=True)
    added = media.poll.answers[-1]
    added.added_by, added.date = types.PeerUser(moment.somebody.id), moment.later()
    if moment.photos:
        media.poll.answers[0].media = types.MessageMediaPhoto(photo=moment.photo())
        media.attached_media = types.MessageMediaPhoto(photo=moment.photo())
    return {"media": media}


POLLS = (
    Kind("poll", EVERYWHERE, _poll()),
    Kind("poll with public votes", EVERYWHERE - CHANNELS - {SAVED}, _poll(public=True)),
    Kind("poll, multiple choice", EVERYWHERE - CHANNELS - {SAVED}, _poll(public=True, multiple=True)),
    Kind("quiz", EVERYWHERE, _poll(quiz=True)),
    Kind("poll, closed", EVERYWHERE, _poll(closed=True)),
    Kind("poll, timed", EVERYWHERE - CHANNELS - {SAVED}, _timed),
)
