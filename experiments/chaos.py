"""Chaos: exports that are stopped at random moments by everything at once, and must end with the truth all the same.

Each run is an export of a small chat over a bad line (`chaos.toml`: faults of every kind), by `tobs export` in child
processes, which is stopped one to three times and then left to end. What stops it, by kind of run:

    kill    SIGKILL at a random moment
    full    somebody else takes all space of the disk at a random moment, and gives it back afterwards
    away    a data centre goes away for a second or two, twice; and SIGKILL
    all     all of these, in any order

After every stop the archive must be valid: every stored file as it was kept, every span with all of its messages. At
the end the digest must be the truth's, every file there, nothing beside them, and no request sent during a flood wait.
A run fails that does not keep to all of that. Only moments and kinds are drawn from the seed: what is under way at a
moment depends on the machine. `stops_inside_a_file` are stops that left a half-written one.

And a resumed run fetches little again. `bytes_again` are bytes of files that the server sent beyond those of the files.
Faults alone cost some: that is what undisturbed exports on the same lab fetch again. At each stop some are in flight:
`chaos_bytes` says what counts as that, and why. What is left of them is held to the bar of `chaos_told`.

    python experiments/chaos.py [--runs 200] [--seed 1] [--workers N] [--arm ARM] [--json FILE]

The disk is a tmpfs of its own where this user may mount one; elsewhere `full` limits the size of files instead, and the
result says so. Exit code 1 if a run failed or a bar is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from chaos_bytes import JOURNAL_KB, RESUME_KB, Kept, Life, cost, read_kept
from chaos_disk import fill, may_mount, mounted
from chaos_told import AWAY, KINDS, Run, summary
from tobs.archive.lock import FILE as LOCK
from tobs.archive.verify import verify
from tobs.errors import TobsError
from tobs.experiment.surroundings import machine, versions
from tobs.lab.child import spawn
from tobs.lab.scenario import load
from tobs.lab.world import build
from tobs.testing.served import ServedChat
from tobs.testing.stops import sound

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
ARM = (
    "all -takeout deadline=1.0 part_kb=64 adaptive_connections.shortest_deadline=1.0 "
    "resilience.base=0.05 resilience.cap=0.5 "
    f"resilience.resume_kb={RESUME_KB} resilience.journal_kb={JOURNAL_KB}"
)
UNDISTURBED = 2
"""Undisturbed exports on each lab."""
HANGS_UP = 10.0
"""Seconds within which the lab sees that a dead client's connections are closed."""
GROUP = 5
"""Runs that share a lab: one seed of the scenario, one kind, one pair of outages."""
WITHIN = 90.0
"""Seconds that an export may take, after which it counts as hanging."""
EARLY = 0.15
"""Share of the stops that come before the archive is open."""
LOOK = 0.005
"""Seconds after which it is looked whether it is."""


class ChaosError(Exception):
    """A run that did not keep to what is promised."""


@dataclass(slots=True)
class Course:
    """How runs are conducted: the arm, the folder for all of them, and how long an undisturbed export takes.

    `opening` are its seconds until the archive is open, `working` those from then on.
    """

    arm: str
    folder: Path
    mounts: bool
    opening: float = 1.0
    working: float = 1.0


# ---------------------------------------------------------------- one run


def command(lab: ServedChat, place: Path, arm: str) -> tuple[list[str], dict[str, str]]:
    """The command line of an export, and its environment."""
    words = ["export", str(lab.id), "-o", str(place / "disk" / "archive"), "--server", str(lab.server), "--arm", arm]
    path = os.pathsep.join(filter(None, [str(HERE.parent), str(HERE.parent / "plugins"), os.environ.get("PYTHONPATH")]))
    surroundings = {**os.environ, "PYTHONPATH": path, "TOBS_STATE": str(place / "state")}
    surroundings.pop("PYTHONDONTWRITEBYTECODE", None)
    surroundings["PYTHONPYCACHEPREFIX"] = str(place.parent / "pycache")  # a child starts as fast as an installed one
    return [sys.executable, "-m", "tobs", *words, "--json", "--no-result-json", "--no-telemetry"], surroundings


