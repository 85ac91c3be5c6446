"""A client that knows beforehand all that can be known, and so comes as near to the limit as a client can.

It has keys and salts, knows which messages there are and which files have the same bytes, and the limits that it will
meet. File references, and so the files, it still has to take from messages.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from telethon.crypto import AuthKey, rsa
from telethon.errors import FloodError
from telethon.network import ConnectionTcpAbridged, MTProtoSender
from telethon.tl import functions, types

from tests.lab.fakes import LogsByName, connected
from tobs.lab.limit import LARGEST_PART

if TYPE_CHECKING:
    from tobs.lab.scenario import Bucket, Scenario
    from tobs.lab.server import Lab
    from tobs.lab.world import World

UNLIMITED = 4
"""Connections to a data centre that takes as many as one likes."""
MARGIN = 0.12
"""Seconds by which a paced request comes later than the bucket would have it, so that it is not refused though the
first one was held up by the processor."""
PART = 64 * 1024
"""Bytes of a part where connections are slow: small enough that all of them end at the same time."""


@dataclass(slots=True)
class Turns:
    """When the next request of a method may be sent: plain, and inside the takeout, whose bucket is another.

    After a refusal all wait `until` it is over.

    `lead` is how long the first ones are held up until their connection is open.
    """

    bucket: Bucket | None
    factor: float
    takeout: int | None
    jitter: float
    lead: float
    began: float | None = None
    until: float = 0.0
    taken: list[int] = field(default_factory=lambda: [0, 0])

    async def turn(self) -> int | None:
        """Wait for it; the takeout to ask in, or None."""
        now = asyncio.get_running_loop().time()
        if self.until > now:
            await asyncio.sleep(self.until - now)
        if self.bucket is None:
            return None
        now = asyncio.get_running_loop().time()
        if self.began is None:
            self.began = now + self.lead
        times = []
        for (burst, refill), taken in zip(self._buckets(), self.taken, strict=False):
            late = (taken + 1 - burst) / refill + MARGIN + self.jitter
            times.append(self.began + late if taken >= burst else now)
        which = min(range(len(times)), key=lambda number: times[number])
        self.taken[which] += 1
        await asyncio.sleep(max(0.0, times[which] - now))
        return self.takeout if which else None

    async def refused(self, inside: int | None, seconds: int) -> None:
        """Wait, and go on with what the bucket holds afterwards."""
        self.until = max(self.until, asyncio.get_running_loop().time() + seconds)
        await asyncio.sleep(seconds)
        if self.bucket is None:
            return
        which = 0 if inside is None else 1
        burst, refill = self._buckets()[which]
        since = asyncio.get_running_loop().time() - (self.began or 0.0)
        self.taken[which] = max(self.taken[which], round(since * refill) + burst - 1)

    def _buckets(self) -> list[tuple[int, float]]:
        """Burst and refill, plain and inside the takeout."""
        assert self.bucket is not None
        plain = (self.bucket.burst, self.bucket.refill)
        if self.takeout is None:
            return [plain]
        return [plain, (max(1, round(plain[0] * self.factor)), plain[1] * self.factor)]


@dataclass(slots=True)
class Place:
    """One open connection and the bytes that were asked over it."""

    sender: Any
    asked: int = 0


class Oracle:
    """One export of everything that a lab on this loop serves, as fast as can be."""

    def __init__(self, lab: Lab, world: World, scenario: Scenario) -> None:
        self._lab = lab
        self._world = world
        self._scenario = scenario
        self._keys: dict[int, tuple[AuthKey, int]] = {}
        self._places: dict[int, list[asyncio.Task[Place]]] = {}
        self._takeout: int | None = None
        self._had: set[object] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._ready = asyncio.Event()

    async def seconds(self) -> float:
        """From the first accepted connection to the last byte."""
        await self._learn()
        limits = self._scenario.limits
        home = self._scenario.network.home
        trips = {dc.id: dc.rtt + dc.jitter for dc in self._scenario.network.dcs}
        jitter = 2 * max(dc.jitter for dc in self._scenario.network.dcs)
        factor = limits.takeout.factor
        self._pages = Turns(limits.history, factor, self._takeout, jitter, trips[home])
        self._parts = Turns(limits.file, factor, self._takeout, jitter, max(0.0, max(trips.values()) - 2 * trips[home]))
        self._lab.reset()
        needed = {self._world.shelf.specs[file].dc for h in self._world.histories.values() for file in h.file_ids}
        for dc in sorted({home} | needed, key=lambda dc: dc != home):
            connections = self._scenario.network.connections or UNLIMITED
            self._places[dc] = [asyncio.create_task(self._open(dc)) for _ in range(connections)]
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for peer, history in self._world.histories.items():
                    ids = history.ids[::-1]
                    for start in range(0, len(ids), 100):
                        group.create_task(self._page(self._peer(peer), ids[start] + 1))
            end = asyncio.get_running_loop().time()
        finally:
            for place in [task for tasks in self._places.values() for task in tasks]:
                await (await place).sender.disconnect()
        assert self._had == {self._content(file) for h in self._world.histories.values() for file in h.file_ids}
        began = self._lab.counters()["first_accept"]
        assert isinstance(began, float)
        return end - began

    async def _learn(self) -> None:
        """What the client has from earlier: keys, salts and a takeout."""
        home = self._scenario.network.home
        rsa.add_key(self._lab.server_file["public_key"], old=False)
        async with connected(self._lab) as client:
            self._keys[home] = (client._sender.auth_key, client._sender._state.salt)
            for dc in self._scenario.network.dcs:
                if dc.id != home:
                    sender = await client._borrow_exported_sender(dc.id)
                    self._keys[dc.id] = (sender.auth_key, sender._state.salt)
                    await client._return_exported_sender(sender)
            self._takeout = await begin_takeout(client)
        await self._all_closed()

    async def _all_closed(self) -> None:
        """Wait until the lab has seen it, or data centres would take fewer of the connections that follow."""
        loop = asyncio.get_running_loop()
        closed = loop.create_future()

        def look() -> None:
            counters = self._lab.counters()
            if counters["connections_opened"] == counters["connections_closed"]:
                closed.set_result(None)
            else:
                loop.call_later(0.001, look)

        look()
        await closed

    async def _open(self, dc: int) -> Place:
        key, salt = self._keys[dc]
        sender = MTProtoSender(
            AuthKey(key.key), loggers=LogsByName(), retries=1, delay=0, auto_reconnect=False, connect_timeout=10
        )
        host = self._lab.server_file["host"]
        await sender.connect(ConnectionTcpAbridged(host, self._lab.ports[dc], dc, loggers=LogsByName()))
        sender._state.salt = salt
        return Place(sender)

    async def _ask(self, dc: int, request: Any, turns: Turns, size: int) -> Any:
        """Over the connection to which fewest bytes lead; again where the server asks to wait."""
        places = [await place for place in self._places[dc]]
        place = min(places, key=lambda place: place.asked)
        place.asked += size
        while True:
            inside = await turns.turn()
            wrapped = request if inside is None else functions.InvokeWithTakeoutRequest(inside, request)
            try:
                return await place.sender.send(wrapped)
            except FloodError as error:
                await turns.refused(inside, error.seconds)

    async def _page(self, peer: Any, below: int) -> None:
        request = functions.messages.GetHistoryRequest(peer, below, None, 0, 100, 0, 0, 0)
        page = await self._ask(self._scenario.network.home, request, self._pages, 1)
        for message in page.messages:
            holder = getattr(message, "media", None) or getattr(message, "action", None)
            file = getattr(holder, "document", None) or getattr(holder, "photo", None)
            if isinstance(file, types.Document | types.Photo) and self._content(file.id) not in self._had:
                self._had.add(self._content(file.id))
                size = self._world.shelf.specs[file.id].size
                step = LARGEST_PART if self._scenario.limits.file or self._scenario.limits.premium else PART
                for offset in range(0, size, step):
                    part = functions.upload.GetFileRequest(location(file), offset, step, precise=True)
                    self._group.create_task(self._part(file.dc_id, part, min(step, size - offset)))

    async def _part(self, dc: int, request: Any, size: int) -> None:
        part = await self._ask(dc, request, self._parts, size)
        assert len(part.bytes) == size

    def _content(self, file_id: int) -> object:
        return self._world.shelf.specs[file_id].content

    def _peer(self, marked: int) -> Any:
        if marked > 0:
            return types.InputPeerUser(marked, self._world.users[marked].access_hash)
        if marked > -(10**12):
            return types.InputPeerChat(-marked)
        bare = -(10**12) - marked
        return types.InputPeerChannel(bare, self._world.chats[bare].access_hash)


def location(file: Any) -> Any:
    """Of the largest size of a photo, or of a document."""
    if isinstance(file, types.Document):
        return types.InputDocumentFileLocation(file.id, file.access_hash, file.file_reference, "")
    return types.InputPhotoFileLocation(file.id, file.access_hash, file.file_reference, file.sizes[-1].type)


async def begin_takeout(client: Any) -> int:
    """The id of a takeout session."""
    takeout = await client(functions.account.InitTakeoutSessionRequest(files=True, file_max_size=2**31))
    return int(takeout.id)
