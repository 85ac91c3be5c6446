"""`tobs profiles`: settings under a name."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tobs.cli.outcome import answer, fail_softly
from tobs.cli.shared_options import AsJson

if TYPE_CHECKING:
    from tobs.host.resolve import Plan

app = typer.Typer(help="Keep settings under a name, for `tobs export --profile NAME`.", rich_markup_mode=None)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The profile's name.")]


@app.callback(invoke_without_command=True)
def _begin(context: typer.Context) -> None:
    """Keep settings under a name, for `tobs export --profile NAME`."""
    if context.invoked_subcommand is None:
        fail_softly(show_all)()


def show_all(as_json: AsJson = False) -> None:
    """List the profiles, where they came from and what they gained.

    Example: tobs profiles list
    """
    from tobs.host import profiles

    found = {name: profiles.origin(name) for name in profiles.names()}
    if as_json:
        rows = [{"name": name, "file": str(profiles.path_of(name)), "origin": told} for name, told in found.items()]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    wide = max(map(len, found), default=0)
    for name, told in found.items():
        typer.echo(f"{name:<{wide}}  {said(told)}")
    if not found:
        typer.echo("No profile yet: `tobs tune --save NAME` makes one.")


def show(name: Name, as_json: AsJson = False) -> None:
    """Show a profile: its settings and where they came from. Exit code 2 if this installation cannot run it.

    Example: tobs profiles show home
    """
    from tobs.host import profiles

    file = profiles.existing(name)
    plan = _plan(name)
    if as_json:
        knobs = {owner: plan.values(owner) for owner in plan.knobs}
        answer(
            ok=True, name=name, file=str(file), arm=plan.frozen, plugins=plan.plugins, knobs=knobs, hash=plan.hash,
            origin=profiles.origin(name),
        )  # fmt: skip
        return
    typer.echo(f"# {file}")
    typer.echo(file.read_text(encoding="utf-8").rstrip())
    typer.echo(f"# As an arm, for experiments: {plan.frozen}")


def add(
    name: Name,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Settings in TOML: a tuning's best.toml, or your own.")],
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of the profile of this name.")] = False,
    as_json: AsJson = False,
) -> None:
    """Keep the settings of a file under a name. Account and keys in it are left out.

    Example: tobs profiles add home tuned/best.toml
    """
    kept = adopt(name, file, replace=replace)
    if as_json:
        answer(ok=True, name=name, file=str(kept))
    else:
        typer.echo(f"Kept as {name}: tobs export --profile {name}")


def remove(name: Name, as_json: AsJson = False) -> None:
    """Delete a profile.

    Example: tobs profiles remove home
    """
    from tobs.host import profiles

    profiles.remove(name)
    if as_json:
        answer(ok=True, name=name)
    else:
        typer.echo(f"Removed {name}.")


def adopt(name: str, file: Path, *, replace: bool = False) -> Path:
    """Keep what a settings file alone leads to under a name; the profile's file."""
    from tobs.cli.plan import plan_of
    from tobs.host import settings
    from tobs.host.profile_file import save
    from tobs.host.profiles import origin_of, path_of

    path_of(name)
    plan = plan_of(settings.load(file, environment={}, check=False)).require()
    facts = origin_of(file) or {"from": str(file.resolve())}
    return save(name, plan, {**facts, "added": datetime.now(UTC).date().isoformat()}, replace=replace)


def said(told: dict[str, Any]) -> str:
    """Where a profile came from, in a line."""
    if "verdict" in told:
        return f"{told.get('date', '')}  {told['verdict']}"
    return f"{told.get('added', '')}  from {told.get('from', 'a file that does not say')}"


def _plan(name: str) -> Plan:
    """What a profile alone leads to."""
    from tobs.cli.plan import plan_of
    from tobs.host import settings

    return plan_of(settings.of_profile(name)).require()


app.command("list")(fail_softly(show_all))
app.command("show")(fail_softly(show))
app.command("add")(fail_softly(add))
app.command("remove")(fail_softly(remove))
