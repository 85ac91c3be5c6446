"""`tobs demo`: the main job on a lab, from nothing to a verified archive."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tobs.cli.outcome import INCOMPLETE, answer, human_bytes
from tobs.cli.shared_options import AsJson, Verbose
from tobs.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tobs.archive.verify import Verification
    from tobs.host.run import Report
    from tobs.lab.child import Child
    from tobs.lab.limit import Limit

MARK = ".made-by-tobs-demo"
SCENARIO = "demo"


@dataclass(frozen=True, slots=True)
class _Arm:
    """One export of the demo: its report, what the lab counted, and whether its archive holds the truth."""

    name: str
    report: Report
    counters: dict[str, Any]
    checked: Verification
    equal: bool

    @property
    def ok(self) -> bool:
        """Whether everything is there, byte for byte, without a request too many."""
        quiet = not self.counters["requests_during_flood"]
        return self.equal and self.checked.ok and quiet and not self.report.warnings


def demo(
    folder: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Where the archives go; replaced by each demo."),
    ] = Path("tobs-demo"),
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Export a channel from a local Telegram twice, without and with the plugins, and show what they gain.

    Needs no account and no network: the lab is a process of its own on loopback that speaks real MTProto. Both
    archives are verified, file by file and against the lab's own truth.

    Example: tobs demo
    """
    from tobs.cli.way_in import log_to_stderr
    from tobs.lab.child import spawn
    from tobs.lab.limit import limit
    from tobs.lab.scenario import load
    from tobs.lab.world import build

    log_to_stderr(verbose=verbose)
    _clear(folder)

    def say(text: str) -> None:
        if not as_json:
            typer.echo(text, err=True)

    say("Building the lab's channel …")
    scenario = load(SCENARIO)
    world = build(scenario)
    chat = max(world.histories.values(), key=lambda history: history.count).peer_id
    bound = limit(scenario, world, chat)
    with spawn(SCENARIO, folder / "lab") as lab:
        truth: str = lab.truth(chat)["digest"]
        say("Without plugins: one request at a time …")
        base = _exported(folder, "baseline", chat, lab, truth, quiet=as_json)
        say("With the default plugins …")
        best = _exported(folder, "default", chat, lab, truth, quiet=as_json)
    facts = _facts(base, best, bound)
    if as_json:
        answer(**facts)
    else:
        _show(base, best, bound)
    if not facts["ok"]:
        raise typer.Exit(INCOMPLETE)


def _exported(folder: Path, arm: str, chat: int, lab: Child, truth: str, *, quiet: bool) -> _Arm:
    """Export with a fresh archive and nothing learned before; the settings are the shipped defaults."""
    from tobs.archive.result import render_json
    from tobs.archive.verify import verify
    from tobs.cli.export import until_stopped
    from tobs.cli.plan import plan_of
    from tobs.cli.progress import Progress
    from tobs.host import run, settings
    from tobs.telegram.account import load

    chosen = settings.of_arm(arm)
    archive = folder / ("archive" if arm == "default" else f"archive-{arm}")
    request = run.Request([str(chat)], archive, state=folder / f"state-{arm}")
    lab.reset()
    with Progress(quiet=quiet) as progress:
        report = until_stopped(run.export(load(lab.server_file), chosen, request, [progress], plan_of(chosen)))
    counters = lab.counters()
    render_json(report.archive)
    return _Arm(arm, report, counters, verify(report.archive), report.digest == truth)


def _facts(base: _Arm, best: _Arm, bound: Limit) -> dict[str, Any]:
    return {
        "ok": base.ok and best.ok,
        "digests_equal": base.equal and best.equal,
        "speedup": round(base.report.seconds / best.report.seconds, 3),
        "limit_seconds": round(bound.seconds, 3),
        "limit_resource": bound.resource,
        **_measures(best, bound),
        "baseline": _measures(base, bound),
    }


def _measures(arm: _Arm, bound: Limit) -> dict[str, Any]:
    seconds, tally = arm.report.seconds, arm.report.tally
    return {
        "efficiency": round(bound.seconds / seconds, 4),
        "messages_per_second": round(tally.messages / seconds, 1),
        "bytes_per_second": round(tally.size / seconds),
        "requests_served": sum(arm.counters["requests"].values()),
        "requests_during_flood": arm.counters["requests_during_flood"],
        "verified": arm.checked.ok,
        **arm.report.as_json(),
    }


def _show(base: _Arm, best: _Arm, bound: Limit) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("")
    for arm in (base, best):
        table.add_column(arm.name, justify="right")
    for name, cell in _ROWS:
        table.add_row(name, *(cell(arm, _measures(arm, bound)) for arm in (base, best)))
    Console().print(table)
    ratio = base.report.seconds / best.report.seconds
    typer.echo(f"The plugins make it {ratio:.1f} times as fast: {', '.join(best.report.plan.plugins)}.")
    typer.echo(f"No client can be faster than {bound.seconds:.1f} s here ({bound.resource}).")
    equal = "Both digests equal" if base.equal and best.equal else "NOT both digests equal"
    typer.echo(f"{equal} the lab's truth: {best.report.digest}")
    for warning in dict.fromkeys([*base.report.warnings, *best.report.warnings]):
        typer.echo(f"Warning: {warning}", err=True)
    archive = best.report.archive
    typer.echo(f"\nThe archive: {archive.resolve()}")
    typer.echo(f"Look into it: tobs search {archive} photo, or open tobs.sqlite with any SQLite tool.")


_ROWS: tuple[tuple[str, Callable[[_Arm, dict[str, Any]], str]], ...] = (
    ("time", lambda arm, _: f"{arm.report.seconds:.1f} s"),
    ("messages", lambda arm, _: f"{arm.report.tally.messages:,}"),
    ("messages a second", lambda _, facts: f"{facts['messages_per_second']:,.0f}"),
    ("files", lambda arm, _: f"{arm.report.tally.files:,} ({human_bytes(arm.report.tally.size)})"),
    ("bytes a second", lambda _, facts: human_bytes(facts["bytes_per_second"])),
    ("requests", lambda arm, _: f"{sum(arm.report.tally.requests.values()):,}"),
    ("efficiency (limit ÷ time)", lambda _, facts: f"{facts['efficiency']:.0%}"),
    ("verified", lambda arm, _: "yes" if arm.ok else "NO"),
)


def _clear(folder: Path) -> None:
    """Make the folder anew if an earlier demo made it. Raises `UsageError` if it is somebody else's."""
    if folder.exists():
        if any(folder.iterdir()) and not (folder / MARK).exists():
            raise UsageError(f"{folder} is not empty and not a demo's", hint="Choose another folder with -o.")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARK).touch()
