"""Everything together on scenarios drawn at random, whose figures no default was made for, without a knob touched.

    python experiments/random_scenarios.py [--seed N] [--count 3] [--bar 0.85] [--json FILE]

Drawn are 1 to 5 data centres 5 to 300 ms away, a line of 20 to 400 Mbit/s, a throttle of connections (0.3 to 4 MB/s
each, 2 to 16 a data centre), of the account (1 to 12 MB/s a data centre) or both, buckets, where the files lie, and how
large photos, documents and videos are; faults are off. There is as much of it as makes the limit 15 to 25 s. A draw
counts if it is bound by its media: a rate sets the limit, that of a client without a takeout too, and the file bucket
alone would let the files pass, in parts of 512 KB, within three quarters of it. Other draws are made anew. Each
scenario is run cold. Exit code 1 if an arm does not reach `--bar` on one, or breaks another bar of `efficiency.py`.
"""

from __future__ import annotations

import argparse
import math
import shlex
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from efficiency import Bound, Goal, Reached, add_options, bound, reach, tell
from tobs.errors import TobsError
from tobs.experiment.launch import launch
from tobs.lab.scenario import MEGABIT, load
from tobs.lab.world import build

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tobs.experiment.launch import Launch

SHORTEST, AIM, LONGEST = 15.0, 20.0, 25.0
"""Seconds of the limit."""
BAR = 0.85
PART = 512 * 1024
ROOM = 0.75
"""The share of the limit in which the file bucket alone would serve all parts, at most."""
MB = 1_000_000
ATTEMPTS = 500
SIGMAS = {"photos": 0.6, "documents": 1.2, "videos": 0.8}
"""How widely the sizes of a kind scatter: less than the lab's own, so that one file alone is not all there is."""
MEDIANS = {"photos": (60, 300), "documents": (200, 2000), "videos": (1000, 12_000)}
"""Medians in kB that are drawn from."""


@dataclass(frozen=True, slots=True)
class Draw:
    """What was drawn, as text for a scenario file but for the amount; `rates` are bytes a second by data centre."""

    network: str
    shares: dict[int, float]
    rates: dict[int, float]
    line: float
    mix: dict[str, float]
    medians: dict[str, int]

    @property
    def fastest(self) -> float:
        """Bytes a second that all links together can bring in the long run, given where the files lie."""
        return 1 / max(1 / self.line, *(self.shares[dc] / 100 / rate for dc, rate in self.rates.items()))

    def scenario(self, name: str, total: float) -> str:
        """A scenario file with so many bytes of files."""
        kinds, count = [], 0
        for kind, share in self.mix.items():
            mean = self.medians[kind] * 1000 * math.exp(SIGMAS[kind] ** 2 / 2)
            files = max(1, round(share * total / mean))
            count += files
            size = max(share * total, files * 2 * self.medians[kind] * 100) / MB
            kinds.append(
                f"{kind} = {{ count = {files}, median_kb = {self.medians[kind]}, sigma = {SIGMAS[kind]}, "
                f"total_mb = {size:.3f} }}"
            )
        lies = ", ".join(f"{dc} = {share:g}" for dc, share in self.shares.items())
        return "\n".join(
            [
                "# Drawn at random by experiments/random_scenarios.py; all figures are assumed, faults off.",
                f'name = "{name}"',
                "seed = 1",
                "",
                "[dataset]",
                'kind = "broadcast"',
                'title = "Drawn"',
                'username = "tobs_drawn"',
                f"messages = {2 * count + 40}",
                "side_messages = 10",
                f"files = {{ {lies} }}",
                *kinds,
                "",
                self.network,
            ]
        )


def draw(random: Random) -> Draw:
    """A network and a mix of media; what may differ by magnitudes is drawn evenly by its logarithm."""

    def between(low: float, high: float, digits: int = 3) -> float:
        drawn = math.exp(random.uniform(math.log(low), math.log(high)))
        return float(f"{drawn:.{digits}g}")

    centres = sorted(random.sample(range(1, 6), random.randint(1, 5)))
    trips = {dc: between(5, 300) for dc in centres}
    throttle = random.choice(("connection", "account", "both"))
    connection, account = between(0.3, 4), between(1, 12)
    connections, down = random.randint(2, 16), between(20, 400)
    steps = [round(random.uniform(0.15, 1), 3) for _ in centres]
    shares = {dc: round(100 * step / sum(steps), 1) for dc, step in zip(centres, steps, strict=True)}
    shares[centres[-1]] = round(100 - sum(share for dc, share in shares.items() if dc != centres[-1]), 1)
    rates = []
    if throttle != "account":
        rates.append(connection * connections * MB)
    if throttle != "connection":
        rates.append(account * MB)
    weights = {kind: random.uniform(0.1, 1) for kind in MEDIANS}
    dcs = ", ".join(f"{{ id = {dc}, rtt_ms = {trip:g}, jitter_ms = {trip / 10:.3g} }}" for dc, trip in trips.items())
    network = [
        "[network]",
        f"home = {random.choice(centres)}",
        f'throttle = "{throttle}"',
        f"connection_mb_per_s = {connection:g}",
        f"account_mb_per_s = {account:g}",
        f"connections = {connections}",
        f"down_mbit = {down:g}",
        f"up_mbit = {max(5.0, down / 4):.3g}",
        f"dc = [{dcs}]",
        "",
        "[limits.history]",
        f"burst = {round(between(20, 60))}",
        f"per_second = {between(2, 10):g}",
        "wait = [5, 12]",
        "",
        "[limits.file]",
        f"burst = {round(between(40, 200))}",
        f"per_second = {between(15, 100):g}",
        "wait = [1, 3]",
        "",
        "[limits.export]",
        "burst = 10",
        "per_second = 0.00277777777777778  # 10 an hour",
        "wait = [120, 120]",
        "",
    ]
    return Draw(
        network="\n".join(network),
        shares=shares,
        rates=dict.fromkeys(centres, min(rates)),
        line=down * MEGABIT,
        mix={kind: weight / sum(weights.values()) for kind, weight in weights.items()},
        medians={kind: round(between(*MEDIANS[kind])) for kind in MEDIANS},
    )


