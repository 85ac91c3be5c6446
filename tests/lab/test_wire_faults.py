"""What goes wrong on purpose, goes wrong as the scenario says, is counted, and comes again in the next run."""

from __future__ import annotations

import asyncio
import struct
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from telethon import errors
from telethon.tl import functions, types

from tests.lab.fakes import (
    AWAY,
    CHANNEL,
    CHANNEL_ID,
    FILES,
    HOME,
    NEAR_FILE,
    PHOTO,
    connected,
    hang_up,
    make_world,
    running,
)
from tobs.lab.crypto import AuthKey
from tobs.lab.faults import FAULTLESS, Faults, Outage
from tobs.lab.keys import Client
from tobs.lab.mishaps import LOST, Mishaps
from tobs.lab.references import EPOCHS, MARK, References, reference
from tobs.lab.scenario import Limits

if TYPE_CHECKING:
    from tobs.lab.server import Lab

PEER = types.InputPeerChannel(CHANNEL_ID, 21)
PAGE = functions.messages.GetHistoryRequest(PEER, 0, None, 0, 10, 0, 0, 0)
PART = 131_072


def document(file_reference: bytes = b"", offset: int = 0) -> Any:
    spec = FILES[NEAR_FILE]
    where = types.InputDocumentFileLocation(spec.id, spec.access_hash, file_reference or spec.file_reference, "")
    return functions.upload.GetFileRequest(where, offset, PART)


def client_of(user_id: int = 1000, dc: int = HOME) -> Client:
    return Client(AuthKey.of(bytes(256)), dc, user_id=user_id)


def befall(lab: Lab, faults: Faults) -> None:
    """From now on these faults hold, so that a client can connect before."""
    lab._service.mishaps = Mishaps(faults, 1)


def fates(mishaps: Mishaps, client: Client, method: str, count: int = 200) -> list[tuple[Any, float]]:
    return [(mishaps.error(client, method), mishaps.fate(client, method)) for _ in range(count)]


def test_the_nth_request_of_a_method_meets_the_same_in_any_run() -> None:
    faults = Faults(errors=0.1, lost=0.1, stalls=0.1)
    alone = fates(Mishaps(faults, 7), client_of(), "messages.getHistory")
    mixed = Mishaps(faults, 7)
    for dc in (HOME, AWAY):
        fates(mixed, client_of(dc=dc), "upload.getFile")
    assert fates(mixed, client_of(), "messages.getHistory") == alone
    mixed.restart()
    assert not mixed.counted
    assert fates(mixed, client_of(), "messages.getHistory") == alone
    assert fates(Mishaps(faults, 8), client_of(), "messages.getHistory") != alone
    assert fates(Mishaps(faults, 7), client_of(), "upload.getFile") != alone


def test_shares_are_kept_and_counted() -> None:
    mishaps = Mishaps(Faults(errors=0.2, lost=0.1, stalls=0.05, stall_seconds=(2.0, 3.0)), 3)
    found = fates(mishaps, client_of(), "upload.getFile", 4000)
    failed = [error for error, _ in found if error]
    lost = [fate for _, fate in found if fate == LOST]
    held = [fate for _, fate in found if fate > 0]
    assert mishaps.counted == {"errors": len(failed), "lost": len(lost), "stalls": len(held)}
    assert 600 < len(failed) < 1000
    assert 300 < len(lost) < 500
    assert 120 < len(held) < 280
    assert all(2.0 <= fate <= 3.0 for fate in held)
    assert (500, f"INTERDC_{HOME}_CALL_ERROR") in failed
    assert (-503, "Timeout") in failed


async def test_a_failing_server_says_so_and_serves_nothing() -> None:
    async with running() as lab, connected(lab) as client:
        befall(lab, Faults(errors=1.0))
        for _ in range(12):
            with pytest.raises((errors.ServerError, errors.TimedOutError)):
                await client._sender.send(PAGE)
        counters = lab.counters()
        assert counters["faults"] == {"errors": 12}
        assert counters["history_pages"] == 0


