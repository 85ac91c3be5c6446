"""How near `tobs tune` comes, from poor settings, to what a search ten times as long finds: on links drawn by seed.

    python experiments/tune_bars.py [--seed N] [--count 4] [--trials 40] [--reference-trials 400] [--json FILE]
        [--keep DIR] [--only NUMBER]

Each scenario is a network as `random_scenarios.py` draws it, but small: no client can be faster than 2 to 3 s, and one
part at a time takes at least twice that and at most 25 s. `tobs tune` starts from `tune/poor_six.toml` and has six
knobs. The reference searches the same space from the same start, the first half of its trials at random, the rest with
TPE, and nothing ends it early. Then what was tuned, the start and the reference's best three run in paired blocks on
seeds that neither has seen. The share is the throughput of what was tuned by that of the reference's best: the best of
three in these very blocks, which flatters the reference.

With `--keep DIR` it can be stopped at any moment; the same command goes on. `--only NUMBER` measures one scenario of
them: several such commands may run beside each other in one folder, and the command without it then only tells. Runs
wait for the network most of their time, and all that is compared ran under the same load. Exit code 1 if the median of
the shares is below `--bar`, one is below `--worst`, a scenario ended below its start, or a share could not be had.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from statistics import median
from typing import TYPE_CHECKING, Any

from optuna.samplers import TPESampler

from efficiency import bound
from random_scenarios import draw, told
from tobs.errors import TobsError
from tobs.experiment import surroundings
from tobs.experiment.compare import REFUSED, medians
from tobs.experiment.conduct import conduct
from tobs.experiment.definition import Wanted as WantedExperiment
from tobs.experiment.definition import define as define_experiment
from tobs.experiment.launch import launch
from tobs.lab.scenario import load
from tobs.lab.world import build
from tobs.tuning.definition import Wanted, define
from tobs.tuning.journal import Journal
from tobs.tuning.place import STUDY
from tobs.tuning.search import Search, search
from tobs.tuning.trials import Exports
from tobs.tuning.tune import tune

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tobs.experiment.compare import Comparison
    from tobs.experiment.conduct import Say
    from tobs.experiment.launch import Launch
    from tobs.experiment.report import Outcome
    from tobs.tuning.definition import Definition
    from tobs.tuning.search import Found

POOR = Path(__file__).parent / "tune" / "poor_six.toml"
KNOBS = (
    "connections",
    "in_flight",
    "part_kb",
    "async_pipeline.depth",
    "parallel_media.files",
    "parallel_media.parts",
)
METRIC = "bytes_per_second"
SHORTEST, AIM, LONGEST = 2.0, 2.5, 3.0
"""Seconds of the limit."""
POOREST = 25.0
"""Most seconds that one part at a time may take."""
PART = 256 * 1024
ATTEMPTS = 2000
BAR, WORST = 0.9, 0.8


@dataclass(frozen=True, slots=True)
class Reached:
    """One scenario: what was tuned, by the reference's best and by the start, each with an interval where there is one.

    `below` says that what was tuned was measured to be slower than where it started.
    """

    scenario: str
    drawn: dict[str, Any]
    share: float | None
    share_low: float | None
    share_high: float | None
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    below: bool
    adopted: bool
    tuned: str
    start: str
    reference: str
    trials: int
    reference_trials: int
    ended: str
    blocks: int
    seeds: tuple[int, ...]
    wall: dict[str, float]
    words: str


def poorly(file: Path) -> tuple[float, float]:
    """Seconds that the files take part by part: the busiest data centre alone, and all data centres in turn."""
    asked = load(file)
    network = asked.network
    rates = (network.connection_rate, network.account_rate, network.down_rate)
    rate = min(one for one in rates if one is not None)
    trips = {dc.id: dc.rtt for dc in network.dcs}
    took = dict.fromkeys(trips, 0.0)
    for spec in build(asked).shelf.specs.values():
        took[spec.dc] += -(-spec.size // PART) * trips[spec.dc] + spec.size / rate
    return max(took.values()), sum(took.values())


def suits(file: Path) -> bool:
    """Whether a drawn scenario is short with good settings, and long but not too long with poor ones."""
    found = bound(str(file), 1.0, 1).limit
    least, most = poorly(file)
    return SHORTEST <= found.seconds <= LONGEST and least >= 2 * found.seconds and most <= POOREST


def drawn(seed: int, number: int, folder: Path) -> Path:
    """The file of the scenario with this number, drawn from the seed; one that is there already is taken."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"bar_{seed}_{number}"
    file = folder / f"{name}.toml"
    if file.exists():
        return file
    beside = folder / f"{name}.new"
    for attempt in range(ATTEMPTS):
        one = draw(Random(f"bars/{seed}/{number}/{attempt}"))
        total = AIM * one.fastest
        for _ in range(2):  # round trips and whole files move it a little
            beside.write_text(one.scenario(name, total), encoding="utf-8")
            total *= AIM / bound(str(beside), 1.0, 1).limit.seconds
        if suits(beside):
            return beside.replace(file)
    raise TobsError(f"seed {seed}: no scenario in {ATTEMPTS} draws", hint="Take another seed.")


