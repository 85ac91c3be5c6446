"""`tobs ablate`."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from tobs.cli.outcome import INCOMPLETE, answer
from tobs.cli.shared_options import AsJson


def ablate(
    scenario: Annotated[
        str, typer.Option("--scenario", "-s", metavar="S", help="A shipped scenario's name, or a path.")
    ],
    plugins: Annotated[
        list[str] | None,
        typer.Option("--plugin", metavar="PLUGIN", help="Toggle this one; repeatable. Otherwise all default ones."),
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            "--metric", "-m", metavar="M", help="What to better (default wall); further ones are told beside."
        ),
    ] = None,
    blocks: Annotated[int, typer.Option("--blocks", min=2, help="Times that every arm is run.")] = 3,
    scale: Annotated[float, typer.Option("--scale", help="Multiply the scenario's messages and files.")] = 1.0,
    seed: Annotated[int, typer.Option("--seed", help="Another order and other scenario seeds.")] = 1,
    follow_up: Annotated[
        bool, typer.Option("--follow-up/--no-follow-up", help="Settle suspicious pairs by 2x2 designs.")
    ] = True,
    folder: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Where everything goes, and goes on from.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Which plugins are worth it on a scenario: each alone, each taken away, and all of them in a balanced design.

    Main effects come from a design in which everything else is on in half of the runs; pairs that change one another's
    effect are found in groups and then settled one by one. It leaves ablation.json and ablation.svg in the folder.
    Ctrl+C at any moment; the same command goes on. Exit code 3: some runs were invalid.

    Example: tobs ablate --scenario mixed_home --metric wall --metric cpu
    """
    from tobs.experiment.ablate import ablate as run
    from tobs.experiment.ablate import toggles_of
    from tobs.experiment.ablation import planned
    from tobs.experiment.definition import Wanted, define
    from tobs.experiment.report import aligned
    from tobs.experiment.store import index

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    toggles = toggles_of(plugins)
    asked = tuple(metrics or ("wall",))
    beside = tuple(name for name in ("cpu", "peak_rss") if name not in asked)
    wanted = Wanted("ablation", scenario, (), (*asked, *beside), scale=scale, seed=seed, blocks=blocks)
    place = index() / f"ablation-{define(planned(wanted, toggles)).id}" if folder is None else folder
    try:
        done = run(wanted, toggles, place, lambda text: typer.echo(text, err=True), follow_up=follow_up)
    except KeyboardInterrupt:
        typer.echo(f"What is finished is kept in {place}. Run the same command again to go on.", err=True)
        raise
    from tobs.experiment import ablation_report

    if as_json:
        answer(ok=done.sound, folder=str(place), **ablation_report.as_json(done.found, done.pairs, asked[0]))
    else:
        for line in (*aligned(ablation_report.table(done.found)), "", *ablation_report.lines(done.found, done.pairs)):
            typer.echo(line)
        typer.echo(f"picture and raw runs: {place}")
    if not done.sound:
        raise typer.Exit(INCOMPLETE)
