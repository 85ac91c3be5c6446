"""Plugins as choices: their knobs are there only while they are on, and what cannot run together is never run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.host.kit import by_name, plugin
from tests.tuning.simulated import TINY
from tests.tuning.synthetic import DIMENSIONS, START, Runs, best, cost, searched, wanted
from tobs.errors import UsageError
from tobs.experiment import surroundings
from tobs.host.plugins import Found
from tobs.host.space import Dimension
from tobs.knobs import Knob
from tobs.tuning import definition as definitions
from tobs.tuning.confirm import put_back
from tobs.tuning.definition import EVERY, Definition, Wanted, define
from tobs.tuning.journal import CONTROL, OK, PROPOSED, UNFIT
from tobs.tuning.ranges import active, begin, fingerprint, widen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tobs.knobs import Value
    from tobs.tuning.journal import Asked
    from tobs.tuning.rounds import Told
    from tobs.tuning.search import Search

pytestmark = pytest.mark.usefixtures("quick")
RANGES = begin(DIMENSIONS, START, {"b": True, "c": False})
WHOLE: dict[str, Value] = {one.name: one.start for one in RANGES}
BEGIN = active(RANGES, WHOLE)


@dataclass
class Switched(Runs):
    """Without `b` a run takes twice as long, with `c` a fifth less: whatever their knobs."""

    def true(self, asked: Asked) -> float:
        whole = {**START, **{name: value for name, value in asked.values.items() if "." in name}}
        return cost(whole) * (1 if asked.values["b"] else 2) * (0.8 if asked.values["c"] else 1)


def toggled(**more: object) -> Search:
    """A search of the same twelve knobs of which `b` and `c` may be switched."""
    return wanted(**{"ranges": RANGES, "start": BEGIN, **more})


def owners(values: Mapping[str, Value]) -> set[str]:
    """Whose knobs there are values for."""
    return {name.partition(".")[0] for name in values if "." in name}


def test_knobs_of_a_plugin_that_is_off_are_not_there() -> None:
    assert [one.name for one in RANGES[:2]] == ["b", "c"], "what others depend on comes first"
    assert owners(BEGIN) == {"a", "b"}
    assert (BEGIN["b"], BEGIN["c"]) == (True, False)
    assert {one.when for one in RANGES if one.name.startswith("c.")} == {"c"}
    assert {one.when for one in RANGES if one.name.startswith("a.")} == {""}
    assert fingerprint(RANGES) != fingerprint(begin(DIMENSIONS, START))


def test_only_what_was_tried_widens_a_range() -> None:
    far = Dimension("c.far", "int", 10, 1, 10_000, log=True)
    ranges = begin([far], {"c.far": 10}, {"c": True})
    assert widen(ranges, [{"c": False}]) == ranges
    (_, wider) = widen(ranges, [{"c": False}, {"c": True, "c.far": 160}])
    assert (wider.low, wider.high, wider.when) == (1, 640, "c")


def test_each_trial_has_the_knobs_of_what_is_on_and_no_other(tmp_path: Path) -> None:
    found = searched(tmp_path, toggled(trials=40, stall=40), Switched(noise=0.0))
    seen = set()
    for one in found.trials:
        on = {name for name in ("b", "c") if one.values[name]}
        assert owners(one.values) == {"a", *on}
        seen.add(frozenset(on))
    assert len(seen) == 4
    assert all(one.values == BEGIN for one in found.starts)
    assert dict(best(found).values)["b"]
    assert dict(best(found).values)["c"], "switching it on is worth a fifth"


def test_switching_is_learned(tmp_path: Path) -> None:
    found = searched(tmp_path, toggled(trials=60, stall=60), Switched())
    late = [one for one in found.trials[-25:] if one.kind == PROPOSED]
    assert sum(bool(one.values["b"]) for one in late) > 0.8 * len(late), "without it everything takes twice as long"


def exclude(values: Mapping[str, Value]) -> str:
    """The two plugins cannot both be on."""
    return "b and c exclude each other" if values["b"] and values["c"] else ""


def test_what_cannot_run_is_never_run_and_is_no_trial(tmp_path: Path) -> None:
    runs = Switched(noise=0.0)
    found = searched(tmp_path, toggled(trials=30, stall=30, unfit=exclude), runs)
    unfit = [one for one in found.trials if one.outcome == UNFIT]
    assert unfit
    assert not any(exclude(asked.values) for asked in runs.asked)
    assert all(one.seconds == 0 and not one.feasible and one.why == exclude(one.values) for one in unfit)
    assert all(one.objective > best(found).objective for one in unfit)
    assert not any(exclude(one.values) for one in found.finalists)
    assert len([one for one in found.trials if one.kind != CONTROL and one.outcome != UNFIT]) == 30
    assert found.why == "all 30 trials are done"
    between = [number for number, one in enumerate(runs.asked) if one.kind == CONTROL]
    assert between == [9, 18, 27], "a control after every eight trials that were run"


def test_a_search_without_anything_that_can_run_ends(tmp_path: Path) -> None:
    def only_the_start(values: Mapping[str, Value]) -> str:
        return "" if values == BEGIN else "nothing else can run"

    found = searched(tmp_path, toggled(trials=30, unfit=only_the_start), Switched())
    assert "the last 100 combinations cannot be run: nothing else can run" in found.why
    assert [one.outcome for one in found.trials if one.outcome != UNFIT] == [OK]


@dataclass
class Stopped(Switched):
    """Ctrl+C after so many runs."""

    after: int = 12

    def __call__(self, asked: Asked, cut: float | None) -> Told:
        if len(self.asked) == self.after:
            raise KeyboardInterrupt
        return super().__call__(asked, cut)


def test_interrupted_it_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    what = toggled(trials=25, stall=25, unfit=exclude)
    whole = searched(tmp_path / "whole", what, Switched(noise=0.0))
    first, rest = Stopped(noise=0.0), Switched(noise=0.0)
    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path / "parts", what, first)
    parts = searched(tmp_path / "parts", what, rest)
    assert [one.values for one in parts.trials] == [one.values for one in whole.trials]
    assert [one.outcome for one in parts.trials] == [one.outcome for one in whole.trials]
    ran = [one for one in whole.trials if one.outcome != UNFIT]
    assert len(first.asked) + len(rest.asked) == len(ran), "nothing is run twice"


class Worth:
    """Compares settings exactly; each plugin that is on and each moved knob is worth what is said."""

    def __init__(self, **worth: float) -> None:
        self.worth = worth
        self.seen: list[dict[str, Value]] = []

    def of(self, values: Mapping[str, Value]) -> float:
        moved = {name for name, value in values.items() if "." in name and value != WHOLE[name]}
        on = {name for name in ("b", "c") if values[name]}
        return math.prod(worth for name, worth in self.worth.items() if name.replace("__", ".") in moved | on)

    def __call__(self, current: Mapping[str, Value], simpler: Mapping[str, Value]) -> float | None:
        self.seen.append(dict(simpler))
        if exclude(simpler):
            return None
        return math.log(self.of(simpler) / self.of(current))


ON = active(RANGES, {**WHOLE, "b": False, "c": True, "c.gain": 3.0, "c.idle": 50, "a.queue": 32})


def test_a_plugin_that_does_not_matter_is_switched_back_with_its_knobs() -> None:
    measured = Worth(a__queue=1.5)
    found = put_back(
        {**ON, "b": True, **{n: v for n, v in WHOLE.items() if n.startswith("b.")}}, RANGES, list(ON), measured
    )
    assert found == {**BEGIN, "a.queue": 32}


def test_a_plugin_that_matters_stays_and_its_knobs_go_back() -> None:
    measured = Worth(c=1.3, c__gain=1.2)
    found = put_back(ON, RANGES, ["a.queue", "c.idle", "c.gain", "b", "c"], measured)
    assert found == active(RANGES, {**WHOLE, "b": False, "c": True, "c.gain": 3.0})
    assert all(owners(one) == {"a", *(name for name in ("b", "c") if one[name])} for one in measured.seen)


TEA, MILK = Knob("cups", 1, "How many.", low=1, high=9), Knob("warm", default=False, help="Warmed.")
LEMON = Knob("slices", 2, "How many.", low=0, high=9)
PLUGINS = by_name(
    plugin("tea", knobs=(TEA,)),
    plugin("milk", knobs=(MILK,), conflicts=("lemon",)),
    plugin("lemon", knobs=(LEMON,), requires=("tea",), default=False),
)


@pytest.fixture
def kitchen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other plugins than those that are installed."""
    monkeypatch.setattr(definitions, "discover", lambda: Found(dict(PLUGINS), {"sugar": "it is lumpy"}))
    monkeypatch.setattr(surroundings, "fingerprint", lambda _=(): "code")


