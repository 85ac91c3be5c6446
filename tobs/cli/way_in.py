"""Which account a command uses, and what it logs."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, TextIO

from tobs.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from tobs.host.settings import Settings
    from tobs.telegram.account import Account


def accounts_folder() -> Path:
    """Where accounts are kept, one file each."""
    from tobs.host import folders

    return folders.config() / "accounts"


def account_file(name: str) -> Path:
    """The file of an account. Raises `UsageError` for a name that is no plain word."""
    if not name or not all(letter.isalnum() or letter in "-_" for letter in name):
        raise UsageError(f"{name!r} cannot be an account's name", hint="Use letters, digits, - and _.")
    return accounts_folder() / f"{name}.json"


def find_account(server: Path | None, name: str | None, settings: Settings) -> Account:
    """The account to connect as: the server file, the named account, or the only one there is."""
    from tobs.telegram.account import load

    if server is not None:
        return load(server)
    name = name or settings.account
    known = sorted(path.stem for path in accounts_folder().glob("*.json"))
    if name is None:
        if not known:
            raise UsageError("you are not logged in", hint="Run `tobs login` first, or try `tobs demo`.")
        if len(known) > 1 and "default" not in known:
            raise UsageError("there are several accounts", hint=f"Name one with --account: {', '.join(known)}.")
        name = "default" if "default" in known else known[0]
    elif name not in known:
        raise UsageError(f"there is no account {name!r}", hint=f"Known: {', '.join(known) or 'none; run tobs login'}.")
    return load(account_file(name))


def log_instead(before: TextIO, now: TextIO) -> None:
    """Let what was logged to one stream go to another: a handler holds the stream that it was made with.

    While something is drawn on the terminal, what is logged must pass by whoever draws it.
    """
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is before:
            handler.setStream(now)


def log_to_stderr(*, verbose: bool) -> None:
    """Warnings of ours always, everything when asked; a client library's chatter only when asked."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s" if verbose else "%(levelname)s: %(message)s",
    )
    logging.getLogger("telethon").setLevel(logging.INFO if verbose else logging.CRITICAL)
