"""The whole way of a request, joined as a run joins it, over a server that floods."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.engine.fakes import FakeSender, Seen
from tests.engine.virtual import FloodServer, now, virtually
from tobs.engine import pace
from tobs.engine.graph import CoreSettings, bare_line
from tobs.engine.pool import PoolLimits
from tobs.engine.state import MemoryState
from tobs.errors import LostError
from tobs.ports import Call
from tobs.values import Traffic

if TYPE_CHECKING:
    from tobs.engine.graph import Line

METHOD = "upload.getFile"


class FloodSender(FakeSender):
    """A connection to the flooding server."""

    server: FloodServer

    async def send(self, request: Any) -> Any:
        return await self.server(request)


@dataclass
class FloodService:
    """A Telegram of which only requests are asked."""

    server: FloodServer
    home: int = 2
    keeps_wire: bool = False
    dialled: int = 0
    senders: list[FloodSender] = field(default_factory=list)

    async def dial(self, dc: int | None, invoke: Any, key: bytes | None = None) -> FloodSender:  # noqa: ARG002 - the protocol
        self.dialled += 1
        await asyncio.sleep(0.3)
        sender = FloodSender(dc or self.home)
        sender.server = self.server
        self.senders.append(sender)
        return sender


@pytest.fixture(autouse=True)
def _virtual_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace.Pace.__init__, "__kwdefaults__", {"clock": now, "sleep": asyncio.sleep, "wall": now})


def line_of(service: FloodService, state: MemoryState, *probes: Any) -> Line:
    limits = PoolLimits(connections=2, in_flight=2)
    return bare_line(service, state, CoreSettings(pool=limits), probes)  # type: ignore[arg-type]


async def ask(line: Line) -> Any:
    call = Call(None, METHOD, Traffic.MEDIA, limit=7)
    call.request = call
    return await line.invoke(call)


@pytest.mark.parametrize("workers", [1, 5, 40])
def test_no_request_leaves_during_a_wait_even_from_the_queue_for_a_connection(workers: int) -> None:
    async def main() -> None:
        server, seen = FloodServer(10, 5, (4, 8)), Seen()
        line = line_of(FloodService(server), MemoryState(), seen)
        left = iter(range(80))

        async def work() -> None:
            for _ in left:
                assert await ask(line) == 7

        await asyncio.gather(*(work() for _ in range(workers)))
        await line.close()
        assert server.during == 0
        assert server.served == 80
        assert [attempt.outcome for attempt in seen.attempts].count("ok") == 80
        assert len(seen.floods) == len(server.floods)

    virtually(main)


def test_one_request_at_a_time_needs_one_connection() -> None:
    async def main() -> None:
        service = FloodService(FloodServer(100, 5, (4, 8)))
        line = line_of(service, MemoryState())
        for _ in range(20):
            await ask(line)
        assert service.dialled == 1
        await line.close()
        assert all(sender.closed for sender in service.senders)

    virtually(main)


def test_closing_keeps_what_pace_learned() -> None:
    async def main() -> None:
        state, server = MemoryState(), FloodServer(3, 5, (4, 8))
        line = line_of(FloodService(server), state)
        for _ in range(6):
            await ask(line)
        await line.close()
        assert state.get("pace")[METHOD]["rate"] == line.pace.rate(METHOD)
        with pytest.raises(LostError, match="closing"):
            await ask(line)

    virtually(main)
