"""Options that several commands take, each described once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="One JSON value on standard output, for machines.")]
Server = Annotated[
    Path | None,
    typer.Option(
        "--server",
        envvar="TOBS_SERVER",
        metavar="FILE",
        help="Connect as this server file says: a lab, Telegram's test servers, any MTProto server.",
        rich_help_panel="Connection",
    ),
]
AccountName = Annotated[
    str | None,
    typer.Option("--account", "-a", metavar="NAME", help="Which of your accounts; see `tobs accounts`."),
]
Config = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings in TOML; also TOBS_CONFIG.")]
Profile = Annotated[
    str | None,
    typer.Option("--profile", metavar="NAME", help="Settings that `tobs tune --save` made; see `tobs profiles`."),
]
ArmText = Annotated[
    str | None,
    typer.Option(
        "--arm",
        metavar="ARM",
        help="Which plugins: baseline, default or all, then +plugin, -plugin, plugin.knob=value; also TOBS_ARM.",
    ),
]
On = Annotated[list[str] | None, typer.Option("--with", metavar="PLUGIN", help="Switch a plugin on for this run.")]
Off = Annotated[list[str] | None, typer.Option("--without", metavar="PLUGIN", help="Switch a plugin off.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KNOB=VALUE", help="Set a knob, for example connections=8 or plugin.knob=2."),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens, on standard error.")]
Archive = Annotated[Path, typer.Argument(metavar="ARCHIVE", help="An archive folder.")]
Named = Annotated[
    str,
    typer.Option("--scenario", "-s", metavar="S", help="A shipped scenario's name, or the path of a TOML file."),
]
Scale = Annotated[float, typer.Option("--scale", help="Multiply the scenario's messages and files.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Another seed than the scenario's own.")]
OfChats = Annotated[list[int] | None, typer.Option("--chat", metavar="ID", help="Only this chat; repeatable.")]