def reference(definition: Definition, folder: Path, trials: int, say: Say, run: Launch) -> Found:
    """The search of the same space that is ten times as long."""
    journal = Journal(
        folder / STUDY,
        f"{definition.name}-reference",
        definition.wanted.seed,
        lambda seed: TPESampler(seed=seed, n_startup_trials=trials // 2),
    )
    asked = Search(
        ranges=definition.ranges,
        start=definition.start,
        metric=definition.metric,
        limits=definition.wanted.limits,
        trials=trials,
        stall=trials,
    )
    return search(asked, journal, Exports(definition, folder, run, journal.done()), say)


def measure(file: Path, folder: Path, given: argparse.Namespace, run: Launch) -> Reached:
    """Tune, search long, and compare."""

    def say(text: str) -> None:
        sys.stderr.write(f"{file.stem}: {text}\n")

    definition = define(
        Wanted(
            scenario=str(file),
            file=POOR,
            metric=METRIC,
            seed=given.seed,
            knobs=KNOBS,
            trials=given.trials,
            blocks=given.blocks,
        )
    )
    tuning = tune(definition, folder / "tuned", say, run)
    longer = reference(definition, folder / "reference", given.reference_trials, say, run)
    bests = [definition.arm(one.values) for one in longer.finalists] or [definition.arm(definition.start)]
    arms = (definition.arm(tuning.values), definition.arm(definition.start), *bests)
    experiment = define_experiment(
        WantedExperiment(
            name="tune bars",
            scenario=str(file),
            arms=arms,
            metrics=(METRIC,),
            seed=definition.held_out("bars"),
            blocks=given.blocks,
        )
    )
    outcome = conduct(experiment, folder / "measured" / experiment.id, say, run)
    return judged(file, outcome, {
        "drawn": told(file),
        "adopted": tuning.adopted,
        "trials": len(tuning.found.trials),
        "reference_trials": len(longer.trials),
        "ended": tuning.found.why,
    })  # fmt: skip


def judged(file: Path, outcome: Outcome, facts: dict[str, Any]) -> Reached:
    """What the blocks say: the first arm was tuned, the second is the start, the others are the reference's."""
    (start, *others) = outcome.comparisons()[METRIC]
    arms = [arm.text for arm in outcome.definition.arms]
    best = max(others, key=lambda one: one.ratio or 0.0)
    refused = [one for one in (start, best) if one.verdict == REFUSED or one.ratio is None]
    share, gain = ((None,) * 3, (None,) * 3) if refused else (inverse(best), inverse(start))
    return Reached(
        scenario=file.stem,
        share=share[0],
        share_low=share[1],
        share_high=share[2],
        gain=gain[0],
        gain_low=gain[1],
        gain_high=gain[2],
        below=gain[0] is not None and gain[0] < 1 and arms[0] != arms[1],
        tuned=arms[0],
        start=arms[1],
        reference=arms[best.arm],
        blocks=outcome.blocks,
        seeds=outcome.seeds,
        wall={name: medians(outcome.runs, arm).get("wall", 0.0) for name, arm in places(best.arm)},
        words="; ".join(one.words for one in refused),
        **facts,
    )


def places(best: int) -> tuple[tuple[str, int], ...]:
    """The arms that are told of."""
    return ("tuned", 0), ("start", 1), ("reference", best)


def inverse(one: Comparison) -> tuple[float | None, float | None, float | None]:
    """How many times as good the first arm is as this one, and the interval."""
    return tuple(None if found is None else 1 / found for found in (one.ratio, one.high, one.low))  # type: ignore[return-value]


def missed(reached: Sequence[Reached], bar: float, worst: float) -> list[str]:
    """The bars that were missed, in words."""
    shares = [one.share for one in reached if one.share is not None]
    found = [f"{one.scenario}: no share: {one.words}" for one in reached if one.share is None]
    found += [f"{one.scenario} ended below its start: x{one.gain:.3f}" for one in reached if one.below]
    if shares and median(shares) < bar:
        found.append(f"the median share is {median(shares):.3f}, below {bar:g}")
    if shares and min(shares) < worst:
        found.append(f"the worst share is {min(shares):.3f}, below {worst:g}")
    return found


def tell(reached: Sequence[Reached], given: argparse.Namespace, command: str) -> int:
    """The table and the file; 1 if a bar was missed."""
    shares = [one.share for one in reached if one.share is not None]
    lacking = missed(reached, given.bar, given.worst)
    for one in reached:
        print(f"{one.scenario}: {', '.join(f'{key} {value}' for key, value in one.drawn.items() if value)}")
        if one.share is None or one.gain is None:
            print(f"  no share: {one.words}")
            continue
        interval = f" [{one.share_low:.3f} to {one.share_high:.3f}]" if one.share_low and one.share_high else ""
        times = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in one.wall.items())
        print(f"  {one.share:.3f} of the reference{interval}, x{one.gain:.2f} of the start; {times}")
    if shares:
        print(f"share of the reference: median {median(shares):.3f}, worst {min(shares):.3f}")
    for text in lacking:
        print(f"missed: {text}")
    if given.json is not None:
        value = {
            "ok": not lacking,
            "missed": lacking,
            "median": median(shares) if shares else None,
            "worst": min(shares, default=None),
            "below_start": [one.scenario for one in reached if one.below],
            "bars": {"median": given.bar, "worst": given.worst},
            "trials": given.trials,
            "reference_trials": given.reference_trials,
            "blocks": given.blocks,
            "seed": given.seed,
            "scenarios": [asdict(one) for one in reached],
            "command": command,
            "machine": surroundings.machine(),
            "versions": surroundings.versions(),
        }
        given.json.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 1 if lacking else 0


