"""What was run and measured, in `experiment.sqlite` of the experiment's folder; one writer at a time.

A block counts from the moment its last run is stored. Of a block that was broken off nothing is used, but its rows
stay, marked `abandoned`. An index in the user's state folder says where experiments lie.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import sqlite_utils

from tobs.archive.lock import FolderLock
from tobs.errors import ArchiveError, TobsError, UsageError
from tobs.experiment.blocks import WARM_UP, Block
from tobs.experiment.launch import METRICS
from tobs.experiment.metrics import measure, metric_of
from tobs.host import folders
from tobs.telemetry import read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from tobs.experiment.definition import Definition
    from tobs.experiment.launch import Result

FILE = "experiment.sqlite"
MEASURED, WARMED, PREPARED = "measured", "warm-up", "prepare"
"""What a run is for; only the first is compared."""
_SCHEMA = """
CREATE TABLE experiments (
    id TEXT PRIMARY KEY, name TEXT, scenario TEXT, scale REAL, seed INTEGER, looks TEXT, alpha REAL, decides TEXT,
    code TEXT, versions TEXT, machine TEXT, definition TEXT, started TEXT, ended TEXT, why TEXT
);
CREATE TABLE arms (
    experiment TEXT REFERENCES experiments(id), arm INTEGER, text TEXT, frozen TEXT, plan_hash TEXT,
    PRIMARY KEY (experiment, arm)
);
CREATE TABLE blocks (
    experiment TEXT REFERENCES experiments(id), block INTEGER, seed INTEGER, run_order TEXT, started TEXT, ended TEXT,
    PRIMARY KEY (experiment, block)
);
CREATE TABLE runs (
    id INTEGER PRIMARY KEY, experiment TEXT REFERENCES experiments(id), block INTEGER, arm INTEGER, place INTEGER,
    kind TEXT, started TEXT, ended TEXT, invalid TEXT, abandoned INTEGER DEFAULT 0, digest TEXT, truth TEXT,
    exit INTEGER, seed INTEGER, plan_hash TEXT, code TEXT, floods_ignored INTEGER, folder TEXT
);
CREATE INDEX runs_of_blocks ON runs (experiment, block, arm);
CREATE TABLE measurements (
    run INTEGER REFERENCES runs(id), metric TEXT, value REAL, unit TEXT, PRIMARY KEY (run, metric)
);
"""


def index() -> Path:
    """Where experiments are kept unless another folder is named, and noted in any case."""
    return folders.state() / "experiments"


class Store:
    """The experiment in a folder, opened for writing; use it in a `with`."""

    def __init__(self, folder: Path, definition: Definition) -> None:
        """Open or make it.

        Raises `UsageError` if the folder holds another experiment, `TobsError` if somebody else writes to it.
        """
        self.folder = folder
        self.id = definition.id
        self._asked = tuple(metric.name for metric in definition.metrics)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._lock = FolderLock(folder)
        except ArchiveError as error:
            raise TobsError(str(error), hint="That experiment is running: wait for it, or stop it first.") from None
        try:
            self._db = _open(folder / FILE)
            self._begin(definition)
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it and let go of the folder."""
        self._db.close()
        self._lock.release()

    def _begin(self, definition: Definition) -> None:
        others = [row["id"] for row in self._db.table("experiments").rows if row["id"] != self.id]
        if others:
            raise UsageError(
                f"{self.folder} holds another experiment ({others[0]}; this one is {self.id})",
                hint="Its arms, scenario, seed, blocks or the code differ: give another folder with -o.",
            )
        wanted = definition.wanted
        row = {
            "id": self.id,
            "name": wanted.name,
            "scenario": wanted.scenario,
            "scale": wanted.scale,
            "seed": wanted.seed,
            "looks": json.dumps(definition.rule.looks),
            "alpha": definition.rule.alpha,
            "decides": definition.metrics[0].name,
            "code": definition.code,
            "versions": json.dumps(definition.facts.get("versions", {})),
            "machine": json.dumps(definition.facts.get("machine", {})),
            "definition": json.dumps({"arms": wanted.arms, "log": wanted.log, "metrics": wanted.metrics}),
            "started": now(),
        }
        with self._db.atomic():
            self._db.table("experiments").insert(row, ignore=True)
            for number, arm in enumerate(definition.arms):
                row = {"experiment": self.id, "arm": number, "text": arm.text, "frozen": arm.frozen}
                self._db.table("arms").insert({**row, "plan_hash": arm.plan_hash}, ignore=True)
            # Whatever was under way when it was broken off is no part of it any more.
            self._db.execute(
                "UPDATE runs SET abandoned = 1 WHERE experiment = ? AND kind != ? AND block NOT IN "
                "(SELECT block FROM blocks WHERE experiment = ? AND ended IS NOT NULL)",
                [self.id, WARMED, self.id],
            )
        note = index() / f"{self.id}.json"
        with suppress(OSError):  # a state folder that cannot be written costs the listing, not the experiment
            note.parent.mkdir(parents=True, exist_ok=True)
            note.write_text(json.dumps({"folder": str(self.folder.resolve())}), encoding="utf-8")

    def begin(self, block: Block) -> Block:
        """The block as it was begun before, else this one, from now on."""
        row = {"experiment": self.id, "block": block.number, "seed": block.seed, "started": now()}
        with self._db.atomic():
            self._db.table("blocks").insert({**row, "run_order": json.dumps(block.order)}, ignore=True)
        kept = self._db.table("blocks").get((self.id, block.number))
        return Block(block.number, kept["seed"], tuple(json.loads(kept["run_order"])))

    def end(self, block: Block) -> None:
        """All of the block's runs are stored."""
        with self._db.atomic():
            self._db.table("blocks").update((self.id, block.number), {"ended": now()})

    def keep(
        self, block: Block, arm: int, place: int, kind: str, started: str, result: Result, folder: Path, code: str
    ) -> None:
        """Store a run and what it measured, in one transaction."""
        row = {
            "experiment": self.id,
            "block": block.number,
            "arm": arm,
            "place": place,
            "kind": kind,
            "started": started,
            "ended": now(),
            "invalid": result.invalid,
            "digest": result.digest,
            "truth": result.truth.digest,
            "exit": result.facts.get("exit"),
            "seed": block.seed,
            "plan_hash": result.facts.get("plan_hash"),
            "code": code,
            "floods_ignored": (result.facts.get("lab") or {}).get("requests_during_flood", 0),
            "folder": folder.relative_to(self.folder).as_posix(),
        }
        with self._db.atomic():
            run = self._db.table("runs").insert(row).last_pk
            self._db.table("measurements").insert_all(
                {"run": run, "metric": name, "value": value, "unit": metric_of(name).unit}
                for name, value in result.measurements.items()
            )

    def finish(self, why: str) -> None:
        """It has ended, unless it had before."""
        with self._db.atomic():
            self._db.execute(
                "UPDATE experiments SET ended = ?, why = ? WHERE id = ? AND ended IS NULL", [now(), why, self.id]
            )

    def warm(self) -> set[int]:
        """Arms that had their warm-up."""
        return {row["arm"] for row in self._rows("block = ? AND kind = ?", WARM_UP, WARMED)}

    def finished(self) -> list[Block]:
        """The blocks that count, in order."""
        where = "experiment = ? AND ended IS NOT NULL"
        found = self._db.table("blocks").rows_where(where, [self.id], order_by="block")
        return [Block(row["block"], row["seed"], tuple(json.loads(row["run_order"]))) for row in found]

    def runs(self) -> list[dict[str, Any]]:
        """Measured runs of finished blocks, each with its `measurements` by name, by block and arm."""
        return list(self._measured())

    def _measured(self) -> Iterator[dict[str, Any]]:
        done = {block.number for block in self.finished()}
        for row in self._rows("kind = ? AND NOT abandoned", MEASURED):
            if row["block"] in done:
                yield {**row, "measurements": self._complete(row)}

    def _complete(self, row: dict[str, Any]) -> dict[str, float]:
        """The run's measurements; what was not asked for when it ran is read from its telemetry now."""
        known = measurements(self._db, row["id"])
        if all(name in known for name in self._asked):
            return known
        with suppress(TobsError):  # a run that left no metrics is invalid for that, and says so
            known = measure(read(self.folder / row["folder"] / METRICS), self._asked) | known
        return known

    def _rows(self, where: str, *values: object) -> list[dict[str, Any]]:
        found = self._db.table("runs").rows_where(
            f"experiment = ? AND {where}", [self.id, *values], order_by="block, arm"
        )
        return list(found)


