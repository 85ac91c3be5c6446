"""Scenarios are grown to their limit, runs are held to the bars, and what is drawn at random is bound by its media."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

import efficiency
import random_scenarios
from efficiency import BUCKETS, Bound, Goal, Reached, Run, bound, grown, reach
from efficiency_table import table
from tests.experiment.scenarios import FIRST, SCENARIOS, SECOND, TINY
from tobs.errors import TobsError, UsageError
from tobs.experiment.launch import ARCHIVE, LAB, STATE, WORK, Result, Truth
from tobs.lab.limit import Limit
from tobs.lab.scenario import load

if TYPE_CHECKING:
    from tobs.experiment.launch import Trial

BOUNDED = str(SCENARIOS / "bounded.toml")
HISTORY, PART = "messages.getHistory", "upload.getFile"


@dataclass(slots=True)
class Exporter:
    """A `launch` without a lab: each run is of this efficiency, and the lab has counted what it is told to."""

    efficiency: float = 1.0
    invalid: str = ""
    floods: dict[str, int] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)
    requests: int = 100
    trials: list[Trial] = field(default_factory=list)
    found: list[list[str]] = field(default_factory=list)

    def __call__(self, trial: Trial, truth: Truth | None = None) -> Result:
        self.trials.append(trial)
        if trial.prepared is not None:
            self.found.append(sorted(file.name for file in trial.prepared.rglob("*") if file.is_file()))
        if trial.keep:
            self._leave(trial.folder / WORK)
        seconds = bound(trial.scenario, trial.scale, trial.seed).limit.seconds / self.efficiency
        lab = {"requests": {PART: self.requests}, "floods": sum(self.floods.values()), **self.counted}
        measured = {BUCKETS[method]: float(count) for method, count in self.floods.items()}
        return Result(self.invalid, "", truth or Truth(-1, ""), measured, {"seconds": seconds, "lab": lab})

    @staticmethod
    def _leave(work: Path) -> None:
        account = work / STATE / "accounts" / "some"
        for folder in (work / LAB, work / ARCHIVE, account / "plugins" / "dc_routing"):
            folder.mkdir(parents=True)
        (work / LAB / "server.json").write_text("{}")
        (work / ARCHIVE / "tobs.sqlite").write_text("")
        (account / "plugins" / "dc_routing" / "keys.json").write_text("{}")
        (account / "pace.json").write_text(json.dumps({f"takeout:{PART}": {"rate": 9.0}, HISTORY: {"until": 5.0}}))


def reached(exporter: Exporter, folder: Path, *, learned: bool = False, bar: float = 0.9, runs: int = 1) -> Reached:
    return reach(Goal(BOUNDED, bar, learned), [FIRST], folder, runs=runs, scale=1.0, run=exporter)


def test_a_scenario_is_grown_until_its_limit_is_long_with_every_seed() -> None:
    scale = grown(BOUNDED, 3.0, (1, 2, 3))
    found = [bound(BOUNDED, scale, seed).limit for seed in (1, 2, 3)]
    assert {one.resource for one in found} == {"DC 2 account rate"}
    assert min(one.seconds for one in found) >= 3.0
    assert bound(BOUNDED, grown(BOUNDED, 3.0, (1,)), 1).limit.seconds <= 1.05 * 3.0
    assert grown(BOUNDED, 0.1, (1, 2, 3)) == 1.0, "it is never made smaller"


def test_what_has_no_limit_cannot_be_grown() -> None:
    with pytest.raises(UsageError, match="no scale makes its limit 20 s"):
        grown(TINY, 20.0, (1,))


def test_the_limit_is_that_of_the_runs_own_seed(tmp_path: Path) -> None:
    exporter = Exporter(0.5)
    found = reach(Goal(BOUNDED, 0.4), [FIRST, SECOND], tmp_path, runs=3, scale=1.0, run=exporter)
    assert [(run.seed, run.arm) for run in found.runs] == [(seed, arm) for seed in (1, 2, 3) for arm in (FIRST, SECOND)]
    assert [trial.seed for trial in exporter.trials] == [1, 1, 2, 2, 3, 3]
    assert len({run.limit for run in found.runs}) == 3
    assert [run.efficiency for run in found.runs] == [pytest.approx(0.5)] * 6
    assert found.missed() == []


def test_the_median_is_held_to_the_bar(tmp_path: Path) -> None:
    assert reached(Exporter(0.91), tmp_path / "a").missed() == []
    assert reached(Exporter(0.89), tmp_path / "b").missed() == ["bounded: efficiency 0.890, wanted 0.9"]


def test_a_run_that_does_not_count_has_reached_nothing(tmp_path: Path) -> None:
    found = reached(Exporter(invalid="its archive differs from the lab's truth"), tmp_path)
    assert found.missed() == [
        "bounded: invalid with seed 1: its archive differs from the lab's truth",
        "bounded: efficiency 0.000, wanted 0.9",
    ]


@pytest.mark.parametrize("name", ["requests_during_flood", "duplicate_parts"])
def test_one_request_too_many_is_one_too_many(tmp_path: Path, name: str) -> None:
    found = reached(Exporter(counted={name: 1}), tmp_path)
    assert found.missed() == [f"bounded: 1 {name.replace('_', ' ')}"]


def test_the_first_flood_of_a_method_is_warm_up_unless_its_rate_was_known(tmp_path: Path) -> None:
    floods = {PART: 3, HISTORY: 1}
    (cold,) = reached(Exporter(floods=floods, requests=1000), tmp_path / "cold").runs
    assert (cold.floods, cold.warm_up_floods, round(cold.flood_rate, 6)) == (4, 2, 2.0)
    learned = reached(Exporter(floods=floods, requests=1000), tmp_path / "learned", learned=True)
    (warm,) = learned.runs
    assert (warm.floods, warm.warm_up_floods, round(warm.flood_rate, 6)) == (4, 1, 3.0)
    assert learned.missed() == ["bounded*: 3.0 floods in 1,000 requests after warm-up"]


def test_of_the_run_that_learns_only_the_account_and_paces_memory_are_left(tmp_path: Path) -> None:
    exporter = Exporter()
    reached(exporter, tmp_path, learned=True, runs=2)
    assert [(trial.seed, trial.keep) for trial in exporter.trials] == [(1, True), (1, False), (2, True), (2, False)]
    assert exporter.found == [["pace.json", "server.json"]] * 2


def test_nothing_is_measured_after_an_invalid_run_that_was_to_learn(tmp_path: Path) -> None:
    exporter = Exporter(invalid="failed with exit code 1")
    with pytest.raises(TobsError, match="the run that learns is invalid: failed with exit code 1"):
        reached(exporter, tmp_path, learned=True)
    assert len(exporter.trials) == 1


def test_the_table_tells_how_much_slower_the_other_arms_are() -> None:
    limited = Limit(2.0, "line", {"line": 2.0})
    runs = (Run("all", 1, "", 2.0, 2.5, bytes_per_second=3e6), Run("baseline", 1, "", 2.0, 25.0))
    head, first, other = table([Reached(Goal("media_home", 0.9), 4.0, (Bound(limited, limited),), runs)])
    assert first.split()[:9] == ["media_home", "4", "all", "2.00", "line", "2.00", "2.50", "0.800", "0.9"]
    assert other.split()[6:9] == ["25.00", "0.080", "10.00"]
    assert "x slower" in head


@pytest.mark.parametrize(("efficient", "code"), [(0.95, 0), (0.85, 1)])
def test_the_exit_code_says_whether_the_bars_are_reached(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], efficient: float, code: int
) -> None:
    file = tmp_path / "results" / "found.json"
    words = [BOUNDED, "--arm", FIRST, "--runs", "2", "--least", "1", "--json", str(file), "--keep", str(tmp_path)]
    assert efficiency.main(words, Exporter(efficient)) == code
    told = json.loads(file.read_text())
    assert told["ok"] is (code == 0)
    (one,) = told["scenarios"]
    assert one["reached"] == {FIRST: efficient}
    assert len(one["runs"]) == len(one["limits"]) == 2
    assert ("missed: bounded: efficiency 0.850" in capsys.readouterr().out) is (code == 1)


def test_a_real_run_is_measured(tmp_path: Path) -> None:
    found = reach(Goal(BOUNDED, 0.0), [FIRST], tmp_path, runs=1, scale=1.0)
    (run,) = found.runs
    assert run.invalid == ""
    assert 0 < run.efficiency < 1
    assert run.requests > 6
    assert run.connections_opened >= 1
    assert (run.requests_during_flood, run.duplicate_parts) == (0, 0)
    assert run.messages_per_second > 0
    assert found.missed() == []


def test_the_same_seed_draws_the_same_and_another_seed_others() -> None:
    def drawn(seed: str) -> str:
        return random_scenarios.draw(Random(seed)).scenario("x", 1e7)

    assert drawn("1/1/0") == drawn("1/1/0")
    assert len({drawn(f"{seed}/{number}/0") for seed in (1, 2) for number in (1, 2)}) == 4


@pytest.mark.parametrize("seed", [3, 4])
def test_what_is_drawn_is_bound_by_its_media(tmp_path: Path, seed: int) -> None:
    for number in (1, 2):
        file = random_scenarios.drawn(seed, number, tmp_path)
        found = bound(str(file), 1.0, 1)
        assert 15 <= found.limit.seconds <= 25
        assert found.limit.resource == "line" or found.limit.resource.endswith(" rate")
        assert found.without_takeout == found.limit or found.without_takeout.resource == found.limit.resource
        drawn = load(file)
        assert 1 <= len(drawn.network.dcs) <= 5
        assert drawn.faults.errors == drawn.faults.lost == 0


def test_a_draw_that_is_not_bound_by_its_media_is_made_anew(tmp_path: Path) -> None:
    found = {"line": Limit(20.0, "line", {}), "bucket": Limit(20.0, "file bucket", {}), "short": Limit(9.0, "line", {})}
    file = random_scenarios.drawn(3, 1, tmp_path)
    assert random_scenarios.why_not(file, Bound(found["line"], found["line"])) == ""
    assert "file bucket sets" in random_scenarios.why_not(file, Bound(found["line"], found["bucket"]))
    assert "limit is 9.0 s" in random_scenarios.why_not(file, Bound(found["short"], found["short"]))
    bucket = load(file).limits.file
    assert bucket is not None
    text = file.read_text().replace(f"per_second = {bucket.refill:g}\nwait = [1, 3]", "per_second = 0.5\nwait = [1, 3]")
    file.write_text(text)
    assert "pass its file bucket too slowly" in random_scenarios.why_not(file, Bound(found["line"], found["line"]))


@pytest.mark.parametrize(("efficient", "code"), [(0.86, 0), (0.84, 1)])
def test_random_scenarios_are_held_to_their_bar(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], efficient: float, code: int
) -> None:
    exporter = Exporter(efficient)
    words = ["--seed", "3", "--count", "2", "--arm", FIRST, "--keep", str(tmp_path)]
    assert random_scenarios.main(words, exporter) == code
    assert [Path(trial.scenario).stem for trial in exporter.trials] == ["drawn_3_1", "drawn_3_2"]
    out = capsys.readouterr().out
    assert out.count("missed: ") == 2 * code
    assert out.startswith("drawn_3_1: centres {")
