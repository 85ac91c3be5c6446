"""`tobs runs`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tobs.cli.outcome import answer
from tobs.cli.shared_options import AsJson

if TYPE_CHECKING:
    from collections.abc import Mapping


def runs(
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="[DIR…]", help="Only the experiments in these folders.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List experiments and their runs, and the latest exports: arms, seeds, what was measured, where it lies.

    Example: tobs runs --json
    """
    from tobs.experiment.exports import latest
    from tobs.experiment.store import listed

    experiments = list(listed(folders or None))
    exports = [] if folders else list(latest())
    if as_json:
        answer(ok=True, experiments=experiments, exports=exports)
        return
    if not experiments and not exports:
        typer.echo("Nothing was run yet. Begin with `tobs ab`, or `tobs export`.")
    for one in experiments:
        _show_experiment(one)
    for one in exports:
        _show_export(one)


def _show_experiment(one: Mapping[str, Any]) -> None:
    state = one["why"] or "not finished; the same command goes on"
    typer.echo(f"{one['id']}  {one['name']} on {one['scenario']} (scale {one['scale']:g}), {one['started']}: {state}")
    for arm in one["arms"]:
        own = [run for run in one["runs"] if run["arm"] == arm["arm"] and run["kind"] == "measured"]
        counted = [run for run in own if not run["abandoned"]]
        bad = sum(bool(run["invalid"]) for run in counted)
        typer.echo(f"  {arm['plan_hash'][:12]}  {len(counted)} runs, {bad} invalid  {arm['text']}")
    typer.echo(f"  {one['folder']}")


def _show_export(one: Mapping[str, Any]) -> None:
    state = "complete" if one["complete"] else "not complete"
    wall = one["measurements"].get("wall", 0.0)
    typer.echo(f"export  {str(one['plan_hash'])[:12]}  {wall:.1f} s, {state}  {one['arm']}")
    typer.echo(f"  {one['folder']}")