def main(argv: Sequence[str] | None = None, run: Launch = launch) -> int:
    """Measure from the command line; 1 if a bar is missed."""
    words = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="what scenarios and searches are drawn from (1)")
    parser.add_argument("--count", type=int, default=4, help="how many scenarios are drawn (4)")
    parser.add_argument("--trials", type=int, default=40, help="trials of a tuning (40)")
    parser.add_argument("--reference-trials", type=int, default=400, help="trials of the reference (400)")
    parser.add_argument("--blocks", type=int, default=10, help="paired blocks (10)")
    parser.add_argument("--bar", type=float, default=BAR, help=f"the least median share ({BAR})")
    parser.add_argument("--worst", type=float, default=WORST, help=f"the least share of any scenario ({WORST})")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where everything goes, and goes on from")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="measure this scenario of them alone")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there too")
    parser.add_argument("--draw-only", action="store_true", help="write the scenarios to --keep and run nothing")
    given = parser.parse_args(words)
    if given.only is not None and not 1 <= given.only <= given.count:
        parser.error(f"argument --only: must be from 1 to {given.count}")
    numbers = range(1, given.count + 1) if given.only is None else [given.only]
    with nullcontext(given.keep) if given.keep else tempfile.TemporaryDirectory(prefix="tobs-bars-") as name:
        folder = Path(name).resolve()
        try:
            files = [drawn(given.seed, number, folder) for number in numbers]
            if given.draw_only:
                for file in files:
                    limit = bound(str(file), 1.0, 1).limit
                    print(f"{file}: limit {limit.seconds:.1f} s, set by {limit.resource}; {told(file)}")
                return 0
            reached = [measure(file, folder / file.stem, given, run) for file in files]
        except TobsError as error:
            sys.stderr.write(f"{error}\n{error.hint}\n")
            return error.exit_code
    return tell(reached, given, shlex.join(["python", "experiments/tune_bars.py", *words]))


if __name__ == "__main__":
    sys.exit(main())
