"""`tobs report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tobs.cli.outcome import answer
from tobs.cli.shared_options import AsJson


def report(
    what: Annotated[
        str,
        typer.Argument(
            metavar="DIR|STUDY", help="Folder of an experiment, ablation or tuning, or a tuning's id or study."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to write it (default: DIR/report.html)."),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option("--storage", metavar="FILE|URL", envvar="TOBS_STORAGE", help="Where the study is kept."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write an experiment or a tuning as one page of HTML that needs no network: intervals, every run, commands.

    Of a tuning: its history, its knobs together and one by one, how much they matter, the start against the winner.

    Example: tobs report ~/.local/state/tobs/experiments/0123456789abcdef -o report.html
    """
    from tobs.tuning.told import is_study

    more: dict[str, Any] = {}
    folder: Path | None = Path(what)
    if is_study(what, storage):
        from tobs.tuning.page import page as page_of_study
        from tobs.tuning.told import as_json as study_as_json
        from tobs.tuning.told import tell

        told = tell(what, storage)
        written, more, folder = page_of_study(told), study_as_json(told), told.place
    else:
        from tobs.experiment.page import page

        written = page(Path(what))
    place = output or (folder / "report.html" if folder is not None else Path(f"{what}.html"))
    place.write_text(written, encoding="utf-8")
    if as_json:
        answer(ok=True, page=str(place), bytes=len(written.encode()), **more)
    else:
        typer.echo(f"wrote {place}")
