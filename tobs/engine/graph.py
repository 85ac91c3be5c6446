"""The graph: every strategy of a run, joined once before it starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tobs.engine.budget import ByteBudget
from tobs.engine.invoke import deadline, fold, lease, observe, retry, waiting, wire
from tobs.engine.media import CoreFetch, HomeLanes, SerialAgenda, SerialParts, follow
from tobs.engine.pace import Pace
from tobs.engine.pool import CorePool, PoolLimits
from tobs.engine.runner import run_in_turn
from tobs.engine.source import SequentialSource
from tobs.engine.store import NoJournal, PlainDisk, Store
from tobs.engine.wiring import Bare
from tobs.meters import Meters
from tobs.ports import Closes, Drains, FetchBand, InvokeBand, Range

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from tobs.engine.wiring import Wiring
    from tobs.knobs import Value
    from tobs.ports import (
        Agenda,
        Budget,
        Dial,
        Disk,
        Fetch,
        Filter,
        Invoke,
        Journal,
        Lanes,
        Ledger,
        Parts,
        Pool,
        Probe,
        Ranges,
        Runner,
        Sender,
        Source,
        State,
        Submit,
        Write,
    )
    from tobs.values import Batch, BlockHash, Chat, MediaRef, Page, Part, Span, Stored

MEGABYTE = 1_000_000


class Service(Protocol):
    """What core asks of Telegram; `invoke` is the whole graph's way of sending a request.

    `keeps_wire` says whether pages keep the answers that they were made of; it is set while a graph is assembled.
    """

    home: int
    keeps_wire: bool

    async def dial(self, dc: int | None, invoke: Invoke, key: bytes | None = None) -> Sender:
        """Open one authorized sender; see `tobs.ports.Dial`."""
        ...

    async def page(self, invoke: Invoke, chat: Chat, span: Span, skip: int) -> Page:
        """The newest page inside a span, below its `skip` newest messages."""
        ...

    async def part(self, invoke: Invoke, ref: MediaRef, part: Part, dc: int | None) -> bytes:
        """One part of a file."""
        ...

    async def file_hashes(self, invoke: Invoke, ref: MediaRef, offset: int, dc: int | None) -> list[BlockHash]:
        """Hashes of a file's blocks from the one that holds `offset`, in order; none if there are none."""
        ...

    async def refresh(self, invoke: Invoke, refs: Iterable[MediaRef]) -> dict[tuple[int, int], MediaRef]:
        """The same references, fresh; keyed by (message id, file id). What is gone is left out."""
        ...

    def normalise(self, page: Page) -> Batch:
        """Rows, media and peers of a page."""
        ...


@dataclass(frozen=True, slots=True)
class CoreSettings:
    """Values of the core's knobs. `retries` times `retry_pause` seconds apart; budgets in bytes."""

    pool: PoolLimits = field(default_factory=PoolLimits)
    retries: int = 5
    retry_pause: float = 1.0
    history_budget: int = 64 * MEGABYTE
    media_budget: int = 256 * MEGABYTE
    knobs: Mapping[str, Value] = field(default_factory=dict)


@dataclass(slots=True)
class Line:
    """The way of every request, ready before any archive is open: finding a chat needs it too.

    A line is also the `Context` that plugins are given, each with its own `state`. `lanes` and `ledger` come with an
    open archive.
    """

    service: Service
    settings: CoreSettings
    wiring: Wiring
    meters: Meters
    probes: list[Probe]
    budget: Budget = field(init=False)
    pool: Pool = field(init=False)
    pace: Pace = field(init=False)
    invoke: Invoke = field(init=False)
    lanes: Lanes = field(init=False)
    ledger: Ledger = field(init=False)

    @property
    def knobs(self) -> Mapping[str, Value]:
        """Values of the core's knobs."""
        return self.settings.knobs

    @property
    def home(self) -> int:
        """The account's home data centre."""
        return self.service.home

    async def page(self, chat: Chat, within: Range, *, skip: int = 0) -> Page:
        """See `tobs.ports.Context`."""
        through = within.wrap(self.invoke) if within.wrap else self.invoke
        return await self.service.page(through, chat, within.span, skip)

    async def part(self, ref: MediaRef, part: Part, dc: int | None) -> bytes:
        """See `tobs.ports.Context`."""
        return await self.service.part(self.invoke, ref, part, dc)

    async def file_hashes(self, ref: MediaRef, offset: int, dc: int | None = None) -> list[BlockHash]:
        """See `tobs.ports.Context`."""

        async def ask(lane: int | None) -> list[BlockHash]:
            return await self.service.file_hashes(self.invoke, ref, offset, lane)

        return await follow(ask, ref, self.lanes.lane(ref) if dc is None else dc, self.lanes)

    async def refresh(self, refs: Iterable[MediaRef]) -> dict[tuple[int, int], MediaRef]:
        """See `tobs.ports.Context`."""
        return await self.service.refresh(self.invoke, refs)

    def stored(self, size: int, most: int) -> list[Stored]:
        """See `tobs.ports.Context`."""
        return self.ledger.of_size(size, most)

    def raw(self, chat_id: int, span: Span) -> dict[int, bytes]:
        """See `tobs.ports.Context`."""
        return self.ledger.raw(chat_id, span)

    async def close(self) -> None:
        """Close the connections and keep what PACE learned."""
        self.pace.save()
        await self.pool.close()


