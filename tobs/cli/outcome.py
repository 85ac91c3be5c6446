"""How a command ends: exit codes, errors in words, one JSON value for machines."""

from __future__ import annotations

import functools
import json
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

import typer

from tobs.errors import TobsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")
INCOMPLETE = 3
INTERRUPTED = 130


def fail_softly(command: Callable[P, R]) -> Callable[P, R]:
    """Turn what a command raises into a message, a hint and an exit code."""

    @functools.wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        machine = bool(kwargs.get("as_json"))
        try:
            return command(*args, **kwargs)
        except TobsError as error:
            _fail(str(error), error.hint, error.exit_code, machine=machine)
        except typer.Abort:
            if sys.stdin is not None and sys.stdin.isatty():
                _fail("interrupted", "", INTERRUPTED, machine=machine)
            _fail(
                "standard input ended before every question was answered",
                "Give what was asked for as options or settings, or answer on a terminal.",
                UsageError.exit_code,
                machine=machine,
            )
        except KeyboardInterrupt:
            hint = "What is committed stays. Run the same command again to go on." if "chats" in kwargs else ""
            _fail("interrupted", hint, INTERRUPTED, machine=machine)
        except BrokenPipeError:
            sys.stderr.close()
            raise typer.Exit(1) from None
        except Exception as error:
            if hasattr(error, "exit_code"):  # the command line's own way to end
                raise
            traceback.print_exc()
            bug = "This is a bug in TOBS: please report it with the lines on standard error."
            _fail(f"{type(error).__name__}: {error}".rstrip(": "), bug, TobsError.exit_code, machine=machine)

    return guarded


def _fail(message: str, hint: str, code: int, *, machine: bool) -> NoReturn:
    if machine:
        answer(ok=False, error=message, hint=hint)
    else:
        red = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        typer.secho(f"tobs: {message}", err=True, fg="red" if red else None)
        if hint:
            typer.echo(hint, err=True)
    raise typer.Exit(code) from None


def answer(**content: Any) -> None:
    """Print one JSON value on standard output."""
    typer.echo(json.dumps(content, ensure_ascii=False, indent=1))


def human_bytes(size: float) -> str:
    """A size for people: 61.3 MB."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
