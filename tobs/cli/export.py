"""`tobs export`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tobs.cli.outcome import INCOMPLETE, answer, human_bytes
from tobs.cli.shared_options import AccountName, ArmText, AsJson, Config, Off, On, Profile, Server, Sets, Verbose
from tobs.cli.way_in import find_account, log_to_stderr
from tobs.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tobs.host.run import Record, Report

KEPT_RUNS = 50
"""Runs whose metrics are kept."""
KINDS = (
    "photo",
    "video_file",
    "video_message",
    "voice_message",
    "audio_file",
    "animation",
    "sticker",
    "file",
)
UNITS = {"": 1, "b": 1, "k": 10**3, "kb": 10**3, "m": 10**6, "mb": 10**6, "g": 10**9, "gb": 10**9}


def export(
    chats: Annotated[list[str], typer.Argument(metavar="CHAT…", help="@username, link, id, exact title or `me`.")],
    folder: Annotated[Path, typer.Option("--output", "-o", metavar="ARCHIVE", help="The archive folder.")],
    media: Annotated[
        bool, typer.Option("--media/--no-media", help="Fetch files, or leave them for a later run.")
    ] = True,
    media_only: Annotated[
        bool,
        typer.Option("--media-only", help="Ask for no message: fetch the files that earlier runs left."),
    ] = False,
    kinds: Annotated[
        str | None,
        typer.Option("--kinds", metavar="A,B", help=f"Only files of these kinds: {', '.join(KINDS)}."),
    ] = None,
    max_size: Annotated[
        str | None,
        typer.Option("--max-size", metavar="SIZE", help="Leave out larger files, for example 20MB."),
    ] = None,
    transform: Annotated[
        str | None,
        typer.Option(
            "--transform",
            metavar="A,B",
            help="Derive files from media: thumbnail, webp, poster, preview, waveform; or all.",
        ),
    ] = None,
    rescan: Annotated[
        bool,
        typer.Option("--rescan", help="Read everything again for edits, not only the last 1,000 messages."),
    ] = False,
    add: Annotated[bool, typer.Option("--add", help="Let an archive of other chats take these too.")] = False,
    render_json: Annotated[
        bool, typer.Option("--result-json/--no-result-json", help="Write result.json at the end.")
    ] = True,
    account: AccountName = None,
    server: Server = None,
    config: Config = None,
    profile: Profile = None,
    arm: ArmText = None,
    on: On = None,
    off: Off = None,
    sets: Sets = None,
    telemetry: Annotated[
        bool, typer.Option("--telemetry/--no-telemetry", help="Keep the run's OpenTelemetry metrics for `tobs runs`.")
    ] = True,
    otlp: Annotated[
        str | None,
        typer.Option("--otlp", metavar="URL", help="Send the metrics to this OTLP/HTTP collector too."),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show stages, queues, data centres and limits while it runs.")
    ] = False,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Export chats into an archive folder; run it again for only what is new or edited.

    A run that was stopped goes on where it was. Exit code 3: done, but something could not be had.

    Example: tobs export @durov -o durov-archive
    """
    from tobs.cli.plan import plan_of
    from tobs.cli.progress import Progress
    from tobs.engine.export import Wish
    from tobs.host import run
    from tobs.host import settings as settings_room

    log_to_stderr(verbose=verbose)
    given = [*(sets or ()), *([] if transform is None else [f"transforms={transform}"])]
    settings = settings_room.load(config, given, arm=arm, on=on or (), off=off or (), profile=profile, check=False)
    plan = plan_of(settings).require()
    if media_only and (rescan or not media):
        raise UsageError(
            f"--media-only and {'--rescan' if rescan else '--no-media'} exclude each other",
            hint="Give the one that you mean.",
        )
    way = find_account(server, account, settings)
    wish = Wish(history=not media_only, media=media, kinds=_kinds(kinds), max_size=_size(max_size), rescan=rescan)
    request = run.Request(chats, folder, wish, add)
    record = _record(otlp, keep=telemetry)
    if watch:
        from tobs.cli.watch import Watch

        with Watch() as look:
            report = until_stopped(run.export(way, settings, request, [], plan, record=record, look=look))
    else:
        with Progress(quiet=as_json) as progress:
            report = until_stopped(run.export(way, settings, request, [progress], plan, record=record))
    if render_json:
        from tobs.archive.result import render_json as write_result

        write_result(folder)
    if as_json:
        answer(**report.as_json())
    else:
        show(report)
    if report.warnings:
        raise typer.Exit(INCOMPLETE)


