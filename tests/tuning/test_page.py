"""The page of a tuning: its history, its knobs, how much they matter, and what was proved."""

from __future__ import annotations

import json
import math
import random
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import create_trial
from typer.testing import CliRunner

from tests.experiment.test_page import parsed
from tests.tuning.simulated import KNOBS, Simulated, defined
from tobs.cli.main import app
from tobs.errors import UsageError
from tobs.tuning.drawing import Axis, Drawn, axis, one_knob, parallel, shares
from tobs.tuning.importance import Importance, importances, uncertain
from tobs.tuning.limits import Limits
from tobs.tuning.page import page
from tobs.tuning.place import NOTE, RESULT, STUDY, noted
from tobs.tuning.told import as_json, tell
from tobs.tuning.tune import tune

if TYPE_CHECKING:
    from pathlib import Path

    from tobs.experiment.launch import Result, Trial, Truth

pytestmark = pytest.mark.usefixtures("quick")


def finished(folder: Path, **more: Any) -> Path:
    """A tuning that has ended."""
    tune(defined(**more), folder, lambda _: None, Simulated())
    return folder


def test_a_tuning_is_told_and_drawn(tmp_path: Path) -> None:
    folder = finished(tmp_path / "t")
    page_ = parsed(page(tell(str(folder), None)))
    assert page_.addresses == []
    assert "script" not in page_.counts
    words = " ".join(page_.texts)
    for part in ("History", "Parallel coordinates", "Slices", "Importance", "Workers", "Trials"):
        assert part in page_.texts
    result = json.loads((folder / RESULT).read_text())
    assert result["verdict"] in words
    assert "Start against winner" in words
    for name in KNOBS:
        assert (name if "." in name else f"core.{name}") in words
    assert "This is a hint" in words
    assert "put back: it hardly matters" in words


def test_every_trial_is_drawn_in_the_history_and_in_each_slice(tmp_path: Path) -> None:
    told = tell(str(finished(tmp_path / "t")), None)
    text = page(told)
    controls = sum(one.kind == "control" for one in told.trials)
    tried = len(told.trials) - controls
    marks = text.count("<circle") + text.count("l8 8m0-8") + text.count("l6 6m0-6")
    # The history has all; each slice has what was tried and the winner; the forest has one dot.
    assert marks == len(told.trials) + len(KNOBS) * (tried + 1) + 1
    lying = text[text.index("All knobs together") : text.index("Slices")]
    assert lying.count("<polyline") == tried + 1


def test_one_that_was_broken_off_is_told_as_far_as_it_is(tmp_path: Path) -> None:
    class Broken(Simulated):
        def __call__(self, trial: Trial, truth: Truth | None = None) -> Result:
            if len(self.trials) == 4:
                raise KeyboardInterrupt
            return super().__call__(trial, truth)

    with pytest.raises(KeyboardInterrupt):
        tune(defined(), tmp_path / "t", lambda _: None, Broken())
    told = tell(str(tmp_path / "t"), None)
    assert told.result is None
    assert (len(told.trials), told.pending, told.given_back) == (4, 1, 1)
    text = " ".join(parsed(page(told)).texts)
    assert "Not finished: 4 trials are done so far." in text
    assert "has not been confirmed yet" in text


def test_nothing_better_is_told_too(tmp_path: Path) -> None:
    tune(defined(trials=8), tmp_path / "t", lambda _: None, Simulated(effect=0.0))
    text = " ".join(parsed(page(tell(str(tmp_path / "t"), None))).texts)
    assert "nothing better was found" in text
    assert "finalist 1" in text


def test_it_says_what_repeats_it(tmp_path: Path) -> None:
    limits = Limits(memory=50e6, floods_per_1000=3)
    told = tell(str(finished(tmp_path / "t", trials=3, limits=limits)), None)
    (repeat,) = (text for text in parsed(page(told)).texts if text.startswith("tobs tune"))
    for words in ("--scenario tiny.toml", "--arm 'baseline +async_pipeline'", "--max-rss 50", "--trials 3"):
        assert words in repeat
    assert f"{' '.join(f'--knob {name}' for name in KNOBS)} --max-rss 50 --max-floods-per-1000 3 --metric" in repeat


