"""A chat that changes while it is read: seen at once, told to who listens, and caught up by who did not."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telethon import errors, events
from telethon.tl import functions, types

from tests.lab.fakes import CHANNEL_ID, FRIEND_ID, connected, parse, running
from tobs.errors import UsageError
from tobs.lab.changes import DELETED, EDITED, NEW, Change, Live, plan
from tobs.lab.faults import Faults
from tobs.lab.history import History, entry_of
from tobs.lab.live import LiveHistory, at_last
from tobs.lab.marks import PHOTO
from tobs.lab.scenario import load
from tobs.lab.truth import truth
from tobs.lab.world import World, build

if TYPE_CHECKING:
    from pathlib import Path

    from tobs.lab.server import Lab

EVERYTHING = Live(new=9, edited=6, deleted=5, side=6, seconds=3600.0)


@cache
def world_with(live: Live, rate: float | None = None) -> World:
    """A little world whose changes wait for `Lab.change`, but for those at the start."""
    scenario = load("demo", scale=0.02)
    network = replace(scenario.network, connection_rate=rate)
    return build(replace(scenario, dataset=replace(scenario.dataset, live=live, side_messages=40), network=network))


def channel_of(world: World) -> History:
    return next(history for history in world.histories.values() if history.kind == "channel")


def input_of(world: World) -> Any:
    channel = world.chats[-channel_of(world).peer_id - 10**12]
    return types.InputPeerChannel(channel.id, channel.access_hash)


def written(world: World, peer_id: int) -> dict[int, bytes]:
    """What stands in a chat when all changes were made, worked out on a dictionary."""
    there = {parse(data).id: data for data in world.histories[peer_id].serialized()}
    for change in world.changes:
        if change.peer_id == peer_id:
            if change.entry is None:
                del there[change.id]
            else:
                there[change.id] = change.entry.data
    return there


def text(number: int, words: str) -> Any:
    peer = types.PeerChannel(CHANNEL_ID)
    return types.Message(id=number, peer_id=peer, date=datetime.fromtimestamp(60 * number, UTC), message=words)


def entry(number: int, words: str) -> Any:
    mark = PHOTO if words.endswith("1") else 0
    return entry_of(text(number, words), 60 * number, (FRIEND_ID,), (CHANNEL_ID,), 0, thread=number % 3, marks=mark)


places = st.integers(0, 45)


@given(
    st.lists(st.integers(1, 30), unique=True, max_size=15).map(sorted),
    st.lists(st.tuples(st.sampled_from((NEW, EDITED, DELETED)), st.integers(0, 99)), max_size=15),
    st.tuples(places, places.map(lambda n: n * 60), st.integers(-12, 12), st.integers(0, 12), places, places),
    st.lists(places, max_size=4),
)
def test_a_changed_history_answers_as_one_made_of_what_is_left(
    ids: list[int], changes: list[tuple[str, int]], where: tuple[int, int, int, int, int, int], asked: list[int]
) -> None:
    live = LiveHistory(History(-5, "channel", [entry(number, "first") for number in ids]))
    model = {number: entry(number, "first") for number in ids}
    last = 30
    for step, (kind, draw) in enumerate(changes):
        if kind == NEW:
            last += 1
            number = last
        elif model:
            number = sorted(model)[draw % len(model)]
        else:
            continue
        model[number] = entry(number, f"step {step}")
        live.apply(Change(0.0, -5, kind, number, None if kind == DELETED else model[number]))
        if kind == DELETED:
            del model[number]
    still = History(-5, "channel", [model[number] for number in sorted(model)])
    got, want = live.slice(*where), still.slice(*where)
    assert (got.messages, got.offset_id_offset, got.count) == (want.messages, want.offset_id_offset, want.count)
    assert live.get(asked).messages == still.get(asked).messages
    assert list(live.serialized()) == list(still.serialized())
    assert (live.ids, live.newest, live.count) == (still.ids, still.newest, still.count)
    for column in ("dates", "marks", "threads"):
        assert list(getattr(live, column)) == list(getattr(still, column))
    assert [live.position(number) for number in range(50)] == [still.position(number) for number in range(50)]
    for position in range(live.count):
        assert live.id_at(position) == still.id_at(position)
        assert live.at([position]) == still.at([position])
    assert [live.has(number) for number in range(50)] == [still.has(number) for number in range(50)]


def test_the_plan_is_the_scenarios_and_nothing_elses() -> None:
    world = world_with(EVERYTHING)
    again = plan(EVERYTHING, world.scenario.seed, list(world.histories.values()))
    assert again == world.changes
    assert plan(EVERYTHING, world.scenario.seed + 1, list(world.histories.values())) != world.changes
    main = [change.kind for change in world.changes if change.peer_id == channel_of(world).peer_id]
    assert sorted(main) == sorted([NEW] * 9 + [EDITED] * 6 + [DELETED] * 5)
    side = [change.kind for change in world.changes if change.peer_id != channel_of(world).peer_id]
    assert sorted(side) == sorted([NEW, EDITED, DELETED] * 4)
    assert [change.at for change in world.changes] == sorted(change.at for change in world.changes)
    assert world.changes[-1].at == 3600.0


def test_the_truth_is_what_is_left_in_the_end() -> None:
    world = world_with(EVERYTHING)
    last = at_last(world)
    for peer_id, history in last.histories.items():
        there = written(world, peer_id)
        assert list(history.serialized()) == [there[number] for number in sorted(there)]
    assert truth(world).digest == truth(last).digest
    assert truth(world).digest != truth(replace(world, changes=())).digest


def test_a_scenario_may_ask_for_changes_and_is_told_of_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "live.toml"
    lines = "[dataset]\nmessages = 100\n[network]\ndc = [{ id = 2 }]\n[dataset.live]\n"
    path.write_text(lines + "new = 8\nedited = 4\ndeleted = 2\nseconds = 1.5\n")
    assert load(path).dataset.live == Live(8, 4, 2, 0, 1.5)
    assert load(path, scale=0.5).dataset.live == Live(4, 2, 1, 0, 1.5)
    path.write_text(lines + "deleted = 51\n")
    with pytest.raises(UsageError, match="from 0 to 50"):
        load(path)


@pytest.mark.parametrize("rate", [None, 50_000_000.0])
async def test_changes_show_in_pages_dialogs_and_by_id(rate: float | None) -> None:
    world = world_with(EVERYTHING, rate)
    peer_id = channel_of(world).peer_id
    there = written(world, peer_id)
    async with running(world) as lab, connected(lab) as client:
        request = functions.messages.GetHistoryRequest(input_of(world), 0, None, 0, 100, 0, 0, 0)
        before = await client(request)
        assert before.pts == 1
        assert lab.change(1000) == len(world.changes)
        page = await client(request)
        newest = sorted(there, reverse=True)[:100]
        assert [bytes(message) for message in page.messages] == [bytes(parse(there[number])) for number in newest]
        assert (page.pts, page.count) == (1 + 9 + 6 + 5, len(there))
        dialogs = await client(functions.messages.GetDialogsRequest(None, 0, types.InputPeerEmpty(), 10, 0))
        shown = next(d for d in dialogs.dialogs if isinstance(d.peer, types.PeerChannel))
        assert (shown.pts, shown.top_message) == (page.pts, newest[0])
        full = await client(functions.channels.GetFullChannelRequest(input_of(world)))
        assert full.full_chat.pts == page.pts
        counters = lab.counters()
        assert (counters["changes_made"], counters["changes_left"]) == (len(world.changes), 0)


async def test_telethon_hears_of_what_is_new_edited_and_deleted() -> None:
    world = world_with(EVERYTHING)
    heard: dict[str, list[tuple[int, int]]] = {NEW: [], EDITED: [], DELETED: []}
    due: dict[str, list[tuple[int, int]]] = {NEW: [], EDITED: [], DELETED: []}
    for change in world.changes:
        # what is deleted outside of channels is told by its id alone
        private = change.kind == DELETED and change.peer_id > -(10**12)
        due[change.kind].append((0 if private else change.peer_id, change.id))
    done = asyncio.Event()

    def hear(kind: str, chat: int | None, ids: list[int]) -> None:
        heard[kind] += [(chat or 0, number) for number in ids]
        if sum(map(len, heard.values())) == len(world.changes):
            done.set()

    async def new(event: Any) -> None:
        hear(NEW, event.chat_id, [event.id])

    async def edited(event: Any) -> None:
        hear(EDITED, event.chat_id, [event.id])

    async def deleted(event: Any) -> None:
        hear(DELETED, event.chat_id, event.deleted_ids)

    async with running(world) as lab, connected(lab) as client:
        client.add_event_handler(new, events.NewMessage())
        client.add_event_handler(edited, events.MessageEdited())
        client.add_event_handler(deleted, events.MessageDeleted())
        await client.get_dialogs()
        lab.change(1000)
        await asyncio.wait_for(done.wait(), 20)
    assert {kind: sorted(found) for kind, found in heard.items()} == {kind: sorted(d) for kind, d in due.items()}


async def test_what_is_told_of_an_edited_file_may_be_fetched_though_references_expire() -> None:
    world = world_with(Live(edited=60, seconds=3600.0))
    world = replace(world, scenario=replace(world.scenario, faults=Faults(reference_life=3600.0)))
    files: asyncio.Queue[Any] = asyncio.Queue()

    async def edited(event: Any) -> None:
        if event.message.file:
            files.put_nowait(event.message)

    async with running(world) as lab, connected(lab) as client:
        client.add_event_handler(edited, events.MessageEdited())
        await client.get_dialogs()
        lab.change(1000)
        message = await asyncio.wait_for(files.get(), 20)
        assert await message.download_media(bytes)
        assert "FILE_REFERENCE_EXPIRED" not in lab.counters()["errors"]


async def test_telethon_catches_up_on_what_it_missed() -> None:
    world = world_with(Live(new=5, side=1, seconds=3600.0))
    due = sorted((change.peer_id, change.id) for change in world.changes)
    heard: list[tuple[int, int]] = []
    done = asyncio.Event()

    async def new(event: Any) -> None:
        heard.append((event.chat_id, event.id))
        if len(heard) == len(due):
            done.set()

    async with running(world) as lab, connected(lab) as client:
        assert channel_of(world).peer_id in [dialog.id for dialog in await client.get_dialogs()]
        for session in lab._service.sessions.values():
            session.listens = False
        lab.change(1000)
        client.add_event_handler(new, events.NewMessage())
        await client.catch_up()
        await asyncio.wait_for(done.wait(), 20)
    assert sorted(heard) == due


async def difference(client: Any, world: World, pts: int, limit: int) -> Any:
    peer = input_of(world)
    channel = types.InputChannel(peer.channel_id, peer.access_hash)
    return await client(
        functions.updates.GetChannelDifferenceRequest(channel, types.ChannelMessagesFilterEmpty(), pts, limit)
    )


async def test_a_channels_difference_comes_whole_in_slices_or_not_at_all() -> None:
    world = world_with(Live(new=150, seconds=3600.0))
    async with running(world) as lab, connected(lab) as client:
        assert isinstance(await difference(client, world, 1, 100), types.updates.ChannelDifferenceEmpty)
        lab.change(1000)
        part = await difference(client, world, 1, 1000)
        assert (part.final, part.pts, len(part.new_messages)) == (False, 101, 100)
        rest = await difference(client, world, part.pts, 1000)
        assert (rest.final, rest.pts, len(rest.new_messages)) == (True, 151, 50)
        ids = [message.id for message in (*part.new_messages, *rest.new_messages)]
        assert ids == [change.id for change in world.changes]
        late = await difference(client, world, 1, 100)
        assert isinstance(late, types.updates.ChannelDifferenceTooLong)
        assert (late.dialog.pts, late.dialog.top_message) == (151, world.changes[-1].id)
        assert late.messages[0].id == late.dialog.top_message
        with pytest.raises(errors.PersistentTimestampInvalidError):
            await difference(client, world, 152, 100)
        with pytest.raises(errors.PersistentTimestampEmptyError):
            await difference(client, world, 0, 100)


async def test_a_difference_holds_what_is_still_there_and_names_what_is_gone() -> None:
    world = world_with(EVERYTHING)
    peer_id = channel_of(world).peer_id
    there = written(world, peer_id)
    mine = [change for change in world.changes if change.peer_id == peer_id]
    async with running(world) as lab, connected(lab) as client:
        lab.change(1000)
        found = await difference(client, world, 1, 100)
    fresh = [change.id for change in mine if change.kind == NEW and change.id in there]
    assert [bytes(message) for message in found.new_messages] == [bytes(parse(there[number])) for number in fresh]
    edits = [u for u in found.other_updates if isinstance(u, types.UpdateEditChannelMessage)]
    assert [u.message.id for u in edits] == [c.id for c in mine if c.kind == EDITED and c.id in there]
    gone = [u for u in found.other_updates if isinstance(u, types.UpdateDeleteChannelMessages)]
    assert [u.messages for u in gone] == [[change.id] for change in mine if change.kind == DELETED]
    assert len(edits) + len(gone) == len(found.other_updates)


async def ask(client: Any, pts: int, **more: Any) -> Any:
    now = datetime.now(UTC)
    return await client(functions.updates.GetDifferenceRequest(pts=pts, date=now, qts=0, **more))


async def test_the_accounts_difference_is_of_its_private_chats() -> None:
    world = world_with(Live(side=6, seconds=3600.0))
    async with running(world) as lab, connected(lab) as client:
        assert isinstance(await ask(client, 1), types.updates.DifferenceEmpty)
        lab.change(1000)
        assert (await client(functions.updates.GetStateRequest())).pts == 13
        part = await ask(client, 1, pts_limit=5)
        assert isinstance(part, types.updates.DifferenceSlice)
        assert part.intermediate_state.pts == 6
        rest = await ask(client, 6)
        assert isinstance(rest, types.updates.Difference)
        assert rest.state.pts == 13
        seen = {m.id for d in (part, rest) for m in d.new_messages}
        left = {i for peer in world.histories if peer > -(10**12) for i in written(world, peer)}
        assert seen == {change.id for change in world.changes if change.kind == NEW and change.id in left}
        far = await ask(client, 1, pts_total_limit=3)
        assert (type(far), far.pts) == (types.updates.DifferenceTooLong, 13)
        with pytest.raises(errors.PersistentTimestampEmptyError):
            await ask(client, 0)


async def test_changes_begin_with_the_first_connection() -> None:
    world = world_with(Live(new=3, seconds=0.0))
    async with running(world) as lab:
        assert lab.counters()["changes_made"] == 0
        async with connected(lab):
            assert lab.counters()["changes_made"] == 3


def pts(lab: Lab) -> int:
    return channel_of(lab.world).pts


async def test_each_lab_begins_where_the_world_began() -> None:
    world = world_with(EVERYTHING)
    for _ in range(2):
        async with running(world) as lab:
            assert (pts(lab), lab.change(3)) == (1, 3)
    assert not any(isinstance(history, LiveHistory) for history in world.histories.values())
