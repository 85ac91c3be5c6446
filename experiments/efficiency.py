"""How near an arm comes to the limit, as a table: each scenario is grown until its limit is long, and run.

    python experiments/efficiency.py [SCENARIO …] [--arm ARM …] [--runs N] [--json FILE]

Efficiency is the limit by the seconds from the first connection to the last commit. Each run is a trial as `tobs ab`
runs it: a fresh lab, an empty archive, a process of its own, the digest held against the lab's truth. Each has a seed
of its own, and the limit of that seed. The first `--arm` is held to the bars; others run beside it, and the table says
how much slower they are. Exit code 1 if a bar is missed.

The bars: the median efficiency; and in every run at most 2 floods in 1,000 requests after warm-up, no request during a
flood wait, no part fetched twice. A flood is of the warm-up where it is the first one of a method of which PACE's
memory held no rate. `*` marks scenarios whose runs start with PACE's memory of one run that is not counted, and with
nothing else of it: no keys, no plugin's state, no archive. It is an hour old: a lab's buckets are full when it begins.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import statistics
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from efficiency_table import table
from tobs.errors import TobsError, UsageError
from tobs.experiment import surroundings
from tobs.experiment.definition import Definition, Wanted, define
from tobs.experiment.launch import ARCHIVE, STATE, WORK, Result, Trial, launch
from tobs.lab.limit import Limit, limit
from tobs.lab.scenario import load
from tobs.lab.server_file import main_chat
from tobs.lab.world import build

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tobs.experiment.launch import Launch

MOST_FLOODS = 2.0
"""Floods in 1,000 requests after warm-up."""
LEAST = 20.0
"""Seconds to which a scenario's limit is grown."""
LARGEST = 1000.0
"""The largest scale that a scenario takes."""
PATIENCE = 3600.0
AGO = 3600.0
"""Seconds that pass between the run that learns and the measured ones, as their buckets have it."""
MEMORY = "pace.json"
"""Where core keeps PACE's memory, in the state of the account."""
BUCKETS = {
    name: f"tobs.flood_waits{{rpc.method={name}}}:down"
    for name in ("messages.getHistory", "upload.getFile", "auth.exportAuthorization")
}
"""The methods that a lab refuses, and the metric that has the floods of each."""


@dataclass(frozen=True, slots=True)
class Goal:
    """The efficiency that is wanted on a scenario; `learned` runs start with PACE's memory of an earlier one.

    With `faults` parts may come twice, and what is asked again meets more floods.
    """

    scenario: str
    efficiency: float
    learned: bool = False
    faults: bool = False

    @property
    def name(self) -> str:
        """For the table."""
        return Path(self.scenario).stem + ("*" if self.learned else "")


GOALS = (
    Goal("media_home", 0.90),
    Goal("media_home_account", 0.90),
    Goal("media_multi_dc", 0.90),
    Goal("media_multi_dc_account", 0.90),
    Goal("mixed_home", 0.80, learned=True),
    Goal("text_flood", 0.80, learned=True),
    Goal("mixed_flaky", 0.60, faults=True),
)


@dataclass(frozen=True, slots=True)
class Bound:
    """The limit of a scenario with a seed, and that of a client that begins no takeout."""

    limit: Limit
    without_takeout: Limit


@dataclass(frozen=True, slots=True)
class Run:
    """One run: times in seconds, the lab's counts, and rates a second. `invalid` says why it does not count."""

    arm: str
    seed: int
    invalid: str
    limit: float
    seconds: float
    requests: int = 0
    floods: int = 0
    warm_up_floods: int = 0
    requests_during_flood: int = 0
    duplicate_parts: int = 0
    connections_opened: int = 0
    messages_per_second: float = 0.0
    bytes_per_second: float = 0.0

    @property
    def efficiency(self) -> float:
        """Limit by time; 0 for a run that does not count."""
        return 0.0 if self.invalid or not self.seconds else self.limit / self.seconds

    @property
    def flood_rate(self) -> float:
        """Floods after warm-up in 1,000 requests."""
        return 1000 * (self.floods - self.warm_up_floods) / max(1, self.requests)