async def test_a_lost_reply_never_comes_and_what_follows_does() -> None:
    async with running() as lab, connected(lab) as client:
        befall(lab, Faults(lost=1.0))
        lost = client._sender.send(PAGE)
        await client._sender.send(functions.PingRequest(1))
        assert not lost.done()
        befall(lab, FAULTLESS)
        assert len((await client(PAGE)).messages) == 10
        counters = lab.counters()
        assert not lost.done()
        assert (counters["requests"]["messages.getHistory"], counters["history_pages"]) == (2, 1)


async def test_a_stalled_reply_is_overtaken_by_what_follows() -> None:
    async with running() as lab, connected(lab) as client:
        befall(lab, Faults(stalls=1.0, stall_seconds=(0.05, 0.05)))
        stalled = client._sender.send(PAGE)
        await client._sender.send(functions.PingRequest(1))
        assert not stalled.done()
        assert len((await stalled).messages) == 10
        assert lab.counters()["faults"] == {"stalls": 1}


async def test_connections_break_after_a_time_of_their_own() -> None:
    async with running(make_world(faults=Faults(disconnect_every=0.01))) as lab:
        ends = set()
        for _ in range(12):
            reader, writer = await asyncio.open_connection("127.0.0.1", lab.ports[HOME])
            try:
                assert await reader.read(1) == b""
                ends.add("ended")
            except ConnectionResetError:
                ends.add("reset")
            await hang_up(writer)
        assert ends == {"ended", "reset"}
        assert lab.counters()["faults"] == {"disconnects": 12}
        assert not lab._opened


def test_the_nth_connection_to_a_data_centre_breaks_at_the_same_age() -> None:
    one, other = (Mishaps(Faults(disconnect_every=60.0), 5) for _ in range(2))
    lives = [one.life(HOME, number) for number in range(500)]
    assert lives == [other.life(HOME, number) for number in range(500)]
    ages = [life[0] for life in lives if life]
    assert 50 < sum(ages) / len(ages) < 70
    assert Mishaps(FAULTLESS, 5).life(HOME, 1) is None


async def test_a_short_part_lacks_its_end_and_may_be_asked_for_again() -> None:
    async with running() as lab, connected(lab) as client:
        befall(lab, Faults(short=1.0))
        part = (await client(document())).bytes
        assert len(part) < PART
        assert FILES[NEAR_FILE].read(0, PART).startswith(part)
        befall(lab, FAULTLESS)
        assert (await client(document())).bytes == FILES[NEAR_FILE].read(0, PART)
        counters = lab.counters()
        assert (counters["file_parts"], counters["duplicate_parts"]) == (2, 0)
        assert counters["file_bytes"] == PART + len(part)


async def test_a_corrupt_part_has_one_wrong_byte() -> None:
    async with running() as lab, connected(lab) as client:
        befall(lab, Faults(corrupt=1.0))
        part, right = (await client(document())).bytes, FILES[NEAR_FILE].read(0, PART)
        assert len(part) == PART
        assert sum(a != b for a, b in zip(part, right, strict=True)) == 1
        hashes = await client(functions.upload.GetFileHashesRequest(document().location, 0))
        assert len(hashes) == 3
        assert lab.counters()["faults"] == {"corrupt": 1}


async def test_a_file_without_hashes_says_nothing_and_is_never_corrupt() -> None:
    limits = Limits(None, None, None, file_hashes=0.0)
    async with running(make_world(limits=limits, faults=Faults(corrupt=1.0))) as lab, connected(lab) as client:
        assert await client(functions.upload.GetFileHashesRequest(document().location, 0)) == []
        assert (await client(document())).bytes == FILES[NEAR_FILE].read(0, PART)
        assert lab.counters()["faults"] == {}


