"""Labs that the tests of a session share, and ways to export from them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tobs.cli import main
from tobs.engine.export import Wish
from tobs.host import run, settings
from tobs.lab.child import Child, spawn
from tobs.lab.scenario import load as load_scenario
from tobs.lab.world import World, build
from tobs.telegram.account import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tobs.ports import Probe

SCENARIOS = Path(__file__).parent / "scenarios"
ROOT = Path(__file__).parents[2]


@cache
def world_of(name: str) -> World:
    """The world of a test scenario, as any lab that serves it has it."""
    return build(load_scenario(SCENARIOS / f"{name}.toml"))


def main_chat(world: World) -> int:
    """Marked id of the world's biggest chat."""
    return max(world.histories, key=lambda number: world.histories[number].count)


def side_chat(world: World, kind: str) -> int:
    """Marked id of the world's private chat ("user") or basic group ("chat")."""
    return next(number for number, history in world.histories.items() if history.kind == kind)


@dataclass(frozen=True, slots=True)
class Served:
    """A running lab and what it serves."""

    child: Child
    world: World
    state: Path

    @property
    def server(self) -> Path:
        return self.child.server_file

    @property
    def chat(self) -> int:
        return main_chat(self.world)


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Served]]:
    """Labs by scenario, each started when it is first asked for."""
    with ExitStack() as stack:

        @cache
        def served(name: str) -> Served:
            state = tmp_path_factory.mktemp(f"lab-{name}")
            child = stack.enter_context(spawn(SCENARIOS / f"{name}.toml", state))
            return Served(child, world_of(name), state)

        yield served


@pytest.fixture
def small(serve: Callable[[str], Served]) -> Served:
    """The lab with everything in little, counting anew."""
    lab = serve("small")
    lab.child.reset()
    return lab


@pytest.fixture
def long(serve: Callable[[str], Served]) -> Served:
    """The lab with more than a thousand messages, counting anew."""
    lab = serve("long")
    lab.child.reset()
    return lab


async def export(
    server: Path,
    folder: Path,
    chats: Sequence[int | str],
    *,
    wish: Wish | None = None,
    add: bool = False,
    probes: Sequence[Probe] = (),
    sets: Sequence[str] = (),
) -> run.Report:
    """One export in this process."""
    asked = run.Request([str(chat) for chat in chats], folder, wish or Wish(), add, folder.parent / "state")
    return await run.export(load(server), settings.load(sets=sets), asked, probes)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        """Its one JSON value."""
        return json.loads(self.out)


def command(*words: object) -> list[str]:
    """The command line of a `tobs` in a process of its own."""
    return [sys.executable, "-m", "tobs", *map(str, words)]


def surroundings(**more: str) -> dict[str, str]:
    """The environment of a `tobs` child."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "COLUMNS": "200", **more}


def tobs(*words: object, given: str = "", **environment: str) -> Ended:
    """Run a `tobs` command in this process; `given` is its standard input."""
    out, err = StringIO(), StringIO()
    code: object = 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["tobs", *map(str, words)])
        patch.setattr(sys, "stdin", StringIO(given))
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            main.run()
        except SystemExit as end:
            code = end.code
    assert isinstance(code, int)
    return Ended(code, out.getvalue(), err.getvalue())


def tobs_child(*words: object, given: str | None = None, within: float = 60.0, **environment: str) -> Ended:
    """Run a `tobs` command in a process of its own; `given` is its standard input."""
    done = subprocess.run(
        command(*words),
        input=given,
        stdin=None if given is not None else subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=within,
        env=surroundings(**environment),
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)
