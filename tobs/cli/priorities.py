"""`tobs priorities`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tobs.cli.outcome import answer
from tobs.cli.shared_options import AsJson


class Form(StrEnum):
    """How the table is written."""

    TEXT = "text"
    MARKDOWN = "markdown"
    HTML = "html"


def priorities(
    form: Annotated[Form, typer.Option("--format", "-f", help="How to write it.")] = Form.TEXT,
    results: Annotated[
        list[Path] | None,
        typer.Option("--results", metavar="DIR", exists=True, file_okay=False, help="Folder of records; repeatable."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it here.")] = None,
    as_json: AsJson = False,
) -> None:
    """What was promised of each optimization, and what was measured of it: kept, not kept, or not measured.

    Records of `nox -s promises` are read; one whose scenario or arms have changed since is refused. A promise never
    stands in the place of a measurement.

    Example: tobs priorities --format html -o priorities.html
    """
    from tobs.experiment import priorities_report as report
    from tobs.experiment.priorities import as_json as told
    from tobs.experiment.priorities import rows

    found = rows(results)
    if as_json:
        answer(**told(found))
        return
    written = {
        Form.TEXT: lambda: "\n".join(report.text(found)) + "\n",
        Form.MARKDOWN: lambda: report.markdown(found) + "\n",
        Form.HTML: lambda: report.html(found),
    }[form]()
    if output is None:
        typer.echo(written, nl=False)
    else:
        output.write_text(written, encoding="utf-8")
        typer.echo(f"wrote {output}", err=True)
