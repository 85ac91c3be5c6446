"""An ablation finds planted main effects and planted interactions, and nothing else."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from tests.experiment.scenarios import TINY
from tests.host.kit import by_name, plugin
from tobs.cli.main import app
from tobs.errors import UsageError
from tobs.experiment import ablation_report, surroundings
from tobs.experiment.ablate import PICTURE, RESULT, ablate, toggles_of
from tobs.experiment.ablation import arms, planned
from tobs.experiment.compare import BETTER, WORSE
from tobs.experiment.definition import Wanted
from tobs.experiment.factorial import contrast, fold_over
from tobs.experiment.report import aligned
from tobs.experiment.synthetic import Noise, SyntheticRuns
from tobs.host.arm import parse_arm
from tobs.host.plugins import Found

if TYPE_CHECKING:
    from pathlib import Path

    from tobs.experiment.launch import Result, Trial, Truth

NAMES = tuple(f"p{number:02}" for number in range(14))
EFFECTS = {"p00": 0.5, "p01": 0.3, "p02": 0.2, "p03": 0.15, "p04": -0.2, "p05": 0.25, "p06": 0.4}
PAIRS = {("p00", "p01"): -0.25, ("p05", "p06"): 0.3}


@dataclass(slots=True)
class Exporter:
    """Runs whose speed has these main effects and interactions (logs), and a machine's noise."""

    effects: dict[str, float]
    pairs: dict[tuple[str, str], float] = field(default_factory=dict)
    noise: Noise = field(default_factory=Noise)
    trials: int = 0
    stop: int = 0

    def __call__(self, trial: Trial, truth: Truth | None = None) -> Result:
        self.trials += 1
        if self.trials == self.stop:
            raise KeyboardInterrupt
        on = {toggle.plugin for toggle in parse_arm(trial.arm).toggles if toggle.on}
        log = sum(effect for name, effect in self.effects.items() if name in on)
        log += sum(effect for pair, effect in self.pairs.items() if on.issuperset(pair))
        return SyntheticRuns({trial.plan_hash: math.exp(log)}, noise=self.noise)(trial, truth)