def measurements(db: sqlite_utils.Database, run: int) -> dict[str, float]:
    """What a run measured, by name."""
    return {row["metric"]: row["value"] for row in db.table("measurements").rows_where("run = ?", [run])}


def listed(folders_: list[Path] | None = None) -> Iterator[dict[str, Any]]:
    """Every experiment that is known, or those in these folders: its row, with `folder`, `arms` and `runs`."""
    for folder in folders_ if folders_ is not None else sorted(_noted()):
        if not (folder / FILE).is_file():
            if folders_ is not None:
                raise UsageError(f"{folder} holds no experiment", hint="`tobs runs` without a folder lists all.")
            continue
        db = sqlite_utils.Database(sqlite3.connect(f"{(folder / FILE).resolve().as_uri()}?mode=ro", uri=True))
        for row in db.table("experiments").rows:
            arms = list(db.table("arms").rows_where("experiment = ?", [row["id"]], order_by="arm"))
            runs = list(db.table("runs").rows_where("experiment = ?", [row["id"]], order_by="id"))
            full = [{**run, "measurements": measurements(db, run["id"])} for run in runs]
            yield {**row, "folder": str(folder), "arms": arms, "runs": full}
        db.close()


def _noted() -> Iterator[Path]:
    for note in index().glob("*.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            yield Path(json.loads(note.read_text(encoding="utf-8"))["folder"])


def _open(file: Path) -> sqlite_utils.Database:
    db = sqlite_utils.Database(file, execute_plugins=False)
    if "experiments" not in db.table_names():
        db.conn.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
    return db


def now() -> str:
    """The time, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
