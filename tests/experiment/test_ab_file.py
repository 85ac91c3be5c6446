"""A/B files: those that are shipped are right, and a mistake in one is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.experiment.scenarios import TINY
from tobs.errors import UsageError
from tobs.experiment.ab_file import find, load, shipped
from tobs.experiment.definition import Prepare, Promise, Wanted, define
from tobs.experiment.priorities import rows
from tobs.experiment.statistics import SEQUENTIAL, fixed
from tobs.host.plugins import discover
from tobs.lab import scenario as scenarios

RIGHT = f'scenario = "{TINY}"\narms = ["baseline", "baseline connections=5"]\n'


def written(folder: Path, text: str) -> Path:
    file = folder / "some.toml"
    file.write_text(text, encoding="utf-8")
    return file


PLANNED = {
    "async_pipeline",
    "dc_routing",
    "log_rate_limit",
    "parallel_media",
    "result_cache",
    "takeout",
    "bounded_memory",
    "adaptive_connections",
    "disk_io",
    "hash_dedup",
    "deferred_media",
    "resilience",
    "bloom_filter",
    "advisor",
}
"""The fourteen plugins whose promises are written down; some before they are there."""


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_file_can_be_run_once_its_plugins_are_installed(name: str) -> None:
    file = find(name)
    assert file is not None
    for wanted in load(file):
        assert wanted.name == name
        assert wanted.blocks == (60 if name == "resilience" else 20), "a promise is tested at a fixed number of blocks"
        assert scenarios.load(wanted.scenario).name == wanted.scenario
        try:
            definition = define(wanted)
        except UsageError as error:
            absent = set(re.findall(r"no plugin is called '(\w+)'", str(error)))
            assert absent
            assert absent <= PLANNED - discover().manifests.keys()
        else:
            assert len({arm.plan_hash for arm in definition.arms}) == len(definition.arms)


def test_every_optimization_of_the_plan_has_its_question() -> None:
    asked = {row.name: row for row in rows([])}
    assert asked.keys() > PLANNED
    for name in PLANNED:
        assert all(one.scenario for one in asked[name].experiments), f"{name} has no A/B file"
        file = find(name)
        assert file is not None
        assert any(wanted.promises for wanted in load(file)), f"{name} promises nothing"


def test_the_three_promises_are_written_down() -> None:
    assert {"async_pipeline", "log_rate_limit", "parallel_media"} <= {*shipped()}
    promised = {name: load(file)[0].promises for name in shipped() if (file := find(name))}
    assert promised["async_pipeline"][0] == Promise("messages_per_second", "up", 0.5, 20.0, "text_far")


def test_a_file_says_all_of_it(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        f"""
        name = "all"
        scenario = ["{TINY}", "text_far"]
        arms = ["baseline", "all"]
        metrics = ["cpu", "wall"]
        scale = 0.5
        seed = 7
        blocks = 12
        log = "DEBUG"
        patience = 60
        prepare = {{ arm = "all", keep_archive = true }}
        [[promise]]
        metric = "cpu"
        direction = "down"
        low = 0.1
        high = 0.2
        scenario = "text_far"
        arm = "all"
        """,
    )
    first, second = load(file)
    promise = Promise("cpu", "down", 0.1, 0.2, "text_far", "all")
    assert second == Wanted(
        "all",
        "text_far",
        ("baseline", "all"),
        ("cpu", "wall"),
        0.5,
        7,
        12,
        "DEBUG",
        60,
        Prepare("all", keep_archive=True),
        (promise,),
    )
    assert (first.scenario, first.promises) == (TINY, ())


def test_a_scenario_beside_the_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(Path(TINY).read_text(encoding="utf-8"), encoding="utf-8")
    (wanted,) = load(written(tmp_path, 'scenario = "own.toml"\narms = ["baseline", "baseline"]'))
    assert define(wanted).chat == "@tobs_tiny"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (RIGHT + 'colour = "red"', "'colour' is no key"),
        (RIGHT + 'blocks = "many"', "blocks is to be a number"),
        (RIGHT + "name = 3", "name is to be text"),
        ('scenario = "text_far"', "arms is to be a list of texts"),
        ('scenario = 3\narms = ["baseline"]', "scenario is to be a list of texts"),
        (RIGHT + "prepare = 3", "prepare is to be a table"),
        (RIGHT + "prepare = { arm = 'all', keep_archive = 1 }", "keep_archive is to be true or false"),
        (RIGHT + "promise = 3", "promise is to be tables"),
        (RIGHT + "[[promise]]\nmetric = 'cpu'\ndirection = 'left'\nlow = 1\nhigh = 2", "direction is to be up or down"),
        (RIGHT + "= 3", "is not valid TOML"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        load(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (f'scenario = "{TINY}"\narms = ["baseline"]', "two arms"),
        (f'scenario = "{TINY}"\narms = ["baseline", "baseline +teleport"]', "no plugin is called 'teleport'"),
        (f'scenario = "{TINY}"\narms = ["baseline", "fast"]', "an arm begins with"),
        ('scenario = "moon"\narms = ["baseline", "baseline"]', "no scenario 'moon'"),
        (RIGHT + 'metrics = ["speed"]', "no metric 'speed'"),
        (RIGHT + "blocks = 1001", "1001 blocks"),
        (RIGHT + 'log = "LOUD"', "no level of logging"),
        (RIGHT + "scale = 0", "scale 0"),
        (RIGHT + "[[promise]]\nmetric = 'x'\ndirection = 'up'\nlow = 1\nhigh = 2", "no metric 'x'"),
        (
            RIGHT + "[[promise]]\nmetric = 'cpu'\ndirection = 'up'\nlow = 1\nhigh = 2\narm = 'all -x'",
            "'all -x', which is compared with nothing",
        ),
    ],
)
def test_what_does_not_exist_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        define(load(written(tmp_path, text))[0])


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        load(tmp_path / "none.toml")
    assert find("baseline") is None
    assert find("some/where.toml") == Path("some/where.toml")


def test_the_same_work_has_the_same_name_and_other_work_another() -> None:
    arms = ("baseline", "baseline connections=5")
    first = Wanted("x", TINY, arms)
    assert define(first).id == define(Wanted("another name", TINY, arms, patience=5)).id
    others = [
        Wanted("x", TINY, arms, seed=2),
        Wanted("x", TINY, arms, scale=2),
        Wanted("x", TINY, arms, blocks=5),
        Wanted("x", TINY, arms, ("cpu",)),
        Wanted("x", TINY, arms[::-1]),
        Wanted("x", TINY, arms, log="DEBUG"),
        Wanted("x", TINY, arms, prepare=Prepare("baseline")),
    ]
    assert len({define(one).id for one in (first, *others)}) == 8


def test_two_arms_are_looked_at_more_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    arm = "baseline"
    assert define(Wanted("x", TINY, (arm, arm))).rule == SEQUENTIAL
    assert define(Wanted("x", TINY, (arm, arm, arm))).rule == fixed(20)
    assert define(Wanted("x", TINY, (arm, arm, arm), blocks=4)).rule == fixed(4)
    monkeypatch.setenv("TOBS_CORE__CONNECTIONS", "9")
    assert "connections=9" not in define(Wanted("x", TINY, (arm, arm))).arms[0].frozen, "an arm is what it says"
