"""`tobs lab run`: any program against a fresh lab, judged by the files that it leaves."""

from __future__ import annotations

import signal
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from tobs.cli.outcome import INCOMPLETE, answer, human_bytes
from tobs.cli.shared_options import AsJson, Named, OfChats, Scale, Seed
from tobs.errors import TobsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tobs.lab.run import Verdict


def run(
    command: Annotated[list[str], typer.Argument(metavar="COMMAND...", help="The program and its words, after `--`.")],
    scenario: Named = "demo",
    scale: Scale = 1.0,
    seed: Seed = None,
    judged: OfChats = None,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", "-o", metavar="DIR", help="Where the program has to leave its files; must be empty."),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", metavar="DIR", help="Keep the lab's server.json and log and the files there."),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option("--timeout", min=0, metavar="SECONDS", help="Stop the program after so long.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run any program against a fresh lab and judge, by content, the files that it leaves.

    The program finds the lab in its environment (TOBS_LAB_HOST, TOBS_LAB_PORT, TOBS_LAB_PUBLIC_KEY,
    TOBS_LAB_SESSION, TOBS_LAB_CHAT, TOBS_LAB_FOLDER and more) and in the JSON file that TOBS_SERVER names. What it
    prints goes to standard error. Exit codes: 0 every file is there, 3 some are missing or corrupt, 1 it failed.

    Example: tobs lab run --scenario demo -- python my_exporter.py
    """
    from tobs.lab.run import Trial
    from tobs.lab.run import run as run_trial

    with ExitStack() as stack:
        root = keep or Path(stack.enter_context(TemporaryDirectory(prefix="tobs-lab-")))
        stack.enter_context(_sigterm_interrupts())
        verdict = run_trial(
            Trial(
                scenario=scenario,
                command=tuple(command),
                state=root / "lab",
                folder=folder or root / "files",
                scale=scale,
                seed=seed,
                chats=tuple(judged) if judged else None,
                timeout=timeout,
            )
        )
    if as_json:
        answer(scenario=scenario, command=command, **verdict.as_json())
    else:
        _show(verdict)
        if keep is not None:
            typer.echo(f"Kept: {keep.resolve()}")
    if verdict.use.exit_code or verdict.use.timed_out:
        raise typer.Exit(TobsError.exit_code)
    if not verdict.judgement.complete:
        raise typer.Exit(INCOMPLETE)


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """SIGTERM ends the program and the lab as cleanly as Ctrl+C."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _show(verdict: Verdict) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    facts = verdict.as_json()
    table = Table(box=box.SIMPLE_HEAD, show_header=False)
    table.add_column("")
    table.add_column("", justify="right")
    for name, cell in _rows(verdict):
        table.add_row(name, cell)
    Console().print(table)
    busiest = sorted(facts["requests"].items(), key=lambda item: -item[1])
    typer.echo("Requests: " + (", ".join(f"{name} {count:,}" for name, count in busiest) or "none"))
    for entry in facts["corrupt_files"]:
        typer.echo(f"Corrupt: {entry['path']} is not file {entry['id']}, which it resembles")
    for entry in facts["missing_files"]:
        typer.echo(f"Missing: file {entry['id']} ({human_bytes(entry['size'])}, SHA-256 {entry['sha256'][:16]}…)")
    unnamed = facts["missing"] + facts["corrupt"] - len(facts["missing_files"]) - len(facts["corrupt_files"])
    if unnamed:
        typer.echo(f"… and {unnamed:,} more")
    used = verdict.use
    if used.timed_out:
        typer.secho(f"The program was stopped after {used.seconds:.1f} s.", err=True)
    elif used.exit_code:
        typer.secho(f"The program failed with exit code {used.exit_code}.", err=True)


def _rows(verdict: Verdict) -> list[tuple[str, str]]:
    facts, used = verdict.as_json(), verdict.use
    rows = [
        ("files found", f"{facts['found']:,} ({human_bytes(facts['bytes_found'])})"),
        ("missing", f"{facts['missing']:,}"),
        ("corrupt", f"{facts['corrupt']:,}"),
        ("other files", f"{facts['extra']:,}"),
        ("time, whole program", f"{used.seconds:.1f} s"),
    ]
    if verdict.seconds is not None:
        rows.append(("time, first to last byte", f"{verdict.seconds:.1f} s"))
    if verdict.limit.seconds:
        rows.append(("limit", f"{verdict.limit.seconds:.1f} s ({verdict.limit.resource})"))
    if facts["efficiency"] is not None:
        rows.append(("efficiency (limit ÷ time)", f"{facts['efficiency']:.0%}"))
    if used.cpu_seconds is not None:
        rows.append(("CPU", f"{used.cpu_seconds:.1f} s"))
    if used.peak_rss is not None:
        rows.append(("peak memory", human_bytes(used.peak_rss)))
    rows += [
        ("requests", f"{facts['requests_served']:,}"),
        ("floods, requests during them", f"{facts['floods']:,}, {facts['requests_during_flood']:,}"),
        ("parts served, of these twice", f"{facts['file_parts']:,}, {facts['duplicate_parts']:,}"),
        ("connections, refused", f"{facts['connections_opened']:,}, {facts['connections_refused']:,}"),
        ("new keys", f"{facts['handshakes']:,}"),
    ]
    return rows