def begin(lab: ServedChat, place: Path, arm: str, before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    """Start an export; `before` is done in the child first."""
    words, surroundings = command(lab, place, arm)
    return subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=surroundings,
        preexec_fn=before,  # noqa: PLW1509 - it sets a limit and nothing else
    )


@dataclass(frozen=True, slots=True)
class Moment:
    """Seconds from the start of the process, or from when the archive is open; one that is there is touched then."""

    seconds: float
    working: bool

    def reached(self, child: subprocess.Popen[str], archive: Path, course: Course) -> bool:
        """Wait for it; whether the export is still at work then."""
        if self.working:
            began, lock = time.time(), archive / LOCK
            late = time.monotonic() + course.opening + WITHIN
            while child.poll() is None and time.monotonic() < late:
                with suppress(OSError):
                    if lock.stat().st_mtime >= began - 0.02:
                        break
                time.sleep(LOOK)
        with suppress(subprocess.TimeoutExpired):
            child.wait(self.seconds)
        return child.poll() is None


def stop_by_kill(lab: ServedChat, place: Path, course: Course, moment: Moment) -> float | None:
    """SIGKILL at a moment. None if it did not meet the export at work, else infinity: the disk never became full."""
    with begin(lab, place, course.arm) as child:
        met = moment.reached(child, place / "disk" / "archive", course)
        child.send_signal(signal.SIGKILL)
        child.communicate()
    return inf if met else None


def stop_by_full_disk(lab: ServedChat, place: Path, course: Course, moment: Moment) -> float | None:
    """Take the space at a moment: the export must end by itself and say why. None if it did not, else when that was."""
    full = inf if course.mounts else 0.0  # a limit of sizes is there from the beginning
    filler = place / "disk" / "filler"
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    with begin(lab, place, course.arm, None if course.mounts else limit) as child:
        if moment.reached(child, place / "disk" / "archive", course) and course.mounts:
            full = time.monotonic()
            fill(filler)
        try:
            out, err = child.communicate(timeout=WITHIN)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            raise ChaosError(f"the export hangs on a full disk for {WITHIN:.0f} s") from None
        finally:
            filler.unlink(missing_ok=True)
    if child.returncode in {0, 3}:  # what was left to do did fit, or only files were missing
        return None
    if child.returncode != 1 or not out.strip() or "bug in TOBS" in out:
        raise ChaosError(f"exit {child.returncode} on a full disk: {(out + err)[-500:]}")
    return full


def finish(lab: ServedChat, place: Path, course: Course) -> None:
    """Let an export end, and hold what is there against the truth."""
    with begin(lab, place, course.arm) as child:
        try:
            out, err = child.communicate(timeout=WITHIN)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            raise ChaosError(f"the last export hangs, it has no end within {WITHIN:.0f} s") from None
    if child.returncode != 0:
        raise ChaosError(f"the last export ends with {child.returncode}: {(out + err)[-500:]}")
    told = json.loads(out)
    if told["digest"] != lab.digest:
        raise ChaosError("the digest is not the truth's")
    archive = place / "disk" / "archive"
    found = verify(archive)
    if not found.ok or found.foreign or found.pending:
        raise ChaosError(f"the archive is not whole: {found}")
    half = sorted(path.name for path in archive.rglob("*.part"))
    half += sorted(path.name for path in (archive / ".tobs-state" / "resilience").glob("*.json"))
    if half:
        raise ChaosError(f"half-written files or notes of them are left: {half}")


def valid(lab: ServedChat, archive: Path) -> None:
    """An archive after a stop: none yet (its tables are made in one transaction), or one that is sound."""
    database = archive / "tobs.sqlite"
    if not database.is_file():
        return
    try:
        with closing(sqlite3.connect(database)) as db:
            if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                return
        sound(lab, archive, "after a stop")
    except (AssertionError, TobsError, sqlite3.Error) as error:
        raise ChaosError(f"not valid after a stop: {error}") from error


