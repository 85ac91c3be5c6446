"""`tobs demo`: the main job on a lab, from nothing to a verified archive."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tobs.cli.outcome import INCOMPLETE, answer, human_bytes
from tobs.cli.shared_options import AsJson, Verbose
from tobs.errors import UsageError

if TYPE_CHECKING:
    from tobs.archive.verify import Verification
    from tobs.host.run import Report
    from tobs.lab.limit import Limit

MARK = ".made-by-tobs-demo"
SCENARIO = "demo"


def demo(
    folder: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Where the archive goes; replaced by each demo."),
    ] = Path("tobs-demo"),
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Export a channel from a local Telegram, verify it against the truth and show how fast it went.

    Needs no account and no network: the lab is a process of its own on loopback that speaks real MTProto.

    Example: tobs demo
    """
    from tobs.archive.verify import verify
    from tobs.cli.way_in import log_to_stderr
    from tobs.lab.limit import limit
    from tobs.lab.scenario import load
    from tobs.lab.world import build

    log_to_stderr(verbose=verbose)
    _clear(folder)

    def say(text: str) -> None:
        if not as_json:
            typer.echo(text, err=True)

    say("Building the lab's channel (the first time makes its media) …")
    scenario = load(SCENARIO)
    world = build(scenario)
    chat = max(world.histories.values(), key=lambda history: history.count).peer_id
    bound = limit(scenario, world, chat)
    report, truth, counters = _exported(folder, chat, say, quiet=as_json)
    say("Verifying every file …")
    checked = verify(report.archive)
    equal = report.digest == truth["digest"]
    facts = _facts(report, bound, counters, checked, digests_equal=equal)
    if as_json:
        answer(**facts)
    else:
        _show(report, bound, truth, facts)
    if not facts["ok"]:
        raise typer.Exit(INCOMPLETE)


def _exported(folder: Path, chat: int, say: Any, *, quiet: bool) -> tuple[Report, dict[str, Any], dict[str, Any]]:
    from tobs.archive.result import render_json
    from tobs.cli.export import until_stopped
    from tobs.cli.progress import Progress
    from tobs.host import run, settings
    from tobs.lab.child import spawn
    from tobs.telegram.account import load

    with spawn(SCENARIO, folder / "lab") as lab:
        say("Exporting it over MTProto, one request at a time …")
        request = run.Request([str(chat)], folder / "archive", state=folder / "state")
        with Progress(quiet=quiet) as progress:
            report = until_stopped(run.export(load(lab.server_file), settings.load(), request, [progress]))
        counters = lab.counters()
        truth = lab.truth(chat)
    render_json(report.archive)
    return report, truth, counters


def _facts(
    report: Report, bound: Limit, counters: dict[str, Any], checked: Verification, *, digests_equal: bool
) -> dict[str, Any]:
    seconds, tally = report.seconds, report.tally
    return {
        "ok": digests_equal and checked.ok and not report.warnings and not counters["requests_during_flood"],
        "digests_equal": digests_equal,
        "efficiency": round(bound.seconds / seconds, 4),
        "limit_seconds": round(bound.seconds, 3),
        "limit_resource": bound.resource,
        "messages_per_second": round(tally.messages / seconds, 1),
        "bytes_per_second": round(tally.size / seconds),
        "requests_served": sum(counters["requests"].values()),
        "requests_during_flood": counters["requests_during_flood"],
        **report.as_json(),
        "verified": {key: value for key, value in asdict(checked).items() if not isinstance(value, list)},
    }


def _show(report: Report, bound: Limit, truth: dict[str, Any], facts: dict[str, Any]) -> None:
    tally = report.tally
    rows = [
        ("messages", f"{tally.messages:,}  ({facts['messages_per_second']:,.0f} a second)"),
        (
            "files",
            f"{tally.files:,}, {human_bytes(tally.size)}  ({human_bytes(facts['bytes_per_second'])} a second)",
        ),
        ("requests", f"{sum(tally.requests.values()):,}"),
        ("time", f"{report.seconds:.1f} s"),
        ("limit", f"{bound.seconds:.1f} s  ({bound.resource}: no client can be faster)"),
        ("efficiency", f"{facts['efficiency']:.1%}  (limit ÷ time)"),
        (
            "digest",
            f"{report.digest[:16]}…  {'equals' if facts['digests_equal'] else 'DIFFERS FROM'} the lab's truth",
        ),
    ]
    for name, text in rows:
        typer.echo(f"{name:>12}  {text}")
    if not facts["digests_equal"]:
        typer.echo(f"{'truth':>12}  {truth['digest']}")
    for warning in report.warnings:
        typer.echo(f"Warning: {warning}", err=True)
    archive = report.archive.resolve()
    typer.echo(f"\nThe archive: {archive}")
    typer.echo(
        f"Look into it: tobs search {report.archive} photo, or open {archive / 'tobs.sqlite'} with any SQLite tool."
    )


def _clear(folder: Path) -> None:
    """Make the folder anew if an earlier demo made it. Raises `UsageError` if it is somebody else's."""
    if folder.exists():
        if any(folder.iterdir()) and not (folder / MARK).exists():
            raise UsageError(f"{folder} is not empty and not a demo's", hint="Choose another folder with -o.")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARK).touch()