@dataclass(frozen=True, slots=True)
class Reached:
    """What the arms did on one scenario, grown by `scale`; `bounds` and `runs` are in the order of seeds and arms."""

    goal: Goal
    scale: float
    bounds: tuple[Bound, ...]
    runs: tuple[Run, ...]

    def of(self, arm: str) -> list[Run]:
        """The runs of an arm."""
        return [run for run in self.runs if run.arm == arm]

    @property
    def arms(self) -> list[str]:
        """The arms; the first is held to the bars."""
        return list(dict.fromkeys(run.arm for run in self.runs))

    def efficiency(self, arm: str) -> float:
        """The median over the runs of an arm."""
        return statistics.median(run.efficiency for run in self.of(arm))

    def missed(self) -> list[str]:
        """In words, the bars that the first arm misses."""
        arm = self.arms[0]
        runs = self.of(arm)
        found = [f"invalid with seed {run.seed}: {run.invalid}" for run in runs if run.invalid]
        if self.efficiency(arm) < self.goal.efficiency:
            found.append(f"efficiency {self.efficiency(arm):.3f}, wanted {self.goal.efficiency:g}")
        floods = max(run.flood_rate for run in runs)
        if floods > MOST_FLOODS and not self.goal.faults:
            found.append(f"{floods:.1f} floods in 1,000 requests after warm-up")
        for what in ("requests_during_flood", "duplicate_parts"):
            most = max(getattr(run, what) for run in runs)
            if most and (what == "requests_during_flood" or not self.goal.faults):
                found.append(f"{most} {what.replace('_', ' ')}")
        return [f"{self.goal.name}: {words}" for words in found]

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            **asdict(self.goal),
            "scale": self.scale,
            "limits": [asdict(bound) for bound in self.bounds],
            "reached": {arm: round(self.efficiency(arm), 4) for arm in self.arms},
            "missed": self.missed(),
            "runs": [
                {**asdict(run), "efficiency": round(run.efficiency, 4), "flood_rate": round(run.flood_rate, 3)}
                for run in self.runs
            ],
        }


def bound(scenario: str, scale: float, seed: int) -> Bound:
    """The limit of a scenario's main chat."""
    asked = load(scenario, scale=scale, seed=seed)
    world = build(asked)
    chat = main_chat(world)
    return Bound(limit(asked, world, chat), limit(asked, world, chat, takeout=False))


def grown(scenario: str, least: float, seeds: Iterable[int]) -> float:
    """A scale, at least 1, with which the limit is `least` seconds or up to 5 % more; with every seed not less.

    Raises `UsageError` for a scenario whose limit does not grow with it.
    """
    first, *others = seeds
    found = bound(scenario, 1.0, first).limit
    low, high = (0.0, 0.0), (1.0, found.seconds)
    while high[1] < least:
        if high[0] * 2 > LARGEST or len(found.detail) == 1:
            raise UsageError(f"{scenario}: no scale makes its limit {least:g} s", hint="Give it a rate or a bucket.")
        low, high = high, (high[0] * 2, bound(scenario, high[0] * 2, first).limit.seconds)
    for _ in range(8):  # about a straight line, so two or three are enough
        if high[0] == 1.0 or high[1] <= 1.05 * least:
            break
        aim = min(1.01 * least, (low[1] + high[1]) / 2)
        scale = round(low[0] + (high[0] - low[0]) * (aim - low[1]) / (high[1] - low[1]), 2)
        tried = (scale, bound(scenario, scale, first).limit.seconds)
        low, high = (low, tried) if tried[1] >= least else (tried, high)
    scale = high[0]
    while any(bound(scenario, scale, seed).limit.seconds < least for seed in others):
        scale = round(1.02 * scale + 0.01, 2)
    return scale


def reach(
    goal: Goal,
    arms: Sequence[str],
    folder: Path,
    *,
    runs: int = 3,
    least: float = LEAST,
    scale: float | None = None,
    run: Launch = launch,
) -> Reached:
    """Run the arms in turn, `runs` times, on a scenario whose limit is `least` seconds (or grown by `scale`).

    Raises `UsageError` for an arm or a scenario that does not exist.
    """
    seeds = range(1, runs + 1)
    scale = grown(goal.scenario, least, seeds) if scale is None else scale
    bounds = tuple(bound(goal.scenario, scale, seed) for seed in seeds)
    definition = define(Wanted("efficiency", goal.scenario, (arms[0], *arms[1:], arms[0]), scale=scale))
    found = []
    for seed, bounded in zip(seeds, bounds, strict=True):
        for number, arm in enumerate(arms):
            prepared, known = None, frozenset[str]()
            if goal.learned:
                prepared, known = _learn(definition, number, folder, seed, run)
            trial = replace(_trial(definition, number, folder / f"{seed}-{number}", seed), prepared=prepared)
            found.append(_run(arm, seed, bounded, run(trial, None), known))
            _say(f"{goal.name} x{scale:g}, seed {seed}, {arm}: {_told(found[-1])}")
    return Reached(goal, scale, bounds, tuple(found))


def _trial(definition: Definition, number: int, folder: Path, seed: int) -> Trial:
    arm, wanted = definition.arms[number], definition.wanted
    return Trial(
        folder=folder,
        scenario=wanted.scenario,
        scale=wanted.scale,
        seed=seed,
        chat=definition.chat,
        arm=arm.frozen,
        plan_hash=arm.plan_hash,
        labels={"tobs.experiment": "efficiency", "tobs.arm": arm.text, "tobs.seed": seed},
        patience=PATIENCE,
        metrics=tuple(BUCKETS.values()),
    )


