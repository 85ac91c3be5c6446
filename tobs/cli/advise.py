"""`tobs advise`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tobs.cli.outcome import answer
from tobs.cli.shared_options import AsJson

if TYPE_CHECKING:
    from tobs.advice import Load
    from tobs.experiment.advising import Advised

SLIGHT = 0.005
"""Share of the run below which a stage has no line."""


def advise(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]",
            help="A run's folder or file of metrics, or an experiment's id or folder; by default the latest export.",
        ),
    ] = None,
    arm: Annotated[
        str | None,
        typer.Option("--arm", metavar="N", help="Of an experiment, which arm: its number from 0, or as written."),
    ] = None,
    advisor: Annotated[
        str | None, typer.Option("--advisor", metavar="PLUGIN", help="Which plugin to ask, where several give advice.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what limits a run, what to change, what gain to expect, and the command that proves it.

    It reads a run's metrics and nothing else; of an experiment, the medians of an arm's runs.

    Example: tobs advise --json
    """
    from tobs.experiment.advising import advise as ask
    from tobs.experiment.advising import find

    advised = ask(find(run, arm), advisor)
    if as_json:
        answer(ok=True, **advised.as_json())
        return
    for line in lines(advised):
        typer.echo(line)


def lines(advised: Advised) -> list[str]:
    """The advice for people."""
    advice, record = advised.advice, advised.record
    of = f", medians of {record.runs} runs" if record.runs > 1 else ""
    said = [
        f"Run: {record.arm}, {record.total('tobs.run.duration'):.2f} s{of}",
        f"Bottleneck: {advice.bottleneck.stage} ({advice.bottleneck.kind})",
        *(f"  {sentence}" for sentence in advice.evidence),
        f"Without it the run would be at most x{advice.ceiling:.2f} as fast.",
    ]
    for change in advice.changes:
        expected = change.predicted
        rests = f"; rests on {expected.rests_on}" if expected.rests_on else ""
        said += [
            f"- {change.what} Expect x{expected.ratio:.2f} (x{expected.low:.2f} to x{expected.high:.2f}{rests}).",
            f"  {change.why}",
        ]
        if change.arm:
            said.append(f"  arm: {change.arm}")
    if advice.after is not None:
        said.append(f"After the first of these: {advice.after.stage} ({advice.after.kind})")
    said += ["", *_table(advice.stages)]
    said += [f"Little's law: instruments agree to {advice.littles_law:.1%}."]
    said += [f"Distrust: {why}" for why in advice.distrust]
    if advised.command:
        said += ["To prove the first arm:", f"  {advised.command}"]
    return said


def _table(stages: tuple[Load, ...]) -> list[str]:
    head = f"{'stage':12} {'kind':10} {'busy':>6} {'alone':>6} {'used':>6} {'waiting':>8} {'errors':>7}"
    rows = [
        f"{load.stage:12} {load.kind:10} {load.busy:6.0%} {load.alone:6.0%} {load.utilization:6.0%} "
        f"{load.saturation:8.1f} {load.errors:7d}"
        for load in stages
        if load.busy >= SLIGHT
    ]
    return [head, *rows]
