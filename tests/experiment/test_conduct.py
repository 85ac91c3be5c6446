"""An experiment runs in randomized blocks, stops by its rule, refuses what is invalid, and goes on after any end."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
import sqlite_utils

from tests.experiment.scenarios import FIRST, SECOND, THIRD, defined
from tobs.errors import TobsError, UsageError
from tobs.experiment import surroundings
from tobs.experiment.compare import BETTER, IMMATERIAL, REFUSED, WORSE
from tobs.experiment.conduct import conduct
from tobs.experiment.definition import Prepare, define
from tobs.experiment.launch import METRICS, WORK, Result, Trial, Truth
from tobs.experiment.report import aligned, as_json, lines, table
from tobs.experiment.store import FILE, listed
from tobs.experiment.synthetic import Noise, SyntheticRuns
from tobs.telemetry import names

if TYPE_CHECKING:
    from pathlib import Path

    from tobs.experiment.definition import Definition
    from tobs.experiment.launch import Launch
    from tobs.experiment.report import Outcome

QUIET = Noise(whole=0.01, drift=0.005, spikes=0.0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured here is no code: it is not read anew for each run."""
    monkeypatch.setattr(surroundings, "fingerprint", lambda _=(): "code")


def silent(_: str) -> None:
    """Nobody listens."""


@dataclass(slots=True)
class Watched:
    """Notes every trial, and stops at the `stop`th as Ctrl+C would."""

    inner: Launch
    stop: int = 0
    trials: list[Trial] = field(default_factory=list)

    def __call__(self, trial: Trial, truth: Truth | None = None) -> Result:
        self.trials.append(trial)
        if len(self.trials) == self.stop:
            raise KeyboardInterrupt
        return self.inner(trial, truth)

    def names(self) -> list[tuple[str, int]]:
        return [(trial.folder.name, trial.seed) for trial in self.trials]


def run(
    definition: Definition, folder: Path, *speeds: float, spoilt: int | None = None, noise: Noise = QUIET
) -> Outcome:
    """Conduct it with arms of these speeds, one of them `spoilt`."""
    hashes = [arm.plan_hash for arm in definition.arms]
    bad = frozenset() if spoilt is None else frozenset({hashes[spoilt]})
    return conduct(definition, folder, silent, SyntheticRuns(dict(zip(hashes, speeds, strict=True)), bad, noise))


def test_a_plugin_that_costs_ten_percent_is_found(tmp_path: Path) -> None:
    outcome = run(defined(), tmp_path / "x", 1.0, 0.9, noise=Noise())
    (arm,) = as_json(outcome)["arms"]
    assert arm["verdict"] == WORSE
    assert arm["low"] < 0.9 < arm["high"] < 1
    assert arm["blocks"] == outcome.blocks in {10, 15, 20}
    assert arm["p"] < 0.022
    assert arm["digests_equal"]
    assert arm["medians"]["wall"] > arm["medians_of_first"]["wall"]


def test_a_gain_is_found_after_ten_blocks_and_no_effect_runs_to_the_end(tmp_path: Path) -> None:
    faster = run(defined(), tmp_path / "faster", 1.0, 1.5)
    assert (faster.blocks, faster.why) == (10, "p < 0.022 at the look after 10 blocks")
    (one,) = faster.comparisons()["wall"]
    assert one.verdict == BETTER
    assert one.ratio == pytest.approx(1.5, rel=0.02)
    alike = run(defined(), tmp_path / "alike", 1.0, 1.0)
    (one,) = alike.comparisons()["wall"]
    assert (alike.blocks, one.verdict) == (20, IMMATERIAL)


