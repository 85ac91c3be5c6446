"""Manifests, plans and lines for the tests of the host."""

# ruff: noqa: ARG002 - a fake takes what its port is given

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tobs.engine.graph import CoreSettings, Line, connect
from tobs.engine.state import MemoryState
from tobs.host.arm import Arm, parse_arm
from tobs.host.resolve import Plan, resolve
from tobs.host.scope import Places
from tobs.host.wiring import HookWiring
from tobs.knobs import Knob
from tobs.manifest import Manifest
from tobs.meters import Meters

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tobs.ports import Invoke, Sender
    from tobs.values import Batch, BlockHash, Chat, MediaRef, Page, Part, Span

HERE = "tests.host.plugins"


def plugin(name: str, **declared: Any) -> Manifest:
    """A manifest with nothing but what a test is about."""
    return Manifest(name, f"What {name} is for.", declared.pop("load", "nowhere:Nothing"), **declared)


def by_name(*manifests: Manifest) -> dict[str, Manifest]:
    return {manifest.name: manifest for manifest in manifests}


def witness(name: str, notes: str) -> Manifest:
    """A witness that writes to the list `notes`."""
    knobs = (Knob("tag", name, "Who."), Knob("list", notes, "Where."))
    return plugin(name, load=f"{HERE}.witness:Witness", knobs=knobs)


def slots(name: str = "slots") -> Manifest:
    return plugin(name, load=f"{HERE}.witness:Slots", provides=("source", "write", "agenda"))


def misuse(kind: str, *provides: str, name: str = "") -> Manifest:
    return plugin(name or kind.lower(), load=f"{HERE}.misuse:{kind}", provides=provides)


def breaking(where: str) -> Manifest:
    return plugin("breaking", load=f"{HERE}.misuse:Breaking", knobs=(Knob("where", where, "Where to fail."),))


def plan_of(*manifests: Manifest, arm: str = "all") -> Plan:
    """A plan without problems."""
    return resolve(by_name(*manifests), parse_arm(arm)).require()


def planned(manifests: Mapping[str, Manifest] | Iterable[Manifest], arm: str | Arm = "all", **more: Any) -> Plan:
    """A plan, problems and all."""
    known = manifests if isinstance(manifests, dict) else by_name(*manifests)
    return resolve(known, parse_arm(arm) if isinstance(arm, str) else arm, **more)


class NoService:
    """A service that is never asked."""

    home = 2
    keeps_wire = False

    async def dial(self, dc: int | None, invoke: Invoke, key: bytes | None = None) -> Sender:
        raise AssertionError

    async def page(self, invoke: Invoke, chat: Chat, span: Span, skip: int) -> Page:
        raise AssertionError

    async def part(self, invoke: Invoke, ref: MediaRef, part: Part, dc: int | None) -> bytes:
        raise AssertionError

    async def file_hashes(self, invoke: Invoke, ref: MediaRef, offset: int, dc: int | None) -> list[BlockHash]:
        raise AssertionError

    async def refresh(self, invoke: Invoke, refs: Iterable[MediaRef]) -> dict[tuple[int, int], MediaRef]:
        raise AssertionError

    def normalise(self, page: Page) -> Batch:
        raise AssertionError


def wire(plan: Plan, folder: Path = Path("unused")) -> Line:
    """A connected line with a plan's plugins over a service that is never asked."""
    wiring = HookWiring(plan, Places(folder / "account", folder / "archive", folder / "user"))
    line = Line(NoService(), CoreSettings(knobs=plan.values("core")), wiring, Meters(), [])
    wiring.attach(line)
    return connect(line, MemoryState())
