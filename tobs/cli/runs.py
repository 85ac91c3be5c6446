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
    """List experiments and their runs: arms, blocks, seeds, what was measured, and where the raw data lie.

    Example: tobs runs --json
    """
    from tobs.experiment.store import listed

    found = list(listed(folders or None))
    if as_json:
        answer(ok=True, experiments=found)
        return
    if not found:
        typer.echo("No experiment was run yet. Begin with `tobs ab`.")
    for one in found:
        _show(one)


def _show(one: Mapping[str, Any]) -> None:
    state = one["why"] or "not finished; the same command goes on"
    typer.echo(f"{one['id']}  {one['name']} on {one['scenario']} (scale {one['scale']:g}), {one['started']}: {state}")
    for arm in one["arms"]:
        own = [run for run in one["runs"] if run["arm"] == arm["arm"] and run["kind"] == "measured"]
        counted = [run for run in own if not run["abandoned"]]
        bad = sum(bool(run["invalid"]) for run in counted)
        typer.echo(f"  {arm['plan_hash'][:12]}  {len(counted)} runs, {bad} invalid  {arm['text']}")
    typer.echo(f"  {one['folder']}")
