"""`tobs plan`, and the plan that other commands run."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import typer

from tobs.cli.outcome import answer
from tobs.cli.shared_options import ArmText, AsJson, Config, Off, On, Profile, Sets
from tobs.errors import UsageError

if TYPE_CHECKING:
    from tobs.host.resolve import Plan
    from tobs.host.settings import Settings

log = logging.getLogger(__name__)


def plan(
    arm: ArmText = None,
    on: On = None,
    off: Off = None,
    sets: Sets = None,
    config: Config = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Show what an export would run: plugins, every knob's value and where it comes from.

    Defaults, then the settings file, then the environment, then --profile, then --arm, then --with, --without and
    --set: the last one wins. Exit code 2 if something is wrong; then it says everything that is.

    Example: tobs plan --arm baseline --set connections=8
    """
    from tobs.host import settings as settings_room

    made = plan_of(
        settings_room.load(config, sets or (), arm=arm, on=on or (), off=off or (), profile=profile, check=False)
    )
    if as_json:
        answer(**made.as_json(), frozen=made.frozen)
    else:
        _show(made)
    if made.problems:
        raise typer.Exit(UsageError.exit_code)


def plan_of(settings: Settings) -> Plan:
    """The plan that settings ask for, of the plugins that are installed; warns of those that are broken."""
    from tobs.host.plugins import discover
    from tobs.host.resolve import resolve

    found = discover()
    if settings.wanted.word != "baseline":
        for name, why in found.broken.items():
            log.warning("plugin %s is left out: %s", name, why)
    return resolve(found.manifests, settings.wanted, found.broken)


def _show(made: Plan) -> None:
    typer.echo(f"Arm: {made.arm}")
    typer.echo(f"Plugins: {len(made.plugins) or 'none'}")
    for name in made.plugins:
        typer.echo(f"  {name}  ({made.origins[name]})  {made.manifests[name].summary}")
    rows: list[tuple[str, Any, str]] = [
        (f"{owner}.{knob}", chosen.value, chosen.origin)
        for owner, values in made.knobs.items()
        for knob, chosen in values.items()
    ]
    typer.echo("Knobs:")
    wide = max(len(name) for name, _, _ in rows)
    for name, value, origin in rows:
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        typer.echo(f"  {name:<{wide}}  {shown:<8}  {origin}")
    for problem in made.problems:
        typer.echo(f"Problem: {problem.text}\n  {problem.remedy}".rstrip(), err=True)
    typer.echo(f"Plan hash: {made.hash}")
