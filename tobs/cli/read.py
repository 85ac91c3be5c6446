"""`tobs render`, `search`, `verify`, `digest`: on what is there, without a network."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tobs.cli.outcome import INCOMPLETE, answer
from tobs.cli.shared_options import Archive, AsJson
from tobs.errors import UsageError

FORMATS = ("json",)


def render(
    folder: Archive,
    form: Annotated[str, typer.Option("--format", "-f", help=f"What to write: {', '.join(FORMATS)}.")] = "json",
    out: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Another place for it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write an archive in another format; json is Telegram Desktop's result.json.

    Example: tobs render my-archive
    """
    from tobs.archive.result import render_json

    if form not in FORMATS:
        raise UsageError(f"--format: {form!r} is not known", hint=f"Known: {', '.join(FORMATS)}.")
    written = render_json(folder, out)
    if as_json:
        answer(ok=True, written=[str(path) for path in written])
    else:
        for path in written:
            typer.echo(str(path))


def search(
    folder: Archive,
    query: Annotated[str, typer.Argument(metavar="WORDS", help='Words, "a phrase", begin*, this OR that.')],
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many hits at most.")] = 20,
    chat: Annotated[int | None, typer.Option("--chat", help="Only in the chat with this id.")] = None,
    as_json: AsJson = False,
) -> None:
    """Search the text of an archive, best hits first.

    Example: tobs search my-archive "holiday photos"
    """
    from tobs.archive.search import search as find

    hits = find(folder, query, limit, chat)
    if as_json:
        typer.echo(json.dumps([asdict(hit) for hit in hits], ensure_ascii=False, indent=1))
        return
    for hit in hits:
        typer.echo(f"{hit.date[:16].replace('T', ' ')}  {hit.chat_id}/{hit.id}  {hit.snippet}")
    if not hits:
        typer.echo("Nothing found.", err=True)


def verify(folder: Archive, as_json: AsJson = False) -> None:
    """Read every file again and compare it with its hash; check the database too.

    Exit code 3 if anything is missing or damaged.

    Example: tobs verify my-archive
    """
    from tobs.archive.verify import verify as check

    found = check(folder)
    content = {"ok": found.ok, **asdict(found)}
    if as_json:
        typer.echo(json.dumps(content, ensure_ascii=False, indent=1, default=str))
    else:
        typer.echo(f"{found.messages:,} messages, {found.files:,} files: {'all is well' if found.ok else 'NOT well'}")
        for word in ("missing", "corrupt", "unverified"):
            for item in content[word]:
                typer.echo(f"  {word}: {item}")
        if found.pending:
            typer.echo(f"  {found.pending} files are still to be fetched: run `tobs export` again")
    if not found.ok:
        raise typer.Exit(INCOMPLETE)


def digest(folder: Archive, as_json: AsJson = False) -> None:
    """Show the archive's digest: equal for equal messages and media, however they were fetched.

    Example: tobs digest my-archive
    """
    from tobs.archive.digest import digest as compute

    value = compute(folder)
    if as_json:
        answer(digest=value)
    else:
        typer.echo(value)
