"""`tobs login`, `accounts`, `logout`, `chats`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tobs.cli.outcome import answer
from tobs.cli.questions import LoginQuestions, ask
from tobs.cli.shared_options import AccountName, AsJson, Config, Server, Verbose
from tobs.cli.way_in import account_file, accounts_folder, find_account, log_to_stderr
from tobs.errors import ConnectError, UsageError

if TYPE_CHECKING:
    from tobs.host.settings import Settings
    from tobs.telegram.account import Account


def login(
    phone: Annotated[
        str | None, typer.Option("--phone", metavar="+NUMBER", help="Your number; asked for if left out.")
    ] = None,
    account: Annotated[str, typer.Option("--account", "-a", metavar="NAME", help="Name to keep it under.")] = "default",
    api_id: Annotated[int | None, typer.Option("--api-id", help="Also TOBS_API_ID, or api_id in config.toml.")] = None,
    api_hash: Annotated[
        str | None, typer.Option("--api-hash", help="Also TOBS_API_HASH, or api_hash in config.toml.")
    ] = None,
    server: Server = None,
    config: Config = None,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Log in by phone, code and, where there is one, password.

    api_id and api_hash are yours from https://my.telegram.org/apps; they are asked for where nothing gives them.
    The session is kept in a file that only you can read.

    Example: tobs login --phone +441234567890
    """
    from tobs.host import settings as settings_room
    from tobs.telegram import login as login_room
    from tobs.telegram.account import save

    log_to_stderr(verbose=verbose)
    settings = settings_room.load(config)
    file = account_file(account)
    way = _way(server, settings, api_id, api_hash)
    number = phone or ask("Phone number (with country code)")
    questions = LoginQuestions()
    done = asyncio.run(login_room.login(way, number, questions.code, questions.password))
    save(file, done)
    if as_json:
        answer(ok=True, account=account, user=done.user)
    else:
        typer.echo(f"Logged in as {done.user['name']}. `tobs chats` lists what you can export.")


def _way(server: Path | None, settings: Settings, api_id: int | None, api_hash: str | None) -> Account:
    from tobs.telegram.account import TELEGRAM, Account, load

    if server is not None:
        return load(server)
    number = api_id or settings.api_id or ask("api_id (https://my.telegram.org/apps)")
    if not str(number).isdigit():
        raise UsageError(f"api_id is a whole number, not {number!r}", hint="Yours is at https://my.telegram.org/apps.")
    secret = api_hash or settings.api_hash or ask("api_hash", hidden=True)
    dc, host, port = TELEGRAM
    return Account(dc, host, port, int(number), secret)


def accounts(as_json: AsJson = False) -> None:
    """List the accounts that are logged in.

    Example: tobs accounts
    """
    from tobs.telegram.account import load

    rows = []
    for path in sorted(accounts_folder().glob("*.json")):
        kept = load(path)
        rows.append({"account": path.stem, "name": kept.user.get("name", ""), "dc": kept.dc})
    if as_json:
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
    elif not rows:
        typer.echo("No account yet: `tobs login`.")
    for row in [] if as_json else rows:
        typer.echo(f"{row['account']}\t{row['name']}\tdata centre {row['dc']}")


def logout(account: AccountName = None, server: Server = None, as_json: AsJson = False) -> None:
    """End a session, on the server and here.

    Example: tobs logout --account work
    """
    from tobs.host import settings as settings_room
    from tobs.telegram import login as login_room

    if server is not None and account is None:
        raise UsageError("a server file's own session is not yours to end", hint="Name the account: --account NAME.")
    way = find_account(None, account, settings_room.load())
    ended = False
    try:
        asyncio.run(login_room.logout(way))
    except ConnectError:  # the server knows this session no more, so there is nothing to end but the file
        ended = True
    account_file(way.name).unlink(missing_ok=True)
    if as_json:
        answer(ok=True, account=way.name, had_ended=ended)
    else:
        typer.echo(f"Logged out of {way.name}." + (" The session had ended before." if ended else ""))


def chats(
    account: AccountName = None,
    server: Server = None,
    config: Config = None,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """List the chats that can be exported, the most recently used first.

    Example: tobs chats
    """
    from tobs.host import run
    from tobs.host import settings as settings_room

    log_to_stderr(verbose=verbose)
    settings = settings_room.load(config)
    found = asyncio.run(run.list_chats(find_account(server, account, settings), settings))
    if as_json:
        keys = ("id", "kind", "title", "username")
        typer.echo(
            json.dumps([{key: getattr(chat, key) for key in keys} for chat in found], ensure_ascii=False, indent=1)
        )
        return
    for chat in found:
        typer.echo(f"{chat.id:>16}  {chat.kind:<8} {chat.title}" + (f"  @{chat.username}" if chat.username else ""))
