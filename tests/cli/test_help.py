"""Help answers at once: what is heavy is imported by the command that needs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.export.labs import command, surroundings, tobs
from tobs import __version__

if sys.platform != "win32":
    import resource

HEAVY = {"telethon", "cryptg", "optuna", "sqlite_utils", "sqlite3", "opentelemetry", "pluggy", "PIL"}
BOUND = 0.3
"""Seconds of CPU that `tobs --help` may take."""


def test_help_imports_nothing_heavy() -> None:
    show = (
        "import sys\ntry:\n    from tobs.cli.main import run; run()\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", show, "--help"], capture_output=True, text=True, env=surroundings(), check=True
    )
    assert "Usage" in done.stdout
    assert {name.partition(".")[0] for name in done.stderr.split()} & HEAVY == set()


@pytest.mark.skipif(sys.platform == "win32", reason="counts CPU time of children")
def test_help_takes_little_cpu() -> None:
    def once() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command("--help"), stdout=subprocess.DEVNULL, env=surroundings(), check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    best = min(once() for _ in range(5))
    assert best < BOUND


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("demo",),
        ("login",),
        ("accounts",),
        ("logout",),
        ("chats",),
        ("export",),
        ("render",),
        ("search",),
        ("verify",),
        ("digest",),
        ("lab",),
        ("lab", "serve"),
        ("lab", "truth"),
        ("lab", "limit"),
    ],
)
def test_every_command_explains_itself(words: tuple[str, ...]) -> None:
    done = tobs(*words, "--help")
    assert (done.code, done.err) == (0, "")
    if words not in {(), ("lab",)}:
        assert "Example: tobs " + " ".join(words) in done.out
        assert "--json" in done.out or words == ("lab", "serve")


def test_the_version() -> None:
    assert tobs("--version").out == f"tobs {__version__}\n"
