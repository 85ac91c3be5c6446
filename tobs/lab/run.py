"""Any program against a fresh lab: started with the lab in its environment, measured, and judged by what it leaves."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tobs.errors import UsageError
from tobs.lab.child import spawn
from tobs.lab.command import Use, use
from tobs.lab.judge import Judgement, expected, judge
from tobs.lab.limit import Limit, limit
from tobs.lab.scenario import load
from tobs.lab.server_file import main_chat, username_of
from tobs.lab.truth import choose
from tobs.lab.world import build

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NAMED = 20
"""Files that are missing or corrupt are named up to so many; they are counted all."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What is run: a scenario (name or path), a command, and where the lab and the command may write.

    `folder` is where the command has to leave its files; it must be empty or not there. `chats` are the marked
    ids that are judged, None: the scenario's main chat. `timeout` is in seconds, None: no end.
    """

    scenario: str | Path
    command: tuple[str, ...]
    state: Path
    folder: Path
    scale: float = 1.0
    seed: int | None = None
    chats: tuple[int, ...] | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a command did: what it used, what it left, what the lab counted, and the limit of the scenario.

    The limit is that of exporting the whole of `chats`, messages and files.
    """

    chats: tuple[int, ...]
    use: Use
    judgement: Judgement
    counters: dict[str, Any]
    limit: Limit

    @property
    def complete(self) -> bool:
        """Whether the command ended well and left every file, byte for byte."""
        return self.use.exit_code == 0 and not self.use.timed_out and self.judgement.complete

    @property
    def seconds(self) -> float | None:
        """From the first accepted connection to the last byte from or to a client; None: nobody came."""
        first, last = self.counters["first_accept"], self.counters["last_activity"]
        return None if first is None or last is None else last - first

    def as_json(self) -> dict[str, Any]:
        """The verdict in plain values. `efficiency` (limit by seconds) is None unless it is complete and limited."""
        seconds, bound, judged, counters = self.seconds, self.limit.seconds, self.judgement, self.counters
        return {
            "ok": self.complete,
            "chats": list(self.chats),
            **asdict(self.use),
            "lab_seconds": seconds,
            "limit_seconds": bound,
            "limit_resource": self.limit.resource,
            "efficiency": bound / seconds if bound and seconds and self.complete else None,
            "found": len(judged.found),
            "missing": len(judged.missing),
            "corrupt": len(judged.corrupt),
            "extra": judged.extra,
            "bytes_found": sum(file.size for file in judged.found),
            "bytes_expected": sum(file.size for file in (*judged.found, *judged.missing))
            + sum(file.size for file, _ in judged.corrupt),
            "missing_files": [{"id": file.id, "size": file.size, "sha256": file.sha256} for file in judged.missing][
                :NAMED
            ],
            "corrupt_files": [{"path": path, "id": file.id, "sha256": file.sha256} for file, path in judged.corrupt][
                :NAMED
            ],
            "requests_served": sum(counters["requests"].values()),
            **{name: counters[name] for name in _COUNTED},
        }


_COUNTED = (
    "requests",
    "errors",
    "floods",
    "requests_during_flood",
    "duplicate_parts",
    "file_parts",
    "file_bytes",
    "history_pages",
    "history_messages",
    "migrations",
    "connections_opened",
    "connections_refused",
    "handshakes",
    "bad_packets",
)


def run(trial: Trial) -> Verdict:
    """Run a command against a lab of its own and judge what it leaves.

    Raises `UsageError` for a scenario, chat, folder or command that cannot be used, before anything is started.
    """
    if not trial.command or shutil.which(trial.command[0]) is None:
        asked = trial.command[0] if trial.command else ""
        raise UsageError(f"there is no program {asked!r}", hint="Give a command after `--`: its program and words.")
    if trial.folder.exists() and (not trial.folder.is_dir() or any(trial.folder.iterdir())):
        raise UsageError(f"{trial.folder} is not an empty folder", hint="Choose another: what lies there is judged.")
    scenario = load(trial.scenario, scale=trial.scale, seed=trial.seed)
    world = build(scenario)
    chats = choose(world, main_chat(world) if trial.chats is None else trial.chats)
    files = expected(world, chats)
    trial.folder.mkdir(parents=True, exist_ok=True)
    with spawn(trial.scenario, trial.state, scale=trial.scale, seed=trial.seed) as lab:
        name = username_of(world, chats[0]) or str(chats[0])
        used = use(trial.command, environment(lab.server_file, name, chats, trial.folder), trial.timeout)
        counters = lab.counters()
    return Verdict(tuple(chats), used, judge(trial.folder, files), counters, limit(scenario, world, chats))


def environment(server_file: Path, chat: str, chats: Sequence[int], folder: Path) -> dict[str, str]:
    """This process's environment, and the lab in it; `chat` is the username or marked id of the first chat."""
    server = json.loads(server_file.read_text(encoding="utf-8"))
    return {
        **os.environ,
        "TOBS_SERVER": str(server_file.resolve()),
        "TOBS_LAB_HOST": server["host"],
        "TOBS_LAB_PORT": str(server["port"]),
        "TOBS_LAB_DC": str(server["dc"]),
        "TOBS_LAB_PUBLIC_KEY": server["public_key"],
        "TOBS_LAB_SESSION": server["session"],
        "TOBS_LAB_PYROGRAM_SESSION": server["pyrogram_session"],
        "TOBS_LAB_API_ID": str(server["api_id"]),
        "TOBS_LAB_API_HASH": server["api_hash"],
        "TOBS_LAB_PHONE": server["phone"],
        "TOBS_LAB_CODE": server["code"],
        "TOBS_LAB_PASSWORD": server["password"],
        "TOBS_LAB_CHAT": chat,
        "TOBS_LAB_CHAT_ID": str(chats[0]),
        "TOBS_LAB_CHATS": ",".join(map(str, chats)),
        "TOBS_LAB_FOLDER": str(folder.resolve()),
    }
