"""`tobs tune`."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tobs.cli.outcome import INCOMPLETE, answer
from tobs.cli.shared_options import AsJson

if TYPE_CHECKING:
    from tobs.tuning.definition import Definition
    from tobs.tuning.report import Tuning


def tune(
    scenario: Annotated[
        str, typer.Option("--scenario", "-s", metavar="S", help="A shipped scenario's name, or a path.")
    ],
    arm: Annotated[
        str | None,
        typer.Option("--arm", metavar="ARM", help="Whose knobs: default, all or baseline, then +plugin, -plugin, …"),
    ] = None,
    trials: Annotated[int, typer.Option("--trials", min=1, help="Settings to try.")] = 30,
    budget: Annotated[
        float | None,
        typer.Option("--budget", metavar="MINUTES", help="Time of the search; the confirmation comes on top."),
    ] = None,
    metric: Annotated[
        str, typer.Option("--metric", "-m", metavar="M", help="What to better: wall, messages_per_second, …")
    ] = "wall",
    start: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FILE", help="Start from these settings (TOML, as --config takes), not from the defaults."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Another search on other scenario seeds.")] = 1,
    scale: Annotated[float, typer.Option("--scale", help="Multiply the scenario's messages and files.")] = 1.0,
    knobs: Annotated[
        list[str] | None, typer.Option("--knob", metavar="NAME", help="Tune only this knob; repeatable.")
    ] = None,
    max_rss: Annotated[
        float | None, typer.Option("--max-rss", min=1, metavar="MB", help="Most memory a run may take.")
    ] = None,
    max_flood_seconds: Annotated[
        float | None, typer.Option("--max-flood-seconds", min=0, metavar="S", help="Most flood waits a run may have.")
    ] = None,
    max_error_share: Annotated[
        float,
        typer.Option("--max-error-share", min=0, max=1, metavar="SHARE", help="Most lost requests, as a share of all."),
    ] = 0.05,
    folder: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Where everything goes, and goes on from."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find better knobs for a scenario, and prove on other work that they are better.

    The best three are compared with the start as `tobs ab` would, and the result is written as settings that
    `tobs export --config` takes. Ctrl+C at any moment; the same command goes on. Exit code 3: some runs were invalid.

    Example: tobs tune --scenario mixed_home --trials 30
    """
    from tobs.tuning.definition import Wanted, define
    from tobs.tuning.limits import MEGABYTE, Limits

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    limits = Limits(None if max_rss is None else max_rss * MEGABYTE, max_flood_seconds, max_error_share)
    definition = define(
        Wanted(
            scenario=scenario,
            arm=arm,
            file=start,
            metric=metric,
            scale=scale,
            seed=seed,
            knobs=tuple(knobs or ()),
            limits=limits,
            trials=trials,
            budget=None if budget is None else budget * 60,
        )
    )
    tuning = _tuned(definition, folder)
    if as_json:
        from tobs.tuning.report import as_json as told
        from tobs.tuning.tune import BEST

        answer(ok=tuning.sound, **told(tuning), settings=str(tuning.folder / BEST))
    else:
        _show(tuning)
    if not tuning.sound:
        raise typer.Exit(INCOMPLETE)


def _tuned(definition: Definition, folder: Path | None) -> Tuning:
    from tobs.tuning.tune import index, tune

    place = index() / definition.id if folder is None else folder
    try:
        return tune(definition, place, lambda text: typer.echo(text, err=True))
    except KeyboardInterrupt:
        typer.echo(f"What is finished is kept in {place}. Run the same command again to go on.", err=True)
        raise


def _show(tuning: Tuning) -> None:
    from tobs.tuning.report import lines
    from tobs.tuning.tune import BEST

    for line in lines(tuning):
        typer.echo(line)
    typer.echo(f"settings: {tuning.folder / BEST} (tobs export --config FILE)")