def conduct(run: Run, lab: ServedChat, course: Course) -> None:
    """One run, from an empty disk to its end."""
    draws = random.Random(f"chaos {run.seed} {run.number}")
    place = Path(tempfile.mkdtemp(prefix=f"run-{run.number}-", dir=course.folder))
    archive = place / "disk" / "archive"
    lives: list[Life] = []
    began = time.monotonic()
    anew(lab)
    try:
        with mounted(place / "disk", mounts=course.mounts):
            for number in range(draws.randint(1, 3)):
                way = {"kill": "kill", "full": "full", "away": "kill", "all": draws.choice(("kill", "full"))}[run.kind]
                early = draws.random() < EARLY
                moment = Moment(draws.uniform(0, course.opening if early else course.working), working=not early)
                stop = stop_by_kill if way == "kill" else stop_by_full_disk
                while (full := stop(lab, place, course, moment)) is None and not number and moment.seconds > LOOK:
                    shutil.rmtree(archive, ignore_errors=True)  # it ended before that: once more, and earlier
                    anew(lab)
                    moment = Moment(moment.seconds / 2, moment.working)
                if full is not None:
                    run.stops[way] += 1
                    run.inside += any(archive.rglob("*.part"))
                valid(lab, archive)
                lives.append(Life(left(lab), read_kept(archive), inf if full is None else full))
            finish(lab, place, course)
            lives.append(Life(left(lab), Kept()))
            counted = lab.child.counters()
            run.files, run.cost = size_of(archive), cost(lives)
            run.again = counted["file_bytes"] - run.files
            if counted["requests_during_flood"]:
                raise ChaosError(f"{counted['requests_during_flood']} requests were sent during a flood wait")
    except ChaosError as error:
        run.failure = str(error)
    finally:
        run.seconds = time.monotonic() - began
        shutil.rmtree(place, ignore_errors=True)


def left(lab: ServedChat) -> list[dict[str, Any]]:
    """Parts that left since this was last asked, once no client is connected: then none is acknowledged any more."""
    late = time.monotonic() + HANGS_UP
    while lab.child.counters()["connections_open"]:
        if time.monotonic() > late:
            raise ChaosError("a connection outlives its client")
        time.sleep(LOOK)
    return lab.child.parts()


def anew(lab: ServedChat) -> None:
    """Have the lab count anew, and note the parts that leave."""
    left(lab)
    lab.child.reset()


def undisturbed(lab: ServedChat, course: Course) -> tuple[float, Counter[str]]:
    """Bytes of files that undisturbed exports fetch again, and those of faults by kind: means of some."""
    found, faults = [], Counter[str]()
    for _ in range(UNDISTURBED):
        place = Path(tempfile.mkdtemp(prefix="undisturbed-", dir=course.folder))
        anew(lab)
        with mounted(place / "disk", mounts=course.mounts):
            finish(lab, place, course)
            found.append(lab.child.counters()["file_bytes"] - size_of(place / "disk" / "archive"))
            faults.update(cost([Life(left(lab), Kept())]).faults)
        shutil.rmtree(place)
    return fmean(found), Counter({kind: round(size / UNDISTURBED) for kind, size in faults.items()})


def size_of(archive: Path) -> int:
    """Bytes of the files in an archive, each once."""
    return sum(path.stat().st_size for path in (archive / "media").rglob("*") if path.is_file())


# ---------------------------------------------------------------- the campaign


def scenario(kind: str, draws: random.Random) -> str:
    """The scenario's text; where data centres go away, with the times at which they do."""
    text = (HERE / "chaos.toml").read_text(encoding="utf-8")
    if kind in AWAY:
        for dc in draws.sample((1, 2, 4), 2):
            at, seconds = round(draws.uniform(0.2, 3.0), 2), round(draws.uniform(0.5, 2.0), 2)
            text += f"\n[[faults.outage]]\ndc = {dc}\nat = {at}\nseconds = {seconds}\n"
    return text


