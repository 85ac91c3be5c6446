"""Parts of files are noted as they leave, and as the client acknowledges them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telethon.tl import functions, types
from telethon.tl.core import RpcResult

from tests.lab.fakes import FILES, NEAR_FILE, running
from tests.lab.wires import FIRST, Wire, wired
from tobs.lab.faults import FAULTLESS, Faults
from tobs.lab.mishaps import Mishaps

if TYPE_CHECKING:
    from tobs.lab.server import Lab

PART = 131_072
SPEC = FILES[NEAR_FILE]


async def ask(wire: Wire, offset: int) -> int:
    """Ask for a part and have it; the id of the message that it came in."""
    where = types.InputDocumentFileLocation(SPEC.id, SPEC.access_hash, SPEC.file_reference, "")
    wire.send(bytes(functions.upload.GetFileRequest(where, offset, PART)))
    return int((await wire.message_of(RpcResult)).msg_id)


async def begin(wire: Wire) -> None:
    await wire.result(wire.send(bytes(FIRST))[0])


async def heard(wire: Wire) -> None:
    """What was sent before this has been taken in by the lab."""
    wire.send(bytes(functions.PingRequest(1)))
    await wire.read(types.Pong)


def told(lab: Lab) -> list[tuple[int, int, bool, bool]]:
    parts = lab.parts()
    assert [part["at"] for part in parts] == sorted(part["at"] for part in parts)
    assert all((part["file"], part["whole"]) == (SPEC.id, SPEC.size) for part in parts)
    return [(part["offset"], part["size"], part["spoilt"], part["acknowledged"]) for part in parts]


async def test_parts_that_left_are_told_once_and_which_are_acknowledged() -> None:
    async with running() as lab, wired(lab) as wire:
        await begin(wire)
        await ask(wire, 0)
        assert lab.parts() == [], "nobody had asked before"
        first = await ask(wire, 0)
        await ask(wire, PART)
        wire.acknowledge(first)
        await heard(wire)
        assert told(lab) == [(0, PART, False, True), (PART, PART, False, False)]
        assert lab.parts() == []


async def test_a_spoilt_part_is_told_as_such_with_the_bytes_that_came() -> None:
    async with running() as lab, wired(lab) as wire:
        await begin(wire)
        lab.parts()
        lab._service.mishaps = Mishaps(Faults(short=1.0), 1)
        await ask(wire, 0)
        lab._service.mishaps = Mishaps(FAULTLESS, 1)
        await ask(wire, 0)
        (_, short, *spoilt), right = told(lab)
        assert short < PART
        assert spoilt == [True, False]
        assert right == (0, PART, False, False)
        assert lab.counters()["file_bytes"] == PART + short


async def test_what_a_connection_dies_with_stays_unacknowledged_and_connections_are_counted() -> None:
    async with running() as lab:
        async with wired(lab) as wire:
            await begin(wire)
            assert lab.counters()["connections_open"] == 1
            lab.parts()
            await ask(wire, 0)
            (connection,) = lab._opened
        await connection.closed
        assert lab.counters()["connections_open"] == 0
        assert told(lab) == [(0, PART, False, False)]
