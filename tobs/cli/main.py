"""The typer app and its entry point. Heavy rooms are imported inside commands, so that help answers at once."""

from __future__ import annotations

import re
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from tobs import __version__
from tobs.cli import (
    ab,
    ablate,
    accounts,
    advise,
    demo,
    export,
    lab,
    plan,
    plugins,
    priorities,
    profiles,
    read,
    report,
    runs,
    tune,
)
from tobs.cli.outcome import answer, fail_softly

REFUSAL: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
"""What the parser raises for a command line it does not understand; typer gives its children public names only."""

app = typer.Typer(
    name="tobs",
    help="Export Telegram chats completely and fast, and prove what makes it fast.\n\n"
    "Begin with `tobs demo`: it needs no account and no network. With an account: `tobs login`, `tobs chats`, "
    "`tobs export @chat -o my-archive`.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tobs {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


app.command("demo")(fail_softly(demo.demo))
app.command("login")(fail_softly(accounts.login))
app.command("accounts")(fail_softly(accounts.accounts))
app.command("logout")(fail_softly(accounts.logout))
app.command("chats")(fail_softly(accounts.chats))


class TakesIds(TyperCommand):
    """A command whose chats may be negative numbers, as the ids of groups and channels are."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take `-1001234` for a chat, and any other unknown word with a hyphen for the mistake that it is."""
        literal = args[args.index("--") :] if "--" in args else []
        ctx.ignore_unknown_options = True
        rest = super().parse_args(ctx, args)
        for word in ctx.params.get("chats") or ():
            if word.startswith("-") and word not in literal and not re.fullmatch(r"-\d+", word):
                ctx.fail(f"No such option: {word}")
        return rest


app.command("export", cls=TakesIds)(fail_softly(export.export))
app.command("render")(fail_softly(read.render))
app.command("search")(fail_softly(read.search))
app.command("verify")(fail_softly(read.verify))
app.command("digest")(fail_softly(read.digest))
app.command("plan")(fail_softly(plan.plan))
app.command("ab")(fail_softly(ab.ab))
app.command("ablate")(fail_softly(ablate.ablate))
app.command("priorities")(fail_softly(priorities.priorities))
app.command("report")(fail_softly(report.report))
app.command("runs")(fail_softly(runs.runs))
app.command("tune")(fail_softly(tune.tune))
app.command("advise")(fail_softly(advise.advise))
app.add_typer(plugins.app, name="plugins")
app.add_typer(profiles.app, name="profiles")
app.add_typer(lab.app, name="lab")


def run() -> None:
    """Run the command line. With --json even a line that cannot be parsed is answered by one JSON value."""
    try:
        code = typer.main.get_command(app).main(standalone_mode=False)
    except REFUSAL as error:
        if "--json" in sys.argv:
            answer(ok=False, error=error.format_message(), hint="See --help.")
        else:
            error.show()
        code = error.exit_code
    sys.exit(code if isinstance(code, int) else 0)
