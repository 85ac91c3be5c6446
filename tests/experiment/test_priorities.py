"""The table of priorities shows what was measured, and says so where nothing was."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from tests.experiment.scenarios import FIRST, SECOND, TINY, defined
from tobs.cli.main import app
from tobs.errors import TobsError, UsageError
from tobs.experiment import priorities, record
from tobs.experiment.ab_file import load
from tobs.experiment.conduct import conduct
from tobs.experiment.definition import define
from tobs.experiment.priorities import KEPT, NOT_KEPT, NOT_MEASURED, as_json, ranks, rows
from tobs.experiment.priorities_report import html, markdown, text
from tobs.experiment.promises import measure_promises
from tobs.experiment.synthetic import Noise, SyntheticRuns

if TYPE_CHECKING:
    from tobs.experiment.launch import Launch

QUIET = Noise(whole=0.01, drift=0.005, spikes=0.0)
AB_FILE = f"""
scenario = "{TINY}"
arms = ["{FIRST}", "{SECOND}"]
metrics = ["wall"]
blocks = 8
[[promise]]
metric = "wall"
direction = "down"
low = 0.3
high = 0.6
"""


@pytest.fixture
def questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A/B files of two plugins and a phase, in place of the shipped ones."""
    folder = tmp_path / "ab"
    folder.mkdir()
    for seed, name in enumerate(("async_pipeline", "dc_routing", "phase_1"), 1):
        (folder / f"{name}.toml").write_text(f"seed = {seed}\n{AB_FILE}")

    def found(name: str) -> Path | None:
        file = folder / f"{name}.toml"
        return file if file.is_file() else None

    monkeypatch.setattr(priorities, "find", found)
    monkeypatch.setattr("tobs.experiment.promises.find", found)
    return folder


def speeding(speed: float) -> Launch:
    """Runs in which the second arm is so many times as fast."""
    return SyntheticRuns({defined().arms[1].plan_hash: speed}, noise=QUIET)


def silent(_: str) -> None:
    """Nobody listens."""


def test_a_record_says_the_same_as_the_experiment(questions: Path, tmp_path: Path) -> None:
    (wanted,) = load(questions / "dc_routing.toml")
    outcome = conduct(define(wanted), tmp_path / "x", silent, speeding(2.0))
    file = record.save(outcome, tmp_path / "records", "tobs ab dc_routing", "2026-01-31")
    kept = record.load(file)
    assert file.name == "dc_routing.tiny.json"
    assert kept.identity == record.identity(wanted)
    (mine,), (theirs,) = kept.comparisons("wall"), outcome.comparisons()["wall"]
    assert (mine.verdict, mine.estimate and mine.estimate.n) == (theirs.verdict, 8)
    assert mine.ratio == pytest.approx(theirs.ratio, rel=1e-4)
    (promise,) = kept.promises(wanted)
    assert promise.kept
    assert file.stat().st_size < 8_000


def test_a_promise_may_be_about_one_arm_of_several(tmp_path: Path) -> None:
    question = AB_FILE.replace(f'"{SECOND}"]', f'"{SECOND}", "baseline +async_pipeline"]')
    found = {}
    for name, further in (("all", ""), ("one", f'arm = "{SECOND}"')):
        file = tmp_path / f"{name}.toml"
        file.write_text(f"{question}{further}\n")
        (wanted,) = load(file)
        outcome = conduct(define(wanted), tmp_path / name, silent, speeding(2.0))
        kept = record.load(record.save(outcome, tmp_path / "records", "tobs ab x", "2026-01-31"))
        told = kept.promises(wanted)
        assert [(one.arm, one.kept) for one in told] == [(one["arm"], one["kept"]) for one in outcome.promises()]
        found[name] = (kept.identity, [(one.arm, one.kept) for one in told])
    (every, both), (about, one) = found["all"], found["one"]
    assert both == [(SECOND, True), ("baseline +async_pipeline", False)]
    assert one == [(SECOND, True)]
    assert every != about, "it is another question"


def test_promises_are_measured_once_and_shown(questions: Path, tmp_path: Path) -> None:
    del questions
    results = tmp_path / "records"
    assert measure_promises(["async_pipeline"], results, silent, speeding(2.0)) == []
    assert measure_promises(["dc_routing"], results, silent, speeding(1.1)) == []
    said: list[str] = []
    measure_promises(["async_pipeline"], results, said.append, speeding(1.0))
    assert said == ["async_pipeline.tiny.json is there"]
    table = {row.name: row for row in rows([results])}
    assert table["async_pipeline"].verdict == KEPT
    assert table["dc_routing"].verdict == NOT_KEPT
    assert {table[name].verdict for name in ("phase 1", "log_rate_limit", "advisor")} == {NOT_MEASURED}
    found = list(table.values())
    assert ranks(found)["async_pipeline"] == (2, 1)
    assert ranks(found)["dc_routing"] == (6, 2)
    assert ranks(found)["takeout"][1] is None
    told = as_json(found)
    (measured,) = told["optimizations"][0]["experiments"]
    assert measured["promises"][0]["ratio"] == pytest.approx(2, rel=0.02)
    assert measured["command"] == "tobs ab async_pipeline"
    assert len(told["optimizations"]) == 14
    assert [phase["phase"] for phase in told["phases"]][-1] == "all together"


