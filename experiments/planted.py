"""Does the advisor name a bottleneck that was planted, and does its prediction come true? Printed as JSON.

Each case of experiments/planted_cases.py is run on a local Telegram and the advisor is asked about its first run. Then
the arm that it advises is run too, or where it names none the case's own removal, in turn with the first arm and on the
same seeds. Predicted and measured are ratios of the runs' times. Exit code 1 if fewer than 95 % of the bottlenecks are
named, or fewer than 75 % of the predictions are within 30 % of the measured ratio's median. Runs that `--output` holds
already are not made again, so that rules can be looked at anew.

    python experiments/planted.py [--repeats N] [--part seen|held_out|all] [--only NAME …] [--output DIR]
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planted_cases import CASES, HELD_OUT, SEEN
from tobs.experiment.launch import METRICS, RUN, Trial, launch
from tobs.host.arm import parse_arm
from tobs.host.plugins import discover
from tobs.host.resolve import resolve
from tobs.telemetry import read

if TYPE_CHECKING:
    from planted_cases import Case

NAMED, NEAR = 0.95, 0.75
WITHIN = 0.3
FAULTS = Path(__file__).parent / "planted"


def announce(folder: Path) -> None:
    """Have this process and those that it starts find the planted faults as an installed plugin."""
    info = folder / "planted_faults-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: planted-faults\nVersion: 0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[tobs]\nplanted_faults = planted_faults:manifest\n", encoding="utf-8")
    places = [str(folder), str(FAULTS)]
    sys.path[:0] = places
    importlib.invalidate_caches()
    os.environ["PYTHONPATH"] = os.pathsep.join([*places, *filter(None, [os.environ.get("PYTHONPATH")])])


def run(case: Case, arm: str, seed: int, folder: Path) -> float:
    """One export's seconds; one that is there is not made again. Ends the experiment if it is not valid."""
    plan = resolve(discover().manifests, parse_arm(arm)).require()
    if (folder / RUN).is_file() and _same(json.loads((folder / RUN).read_text(encoding="utf-8")), plan.hash, seed):
        return read(folder / METRICS).seconds
    scenario = folder.parent / f"{case.name}.toml"
    scenario.parent.mkdir(parents=True, exist_ok=True)
    scenario.write_text(f'name = "{case.name}"\nseed = 1\n{case.scenario}', encoding="utf-8")
    result = launch(Trial(folder, str(scenario), 1.0, seed, "@tobs_planted", arm, plan.hash, {"tobs.seed": seed}))
    if result.invalid:
        raise SystemExit(f"{case.name}, {arm}: {result.invalid}; see {folder}")
    return result.measurements["wall"]


def _same(facts: dict[str, Any], plan_hash: str, seed: int) -> bool:
    return not facts["invalid"] and facts["plan_hash"] == plan_hash and facts["seed"] == seed


def tried(case: Case, repeats: int, folder: Path) -> dict[str, Any]:
    """What was planted, advised, predicted and measured."""
    walls = [run(case, case.arm, 1, folder / "1-planted")]
    advice = asked(folder / "1-planted" / METRICS)
    bottleneck, predicted = advice["bottleneck"], advice["predicted"]
    arm = next((change["arm_change"] for change in advice["changes"][:1] if change["arm_change"]), None)
    other = arm or case.removal
    ratios = []
    for repeat in range(1, repeats + 1):
        if repeat > 1:
            walls.append(run(case, case.arm, repeat, folder / f"{repeat}-planted"))
        changed = run(case, other, repeat, folder / f"{repeat}-changed")
        ratios.append(walls[-1] / changed)
    measured = statistics.median(ratios)
    return {
        "case": case.name,
        "arm": case.arm,
        "planted": {"kind": case.kind, "stages": case.stages},
        "found": {"kind": bottleneck["kind"], "stage": bottleneck["stage"]},
        "named": bottleneck["kind"] == case.kind and bottleneck["stage"] in case.stages,
        "changed": other,
        "advised": arm is not None,
        "seconds": [round(wall, 3) for wall in walls],
        "measured": [round(ratio, 3) for ratio in sorted(ratios)],
        "predicted": predicted,
        "ceiling": advice["ceiling"],
        "near": abs(predicted["ratio"] / measured - 1) <= WITHIN,
    }


def asked(metrics: Path) -> dict[str, Any]:
    """The advice on one run, as `tobs advise --json` prints it."""
    from tobs.experiment.advising import advise, found_at  # noqa: PLC0415 - after the faults are announced

    return advise(found_at(metrics)).as_json()


def main() -> int:
    """Run the cases; see above."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--part", choices=("seen", "held_out", "all"), default="all")
    parser.add_argument("--only", nargs="*", default=())
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    cases = {"seen": SEEN, "held_out": HELD_OUT, "all": CASES}[given.part]
    chosen = [case for case in cases if not given.only or case.name in given.only]
    with tempfile.TemporaryDirectory() as folder:
        announce(Path(folder))
        place = given.output or Path(folder) / "runs"
        outcomes = []
        for case in chosen:
            outcomes.append({**tried(case, given.repeats, place / case.name), "seen": case in SEEN})
            sys.stderr.write(f"{json.dumps(outcomes[-1])}\n")
    named, near = (statistics.fmean(outcome[what] for outcome in outcomes) for what in ("named", "near"))
    print(json.dumps({"cases": outcomes, "named": named, "near": near, "of": len(outcomes)}, indent=1))
    return int(named < NAMED or near < NEAR)


if __name__ == "__main__":
    sys.exit(main())
