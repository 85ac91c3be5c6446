"""`tobs tune`."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tobs.cli.outcome import INCOMPLETE, answer
from tobs.cli.shared_options import AsJson
from tobs.errors import UsageError

if TYPE_CHECKING:
    from tobs.tuning.definition import Definition
    from tobs.tuning.report import Tuning


def tune(
    scenarios: Annotated[
        list[str] | None,
        typer.Option(
            "--scenario", "-s", metavar="S", help="A shipped scenario's name, or a path; repeatable: all count."
        ),
    ] = None,
    over: Annotated[
        Literal["worst", "mean"],
        typer.Option("--over", help="What counts of several scenarios: the worst ratio to the start, or the mean."),
    ] = "worst",
    arm: Annotated[
        str | None,
        typer.Option("--arm", metavar="ARM", help="Whose knobs: default, all or baseline, then +plugin, -plugin, …"),
    ] = None,
    toggles: Annotated[
        bool, typer.Option("--toggles", help="Switch plugins too: those that are on in the arm or by default.")
    ] = False,
    toggle: Annotated[
        list[str] | None, typer.Option("--toggle", metavar="PLUGIN", help="Switch this plugin too; repeatable.")
    ] = None,
    trials: Annotated[int, typer.Option("--trials", min=1, help="Settings to try.")] = 30,
    budget: Annotated[
        float | None,
        typer.Option("--budget", metavar="MINUTES", help="Time of the search; the confirmation comes on top."),
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            "-m",
            metavar="M",
            help="What to better: wall unless named; several with weights: wall=2,peak_rss=1, or repeated.",
        ),
    ] = None,
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
    max_floods: Annotated[
        float | None,
        typer.Option("--max-floods-per-1000", min=0, metavar="N", help="Most flood waits in a thousand requests."),
    ] = None,
    max_error_share: Annotated[
        float,
        typer.Option("--max-error-share", min=0, max=1, metavar="SHARE", help="Most lost requests, as a share of all."),
    ] = 0.05,
    blocks: Annotated[
        int, typer.Option("--blocks", min=1, help="Blocks of the confirmation; fewer than 7 prove nothing.")
    ] = 10,
    save: Annotated[
        str | None,
        typer.Option("--save", metavar="NAME", help="Keep what is better as a profile: tobs export --profile NAME."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Where everything goes, and goes on from."),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            metavar="FILE|URL",
            envvar="TOBS_STORAGE",
            help="Keep the study in a journal file or in postgresql://…, where --worker joins it.",
        ),
    ] = None,
    worker: Annotated[
        bool, typer.Option("--worker", help="Join a study in --storage, which says what is run, until it has ended.")
    ] = False,
    study: Annotated[
        str | None, typer.Option("--study", metavar="NAME", help="Which study to join, if there are several.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find better knobs for a scenario, and prove on other work that they are better.

    The best three are compared with the start as `tobs ab` would, and the result is written as settings that
    `tobs export --config` takes. Ctrl+C at any moment; the same command goes on. Exit code 3: some runs were invalid.

    Example: tobs tune --scenario mixed_home --trials 30
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if worker:
        if scenarios or arm is not None or start is not None or knobs:
            raise UsageError("a worker takes what is run from the study", hint="Leave --scenario and --arm out.")
        _work(storage, study, folder, as_json=as_json)
        return
    if not scenarios or study is not None:
        what = "--study is for a worker" if study else "there is no scenario to tune for"
        raise UsageError(what, hint="Give --scenario S, or --worker --storage STORAGE.")
    from tobs.experiment.weighted import joined
    from tobs.tuning.definition import EVERY, Wanted, define
    from tobs.tuning.limits import MEGABYTE, Limits

    memory = None if max_rss is None else max_rss * MEGABYTE
    first, *further = scenarios
    definition = define(
        Wanted(
            scenario=first,
            arm=arm,
            file=start,
            metric=joined(metrics or ["wall"]),
            scale=scale,
            seed=seed,
            knobs=tuple(knobs or ()),
            limits=Limits(memory, max_flood_seconds, max_error_share, max_floods),
            trials=trials,
            budget=None if budget is None else budget * 60,
            blocks=blocks,
            further=tuple(further),
            over=over,
            toggles=(*([EVERY] if toggles else ()), *(toggle or ())),
        )
    )
    if save is not None:
        _refuse_taken(save, definition)
    tuning = _tuned(definition, folder, storage)
    kept = None if save is None else _keep(tuning, save)
    if as_json:
        from tobs.tuning.place import BEST
        from tobs.tuning.report import as_json as told

        answer(ok=tuning.sound, **told(tuning), settings=str(tuning.folder / BEST), profile=kept)
    else:
        _show(tuning)
        if save is not None:
            used = f"profile: tobs export --profile {kept}"
            typer.echo(used if kept else f"nothing better was found, so there is no profile {save}")
    if not tuning.sound:
        raise typer.Exit(INCOMPLETE)


def _refuse_taken(name: str, definition: Definition) -> None:
    """Raise `UsageError` if a profile of this name came from somewhere else: before anything is run."""
    from tobs.host import profiles

    file = profiles.path_of(name)
    if file.exists() and profiles.origin_of(file).get("tuning") != definition.id:
        hint = f"Take another name, or remove that one: tobs profiles remove {name}."
        raise UsageError(f"there is a profile {name!r} that this tuning has not made", hint=hint)


def _keep(tuning: Tuning, name: str) -> str | None:
    """Keep the result as a profile if it is better than the start; the profile's name."""
    from tobs.cli.profiles import adopt
    from tobs.tuning.place import BEST

    if not tuning.adopted:
        return None
    adopt(name, tuning.folder / BEST, replace=True)
    return name


def _work(storage: str | None, study: str | None, folder: Path | None, *, as_json: bool) -> None:
    from tobs.tuning import worker

    if storage is None:
        raise UsageError("a worker needs the study's storage", hint="Give --storage FILE|URL, or set TOBS_STORAGE.")
    worked = worker.work(storage, study, folder, lambda text: typer.echo(text, err=True))
    if as_json:
        answer(ok=True, **worker.as_json(worked))
    else:
        for line in worker.lines(worked):
            typer.echo(line)


def _tuned(definition: Definition, folder: Path | None, storage: str | None) -> Tuning:
    from tobs.tuning.place import index
    from tobs.tuning.tune import tune

    place = index() / definition.id if folder is None else folder
    try:
        return tune(definition, place, lambda text: typer.echo(text, err=True), storage=storage)
    except KeyboardInterrupt:
        typer.echo(f"What is finished is kept in {place}. Run the same command again to go on.", err=True)
        raise


def _show(tuning: Tuning) -> None:
    from tobs.tuning.place import BEST
    from tobs.tuning.report import lines

    for line in lines(tuning):
        typer.echo(line)
    typer.echo(f"settings: {tuning.folder / BEST} (tobs export --config FILE, or tobs profiles add NAME FILE)")