def test_a_record_of_another_question_is_refused(questions: Path, tmp_path: Path) -> None:
    results = tmp_path / "records"
    measure_promises(["dc_routing"], results, silent, speeding(2.0))
    file = questions / "dc_routing.toml"
    asked = file.read_text()
    others = (("0.3", "0.2"), (SECOND, "baseline connections=7"), ("seed = 2", "seed = 9"))
    for changed in (asked.replace(*change) for change in others):
        file.write_text(changed)
        row = {row.name: row for row in rows([results])}["dc_routing"]
        assert row.verdict == NOT_MEASURED
        assert row.experiments[0].problem.startswith("refused: its scenario or arms have changed")
    file.write_text(asked)
    assert {row.name: row for row in rows([results])}["dc_routing"].verdict == KEPT
    other = tmp_path / "tiny.toml"
    other.write_text(Path(TINY).read_text(encoding="utf-8").replace("seed = 5", "seed = 6"))
    file.write_text(asked.replace(TINY, str(other)))
    assert {row.name: row for row in rows([results])}["dc_routing"].verdict == NOT_MEASURED


def test_a_damaged_record_is_not_a_measurement(questions: Path, tmp_path: Path) -> None:
    del questions
    (tmp_path / "dc_routing.tiny.json").write_text("{")
    row = {row.name: row for row in rows([tmp_path])}["dc_routing"]
    assert row.verdict == NOT_MEASURED
    assert "is no record" in row.experiments[0].problem
    with pytest.raises(TobsError, match="is no record"):
        record.load(tmp_path / "nothing.json")


def test_what_is_not_installed_is_named_and_passed_over(questions: Path, tmp_path: Path) -> None:
    (questions / "phase_1.toml").write_text(AB_FILE.replace(SECOND, "baseline +nobody_has_this"))
    (left_out,) = measure_promises(["phase_1"], tmp_path / "records", silent, speeding(1.0))
    assert left_out.startswith("phase_1 on tiny: ")
    assert "nobody_has_this" in left_out
    with pytest.raises(UsageError, match="there is no A/B file 'nothing'"):
        measure_promises(["nothing"], tmp_path / "records", silent)


class Cells(HTMLParser):
    """Counts rows, and keeps the text of every cell."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = 0
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        del attrs
        self.rows += tag == "tr"

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_text_markdown_and_html_show_all_of_it(questions: Path, tmp_path: Path) -> None:
    del questions
    measure_promises(["dc_routing"], tmp_path, silent, speeding(2.0))
    found = rows([tmp_path])
    lines = text(found)
    assert any(line.startswith("2 dc_routing: kept; promised ") for line in map(str.strip, lines))
    assert any("wall -30 % and more was promised" in line for line in lines)
    table, ranking = markdown(found).split("\n\n")
    assert len(table.splitlines()) == 2 + 14 + 2 + 5, "log_rate_limit and disk_io are asked about twice"
    assert len(ranking.splitlines()) == 2 + 14
    assert len({line.count(" | ") for line in table.splitlines()}) == 1
    page = html(found)
    read = Cells()
    read.feed(page)
    assert read.rows == 1 + 14 + 2 + 5 + 1 + 14
    assert read.texts.count(NOT_MEASURED) > 13
    assert "http" not in page


def test_the_command(questions: Path, tmp_path: Path) -> None:
    del questions
    measure_promises(["dc_routing"], tmp_path / "r", silent, speeding(2.0))
    runner = CliRunner()
    told = runner.invoke(app, ["priorities", "--results", str(tmp_path / "r")])
    assert told.exit_code == 0, told.output
    assert "dc_routing: kept" in told.stdout
    value = json.loads(runner.invoke(app, ["priorities", "--results", str(tmp_path / "r"), "--json"]).stdout)
    assert [one["verdict"] for one in value["optimizations"]][:2] == [NOT_MEASURED, KEPT]
    page = tmp_path / "page.html"
    assert runner.invoke(app, ["priorities", "-f", "html", "-o", str(page)]).exit_code == 0
    assert page.read_text().startswith("<!doctype html>")