def until_stopped(work: Coroutine[Any, Any, Report]) -> Report:
    """Run to the end; SIGTERM stops as cleanly as Ctrl+C. Raises `KeyboardInterrupt` when stopped."""
    stopped = False

    async def watched() -> Report:
        nonlocal stopped
        task = asyncio.ensure_future(work)

        def stop() -> None:
            nonlocal stopped
            stopped = True
            task.cancel()

        with contextlib.suppress(NotImplementedError):  # Windows has no such handlers; Ctrl+C works all the same
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
        return await task

    try:
        return asyncio.run(watched())
    except asyncio.CancelledError:
        if stopped:
            raise KeyboardInterrupt from None
        raise


def _record(otlp: str | None, *, keep: bool) -> Record | None:
    """Where this run's metrics go. The last runs' are kept under the state folder, each in a folder of its own."""
    from tobs.host import folders
    from tobs.host.run import Record

    if not keep:
        return Record(endpoint=otlp) if otlp else None
    runs = folders.state() / "runs"
    for old in sorted(runs.glob("*"))[: -KEPT_RUNS + 1]:
        shutil.rmtree(old, ignore_errors=True)
    mine = runs / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}"
    with contextlib.suppress(OSError):  # telemetry says itself that it cannot write, and fails nothing
        mine.mkdir(parents=True, mode=0o700)
    return Record(mine / "metrics.jsonl", otlp)


def show(report: Report) -> None:
    """The summary for people."""
    tally = report.tally
    rate = tally.messages / report.seconds if report.seconds else 0
    typer.echo(
        f"{report.new:,} messages and {tally.files:,} files ({human_bytes(tally.size)}) in {report.seconds:.1f} s "
        f"({rate:,.0f} messages/s, {human_bytes(tally.size / report.seconds)}/s, "
        f"{sum(tally.requests.values()):,} requests)"
    )
    if tally.floods:
        typer.echo(f"Telegram asked to wait {tally.floods} times, {tally.flood_seconds:.0f} s in all.")
    if report.derived:
        made = ", ".join(f"{count:,} {name}" for name, count in sorted(report.derived.items()))
        typer.echo(f"Derived: {made}")
    typer.echo(f"Archive: {report.archive.resolve()}")
    typer.echo(f"Digest:  {report.digest}")
    for warning in [*report.warnings, *report.alarms]:
        typer.secho(f"Warning: {warning}", err=True)


def _kinds(text: str | None) -> frozenset[str] | None:
    if text is None:
        return None
    kinds = frozenset(word.strip() for word in text.split(",") if word.strip())
    if unknown := kinds - set(KINDS):
        raise UsageError(
            f"--kinds: {', '.join(sorted(unknown))} is no kind of file", hint=f"Known: {', '.join(KINDS)}."
        )
    return kinds


def _size(text: str | None) -> int | None:
    if text is None:
        return None
    number = text.strip().lower().rstrip("bgkm")
    unit = text.strip().lower()[len(number) :]
    try:
        size = int(float(number) * UNITS[unit])
    except (KeyError, ValueError, OverflowError):
        size = -1
    if size < 0:
        raise UsageError(f"--max-size: {text!r} is no size", hint="Write 500KB, 20MB or 1.5GB.")
    return size