@pytest.mark.parametrize("speed", [0.5, 10.0])
def test_an_arm_with_another_archive_is_refused_whatever_its_speed(tmp_path: Path, speed: float) -> None:
    outcome = run(defined(), tmp_path / "x", 1.0, speed, spoilt=1)
    (arm,) = as_json(outcome)["arms"]
    assert arm["verdict"] == REFUSED
    assert not arm["digests_equal"]
    assert arm["invalid"] == outcome.blocks == 3, "three invalid runs and nothing is left to wait for"
    assert arm["ratio"] is None
    assert arm["reasons"] == ["its archive differs from the lab's truth"]
    assert not outcome.sound


def test_a_run_is_kept_with_all_that_it_measured_or_not_at_all(tmp_path: Path) -> None:
    def odd(trial: Trial, truth: Truth | None = None) -> Result:
        result = SyntheticRuns({})(trial, truth)
        return replace(result, measurements={**result.measurements, "no such metric": 1.0})

    with pytest.raises(UsageError, match="no such metric"):
        conduct(defined(), tmp_path / "x", silent, odd)
    kept = sqlite_utils.Database(tmp_path / "x" / FILE)
    assert (kept["runs"].count, kept["measurements"].count) == (0, 0)
    kept.close()


def test_one_refused_arm_does_not_end_the_others(tmp_path: Path) -> None:
    outcome = run(defined(FIRST, SECOND, THIRD, blocks=6), tmp_path / "x", 1.0, 10.0, 1.4, spoilt=1)
    assert outcome.blocks == 6
    assert [one.verdict for one in outcome.comparisons()["wall"]] == [REFUSED, BETTER]


def test_nobody_wins_against_a_first_arm_that_is_invalid(tmp_path: Path) -> None:
    outcome = run(defined(), tmp_path / "x", 1.0, 2.0, spoilt=0)
    (one,) = outcome.comparisons()["wall"]
    assert one.verdict == REFUSED
    assert "first arm" in one.words


def test_several_arms_run_twenty_blocks_and_share_the_level(tmp_path: Path) -> None:
    outcome = run(defined(FIRST, SECOND, THIRD), tmp_path / "x", 1.0, 1.2, 1.0)
    better, alike = outcome.comparisons()["wall"]
    assert outcome.blocks == 20
    assert better.estimate is not None
    assert better.corrected == pytest.approx(2 * better.estimate.p)
    assert (better.verdict, alike.verdict) == (BETTER, IMMATERIAL)


def test_each_block_runs_every_arm_once_on_a_seed_of_its_own(tmp_path: Path) -> None:
    definition = defined(FIRST, SECOND, THIRD, blocks=8)
    watched = Watched(SyntheticRuns({}))
    outcome = conduct(definition, tmp_path / "x", silent, watched)
    warm_up, measured = watched.trials[:3], watched.trials[3:]
    assert [trial.folder.name for trial in warm_up] == ["b000-a0", "b000-a1", "b000-a2"]
    blocks = [measured[place : place + 3] for place in range(0, 24, 3)]
    assert all(len({trial.arm for trial in block}) == 3 for block in blocks)
    assert [{trial.seed for trial in block} for block in blocks] == [{seed} for seed in outcome.seeds]
    assert len({*outcome.seeds, warm_up[0].seed}) == 9
    assert len({tuple(trial.plan_hash for trial in block) for block in blocks}) > 1, "the order is drawn"
    assert {trial.labels["tobs.arm"] for trial in measured} == {FIRST, SECOND, THIRD}