@pytest.fixture(autouse=True)
def fourteen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fourteen plugins are installed, and one more that is off unless asked for; nobody reads their code."""
    last = plugin("takes_consent", load="tests.host.plugins.misuse:Quiet", default=False)
    known = Found(by_name(*(plugin(name, load="tests.host.plugins.misuse:Quiet") for name in NAMES), last))
    for module in ("definition", "ablate"):
        monkeypatch.setattr(f"tobs.experiment.{module}.discover", lambda: known)
    monkeypatch.setattr(surroundings, "fingerprint", lambda _=(): "code")


def silent(_: str) -> None:
    """Nobody listens."""


@pytest.mark.parametrize("toggles", [1, 2, 3, 4, 7, 8, 14, 15, 16, 31])
def test_main_effects_are_clear_of_each_other_and_of_every_pair(toggles: int) -> None:
    design = fold_over(toggles)
    assert len(set(design.runs)) == min(len(design.runs), 2**toggles)
    mains = [design.main(toggle) for toggle in range(toggles)]
    pairs = [
        tuple(a * b for a, b in zip(design.main(one), design.main(other), strict=True))
        for one, other in combinations(range(toggles), 2)
    ]
    for place, main in enumerate(mains):
        assert sum(main) == 0
        others = [*mains[:place], *mains[place + 1 :], *pairs]
        assert not any(sum(a * b for a, b in zip(main, other, strict=True)) for other in others)


def test_fourteen_toggles_take_32_runs_and_leave_91_pairs_in_15_groups() -> None:
    design = fold_over(14)
    assert len(design.runs) == 32
    assert sum(map(len, design.groups)) == 91
    assert sorted(map(len, design.groups)) == [6] * 14 + [7]
    for number, group in enumerate(design.groups):
        for one, other in group:
            product = tuple(a * b for a, b in zip(design.main(one), design.main(other), strict=True))
            assert product == design.group(number)


def test_a_contrast_is_the_whole_effect_of_a_toggle() -> None:
    design = fold_over(3)
    values = [2.0 * run[0] - 1.0 * run[2] + 4.0 * (run[0] and run[1]) for run in design.runs]
    found = [contrast(design.main(toggle), values) for toggle in range(3)]
    assert found == pytest.approx([4, 2, -1])


@pytest.mark.parametrize("toggles", [0, 32])
def test_too_few_or_too_many_toggles_are_refused(toggles: int) -> None:
    with pytest.raises(ValueError, match="1 to 31"):
        fold_over(toggles)
    with pytest.raises(UsageError, match="2 to 31"):
        arms([f"t{number}" for number in range(toggles)])


def test_every_arm_is_run_once() -> None:
    every = arms(NAMES)
    assert every[0] == "baseline"
    # nothing, all, each alone, each removed; of the 32 runs of the design two are nothing and all
    assert len(every) == len(set(every)) == 1 + 1 + 14 + 14 + 30


def test_planted_effects_and_interactions_are_found_and_nothing_else(tmp_path: Path) -> None:
    wanted = Wanted("x", TINY, (), ("wall", "messages_per_second"), blocks=3)
    done = ablate(wanted, NAMES, tmp_path, silent, run=Exporter(EFFECTS, PAIRS))
    verdicts = {toggle.name: toggle.main.verdict for toggle in done.found.toggles}
    assert {name for name, verdict in verdicts.items() if verdict == BETTER} == {
        name for name, effect in EFFECTS.items() if effect > 0
    }
    assert {name for name, verdict in verdicts.items() if verdict == WORSE} == {"p04"}
    assert set(done.found.proposed) == set(EFFECTS) - {"p04"}
    suspicious = [set(group.pairs) for group in done.found.groups if group.is_suspicious]
    assert len(suspicious) == 2
    assert all(any(pair in group for group in suspicious) for pair in PAIRS)
    found = {pair.pair: pair.log for pair in done.pairs if pair.interacts}
    assert found == {pair: pytest.approx(effect, abs=0.1) for pair, effect in PAIRS.items()}


def test_alone_and_removed_average_to_the_effect_where_pairs_interact(tmp_path: Path) -> None:
    quiet = Noise(whole=1e-6, drift=0.0, spikes=0.0)
    wanted = Wanted("x", TINY, (), blocks=2)
    done = ablate(wanted, NAMES, tmp_path, silent, follow_up=False, run=Exporter(EFFECTS, PAIRS, quiet))
    first = done.found.toggles[0]
    assert first.alone == pytest.approx(0.5, abs=1e-3)
    assert first.removed == pytest.approx(0.25, abs=1e-3)
    assert first.main.log == pytest.approx(0.375, abs=1e-3)
    assert first.shapley == pytest.approx(0.375, abs=1e-3)


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    calls = 0
    for seed in range(3):
        wanted = Wanted("x", TINY, (), blocks=2, seed=seed)
        done = ablate(wanted, NAMES, tmp_path / str(seed), silent, follow_up=False, run=Exporter({}))
        calls += len(done.found.proposed) + sum(group.is_suspicious for group in done.found.groups)
    assert calls <= 1


def test_an_interrupted_ablation_goes_on_where_it_was(tmp_path: Path) -> None:
    wanted = Wanted("x", TINY, (), blocks=2)
    toggles = NAMES[:3]
    stopped = Exporter(EFFECTS, stop=20)
    with pytest.raises(KeyboardInterrupt):
        ablate(wanted, toggles, tmp_path / "x", silent, run=stopped)
    rest = Exporter(EFFECTS)
    ended = ablate(wanted, toggles, tmp_path / "x", silent, follow_up=False, run=rest)
    whole = Exporter(EFFECTS)
    other = ablate(wanted, toggles, tmp_path / "y", silent, follow_up=False, run=whole)
    assert rest.trials < whole.trials
    assert ablation_report.as_json(ended.found, [], "wall") == ablation_report.as_json(other.found, [], "wall")


def test_it_is_told_and_drawn(tmp_path: Path) -> None:
    wanted = Wanted("x", TINY, (), ("wall", "messages_per_second"), blocks=3)
    done = ablate(wanted, NAMES[:4], tmp_path, silent, run=Exporter(EFFECTS))
    head, best, *_ = aligned(ablation_report.table(done.found))
    assert head.split()[:2] == ["plugin", "main"]
    assert best.startswith("p00")
    words = ablation_report.lines(done.found, done.pairs)
    assert "proposed for this scenario: p00, p01, p02, p03" in words
    assert "not worth their cost on this scenario: none" in words
    told = json.loads((tmp_path / RESULT).read_text())
    assert [toggle["worth_it"] for toggle in told["toggles"]] == [True] * 4
    assert told["toggles"][0]["beside"]["messages_per_second"]["ratio"] == pytest.approx(math.exp(0.5), rel=0.1)
    drawn = ET.fromstring((tmp_path / PICTURE).read_text())
    texts = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {*NAMES[:4]} <= {*texts}
    assert sum(1 for _ in drawn.iter("{http://www.w3.org/2000/svg}circle")) == 3 * 4


def test_toggles_are_the_default_plugins_unless_some_are_named() -> None:
    assert toggles_of(None) == NAMES
    assert toggles_of(["p03", "takes_consent"]) == ("p03", "takes_consent")
    with pytest.raises(UsageError, match="no plugin is called 'nobody'"):
        toggles_of(["p03", "nobody"])
    with pytest.raises(UsageError, match="named twice"):
        toggles_of(["p03", "p03"])


def test_one_block_says_nothing_of_the_noise() -> None:
    with pytest.raises(UsageError, match="at least 2 blocks"):
        planned(Wanted("x", TINY, (), blocks=1), NAMES)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}

    def ablating(wanted: Wanted, toggles: tuple[str, ...], folder: Path, say: object, *, follow_up: bool) -> object:
        del say
        asked.update(metrics=wanted.metrics, toggles=toggles)
        return ablate(wanted, toggles, folder, silent, follow_up=follow_up, run=Exporter(EFFECTS))

    monkeypatch.setattr("tobs.experiment.ablate.ablate", ablating)
    words = ["ablate", "--scenario", TINY, "--plugin", "p00", "--plugin", "p09", "-o", str(tmp_path / "x")]
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 0, told.output
    assert "proposed for this scenario: p00" in told.stdout
    value = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert (value["ok"], value["proposed"], value["not_worth_it"]) == (True, ["p00"], ["p09"])
    assert asked == {"metrics": ("wall", "cpu", "peak_rss"), "toggles": ("p00", "p09")}