async def test_a_share_of_files_has_hashes_the_same_in_every_lab() -> None:
    kinds = []
    for _ in range(2):
        async with running(make_world(limits=Limits(None, None, None, file_hashes=0.7))) as lab:
            kinds.append([lab._service.has_hashes(number) for number in range(1000)])
    assert kinds[0] == kinds[1]
    assert 650 < sum(kinds[0]) < 750


def test_a_reference_lives_about_as_long_as_the_scenario_says() -> None:
    now = 1_000_000.0
    references = References(80.0, clock=lambda: now)
    held = reference("a file")
    (given,) = references.stamp((held,))
    assert given != held
    assert len(given) == len(held) == 25
    assert references.accepts(given, held)
    now += 80.0 * (EPOCHS - 1) / EPOCHS
    assert references.accepts(given, held)
    now += 80.0 / EPOCHS
    assert not references.accepts(given, held)
    assert not references.accepts(held, held)
    assert not references.accepts(references.stamp((reference("another"),))[0], held)
    assert References(None).accepts(held, held)
    assert References(None).stamp((held,)) == (held,)


@pytest.mark.parametrize("rate", [None, 50_000_000.0])
async def test_a_reference_expires_and_the_message_brings_a_new_one(rate: float | None) -> None:
    world = make_world(faults=Faults(reference_life=80.0), connection_rate=rate)
    async with running(world) as lab, connected(lab) as client:
        now = 1_000_000.0
        lab._service.references._clock = lambda: now
        seen = []
        for _ in range(2):
            page = await client(functions.messages.GetHistoryRequest(PEER, 8, None, 0, 100, 0, 0, 0))
            by_id = {message.id: message for message in page.messages}
            single = await client.get_messages(CHANNEL, ids=3)
            dated = by_id[3].media.document.file_reference
            assert single.media.document.file_reference == dated
            assert dated != FILES[NEAR_FILE].file_reference
            assert by_id[7].media.photo.file_reference != FILES[PHOTO].file_reference
            assert (await client(document(dated))).bytes == FILES[NEAR_FILE].read(0, PART)
            seen.append(dated)
            now += 81.0
            with pytest.raises(errors.FileReferenceExpiredError):
                await client(document(dated))
        assert len(set(seen)) == 2
        with pytest.raises(errors.FileReferenceInvalidError):
            await client(document(b"x"))
        counters = lab.counters()
        assert counters["faults"] == {"references": 2}
        assert counters["requests_during_flood"] == 0


def test_no_message_is_served_with_the_mark_of_a_reference_that_was_never_handed_out() -> None:
    (stamped,) = References(80.0).stamp((b"a" + MARK + b"b" + MARK,))
    assert MARK not in stamped
    assert len(stamped) == 18


async def test_a_data_centre_goes_away_and_comes_back() -> None:
    world = make_world(faults=Faults(outages=(Outage(HOME, 0.02, 500.0), Outage(AWAY, 600.0, 50.0))))
    async with running(world) as lab:
        reader, writer = await asyncio.open_connection("127.0.0.1", lab.ports[HOME])
        assert await reader.read(1) == b""  # closed as soon as the outage begins
        await hang_up(writer)
        assert await refused(lab, HOME)
        assert not await refused(lab, AWAY)
        began = lab._service.run.began
        assert began is not None
        lab._service.run.began = began - 510.0
        assert not await refused(lab, HOME)
        lab._service.run.began = began - 610.0
        assert not await refused(lab, HOME)
        assert await refused(lab, AWAY)
        assert lab.counters()["faults"] == {"outages": 3}
        lab.reset()
        assert not await refused(lab, AWAY)


async def refused(lab: Lab, dc: int) -> bool:
    """Whether a new connection is closed before it is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", lab.ports[dc])
    request = bytes(functions.ReqPqMultiRequest(1))
    packet = struct.pack("<qqi", 0, int(time.time()) << 32, len(request)) + request
    with suppress(ConnectionError):
        writer.write(b"\xef" + bytes((len(packet) // 4,)) + packet)
        answered = bool(await reader.read(1))
        await hang_up(writer)
        return not answered
    await hang_up(writer)
    return True