@pytest.mark.parametrize("stop", [1, 2, 3, 4, 7, 8, 15])
def test_stopped_at_any_moment_it_keeps_seeds_order_and_finished_blocks(tmp_path: Path, stop: int) -> None:
    definition = defined(blocks=7)
    whole = Watched(SyntheticRuns({}))
    untouched = conduct(definition, tmp_path / "whole", silent, whole)
    broken = Watched(SyntheticRuns({}), stop)
    with pytest.raises(KeyboardInterrupt):
        conduct(definition, tmp_path / "broken", silent, broken)
    resumed = Watched(SyntheticRuns({}))
    outcome = conduct(definition, tmp_path / "broken", silent, resumed)

    finished = max(0, stop - 3) // 2
    first = 2 + 2 * finished if stop > 2 else stop - 1
    assert resumed.names() == whole.names()[first:], "what was finished is not run again"
    assert as_json(outcome) | {"folder": ""} == as_json(untouched) | {"folder": ""}
    rows = sqlite_utils.Database(tmp_path / "broken" / FILE).table("runs")
    half_a_block = stop > 2 and stop % 2 == 0
    assert rows.count_where("abandoned") == half_a_block, "what was broken off is told, not used"
    assert rows.count_where("kind = 'measured' AND NOT abandoned") == 14


def test_what_is_finished_is_only_shown_again(tmp_path: Path) -> None:
    definition = defined(blocks=2)
    first = run(definition, tmp_path / "x", 1.0, 1.1)
    watched = Watched(SyntheticRuns({}))
    again = conduct(definition, tmp_path / "x", silent, watched)
    assert watched.trials == []
    assert as_json(again) == as_json(first)


def test_a_folder_takes_one_experiment_and_one_process(tmp_path: Path) -> None:
    run(defined(blocks=2), tmp_path / "x", 1.0, 1.0)
    with pytest.raises(UsageError, match="another experiment"):
        run(defined(blocks=2, seed=2), tmp_path / "x", 1.0, 1.0)

    def nested(trial: Trial, truth: Truth | None = None) -> Result:
        with pytest.raises(TobsError, match="being written to by process"):
            run(defined(blocks=1), tmp_path / "y", 1.0, 1.0)
        return SyntheticRuns({})(trial, truth)

    assert conduct(defined(blocks=1), tmp_path / "y", silent, nested).blocks == 1


def test_what_is_no_fault_of_an_arm_ends_the_experiment_and_counts_against_none(tmp_path: Path) -> None:
    def no_lab(_: Trial, __: Truth | None = None) -> Result:
        raise TobsError("the lab did not start")

    with pytest.raises(TobsError, match="did not start"):
        conduct(defined(blocks=2), tmp_path / "x", silent, no_lab)
    assert run(defined(blocks=2), tmp_path / "x", 1.0, 1.0).sound


def test_a_preparing_run_comes_before_each_block_and_all_arms_start_from_it(tmp_path: Path) -> None:
    wanted = replace(defined(blocks=2).wanted, prepare=Prepare(THIRD))
    watched = Watched(SyntheticRuns({}))
    conduct(define(wanted), tmp_path / "x", silent, watched)
    groups = [watched.trials[place : place + 3] for place in range(0, 9, 3)]
    for preparing, *runs in groups:
        assert preparing.keep
        assert preparing.folder.name.endswith("-prepare")
        assert {trial.seed for trial in runs} == {preparing.seed}
        assert {trial.prepared for trial in runs} == {preparing.folder / WORK}
        assert not any(trial.keep for trial in runs)


def test_progress_tells_block_arm_and_what_is_left(tmp_path: Path) -> None:
    told: list[str] = []
    conduct(defined(), tmp_path / "x", told.append, SyntheticRuns({}))
    assert "warm-up, run 1 of 2: baseline" in told[0]
    assert "block 1, run 1 of 2: baseline" in told[2]
    assert "to the look after 10 blocks, at most" in told[2]


def test_everything_is_stored_and_listed(tmp_path: Path) -> None:
    definition = defined(blocks=3)
    run(definition, tmp_path / "x", 1.0, 2.0)
    (one,) = listed()
    assert (one["id"], one["folder"], one["why"]) == (definition.id, str(tmp_path / "x"), "all 3 blocks are done")
    assert [arm["plan_hash"] for arm in one["arms"]] == [arm.plan_hash for arm in definition.arms]
    assert "telethon" in one["versions"]
    assert "cores" in one["machine"]
    measured = [run for run in one["runs"] if run["kind"] == "measured"]
    assert len(measured) == 6
    assert all(run["measurements"]["wall"] > 0 and run["seed"] and run["code"] == definition.code for run in measured)
    assert list(listed([tmp_path / "x"])) == [one]
    with pytest.raises(UsageError, match="holds no experiment"):
        list(listed([tmp_path]))


