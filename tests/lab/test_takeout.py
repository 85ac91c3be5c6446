"""Takeout sessions: begun after a delay, one at a time, with buckets and ranges of their own."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telethon import errors
from telethon.tl import functions, types

from tests.lab.fakes import (
    CHANNEL,
    CHANNEL_ID,
    FAR_FILE,
    FRIEND_ID,
    GROUP_ID,
    connected,
    make_world,
    parse,
    running,
)
from tobs.lab.history import History, entry_of
from tobs.lab.scenario import Bucket, Limits, Takeout
from tobs.lab.takeout import Takeouts, split, within

if TYPE_CHECKING:
    from tobs.lab.world import World

PEER = types.InputPeerChannel(CHANNEL_ID, 21)
FRIEND = types.InputPeerUser(FRIEND_ID, 12)
HISTORY = functions.messages.GetHistoryRequest(PEER, 0, None, 0, 100, 0, 0, 0)
BEGIN = functions.account.InitTakeoutSessionRequest(files=True, file_max_size=1 << 31)


def world_with(takeout: Takeout, history: Bucket | None = None) -> World:
    world = make_world()
    scenario: Any = world.scenario
    limits = Limits(history, None, None, takeout=takeout)
    return replace(world, scenario=replace(scenario, limits=limits))


def inside(number: int, query: Any) -> Any:
    return functions.InvokeWithTakeoutRequest(number, query)


def ranged(part: Any, query: Any) -> Any:
    return functions.InvokeWithMessagesRangeRequest(part, query)


async def test_telethons_takeout_reads_a_chat_and_a_file_and_finishes() -> None:
    async with running() as lab, connected(lab) as client:
        async with client.takeout(users=True, megagroups=True, files=True, max_file_size=1 << 31) as takeout:
            got = [message async for message in takeout.iter_messages("fakes", wait_time=0)]
            assert len(got) == lab.world.histories[CHANNEL].count
            number = client.session.takeout_id
            file = await client.download_media(next(m for m in got if m.id == 4), bytes)
            assert len(file) == lab.world.file(FAR_FILE).size  # type: ignore[union-attr]
        assert lab.counters()["takeout_requests"] > 3
        with pytest.raises(errors.TakeoutInvalidError):
            await client(inside(number, HISTORY))


async def test_a_second_takeout_makes_the_first_invalid() -> None:
    async with running() as lab, connected(lab) as client:
        first = (await client(BEGIN)).id
        await client(inside(first, HISTORY))
        second = (await client(BEGIN)).id
        with pytest.raises(errors.TakeoutInvalidError):
            await client(inside(first, HISTORY))
        await client(inside(second, HISTORY))


async def test_what_needs_a_takeout_says_so_outside_of_one() -> None:
    async with running() as lab, connected(lab) as client:
        only_inside = (functions.channels.GetLeftChannelsRequest(0), functions.contacts.GetSavedRequest())
        for request in (*only_inside, functions.account.FinishTakeoutSessionRequest()):
            with pytest.raises(errors.TakeoutRequiredError):
                await client(request)
        number = (await client(BEGIN)).id
        for request in only_inside:
            await client(inside(number, request))
        assert await client(inside(number, functions.account.FinishTakeoutSessionRequest(success=True)))


async def test_a_takeout_waits_until_its_delay_has_passed_or_it_is_allowed_elsewhere() -> None:
    async with running(world_with(Takeout(delay=3600))) as lab, connected(lab) as client:
        with pytest.raises(errors.TakeoutInitDelayError) as refused:
            await client(BEGIN)
        assert 3590 <= refused.value.seconds <= 3600
        lab.allow_takeout()
        assert (await client(BEGIN)).id


def test_the_delay_counts_from_the_first_asking() -> None:
    takeouts = Takeouts(60)
    assert [takeouts.wait(1, now) for now in (1000.0, 1030.5, 1059.9, 1060.0)] == [60, 30, 1, 0]
    assert takeouts.wait(2, 1060.0) == 60, "another account has not asked yet"


async def test_logging_out_ends_the_takeout() -> None:
    async with running() as lab, connected(lab) as client:
        number = (await client(BEGIN)).id
        await client(functions.auth.LogOutRequest())
        with pytest.raises(errors.AuthKeyUnregisteredError):
            await client(inside(number, HISTORY))
        assert lab._service.takeouts.find(lab.world.me.id, number) is None


async def test_inside_a_takeout_buckets_are_as_much_wider_as_the_scenario_says() -> None:
    world = world_with(Takeout(factor=3.0), Bucket(2, 0.01, (7, 7)))
    async with running(world) as lab, connected(lab) as client:
        number = (await client(BEGIN)).id
        for _ in range(3):
            await client(inside(number, HISTORY))
        await client(HISTORY)
        with pytest.raises(errors.FloodWaitError):
            await client(HISTORY)
        with pytest.raises(errors.FloodWaitError):
            await client(inside(number, HISTORY))


async def test_ranges_add_up_without_a_takeout_too() -> None:
    async with running(world_with(Takeout(ranges=3))) as lab, connected(lab) as client:
        parts = await client(functions.messages.GetSplitRangesRequest())
        for peer, mark in ((PEER, CHANNEL), (FRIEND, FRIEND_ID), (types.InputPeerChat(GROUP_ID), -GROUP_ID)):
            request = functions.messages.GetHistoryRequest(peer, 0, None, 0, 1, 0, 0, 0)
            pages = [await client(ranged(part, request)) for part in parts]
            counts = [getattr(page, "count", len(page.messages)) for page in pages]
            assert sum(counts) == lab.world.histories[mark].count


async def test_ranges_divide_private_chats_and_show_a_channel_in_the_last() -> None:
    async with running(world_with(Takeout(ranges=2))) as lab, connected(lab) as client:
        number = (await client(BEGIN)).id
        parts = await client(inside(number, functions.messages.GetSplitRangesRequest()))
        assert [(part.min_id, part.max_id) for part in parts] == [(1, 3), (4, 2**31 - 1)]
        dialogs, found = [], []
        for part in parts:
            request = functions.messages.GetDialogsRequest(None, 0, types.InputPeerEmpty(), 10, 0)
            page = await client(inside(number, ranged(part, request)))
            dialogs.append([(dialog.peer, dialog.top_message) for dialog in page.dialogs])
            request = functions.messages.GetHistoryRequest(FRIEND, 0, None, 0, 100, 0, 0, 0)
            found.append([m.id for m in (await client(inside(number, ranged(part, request)))).messages])
        user, group = types.PeerUser(FRIEND_ID), types.PeerChat(GROUP_ID)
        channel = (types.PeerChannel(CHANNEL_ID), lab.world.histories[CHANNEL].newest[1])
        assert dialogs == [[(user, 3), (group, 2)], [channel, (user, 5), (group, 4)]]
        assert found == [[3, 1], [5]]
        some = functions.messages.GetMessagesRequest([types.InputMessageID(n) for n in (3, 4)])
        page = await client(inside(number, ranged(parts[1], some)))
        assert [type(message) for message in page.messages] == [types.MessageEmpty, types.Message]


async def test_a_search_finds_what_lies_in_its_range() -> None:
    empty = types.InputMessagesFilterEmpty()

    def searched(peer: Any) -> Any:
        return functions.messages.SearchRequest(peer, "message", empty, None, None, 0, 0, 100, 0, 0, 0)

    async with running(world_with(Takeout(ranges=2))) as lab, connected(lab) as client:
        number = (await client(BEGIN)).id
        parts = await client(inside(number, functions.messages.GetSplitRangesRequest()))
        pages = [await client(inside(number, ranged(part, searched(FRIEND)))) for part in parts]
        assert [[message.id for message in page.messages] for page in pages] == [[3, 1], [5]]
        whole = await client(searched(FRIEND))
        assert [message.id for message in whole.messages] == [5, 3, 1]
        channel = [await client(inside(number, ranged(part, searched(PEER)))) for part in parts]
        assert [page.count for page in channel] == [0, lab.world.histories[CHANNEL].count]


def history_of(ids: list[int]) -> History:
    peer = types.PeerUser(FRIEND_ID)
    messages = [types.Message(id=number, peer_id=peer, date=None, message=str(number)) for number in ids]
    return History(FRIEND_ID, "user", [entry_of(m, 60 * m.id, (FRIEND_ID,), (), 0) for m in messages])


places = st.integers(0, 40)


@given(
    st.lists(st.integers(1, 40), unique=True).map(sorted),
    st.tuples(st.integers(1, 40), st.integers(1, 40)).map(sorted),
    st.tuples(places, places.map(lambda n: n * 60), st.integers(-12, 12), st.integers(0, 12), places, places),
)
def test_a_range_is_a_history_of_its_own_messages_alone(
    ids: list[int], ends: list[int], where: tuple[int, int, int, int, int, int]
) -> None:
    low, high = ends
    got = within(history_of(ids), types.MessageRange(low, high), where)
    want = history_of([number for number in ids if low <= number <= high]).slice(*where)
    assert [parse(m).id for m in got.messages] == [parse(m).id for m in want.messages]
    assert got.count == want.count
    if want.messages:
        assert got.offset_id_offset == want.offset_id_offset


def test_split_ranges_meet_and_leave_nothing_out() -> None:
    for parts in (1, 2, 3, 10):
        ranges = split(make_world(), parts)
        assert (ranges[0].min_id, ranges[-1].max_id, len(ranges)) == (1, 2**31 - 1, parts)
        assert all(a.max_id + 1 == b.min_id for a, b in pairwise(ranges))
