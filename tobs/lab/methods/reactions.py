"""Who reacted, who voted, how often a post was seen: lists that agree with the counts in the messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from telethon.extensions import BinaryReader
from telethon.tl import functions, types

from tobs.lab.content import CHANNEL_BASE, is_empty_message
from tobs.lab.crowd import Act, reactors, voters
from tobs.lab.peers import history_of
from tobs.lab.rpc import Call, RpcFault, method

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telethon.tl.tlobject import TLObject

    from tobs.lab.history import History

MAX_ACTS = 100
MAX_IDS = 100


def _message(call: Call, message_id: int) -> tuple[History, Any]:
    """A message that has to be there: else MSG_ID_INVALID."""
    history = history_of(call, call.request.peer)
    data = history.get([message_id]).messages[0]
    if is_empty_message(data):
        raise RpcFault("MSG_ID_INVALID")
    return history, BinaryReader(data).tgread_object()


def _is_broadcast(call: Call, history: History) -> bool:
    chat = call.service.world.chats.get(-history.peer_id - CHANNEL_BASE)
    return bool(getattr(chat, "broadcast", False))


def _page(call: Call, acts: Sequence[Any]) -> tuple[Sequence[Any], str | None]:
    """The part of a list that a request asks for, and the offset of the next one."""
    offset = call.request.offset or "0"
    if not offset.isdecimal():
        raise RpcFault("OFFSET_INVALID")
    start = int(offset)
    end = start + max(1, min(call.request.limit or MAX_ACTS, MAX_ACTS))
    return acts[start:end], str(end) if end < len(acts) else None


def _users(call: Call, acts: Sequence[Act]) -> list[Any]:
    return [call.service.world.users[number] for number in sorted({act.user_id for act in acts})]


@method(functions.messages.GetMessageReactionsListRequest)
def get_message_reactions_list(call: Call) -> TLObject:
    """Who gave a message which reaction, the latest first; not in channels."""
    request, world = call.request, call.service.world
    history, message = _message(call, request.id)
    if _is_broadcast(call, history):
        raise RpcFault("BROADCAST_FORBIDDEN", 403)
    given = message.reactions
    found: list[tuple[Act, Any]] = []
    for place, result in enumerate(given.results if given is not None else ()):
        if request.reaction is not None and bytes(request.reaction) != bytes(result.reaction):
            continue
        acts = reactors(
            world.scenario.seed,
            history.peer_id,
            message.id,
            date=int(message.date.timestamp()),
            place=place,
            count=result.count,
            members=world.ties.members[history.peer_id],
        )
        found += [(act, result.reaction) for act in acts]
    found.sort(key=lambda entry: (-entry[0].date, entry[0].user_id))
    page, following = _page(call, found)
    rows = [
        types.MessagePeerReaction(
            types.PeerUser(act.user_id), act.date, reaction, my=act.user_id == call.user_id or None
        )
        for act, reaction in page
    ]
    users = _users(call, [act for act, _ in page])
    return types.messages.MessageReactionsList(len(found), rows, [], users, next_offset=following)


def _poll(call: Call, message_id: int) -> tuple[History, Any, Any]:
    """The history, the message and the medium of a poll: MSG_ID_INVALID where there is none."""
    history, message = _message(call, message_id)
    media = getattr(message, "media", None)
    if not isinstance(media, types.MessageMediaPoll):
        raise RpcFault("MSG_ID_INVALID")
    return history, message, media


@method(functions.messages.GetPollResultsRequest)
def get_poll_results(call: Call) -> TLObject:
    """The results as an update."""
    _, message, media = _poll(call, call.request.msg_id)
    update = types.UpdateMessagePoll(media.poll.id, media.results, poll=media.poll)
    return types.Updates([update], [], [], message.date, 0)


@method(functions.messages.GetPollVotesRequest)
def get_poll_votes(call: Call) -> TLObject:
    """Who voted for what in a poll with public votes, the latest first; asked for by those who voted themselves."""
    request, world = call.request, call.service.world
    history, message, media = _poll(call, request.id)
    if _is_broadcast(call, history):
        raise RpcFault("BROADCAST_FORBIDDEN", 403)
    poll = media.poll
    if not poll.public_voters:
        raise RpcFault("MSG_ID_INVALID")
    acts = voters(
        world.scenario.seed,
        poll.id,
        date=int(message.date.timestamp()),
        answers=len(poll.answers),
        multiple=bool(poll.multiple_choice),
        members=world.ties.members[history.peer_id],
    )
    if not poll.closed and all(act.user_id != call.user_id for act in acts):
        raise RpcFault("POLL_VOTE_REQUIRED", 403)
    options = [answer.option for answer in poll.answers]
    if request.option is not None:
        if request.option not in options:
            raise RpcFault("OPTION_INVALID")
        acts = [act for act in acts if options.index(request.option) in act.answers]
    page, following = _page(call, acts)
    rows = [_vote(act, options, request.option) for act in page]
    return types.messages.VotesList(len(acts), rows, [], _users(call, page), next_offset=following)


def _vote(act: Act, options: Sequence[bytes], asked: bytes | None) -> Any:
    peer = types.PeerUser(act.user_id)
    if asked is not None:
        return types.MessagePeerVoteInputOption(peer, act.date)
    if len(act.answers) > 1:
        return types.MessagePeerVoteMultiple(peer, [options[place] for place in act.answers], act.date)
    return types.MessagePeerVote(peer, options[act.answers[0]], act.date)


@method(functions.messages.GetMessagesViewsRequest)
def get_messages_views(call: Call) -> TLObject:
    """How often messages were seen and forwarded, and how many comments they have."""
    if len(call.request.id) > MAX_IDS:
        raise RpcFault("LIMIT_INVALID")
    history = history_of(call, call.request.peer)
    views = []
    for data in history.get(call.request.id).messages:
        message = None if is_empty_message(data) else BinaryReader(data).tgread_object()
        if isinstance(message, types.Message):
            views.append(types.MessageViews(message.views, message.forwards, message.replies))
        else:
            views.append(types.MessageViews())
    linked = {view.replies.channel_id for view in views if view.replies is not None and view.replies.channel_id}
    return types.messages.MessageViews(views, [call.service.world.chats[number] for number in sorted(linked)], [])