def group(runs: list[Run], course: Course) -> None:
    """Some runs of one kind on one lab."""
    first = runs[0]
    draws = random.Random(f"chaos lab {first.seed} {first.number}")
    place = Path(tempfile.mkdtemp(prefix="lab-", dir=course.folder))
    file = place / "chaos.toml"
    file.write_text(scenario(first.kind, draws), encoding="utf-8")
    seed = draws.randrange(1 << 30)
    (history,) = build(load(file, seed=seed)).histories.values()
    with spawn(file, place / "lab", seed=seed) as child:
        lab = ServedChat(child, history.peer_id, child.truth()["digest"], tuple(history.ids))
        try:
            again, alone = undisturbed(lab, course)
        except ChaosError as error:
            for run in runs:
                run.failure = f"an undisturbed export: {error}"
            print(f"runs {first.number} to {runs[-1].number}: {first.failure}", file=sys.stderr, flush=True)
            return
        for run in runs:
            run.lab, run.undisturbed, run.alone = first.number, again, alone
            conduct(run, lab, course)
            said = run.failure or run.hold() or f"{run.told()}, {run.excess / run.files:+.1%} in excess"
            print(f"run {run.number}: {run.kind}: {said} ({run.seconds:.1f} s)", file=sys.stderr, flush=True)


def measure(course: Course) -> None:
    """See how long an undisturbed export takes here."""
    place = course.folder / "first"
    (place / "disk").mkdir(parents=True)
    file = place / "chaos.toml"
    file.write_text(scenario("kill", random.Random(0)), encoding="utf-8")
    (history,) = build(load(file)).histories.values()
    with spawn(file, place / "lab") as served:
        lab = ServedChat(served, history.peer_id, served.truth()["digest"], tuple(history.ids))
        for _ in range(2):  # the first one finds everything cold
            shutil.rmtree(place / "disk")
            (place / "disk").mkdir()
            served.reset()
            began = time.monotonic()
            with begin(lab, place, course.arm) as child:
                Moment(0.0, working=True).reached(child, place / "disk" / "archive", course)
                course.opening = time.monotonic() - began
                child.communicate(timeout=WITHIN)
            course.working = time.monotonic() - began - course.opening


def campaign(runs: int, seed: int, *, workers: int, arm: str = ARM) -> dict[str, Any]:
    """Conduct so many runs and tell what came of them."""
    began = time.monotonic()
    size = max(1, min(GROUP, runs // len(KINDS)))
    kinds = [KINDS[number // size % len(KINDS)] for number in range(runs)]
    made = [Run(number, kind, seed) for number, kind in enumerate(kinds)]
    groups = [made[at : at + size] for at in range(0, runs, size)]
    with tempfile.TemporaryDirectory(prefix="tobs-chaos-") as name:
        course = Course(arm, Path(name), may_mount(Path(name)))
        measure(course)
        with ThreadPoolExecutor(workers) as threads:
            for done in [threads.submit(group, some, course) for some in groups]:
                done.result()
    return {
        "arm": arm,
        "seed": seed,
        "disk": "tmpfs" if course.mounts else "limited file sizes",
        "undisturbed_seconds": {"opening": round(course.opening, 2), "working": round(course.working, 2)},
        "seconds": round(time.monotonic() - began, 1),
        **summary(made),
        "machine": machine(),
        "versions": versions(),
    }


def main() -> int:
    """Parse, run, tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=max(1, min(4, os.cpu_count() or 1)))
    parser.add_argument("--arm", default=ARM)
    parser.add_argument("--json", type=Path, help="Write the result there, too.")
    given = parser.parse_args()
    told = json.dumps(campaign(given.runs, given.seed, workers=given.workers, arm=given.arm), indent=1)
    if given.json is not None:
        given.json.write_text(told + "\n", encoding="utf-8")
    print(told)
    return 1 if json.loads(told)["failed"] or json.loads(told)["bars_broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
