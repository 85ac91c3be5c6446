"""parallel_media's agenda and parts over core's pool, on connections with a rate: none idles while files are left."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.engine.fakes import MemorySink, ref
from tests.engine.virtual import now, virtually
from tobs.engine.budget import ByteBudget
from tobs.engine.media import HomeLanes
from tobs.engine.pool import CorePool, PoolLimits
from tobs.meters import Meters
from tobs.values import Traffic
from tobs_parallel_media import manifest
from tobs_parallel_media.plugin import ParallelMedia

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tobs.values import MediaRef, Part

RTT = 0.04
RATE = 1_500_000
CONNECTIONS = 4


@dataclass(eq=False)
class Line:
    """A connection that sends one answer after the other at `RATE`."""

    dc: int
    closed: bool = False
    free: float = 0.0
    sent: list[float] = field(default_factory=list)

    async def send(self, request: int) -> int:
        await asyncio.sleep(RTT / 2)
        self.free = max(self.free, now()) + request / RATE
        self.sent.append(self.free)
        await asyncio.sleep(self.free - now() + RTT / 2)
        return request

    async def close(self) -> None:
        self.closed = True


class Surroundings:
    """As much of a `Context` as the plugin needs, and a server of files at its connections."""

    def __init__(self) -> None:
        self.meters = Meters()
        self.budget = ByteBudget(1, 10**9)
        self.lines: list[Line] = []
        self.pool = CorePool(self._dial, PoolLimits(connections=CONNECTIONS), 2)
        self.asked: Counter[int] = Counter()
        self.ended: dict[int, float] = {}

    async def _dial(self, dc: int | None, key: bytes | None = None) -> Any:  # noqa: ARG002 - the port
        await asyncio.sleep(RTT)
        self.lines.append(Line(dc or 2))
        return self.lines[-1]

    async def export(self, refs: Sequence[MediaRef], **knobs: Any) -> None:
        """Bring all files by the plugin, a page at a time; close what is open."""
        plugin = ParallelMedia({knob.name: knob.default for knob in manifest.knobs} | knobs)
        here: Any = self
        parts = plugin.tobs_parts(here)

        async def work(one: MediaRef) -> None:
            async def read(part: Part) -> bytes:
                size = min(part.limit, one.size - part.offset)
                self.asked[one.file_id] += size
                async with self.pool.lease(one.dc, Traffic.MEDIA) as line:
                    await line.send(size)
                return bytes(size)

            await parts(one, read, MemorySink(), one.size)
            self.ended[one.file_id] = now()

        agenda = plugin.tobs_agenda(here, work, HomeLanes())
        for start in range(0, len(refs), 40):
            await agenda.put(refs[start : start + 40])
        await agenda.drain()
        await self.pool.close()
        assert len(asyncio.all_tasks()) == 1


def mixed(seed: int) -> list[MediaRef]:
    """Many photos, some videos and documents, one of them huge, on two data centres, in any order."""
    chance = random.Random(seed)
    sizes = [(chance.randint(30_000, 200_000), "photo") for _ in range(120)]
    sizes += [(chance.randint(400_000, 5_000_000), "video_file") for _ in range(24)]
    sizes += [(chance.randint(100_000, 1_000_000), "file") for _ in range(15)] + [(20_000_000, "file")]
    chance.shuffle(sizes)
    return [ref(number, size, dc=chance.choice((2, 4)), kind=kind) for number, (size, kind) in enumerate(sizes)]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("reserve", [0.0, 0.125])
def test_mixed_files_take_little_longer_than_their_bytes_and_small_ones_are_early(seed: int, reserve: float) -> None:
    refs, around = mixed(seed), Surroundings()

    async def main() -> float:
        await around.export(refs, reserve=reserve)
        return now()

    seconds = virtually(main)
    slowest = max(sum(each.size for each in refs if each.dc == dc) for dc in (2, 4)) / (CONNECTIONS * RATE)
    assert around.asked == {each.file_id: each.size for each in refs}
    assert slowest <= seconds <= 1.1 * slowest + 1
    assert sorted(around.ended.values())[len(refs) // 2] <= 0.4 * seconds


@pytest.mark.parametrize("size", [3_000_000, 30_000_000])
def test_the_last_file_has_all_connections_of_its_data_centre(size: int) -> None:
    around = Surroundings()

    async def main() -> float:
        await around.export([ref(1, size), *(ref(10 + number, 10_000) for number in range(30))])
        return now()

    seconds = virtually(main)
    assert len(around.lines) == CONNECTIONS
    last = [line.sent[-1] for line in around.lines]
    assert max(last) - min(last) <= 2 * 512 * 1024 / RATE  # nobody ends more than two parts before the others
    assert seconds <= size / (CONNECTIONS * RATE) + 2 * 512 * 1024 / RATE + 0.5