def test_the_importance_has_an_interval_that_is_the_same_each_time(tmp_path: Path) -> None:
    folder = finished(tmp_path / "t")
    first, again = (tell(str(folder), None).importances for _ in range(2))
    assert first == again
    assert set(first) == {"core.connections", "core.in_flight", "async_pipeline.depth", "async_pipeline.page_queue"}
    assert all(0 <= one.low <= one.middle <= one.high <= 1 for one in first.values())
    assert any(one.low < one.high for one in first.values())


def test_a_range_that_widened_is_no_reason_to_leave_a_knob_out() -> None:
    chance = random.Random(1)
    trials = []
    for number in range(30):
        high = 16 if number < 10 else 64
        spaces = {"wide": IntDistribution(1, high, log=True), "other": FloatDistribution(0, 1)}
        values = {"wide": chance.randint(1, high), "other": chance.random()}
        trials.append(create_trial(params=values, distributions=spaces, value=abs(math.log(values["wide"] / 40))))
    found = uncertain(trials)
    assert set(importances(trials)) == {"wide", "other"}
    assert found["wide"].middle > found["other"].middle
    assert uncertain([]) == {}
    assert uncertain(trials[:4]) == {}


def test_it_is_found_by_its_folder_its_id_or_in_its_storage(tmp_path: Path) -> None:
    definition, storage = defined(), str(tmp_path / "shared.journal")
    tune(definition, tmp_path / "t", lambda _: None, Simulated(), storage=storage)
    by_folder = tell(str(tmp_path / "t"), None)
    for name in (definition.id, definition.name):
        by_storage = tell(name, storage)
        assert as_json(by_storage) == as_json(by_folder)
        assert by_storage.place is None
    with pytest.raises(UsageError, match="holds no study"):
        tell("another", storage)
    with pytest.raises(UsageError, match="there is no study"):
        tell("another", None)


def test_the_command_writes_it_and_tells_it_to_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = finished(tmp_path / "t")
    told = CliRunner().invoke(app, ["report", str(folder), "--json"])
    assert told.exit_code == 0
    value = json.loads(told.stdout)
    assert value["page"] == str(folder / "report.html")
    result = json.loads((folder / RESULT).read_text())
    assert (value["result"]["ratio"], value["result"]["low"]) == (result["ratio"], result["low"])
    assert len(value["trials"]) == len(result["trials"])
    assert sum(one["best"] for one in value["trials"]) > 1
    assert set(value["importance"]["core.connections"]) == {"middle", "low", "high"}
    assert [one["machine_factor"] for one in value["workers"]] == [pytest.approx(1.0)]
    monkeypatch.chdir(tmp_path)
    name = noted(folder)["study"]
    words = ["report", name, "--storage", str(folder / STUDY)]
    assert CliRunner().invoke(app, words).stdout == f"wrote {name}.html\n"
    assert (tmp_path / f"{name}.html").is_file()


def test_what_holds_neither_is_refused(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert (told.exit_code, "holds no experiment" in told.stderr) == (2, True)
    assert not (tmp_path / NOTE).exists()


SHORT = "<b>&"
HOSTILE = '<script>alert(1)</script>"&'


@pytest.mark.parametrize("values", [[], [0], [3, 3], [1, 1_000_000], [0, 5]])
def test_any_values_can_be_drawn_and_names_cannot_break_out(values: list[int]) -> None:
    for log in (False, True):
        along = axis(HOSTILE, values, (), log=log)
        drawn = [Drawn({HOSTILE: value}, 1.0 + place, counts=bool(place)) for place, value in enumerate(values)]
        for text in (parallel(HOSTILE, [along], drawn), one_knob(along, drawn)):
            assert "<script" not in text
            ET.fromstring(text)


def test_choices_and_switches_have_their_words() -> None:
    order = Axis("order", ("first", SHORT, True, False))
    text = one_knob(order, [Drawn({"order": SHORT}, 1.0, counts=True), Drawn({}, 1.0, counts=True)])
    assert text.count("<circle") == 1, "a knob of a plugin that is off has no place"
    words = [one.text for one in ET.fromstring(text).iter("text")]
    assert {"first", "on", "off", SHORT} <= set(words)
    ET.fromstring(shares(SHORT, {SHORT: Importance(0.5, 0.0, 1.0), "none": Importance(0.0, 0.0, 0.0)}))