def why_not(file: Path, bounded: Bound) -> str:
    """Why a scenario does not count, or nothing."""
    found = bounded.limit
    if not SHORTEST <= found.seconds <= LONGEST:
        return f"its limit is {found.seconds:.1f} s"
    for one in (found, bounded.without_takeout):
        if one.resource != "line" and not one.resource.endswith(" rate"):
            return f"the {one.resource} sets its limit"
    asked = load(file)
    bucket = asked.limits.file
    assert bucket is not None
    parts = sum(math.ceil(spec.size / PART) for spec in build(asked).shelf.specs.values())
    if (parts - bucket.burst) / bucket.refill > ROOM * found.seconds:
        return f"{parts} parts pass its file bucket too slowly"
    return ""


def drawn(seed: int, number: int, folder: Path) -> Path:
    """The file of the scenario with this number, drawn from the seed."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"drawn_{seed}_{number}"
    file = folder / f"{name}.toml"
    for attempt in range(ATTEMPTS):
        one = draw(Random(f"{seed}/{number}/{attempt}"))
        total = AIM * one.fastest
        for _ in range(2):  # round trips and whole files move it a little
            file.write_text(one.scenario(name, total), encoding="utf-8")
            bounded = bound(str(file), 1.0, 1)
            total *= AIM / bounded.limit.seconds
        if not why_not(file, bounded):
            return file
    raise TobsError(f"seed {seed}: no scenario in {ATTEMPTS} draws", hint="Take another seed.")


def told(file: Path) -> dict[str, Any]:
    """What a drawn scenario is like, in one line."""
    asked = load(file)
    network = asked.network
    files = {
        name: f"{kind.count} of {(kind.total or 0) / MB:.0f} MB" for name, kind in asked.dataset.kinds if kind.count
    }
    return {
        "centres": {dc.id: f"{1000 * dc.rtt:g} ms" for dc in network.dcs},
        "home": network.home,
        "line": f"{(network.down_rate or 0) / MB:.1f} MB/s",
        "connection": network.connection_rate and f"{network.connection_rate / MB:g} MB/s",
        "account": network.account_rate and f"{network.account_rate / MB:g} MB/s",
        "connections": network.connections,
        "file bucket": asked.limits.file and f"{asked.limits.file.burst}, {asked.limits.file.refill:g}/s",
        "files": files,
    }


def main(argv: Sequence[str] | None = None, run: Launch = launch) -> int:
    """Measure from the command line; 1 if a bar is missed."""
    words = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="what the scenarios are drawn from (1)")
    parser.add_argument("--count", type=int, default=3, help="how many are drawn (3)")
    parser.add_argument("--bar", type=float, default=BAR, help="the efficiency to be reached (0.85)")
    parser.add_argument("--draw-only", action="store_true", help="write the scenarios to --keep and run nothing")
    add_options(parser, runs=1)
    given = parser.parse_args(words)
    arms = list(dict.fromkeys(given.arm or ["all"]))
    reached: list[Reached] = []
    with nullcontext(given.keep) if given.keep else tempfile.TemporaryDirectory(prefix="tobs-random-") as name:
        folder = Path(name).resolve()
        try:
            files = [drawn(given.seed, number, folder) for number in range(1, given.count + 1)]
            for file in files:
                print(f"{file.stem}: {', '.join(f'{key} {value}' for key, value in told(file).items() if value)}")
            sys.stdout.flush()
            if given.draw_only:
                return 0
            for file in files:
                goal = Goal(str(file), given.bar)
                reached.append(reach(goal, arms, folder / file.stem, runs=given.runs, scale=1.0, run=run))
        except TobsError as error:
            sys.stderr.write(f"{error}\n{error.hint}\n")
            return error.exit_code
    return tell(reached, given.json, shlex.join(["python", "experiments/random_scenarios.py", *words]))


if __name__ == "__main__":
    sys.exit(main())
