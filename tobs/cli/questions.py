"""Asking the user: on standard error, so that standard output stays the result's own."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator


def ask(question: str, *, hidden: bool = False) -> str:
    """The line that the user types, asked for until there is one; a `hidden` one is not echoed on a terminal.

    Raises `typer.Abort` when standard input ends, `KeyboardInterrupt` on Ctrl+C.
    """
    terminal = sys.stdin.isatty()
    while True:
        with _interruptible():
            line = _hidden(question) if hidden and terminal else _shown(question)
        if not line:
            raise typer.Abort
        if not terminal:
            typer.echo(err=True)
        if answer := line.rstrip("\r\n"):
            return answer


def _shown(question: str) -> str:
    typer.echo(f"{question}: ", nl=False, err=True)
    return sys.stdin.readline()


def _hidden(question: str) -> str:
    import getpass

    try:
        return getpass.getpass(f"{question}: ", stream=sys.stderr) + "\n"
    except EOFError:
        return ""


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl+C end the command while somebody types: asyncio's own handler would wait for the answer first."""
    kept = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, kept)


class LoginQuestions:
    """The questions of a login; a second one says that the first answer was wrong."""

    def __init__(self) -> None:
        self._codes = 0
        self._passwords = 0

    def code(self) -> str:
        """The code that Telegram sent."""
        self._codes += 1
        if self._codes > 1:
            typer.echo("That code is wrong.", err=True)
        return ask("Code that Telegram sent you").strip()

    def password(self, hint: str) -> str:
        """The account's password."""
        self._passwords += 1
        if self._passwords > 1:
            typer.echo("That password is wrong.", err=True)
        return ask(f"Password (hint: {hint})" if hint else "Password", hidden=True)