def defined(arm: str, *toggles: str, **more: object) -> Definition:
    """A tuning with these toggles."""
    return define(Wanted(TINY, arm=arm, toggles=toggles, **more))  # type: ignore[arg-type]


@pytest.mark.usefixtures("kitchen")
def test_what_may_be_switched_are_those_on_by_default_or_at_the_start_unless_named() -> None:
    every = defined("baseline +tea", EVERY)
    assert [one.name for one in every.ranges if "." not in one.name] == ["milk", "tea"]
    assert (every.start["milk"], every.start["tea"]) == (False, True)
    assert "milk.warm" not in every.start
    assert "lemon" in defined("baseline", "lemon").start, "what has to be asked for is named"
    assert "lemon" in defined("all -milk", EVERY).start
    assert [one.name for one in defined("default", "tea", knobs=("tea.cups",)).ranges] == ["tea", "tea.cups"]
    with pytest.raises(UsageError, match="no plugin is called 'coffee'"):
        defined("default", "coffee")
    with pytest.raises(UsageError, match="sugar is broken"):
        defined("default", "sugar")


@pytest.mark.usefixtures("kitchen")
def test_settings_lead_to_arms_and_what_cannot_be_is_said() -> None:
    one = defined("baseline +tea tea.cups=3", EVERY, "lemon")
    assert one.arm(one.start) == "baseline +tea tea.cups=3"
    off = {**one.start, "tea": False}
    assert one.arm(off) == "baseline"
    both = {**one.start, "lemon": True, "milk": True, "lemon.slices": 4, "milk.warm": False}
    assert one.arm(both) == "baseline +tea +lemon +milk tea.cups=3 lemon.slices=4"
    assert one.unfit(one.start) == one.unfit(off) == ""
    assert "exclude each other" in one.unfit(both)
    assert "lemon requires tea" in one.unfit({**off, "lemon": True, "lemon.slices": 2})
    with pytest.raises(UsageError, match="exclude each other"):
        one.resolve(both)


@pytest.mark.usefixtures("kitchen")
def test_a_plugin_that_is_off_starts_with_what_the_file_says_of_it(tmp_path: Path) -> None:
    file = tmp_path / "start.toml"
    file.write_text('arm = "baseline +tea"\n[plugins.milk]\nwarm = true\n')
    one = define(Wanted(TINY, file=file, toggles=(EVERY,)))
    assert one.arm(one.start) == "baseline +tea"
    assert one.arm({**one.start, "milk": True}) == "baseline +tea +milk milk.warm=true"
    (warm,) = (found for found in one.ranges if found.name == "milk.warm")
    assert (warm.start, warm.when) == (True, "milk")


@pytest.mark.usefixtures("kitchen")
def test_what_may_be_switched_is_part_of_the_name() -> None:
    plain, every, one = (defined("baseline +tea", *toggles) for toggles in ((), (EVERY,), ("milk",)))
    assert len({plain.id, every.id, one.id}) == 3
    assert len({plain.name, every.name, one.name}) == 3
