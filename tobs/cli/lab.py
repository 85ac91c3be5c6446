"""`tobs lab`: a local Telegram to measure any client against."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tobs.cli import lab_run
from tobs.cli.outcome import answer, fail_softly, human_bytes
from tobs.cli.shared_options import AsJson, Named, OfChats, Scale, Seed

if TYPE_CHECKING:
    from tobs.lab.scenario import Scenario
    from tobs.lab.world import World

app = typer.Typer(
    help="A local Telegram that speaks real MTProto on loopback, for TOBS and for any other client.",
    no_args_is_help=True,
)


def serve(
    state: Annotated[Path, typer.Option("--state", metavar="DIR", help="Where server.json and the keys go.")],
    scenario: Named = "demo",
    scale: Scale = 1.0,
    seed: Seed = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Serve a scenario until Ctrl+C; prints one line of JSON when it listens.

    DIR/server.json says where and with which key to connect. The same DIR keeps keys and ports for a restart.

    Example: tobs lab serve --scenario demo --state lab
    """
    from tobs.lab.serve import serve as serve_lab

    asyncio.run(serve_lab(scenario, state, seed=seed, scale=scale, host=host))


def truth(
    scenario: Named = "demo",
    scale: Scale = 1.0,
    seed: Seed = None,
    chats: OfChats = None,
    as_json: AsJson = False,
) -> None:
    """What a complete archive of a scenario holds, and its digest.

    Example: tobs lab truth --scenario demo --chat -1001457647900
    """
    from tobs.lab.truth import truth as tell

    _, world = _built(scenario, scale, seed)
    told = tell(world, chats)
    if as_json:
        typer.echo(json.dumps(asdict(told), ensure_ascii=False, indent=1))
        return
    for number, chat in told.chats.items():
        typer.echo(
            f"{number:>16}  {chat['messages']:,} messages, {chat['files']:,} files, {human_bytes(chat['bytes'])}  "
            f"{chat['title']}"
        )
    typer.echo(f"digest {told.digest}")


def limit(
    scenario: Named = "demo",
    scale: Scale = 1.0,
    seed: Seed = None,
    chats: OfChats = None,
    as_json: AsJson = False,
) -> None:
    """The time below which no client can export a scenario, and what sets it.

    Example: tobs lab limit --scenario media_home
    """
    from tobs.lab.limit import limit as bound

    found = bound(*_built(scenario, scale, seed), chats)
    if as_json:
        answer(seconds=found.seconds, resource=found.resource, detail=found.detail)
        return
    typer.echo(f"{found.seconds:.2f} s, set by {found.resource}")
    for name, seconds in sorted(found.detail.items(), key=lambda item: -item[1]):
        typer.echo(f"  {seconds:8.2f} s  {name}")


def _built(scenario: str, scale: float, seed: int | None) -> tuple[Scenario, World]:
    from tobs.lab.scenario import load
    from tobs.lab.world import build

    chosen = load(scenario, scale=scale, seed=seed)
    return chosen, build(chosen)


app.command("serve")(fail_softly(serve))
app.command("truth")(fail_softly(truth))
app.command("limit")(fail_softly(limit))
app.command("run", context_settings={"allow_interspersed_args": False})(fail_softly(lab_run.run))
