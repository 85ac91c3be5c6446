"""The folder in which one process of a tuning keeps what is its own: raw runs, results, and the name it works under."""

from __future__ import annotations

import json
import uuid
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from tobs.archive.lock import FolderLock
from tobs.errors import ArchiveError, TobsError, UsageError
from tobs.host import folders
from tobs.tuning.storage import shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOTE, STUDY, BEST, RESULT = "tuning.json", "study.journal", "best.toml", "result.json"
"""Files in a tuning's folder: whose it is, Optuna's journal, the settings, and what came of it for machines."""
WORKERS = "workers"
MOST_WORKERS = 1000
"""Workers on one machine that each have a folder of their own without being given one."""


class BusyError(TobsError):
    """The folder is another process's."""


def index() -> Path:
    """Where tunings are kept unless another folder is named."""
    return folders.state() / "tuning"


def noted(folder: Path) -> dict[str, Any]:
    """What the folder's note says: `id` of the tuning, `study`, `storage` (empty for its own journal), `worker`.

    Raises `UsageError` where there is none.
    """
    try:
        found: dict[str, Any] = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UsageError(f"{folder} holds no tuning", hint=f"Tunings lie in {index()} unless -o is given.") from None
    return found


@contextmanager
def claimed(folder: Path, identity: str, study: str, storage: str | None = None) -> Iterator[str]:
    """Hold the folder for the block; the name under which its owner works on the study, the same each time.

    Raises `BusyError` if another process holds it, `UsageError` if it holds another tuning.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = FolderLock(folder)
    except ArchiveError as error:
        raise BusyError(str(error), hint="That tuning is running: wait for it, or stop it first.") from None
    try:
        note = folder / NOTE
        known = noted(folder) if note.exists() else {}
        if known.get("id", identity) != identity:
            hint = "Its scenario, arm, knobs, metric, limits, seed or the code differ: give another folder with -o."
            raise UsageError(f"{folder} holds another tuning ({known['id']}; this one is {identity})", hint=hint)
        place = "" if storage is None else shown(storage)
        if known.get("storage", place) != place:
            kept = known["storage"] or folder / STUDY
            raise UsageError(f"the study of {folder} is kept in {kept}", hint="Give another folder with -o.")
        worker = str(known.get("worker") or uuid.uuid4().hex[:8])
        note.write_text(
            json.dumps({"id": identity, "study": study, "storage": place, "worker": worker}), encoding="utf-8"
        )
        yield worker
    finally:
        lock.release()


@contextmanager
def any_claimed(identity: str, study: str, storage: str) -> Iterator[tuple[Path, str]]:
    """Hold the first folder of this machine's workers on a study that nobody holds; it, and the worker's name.

    So who starts again after a kill works under the name of who was killed, and gives back what that left running.
    """
    with ExitStack() as held:
        for number in range(1, MOST_WORKERS):
            folder = index() / WORKERS / f"{identity}-{number}"
            with suppress(BusyError, UsageError):
                worker = held.enter_context(claimed(folder, identity, study, storage))
                break
        else:
            raise TobsError(f"{MOST_WORKERS} workers are at it here", hint="Give a folder with -o.")
        yield folder, worker