def connect(line: Line, state: State) -> Line:
    """Join the layers of a request. `state` is the account's. Nothing is opened before the first request."""
    service, settings, wiring, probes = line.service, line.settings, line.wiring, line.probes
    probes.extend(wiring.layers("probe"))

    async def core_dial(dc: int | None, key: bytes | None = None) -> Sender:
        with line.meters.step("dial", dc or service.home):
            return await service.dial(dc, line.invoke, key)

    dial: Dial = core_dial
    for layer in wiring.layers("dial"):
        dial = layer(dial)
    line.budget = wiring.slot("budget", lambda: ByteBudget(settings.history_budget, settings.media_budget, line.meters))
    line.pool = wiring.slot("pool", lambda: CorePool(dial, settings.pool, service.home), dial=dial)
    line.pace = Pace(state, probes)
    added = wiring.layers("invoke")
    if not any(band is InvokeBand.RETRY for band, _ in added):
        added = [(InvokeBand.RETRY, retry(settings.retries, settings.retry_pause)), *added]
    before_pace, within_pace = waiting(line.meters.step("pace"))
    line.invoke = fold(
        wire,
        [
            *added,
            (InvokeBand.PACE, before_pace),
            (InvokeBand.PACE, line.pace.layer),
            (InvokeBand.PACE, within_pace),
            (InvokeBand.LEASE, lease(line.pool, line.meters)),
            (InvokeBand.LEASE, line.pace.gate),
            (InvokeBand.DEADLINE, deadline(line.pool)),
            (InvokeBand.OBSERVE, observe(probes, line.meters)),
        ],
    )
    return line


def bare_line(service: Service, state: State, settings: CoreSettings, probes: Iterable[Probe] = ()) -> Line:
    """A line with no plugins."""
    return connect(Line(service, settings, Bare(), Meters(), list(probes)), state)


@dataclass(slots=True)
class Graph:
    """The strategies in place. What no plugin provides is the baseline's own object."""

    line: Line
    ranges: Ranges
    source: Source
    filter: Filter
    runner: Runner
    normalise: Callable[[Page], Batch]
    write: Write
    submit: Submit
    drains: list[Drains]
    agenda: Agenda
    lanes: Lanes
    parts: Parts
    fetch: Fetch
    disk: Disk
    journal: Journal
    store: Store

    async def close(self) -> None:
        """Stop what works beside the run: who hands on before who takes."""
        for port in (*self.drains, self.agenda):
            if isinstance(port, Closes):
                await port.close()


async def whole_spans(chat: Chat, gaps: Sequence[Span]) -> list[Range]:  # noqa: ARG001 - the port
    """The baseline Ranges: every gap is one range."""
    return [Range(span) for span in gaps]


def whole_page(page: Page) -> Page:
    """The baseline Filter: every message is kept once more, which changes nothing where nothing has changed."""
    return page


def assemble(line: Line, ledger: Ledger, write: Write, folder: Path, place: Callable[[MediaRef], str]) -> Graph:
    """Join baseline and plugins into a graph over an open archive."""
    wiring = line.wiring
    write = wiring.slot("write", lambda: write, write=write)
    lanes: Lanes = wiring.slot("lanes", HomeLanes)
    line.lanes, line.ledger = lanes, ledger
    parts: Parts = wiring.slot("parts", lambda: SerialParts(line.pool, line.budget))
    around = sorted(wiring.layers("fetch"), key=lambda pair: pair[0], reverse=True)
    repaired = any(band is FetchBand.REPAIR for band, _ in around)
    fetch: Fetch = CoreFetch(line.part, None if repaired else line.refresh, lanes, parts)
    for _, layer in around:
        fetch = layer(fetch)
    disk: Disk = wiring.slot("disk", PlainDisk)
    journal: Journal = wiring.slot("journal", NoJournal)
    store = Store(folder, place, fetch, disk, ledger, write, line.probes, journal, line.meters)
    agenda: Agenda = wiring.slot("agenda", lambda: SerialAgenda(store, lanes), work=store, lanes=lanes)

    async def accept(refs: Sequence[MediaRef]) -> None:
        for ref in refs:
            lanes.expect(ref.dc, ref.size)
        await agenda.put(refs)

    submit: Submit = accept
    drains: list[Drains] = []
    for layer in wiring.layers("submit"):
        submit = layer(submit)
        if isinstance(submit, Drains):
            drains.insert(0, submit)  # the outermost hands on first
    filters = wiring.layers("filter")
    line.service.keeps_wire = bool(filters)
    passed: Filter = whole_page
    for layer in filters:
        passed = layer(passed)
    ranges: Ranges = whole_spans
    for layer in wiring.layers("ranges"):
        ranges = layer(ranges)
    return Graph(
        line=line,
        ranges=ranges,
        source=wiring.slot("source", lambda: SequentialSource(line.page)),
        filter=passed,
        runner=wiring.slot("runner", lambda: run_in_turn),
        normalise=line.service.normalise,
        write=write,
        submit=submit,
        drains=drains,
        agenda=agenda,
        lanes=lanes,
        parts=parts,
        fetch=fetch,
        disk=disk,
        journal=journal,
        store=store,
    )
