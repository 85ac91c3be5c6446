"""A lab that tests export from: the chat that it serves, and what an archive of it must hold."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tobs.lab.child import Child, spawn
from tobs.lab.scenario import load
from tobs.lab.world import build

if TYPE_CHECKING:
    from collections.abc import Iterator

SCENARIOS = Path(__file__).parent / "scenarios"


@dataclass(frozen=True, slots=True)
class ServedChat:
    """The one chat of a running lab, by its marked id.

    `digest` is that of any complete archive of it, `messages` has the ids of its messages, rising. `child` is the
    lab: its counters, and the server file to connect with.
    """

    child: Child = field(repr=False)
    id: int
    digest: str
    messages: tuple[int, ...] = field(repr=False)

    @property
    def server(self) -> Path:
        """The server file: what `tobs export --server` takes."""
        return self.child.server_file


@contextmanager
def serve(scenario: str, state: Path) -> Iterator[ServedChat]:
    """Run a lab with one of this room's scenarios, which have one chat each; `state` is a folder for it."""
    file = SCENARIOS / f"{scenario}.toml"
    (history,) = build(load(file)).histories.values()
    with spawn(file, state) as child:
        yield ServedChat(child, history.peer_id, child.truth()["digest"], tuple(history.ids))
