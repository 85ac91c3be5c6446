"""Prints what `tobs export --watch` shows in the middle of an export from a lab, as text: the pictures of a page.

`python docs/picture.py --scenario demo -- --arm default`; what follows the two dashes goes to the export.
"""

from __future__ import annotations

import argparse
import os
import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tobs.lab.child import spawn
from tobs.lab.scenario import load
from tobs.lab.world import build

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_REDRAWN = re.compile(r"\r(?:\x1b\[1A\x1b\[2K)+|\r\x1b\[2K(?:\x1b\[1A\x1b\[2K)*")
_CODE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal:
    """A pseudo-terminal with a command in it, started at once; `output` is everything that it printed so far."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], columns: int = 80, rows: int = 24) -> None:
        import pty  # noqa: PLC0415 - Unix alone has it

        self._main, side = pty.openpty()
        self.output = b""
        self.resize(columns, rows)
        given = {key: value for key, value in environment.items() if key not in {"COLUMNS", "LINES"}}
        self.child = subprocess.Popen(  # noqa: S603 - the caller's own command
            words,
            stdin=side,
            stdout=side,
            stderr=side,
            env={"TERM": "xterm-256color", **given},
            start_new_session=True,
        )
        os.close(side)

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size."""
        import fcntl  # noqa: PLC0415
        import termios  # noqa: PLC0415

        fcntl.ioctl(self._main, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, until: Callable[[str], object] | None = None) -> str:
        """Read until the text so far satisfies `until`, or the command has ended; returns the text so far."""
        while until is None or not until(self.output.decode(errors="replace")):
            try:
                more = os.read(self._main, 65536)
            except OSError:  # the other side is closed
                break
            if not more:
                break
            self.output += more
        return self.output.decode(errors="replace")

    def end(self) -> int:
        """Read to the end; returns the exit code."""
        self.read()
        os.close(self._main)
        return self.child.wait()


def pictures(text: str) -> list[str]:
    """What was shown, one after the other, without colours; the last is what remains at the end."""
    return [_CODE.sub("", part).replace("\r", "") for part in _REDRAWN.split(text)]


def main() -> int:
    """Export from a lab and print the picture of the middle, or the one that `--with` describes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--scenario", default="demo")
    parser.add_argument("--columns", type=int, default=80)
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--with", dest="words", default="", help="the first picture that has these words")
    parser.add_argument("rest", nargs="*", help="options for the export")
    asked = parser.parse_args()
    world = build(load(asked.scenario))
    chat = max(world.histories.values(), key=lambda history: history.count).peer_id
    with tempfile.TemporaryDirectory() as folder, spawn(asked.scenario, Path(folder) / "lab") as lab:
        words = ["export", str(chat), "-o", f"{folder}/archive", "--server", str(lab.server_file), "--watch"]
        terminal = Terminal(
            [sys.executable, "-m", "tobs", *words, *asked.rest],
            {**os.environ, "TOBS_STATE": f"{folder}/state"},
            asked.columns,
            asked.rows,
        )
        code = terminal.end()
    shown = pictures(terminal.output.decode(errors="replace"))[1:-1]
    chosen = [picture for picture in shown if asked.words in picture] if asked.words else shown[len(shown) // 2 :]
    sys.stdout.write("\n".join(line.rstrip() for line in chosen[0].splitlines()) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
