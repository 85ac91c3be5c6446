"""`tobs ab`."""

from __future__ import annotations

import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tobs.cli.outcome import INCOMPLETE, answer
from tobs.cli.shared_options import AsJson
from tobs.errors import UsageError

if TYPE_CHECKING:
    from tobs.experiment.definition import Definition, Wanted
    from tobs.experiment.report import Outcome

SELF_TEST_BLOCKS = 1000
"""A hundred experiments of ten blocks."""
SELF_TEST_SCALE = 0.1


def ab(
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE | ARM ARM…", help="An A/B file or a shipped one's name; or arms, quoted."),
    ] = None,
    scenarios: Annotated[
        list[str] | None,
        typer.Option("--scenario", "-s", metavar="S", help="A shipped scenario's name, or a path; repeatable."),
    ] = None,
    scale: Annotated[float | None, typer.Option("--scale", help="Multiply the scenario's messages and files.")] = None,
    blocks: Annotated[
        int | None,
        typer.Option("--blocks", help="So many blocks and a 95 % interval, instead of looks after 10, 15 and 20."),
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option("--metric", "-m", metavar="M", help="What to compare; repeatable, the first one decides."),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Another order and other scenario seeds.")] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--output", "--resume", "-o", metavar="DIR", help="Where everything goes, and goes on from."),
    ] = None,
    self_test: Annotated[
        bool,
        typer.Option("--self-test", help="The arm (default: baseline) against itself: does this machine see effects?"),
    ] = False,
    fail_if: Annotated[
        list[str] | None,
        typer.Option("--fail-if", metavar="CONDITION", help="Exit 1 if an arm meets it: 'ratio<0.95'; repeatable."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare arms on a local Telegram: paired, in randomized blocks, with an interval, and only on equal archives.

    An arm is `baseline`, `default` or `all`, then `+plugin`, `-plugin`, `plugin.knob=value`. A ratio is a speed-up over
    the first arm. Ctrl+C at any moment; the same command goes on. Exit code 1: a condition of --fail-if holds; 3: some
    runs were invalid.

    Example: tobs ab baseline 'baseline +async_pipeline' --scenario text_far
    """
    from tobs.experiment.condition import parse_condition
    from tobs.experiment.definition import define
    from tobs.experiment.report import together

    signal.signal(signal.SIGTERM, _interrupt)
    asked = _against_itself(what or [], scenarios) if self_test else _asked(what or [], scenarios)
    wanted = [_changed(one, scale, blocks, metrics, seed) for one in asked]
    definitions = [define(one) for one in wanted]
    compared = [metric.name for metric in definitions[0].metrics]
    conditions = [parse_condition(text, compared) for text in fail_if or ()]
    outcomes = [_conducted(one, _folder(one, folder, several=len(definitions) > 1)) for one in definitions]
    sound = all(outcome.sound for outcome in outcomes)
    told = together(outcomes)
    failures = [words for condition in conditions for words in condition.failures(told["arms"])]
    if as_json:
        answer(ok=sound and not failures, failures=failures, **told)
    else:
        _tell(outcomes, failures)
    if failures:
        raise typer.Exit(1)
    alarms = [tested for outcome in outcomes if (tested := outcome.self_test()) and not tested.sound]
    if not sound or alarms:
        raise typer.Exit(INCOMPLETE)


def _asked(what: list[str], scenarios: list[str] | None) -> list[Wanted]:
    """The experiments that the words mean."""
    from tobs.experiment.ab_file import find, load, shipped
    from tobs.experiment.definition import Wanted

    if not what:
        raise UsageError("what is to be compared?", hint=f"Give arms, or a file: {', '.join(shipped()) or 'none'}.")
    file = find(what[0]) if len(what) == 1 else None
    if file is not None:
        found = load(file)
        return found if not scenarios else [replace(found[0], scenario=scenario) for scenario in scenarios]
    if len(what) == 1 and what[0].split()[0:1] not in (["baseline"], ["default"], ["all"]):
        raise UsageError(f"there is no A/B file {what[0]!r}", hint=f"Shipped: {', '.join(shipped()) or 'none'}.")
    if not scenarios:
        raise UsageError("which scenario?", hint="Name one with --scenario, for example text_far.")
    return [Wanted("ab", scenario, tuple(what)) for scenario in scenarios]


def _against_itself(what: list[str], scenarios: list[str] | None) -> list[Wanted]:
    """An arm twice, for a hundred experiments of ten blocks, on the cheapest work there is unless another is named."""
    from tobs.experiment.definition import Wanted

    if len(what) > 1:
        raise UsageError("a self-test is of one arm", hint="Leave out all but one: the arm is compared with itself.")
    arm = what[0] if what else "baseline"
    given = scenarios or ["text_loopback"]
    scale = 1.0 if scenarios else SELF_TEST_SCALE
    return [Wanted("self-test", scenario, (arm, arm), scale=scale, blocks=SELF_TEST_BLOCKS) for scenario in given]


def _changed(
    wanted: Wanted, scale: float | None, blocks: int | None, metrics: list[str] | None, seed: int | None
) -> Wanted:
    """What the options say in place of what a file said."""
    return replace(
        wanted,
        scale=wanted.scale if scale is None else scale,
        blocks=wanted.blocks if blocks is None else blocks,
        metrics=wanted.metrics if not metrics else tuple(metrics),
        seed=wanted.seed if seed is None else seed,
    )


def _folder(definition: Definition, given: Path | None, *, several: bool) -> Path:
    from tobs.experiment.store import index

    if given is None:
        return index() / definition.id
    return given / Path(definition.wanted.scenario).stem if several else given


def _conducted(definition: Definition, folder: Path) -> Outcome:
    from tobs.experiment.conduct import conduct
    from tobs.experiment.forecast import forecast

    typer.echo(forecast(definition.wanted.scenario, definition.metrics[0]), err=True)
    try:
        return conduct(definition, folder, lambda text: typer.echo(text, err=True))
    except KeyboardInterrupt:
        typer.echo(f"What is finished is kept in {folder}. Run the same command again to go on.", err=True)
        raise


def _tell(outcomes: list[Outcome], failures: list[str]) -> None:
    from tobs.experiment.report import combined_lines

    for outcome in outcomes:
        _show(outcome)
    for line in (*combined_lines(outcomes), *(f"fails: {words}" for words in failures)):
        typer.echo(line)


def _show(outcome: Outcome) -> None:
    from tobs.experiment.report import aligned, lines, table

    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        head, *rows = table(outcome)
        shown = Table(title=None)
        for place, name in enumerate(head):
            shown.add_column(name, justify="right" if place else "left")
        for row in rows:
            shown.add_row(*row)
        Console().print(shown)
    else:
        for line in aligned(table(outcome)):
            typer.echo(line)
    typer.echo("")
    for line in lines(outcome):
        typer.echo(line)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt
