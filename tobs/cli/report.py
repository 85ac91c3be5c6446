"""`tobs report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tobs.cli.outcome import answer
from tobs.cli.shared_options import AsJson


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Of an experiment or an ablation; see `tobs runs`.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to write it (default: DIR/report.html)."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write an experiment as one page of HTML that needs no network: intervals, every run, timelines, commands.

    Example: tobs report ~/.local/state/tobs/experiments/0123456789abcdef -o report.html
    """
    from tobs.experiment.page import page

    written = page(folder)
    place = folder / "report.html" if output is None else output
    place.write_text(written, encoding="utf-8")
    if as_json:
        answer(ok=True, page=str(place), bytes=len(written.encode()))
    else:
        typer.echo(f"wrote {place}")