def test_the_report_says_what_it_must(tmp_path: Path) -> None:
    outcome = run(defined(metrics=("wall", "messages_per_second", "flood_seconds")), tmp_path / "x", 1.0, 1.5)
    text = "\n".join(lines(outcome))
    for piece in ("10 blocks", "p < 0.022", "wall x1.5", "smallest visible effect x1.0", "better", str(tmp_path / "x")):
        assert piece in text
    assert all(str(seed) in text for seed in outcome.seeds)
    assert all(arm.plan_hash[:12] in text for arm in outcome.definition.arms)
    rows = table(outcome)
    assert rows[0][:4] == ["arm", "wall", "messages_per_second", "flood_seconds"]
    assert rows[1][-2:] == ["0 of 10", "equal"]
    assert len({len(line) for line in aligned(rows)}) == 1
    told = as_json(outcome)["arms"][0]["metrics"]
    assert told["messages_per_second"]["ratio"] == pytest.approx(told["wall"]["ratio"])
    assert told["flood_seconds"]["ratio"] == 1.0, "two zeros are alike"


def test_an_arm_against_itself_tests_the_machine(tmp_path: Path) -> None:
    honest = run(defined(FIRST, FIRST, blocks=60), tmp_path / "honest", 1.0, 1.0)
    tested = as_json(honest)["self_test"]
    assert (tested["experiments"], tested["sound"]) == (6, True)
    assert any(line.startswith("self-test: ") for line in lines(honest))
    assert as_json(run(defined(blocks=10), tmp_path / "other", 1.0, 1.0))["self_test"] is None

    def second_is_slower(trial: Trial, truth: Truth | None = None) -> Result:
        result = SyntheticRuns({}, noise=QUIET)(trial, truth)
        slower = 1.2 if trial.folder.name.endswith("a1") else 1.0
        return replace(result, measurements={"wall": result.measurements["wall"] * slower})

    favouring = conduct(defined(FIRST, FIRST, blocks=60), tmp_path / "favouring", silent, second_is_slower)
    assert "6 of 6 experiments found an effect where there is none" in favouring.warnings()


def otlp_line(seconds: float, requests: int) -> str:
    """One export of a run, as short as can be."""

    def point(value: float) -> dict[str, object]:
        return {"dataPoints": [{"asDouble": value, "attributes": []}]}

    metrics = [
        {"name": names.RUN_DURATION, "gauge": point(seconds)},
        {"name": names.REQUESTS, "sum": point(requests)},
    ]
    return json.dumps({"resourceMetrics": [{"resource": {}, "scopeMetrics": [{"metrics": metrics}]}]}) + "\n"


def test_a_metric_asked_for_afterwards_is_read_from_what_the_runs_left(tmp_path: Path) -> None:
    def leaving_metrics(trial: Trial, truth: Truth | None = None) -> Result:
        result = SyntheticRuns({}, noise=QUIET)(trial, truth)
        trial.folder.mkdir(parents=True)
        requests = 50 if trial.folder.name.endswith("a0") else 25
        (trial.folder / METRICS).write_text(otlp_line(result.measurements["wall"], requests))
        return result

    conduct(defined(blocks=6), tmp_path / "x", silent, leaving_metrics)
    asked = "tobs.requests:down"
    later = conduct(defined(blocks=6, metrics=("wall", asked)), tmp_path / "x", silent, leaving_metrics)
    (one,) = later.comparisons()[asked]
    assert one.ratio == pytest.approx(2)
    assert as_json(later)["arms"][0]["metrics"][asked]["blocks"] == 6
