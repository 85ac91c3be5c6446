"""The bars of tuning: scenarios drawn by seed, a tuning and a longer search of the same space, and their share."""

from __future__ import annotations

import json
import math
from argparse import Namespace
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import tune_bars
from efficiency import bound
from tests.tuning.simulated import Simulated
from tobs.lab.scenario import load
from tune_bars import KNOBS, LONGEST, POOREST, SHORTEST, drawn, main, missed, poorly

if TYPE_CHECKING:
    from pathlib import Path

    from tobs.experiment.launch import Result, Trial, Truth
    from tune_bars import Reached

pytestmark = pytest.mark.usefixtures("quick")


class Media(Simulated):
    """Throughput grows with connections, requests in flight and the size of parts, up to a point."""

    def cost(self, trial: Trial) -> float:
        knobs = self.knobs(trial)
        best = {"core.connections": 8, "core.in_flight": 4, "core.part_kb": 512}
        return 0.2 * sum(abs(math.log2(int(knobs[name]) / value)) for name, value in best.items())

    def __call__(self, trial: Trial, truth: Truth | None = None) -> Result:
        result = super().__call__(trial, truth)
        speed = 1e8 * trial.scale / result.measurements["wall"]
        return replace(result, measurements={**result.measurements, "bytes_per_second": speed})


WORDS = ("--count", "1", "--trials", "15", "--reference-trials", "40", "--blocks", "10")


@pytest.mark.parametrize("number", [1, 2])
def test_drawn_scenarios_are_short_with_good_settings_and_not_with_poor_ones(tmp_path: Path, number: int) -> None:
    file = drawn(3, number, tmp_path)
    found = bound(str(file), 1.0, 1).limit.seconds
    least, most = poorly(file)
    assert SHORTEST <= found <= LONGEST
    assert 2 * found <= least <= most <= POOREST
    assert load(file).faults.errors == 0
    text = file.read_text()
    assert drawn(3, number, tmp_path / "again").read_text() == text
    assert drawn(4, number, tmp_path / "other").read_text() != text.replace(f"bar_3_{number}", f"bar_4_{number}")


def test_what_was_tuned_is_held_against_the_longer_search_and_its_start(tmp_path: Path) -> None:
    launch = Media()
    file = tmp_path / "out.json"
    code = main([*WORDS, "--keep", str(tmp_path / "k"), "--json", str(file)], launch)
    value = json.loads(file.read_text())
    (one,) = value["scenarios"]
    assert code == (0 if value["ok"] else 1)
    assert one["tuned"] != one["start"] != one["reference"]
    assert one["gain"] > 1.5
    assert one["share"] == pytest.approx(one["wall"]["reference"] / one["wall"]["tuned"], rel=0.01)
    assert one["share_low"] <= one["share"] <= one["share_high"]
    assert 0.5 < one["share"] < 1.2
    assert not one["below"]
    assert (value["median"], value["worst"]) == (one["share"], one["share"])
    longer = [trial for trial in launch.trials if "reference" in trial.folder.parts]
    tuned = [trial for trial in launch.trials if trial.folder.parts[-3:-1] == ("tuned", "trials")]
    measured = [trial for trial in launch.trials if "measured" in trial.folder.parts]
    assert len(longer) == one["reference_trials"] >= 40
    assert len({trial.seed for trial in (*longer, *tuned)}) == 1
    assert not {trial.seed for trial in measured} & {trial.seed for trial in (*longer, *tuned)}
    assert {trial.folder.name[:4] for trial in measured} >= {f"b{number:03}" for number in range(1, 11)}
    moved = {name for name, setting in launch.knobs(longer[0]).items() if launch.knobs(longer[-1])[name] != setting}
    assert moved <= {name if "." in name else f"core.{name}" for name in KNOBS}


def test_stopped_it_goes_on(tmp_path: Path) -> None:
    class Stopped(Media):
        def __call__(self, trial: Trial, truth: Truth | None = None) -> Result:
            if "reference" in trial.folder.parts and trial.folder.name == "t012":
                raise KeyboardInterrupt
            return super().__call__(trial, truth)

    words = [*WORDS, "--keep", str(tmp_path / "k"), "--json", str(tmp_path / "out.json")]
    with pytest.raises(KeyboardInterrupt):
        main(words, Stopped())
    rest = Media()
    main(words, rest)
    assert "tuned" not in {part for trial in rest.trials for part in trial.folder.parts}
    assert rest.trials[0].folder.name == "t013", "the trial under way is run again"
    again = Media()
    main(words, again)
    assert again.trials == []


def test_scenarios_measured_apart_are_told_together(tmp_path: Path) -> None:
    few = ["--count", "2", "--trials", "5", "--reference-trials", "10", "--blocks", "5", "--bar", "0", "--worst", "0"]
    words = [*few, "--keep", str(tmp_path / "k"), "--json", str(tmp_path / "out.json")]
    for number in ("2", "1"):
        main([*words, "--only", number], Media())
        (one,) = json.loads((tmp_path / "out.json").read_text())["scenarios"]
        assert one["scenario"].endswith(f"_{number}")
    again = Media()
    main(words, again)
    assert again.trials == []
    told = json.loads((tmp_path / "out.json").read_text())["scenarios"]
    assert [one["scenario"][-2:] for one in told] == ["_1", "_2"]
    with pytest.raises(SystemExit):
        main([*words, "--only", "3"], Media())


def reached(**more: Any) -> Reached:
    """A scenario that meets every bar."""
    facts: dict[str, Any] = dict.fromkeys(tune_bars.Reached.__dataclass_fields__)
    return tune_bars.Reached(
        **{**facts, "scenario": "a", "share": 0.95, "gain": 3.0, "below": False, "words": "", **more}
    )


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ([reached()], []),
        ([reached(share=0.85)], ["the median share is 0.850"]),
        ([reached(), reached(), reached(share=0.7)], ["the worst share is 0.700"]),
        ([reached(gain=0.9, below=True)], ["a ended below its start: x0.900"]),
        ([reached(share=None, words="refused")], ["a: no share: refused"]),
    ],
)
def test_bars_that_are_missed_are_named(results: list[Reached], words: list[str]) -> None:
    found = missed(results, 0.9, 0.8)
    assert len(found) == len(words)
    assert all(text.startswith(word) for text, word in zip(found, words, strict=True))


def test_an_invalid_run_of_what_was_tuned_is_no_share(tmp_path: Path) -> None:
    class Spoilt(Media):
        def __call__(self, trial: Trial, truth: Truth | None = None) -> Result:
            result = super().__call__(trial, truth)
            lost = "measured" in trial.folder.parts and trial.folder.name == "b004-a0"
            return replace(result, invalid="its archive differs from the lab's truth") if lost else result

    given = ["--keep", str(tmp_path / "k"), "--json", str(tmp_path / "out.json")]
    few = ["--count", "1", "--trials", "5", "--reference-trials", "10", "--blocks", "5"]
    assert main([*few, *given], Spoilt()) == 1
    value = json.loads((tmp_path / "out.json").read_text())
    assert value["scenarios"][0]["share"] is None
    assert "refused" in value["missed"][0]


def test_the_bars_may_be_moved() -> None:
    given = Namespace(bar=0.5, worst=0.5, json=None)
    assert (
        tune_bars.tell([reached(share=0.6, drawn={"home": 2}, share_low=0.5, share_high=0.7, wall={})], given, "") == 0
    )
