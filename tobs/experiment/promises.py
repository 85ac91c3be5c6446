"""Measures the promises: every A/B file in turn, to its record. `python -m tobs.experiment.promises [NAME …]`.

It may be stopped at any moment and goes on where it was: finished blocks stay in the state folder, finished records are
left as they are. A file whose plugin or scenario is not installed is named and passed over.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tobs.errors import TobsError, UsageError
from tobs.experiment import record
from tobs.experiment.ab_file import find, load, shipped
from tobs.experiment.conduct import conduct
from tobs.experiment.definition import define
from tobs.experiment.launch import launch
from tobs.experiment.store import index, now

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tobs.experiment.conduct import Say
    from tobs.experiment.definition import Wanted
    from tobs.experiment.launch import Launch


def measure_promises(names: Sequence[str], results: Path, say: Say, run: Launch = launch) -> list[str]:
    """Run the A/B files of these names (all that are shipped, if there are none) and keep a record of each experiment.

    Returns, in words, what could not be measured.
    """
    left_out = []
    for name in names or shipped():
        file = find(name)
        if file is None:
            raise UsageError(f"there is no A/B file {name!r}", hint=f"Shipped: {', '.join(shipped())}.")
        for wanted in load(file):
            try:
                _measure(wanted, name, results, say, run)
            except UsageError as error:
                left_out.append(f"{name} on {Path(wanted.scenario).stem}: {error}")
                say(f"left out: {left_out[-1]}")
    return left_out


def _measure(wanted: Wanted, name: str, results: Path, say: Say, run: Launch) -> None:
    definition = define(wanted)
    file = results / record.file_name(wanted)
    if file.exists() and record.load(file).identity == record.identity(wanted):
        say(f"{file.name} is there")
        return
    outcome = conduct(definition, index() / definition.id, say, run)
    say(f"wrote {record.save(outcome, results, f'tobs ab {name}', now())}")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def main(argv: Sequence[str] | None = None) -> int:
    """Measure from the command line; 0 if all could be measured."""
    parser = argparse.ArgumentParser(prog="python -m tobs.experiment.promises", description=__doc__)
    parser.add_argument("names", nargs="*", help="A/B files; all that are shipped, if none is named")
    parser.add_argument("--results", type=Path, default=Path("experiments/results/promises"), help="folder of records")
    given = parser.parse_args(argv)
    try:
        left_out = measure_promises(given.names, given.results, _say)
    except TobsError as error:
        sys.stderr.write(f"{error}\n{error.hint}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the same command goes on\n")
        return 130
    return 3 if left_out else 0


if __name__ == "__main__":
    sys.exit(main())
