"""What a switched-off plugin leaves behind: run in an interpreter of its own, prints a JSON list of faults.

`python -m tobs.testing.off NAME`
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import fields
from pathlib import Path
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from tobs.archive.archive import Archive
from tobs.archive.naming import place
from tobs.engine.graph import Graph, Line, assemble, bare_line, connect
from tobs.engine.state import MemoryState
from tobs.host.plugins import discover
from tobs.host.resolve import resolve
from tobs.host.scope import Places
from tobs.host.settings import core_settings, of_arm
from tobs.host.wiring import HookWiring
from tobs.meters import Meters
from tobs.testing import arms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tobs.manifest import Manifest
    from tobs.ports import Invoke, Sender
    from tobs.values import Batch, BlockHash, Chat, MediaRef, Page, Part, Span

LATE = ("log", "transform", "lifespan")
"""Ports that a run asks for beside the graph."""


class Unasked:
    """A service for graphs that never run."""

    home = 1
    keeps_wire = False

    async def dial(self, dc: int | None, invoke: Invoke, key: bytes | None = None) -> Sender:
        """See `tobs.engine.graph.Service`."""
        raise AssertionError(dc, invoke, key)

    async def page(self, invoke: Invoke, chat: Chat, span: Span, skip: int) -> Page:
        """See `tobs.engine.graph.Service`."""
        raise AssertionError(invoke, chat, span, skip)

    async def part(self, invoke: Invoke, ref: MediaRef, part: Part, dc: int | None) -> bytes:
        """See `tobs.engine.graph.Service`."""
        raise AssertionError(invoke, ref, part, dc)

    async def file_hashes(self, invoke: Invoke, ref: MediaRef, offset: int, dc: int | None) -> list[BlockHash]:
        """See `tobs.engine.graph.Service`."""
        raise AssertionError(invoke, ref, offset, dc)

    async def refresh(self, invoke: Invoke, refs: Iterable[MediaRef]) -> dict[tuple[int, int], MediaRef]:
        """See `tobs.engine.graph.Service`."""
        raise AssertionError(invoke, refs)

    def normalise(self, page: Page) -> Batch:
        """See `tobs.engine.graph.Service`."""
        raise AssertionError(page)


class SeenWiring(HookWiring):
    """A wiring that notes how many layers each port got."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.seen: dict[str, int] = {}

    def layers(self, port: str) -> list[Any]:
        """See `tobs.engine.wiring.Wiring`."""
        found = super().layers(port)
        self.seen[port] = len(found)
        return found


def faults(name: str) -> Iterator[str]:
    """How a graph with the plugin switched off differs from one on a machine where it is not installed."""
    found = discover()
    manifests = found.manifests
    without = arms.without(manifests, name)
    with tempfile.TemporaryDirectory() as folder, Archive.create(Path(folder), []) as archive:
        bare = assemble(_bare(), archive, archive.write, archive.folder, place)
        off, layers = _wired(manifests, "baseline", archive)
        yield from _compare("baseline", off, bare)
        if off.write is not archive.write:
            yield "baseline: write is another object than the archive's own"
        yield from (f"baseline: {count} layers of tobs_{port}" for port, count in layers.items() if count)
        yield from _imported("baseline", manifests[name])
        arm = " ".join(["default", *(f"-{other}" for other in manifests if other not in without)])
        off, layers = _wired(manifests, arm, archive)
        absent, absent_layers = _wired(without, "default", archive)
        yield from _compare(arm, off, absent)
        if layers != absent_layers:
            yield f"{arm}: layers {layers}, where it is not installed {absent_layers}"
        yield from _imported(arm, manifests[name])


def _wired(manifests: Mapping[str, Manifest], arm: str, archive: Archive) -> tuple[Graph, dict[str, int]]:
    """The graph of an arm and the number of layers by port."""
    plan = resolve(manifests, of_arm(arm).wanted).require()
    here = archive.folder
    wiring = SeenWiring(plan, Places(here / "account", here, here / "user"))
    line = Line(Unasked(), core_settings(plan.knobs["core"]), wiring, Meters(), [])
    wiring.attach(line)
    graph = assemble(connect(line, MemoryState()), archive, archive.write, here, place)
    for port in LATE:
        wiring.layers(port)
    return graph, wiring.seen


def _bare() -> Line:
    """The line of a run that knows of no plugins at all."""
    return bare_line(Unasked(), MemoryState(), of_arm("baseline").engine())


def _compare(arm: str, found: Graph, wanted: Graph) -> Iterator[str]:
    """Where two graphs are not of the same objects (functions, the archive's write) and kinds of objects."""
    for one, other, names in ((found, wanted, fields(Graph)), (found.line, wanted.line, fields(Line))):
        for name in (field.name for field in names if field.name not in {"line", "wiring"}):
            actual, right = _kind(getattr(one, name)), _kind(getattr(other, name))
            if actual is not right:
                yield f"{arm}: {name} is {actual}, where the plugin is not installed {right}"
    if len(found.line.probes) != len(wanted.line.probes):
        yield f"{arm}: {len(found.line.probes)} probes, where the plugin is not installed {len(wanted.line.probes)}"


def _kind(value: object) -> object:
    """What must be identical: a function itself, the code of one that is made anew each time, else the type."""
    if isinstance(value, MethodType):
        return value.__func__
    if isinstance(value, FunctionType):
        return value.__code__ if "<locals>" in value.__qualname__ else value
    return type(value)


def _imported(arm: str, manifest: Manifest) -> Iterator[str]:
    module = manifest.load.partition(":")[0]
    if module in sys.modules:
        yield f"{arm}: {module} was imported"


if __name__ == "__main__":
    sys.stdout.write(json.dumps(list(faults(sys.argv[1]))))