def _learn(definition: Definition, number: int, folder: Path, seed: int, run: Launch) -> tuple[Path, frozenset[str]]:
    """Run an arm once, and leave of it the account and PACE's memory: where they lie, and which methods that knows.

    Each seed is another server, which another's account says nothing to.
    """
    where = folder / f"learn-{seed}-{number}"
    result = run(replace(_trial(definition, number, where, seed), keep=True), None)
    if result.invalid:
        raise TobsError(f"the run that learns is invalid: {result.invalid}", hint=f"See {where}.")
    work = where / WORK
    shutil.rmtree(work / ARCHIVE, ignore_errors=True)
    known: set[str] = set()
    for file in [file for file in (work / STATE).rglob("*") if file.is_file()]:
        if file.name == MEMORY and "plugins" not in file.relative_to(work / STATE).parts:
            kept = json.loads(file.read_text(encoding="utf-8"))
            known |= {bucket.rpartition(":")[2] for bucket, what in kept.items() if "rate" in what}
            file.write_text(json.dumps({bucket: _later(what) for bucket, what in kept.items()}), encoding="utf-8")
        else:
            file.unlink()
    return work, frozenset(known)


def _later(kept: dict[str, Any]) -> dict[str, Any]:
    """What was kept of a bucket as it looks when the next lab begins, whose buckets are full: a while ago."""
    return {key: when - AGO if key in {"at", "until"} else when for key, when in kept.items()}


def _run(arm: str, seed: int, bounded: Bound, result: Result, known: frozenset[str]) -> Run:
    measured, counted = result.measurements, result.facts.get("lab", {})
    flooded = {method for method, metric in BUCKETS.items() if measured.get(metric)}
    floods = counted.get("floods", 0)
    return Run(
        arm=arm,
        seed=seed,
        invalid=result.invalid,
        limit=bounded.limit.seconds,
        seconds=result.facts.get("seconds", 0.0),
        requests=sum(counted.get("requests", {}).values()),
        floods=floods,
        warm_up_floods=min(floods, len(flooded - known)),
        requests_during_flood=counted.get("requests_during_flood", 0),
        duplicate_parts=counted.get("duplicate_parts", 0),
        connections_opened=counted.get("connections_opened", 0),
        messages_per_second=measured.get("messages_per_second", 0.0),
        bytes_per_second=measured.get("bytes_per_second", 0.0),
    )


def _told(run: Run) -> str:
    return run.invalid or f"{run.seconds:.2f} s of {run.limit:.2f}, efficiency {run.efficiency:.3f}"


def tell(reached: Sequence[Reached], file: Path | None, command: str) -> int:
    """Print the table and the missed bars, write `file`; the exit code."""
    missed = [words for one in reached for words in one.missed()]
    print("\n".join(table(reached)))
    print("\n".join(["", *(f"missed: {words}" for words in missed)]) if missed else "\nevery bar is reached")
    if file is not None:
        told = {
            "command": command,
            "code": surroundings.fingerprint(),
            "machine": surroundings.machine(),
            "versions": surroundings.versions(),
            "load": round(os.getloadavg()[0], 1),
            "ok": not missed,
            "missed": missed,
            "scenarios": [one.as_json() for one in reached],
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return 1 if missed else 0


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def add_options(parser: argparse.ArgumentParser, *, runs: int = 3) -> None:
    """Options of every script that runs arms against limits; `runs` is the default."""
    parser.add_argument("--arm", action="append", help="the arm that is judged (all); again: others beside it")
    parser.add_argument(
        "--runs", type=int, default=runs, help=f"runs of each arm, each with a seed of its own ({runs})"
    )
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--keep", type=Path, help="leave the raw runs in this folder")


def main(argv: Sequence[str] | None = None, run: Launch = launch) -> int:
    """Measure from the command line; 1 if a bar is missed."""
    words = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", help="names or paths; those with a bar, if none is named")
    add_options(parser)
    parser.add_argument("--least", type=float, default=LEAST, help="seconds that the limit is grown to (20)")
    parser.add_argument("--scale", type=float, help="this scale, whatever the limit")
    parser.add_argument("--bar", type=float, help="another efficiency to be reached; 0.9 where none is listed")
    parser.add_argument("--learned", action=argparse.BooleanOptionalAction, help="start with PACE's memory, or not")
    given = parser.parse_args(words)
    listed = {goal.scenario: goal for goal in GOALS}
    goals = [listed.get(name, Goal(name, 0.90)) for name in given.scenarios or listed]
    goals = [
        replace(
            goal,
            efficiency=goal.efficiency if given.bar is None else given.bar,
            learned=goal.learned if given.learned is None else given.learned,
        )
        for goal in goals
    ]
    arms = list(dict.fromkeys(given.arm or ["all"]))
    reached = []
    try:
        with (
            nullcontext(given.keep) if given.keep else tempfile.TemporaryDirectory(prefix="tobs-efficiency-") as folder
        ):
            for goal in goals:
                where = Path(folder).resolve() / Path(goal.scenario).stem
                reached.append(reach(goal, arms, where, runs=given.runs, least=given.least, scale=given.scale, run=run))
    except TobsError as error:
        _say(f"{error}\n{error.hint}")
        return error.exit_code
    return tell(reached, given.json, shlex.join(["python", "experiments/efficiency.py", *words]))


if __name__ == "__main__":
    sys.exit(main())
