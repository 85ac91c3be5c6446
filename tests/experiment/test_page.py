"""The page of an experiment shows all of it and needs nothing else."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from tests.experiment.reported import HOSTILE, conducted
from tests.experiment.scenarios import TINY, defined
from tobs.cli.main import app
from tobs.errors import TobsError, UsageError
from tobs.experiment import timeline
from tobs.experiment.ablate import ablate
from tobs.experiment.chart import Series, boxes, lines, rates, scatter
from tobs.experiment.definition import Wanted
from tobs.experiment.forest import Line, forest
from tobs.experiment.page import page
from tobs.experiment.store import Store
from tobs.experiment.synthetic import SyntheticRuns
from tobs.telemetry import RunMetrics, names

if TYPE_CHECKING:
    from pathlib import Path

VOID = {"meta", "br", "img", "input", "link", "hr"}


class Nested(HTMLParser):
    """Holds that every element is closed where it was opened, and keeps texts and addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.addresses: list[str] = []
        self.counts: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.counts[tag] = self.counts.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


def parsed(text: str) -> Nested:
    found = Nested()
    found.feed(text)
    assert found.open == []
    return found


def test_an_experiment_is_told_and_drawn_run_by_run(tmp_path: Path) -> None:
    told = parsed(page(conducted(tmp_path / "x")))
    assert told.addresses == []
    assert "script" not in told.counts
    words = " ".join(told.texts)
    for expected in ("test on tiny", f"{HOSTILE}: better", "8 blocks", "Environment", "telethon", "To repeat it"):
        assert expected in words
    assert any(text.startswith(f"tobs ab baseline '{HOSTILE}' --scenario ") for text in told.texts)
    assert "--blocks 8" in words
    # 2 metrics x 16 runs, once in order and once in the distributions; two dots of the forest
    assert told.counts["circle"] == 2 * 16 * 2 + 2


def test_runs_that_do_not_count_are_crosses_and_a_warning(tmp_path: Path) -> None:
    text = page(conducted(tmp_path / "x", spoilt=True, blocks=3))
    told = parsed(text)
    assert told.counts["path"] == 2 * 3
    assert any("3 runs of baseline connections=5 are invalid" in words for words in told.texts)
    assert "DIFFER" in told.texts


def test_an_ablation_is_told(tmp_path: Path) -> None:
    toggles = ("async_pipeline", "parallel_media")
    ablate(Wanted("a", TINY, (), blocks=3), toggles, tmp_path, lambda _: None, run=SyntheticRuns({}))
    told = parsed(page(tmp_path))
    words = " ".join(told.texts)
    assert "Ablation on tiny" in words
    assert "async_pipeline and parallel_media" in words
    assert any(text.startswith("tobs ablate --plugin async_pipeline --plugin parallel_media") for text in told.texts)


def test_names_cannot_break_out_of_the_page() -> None:
    hostile = '<script>alert(1)</script>"&'
    drawings = (
        scatter(hostile, [Series(hostile, ((0, 1), (1, 2)))], hostile, hostile),
        lines(hostile, [Series(hostile, ((0, 1), (1, 2)))], hostile, hostile),
        boxes(hostile, [(hostile, [1.0, 2.0, 3.0, 4.0])], hostile),
        forest(hostile, [Line(hostile, 0.1, 0.0, 0.2, hostile)]),
    )
    for drawn in drawings:
        assert "<script" not in drawn
        ET.fromstring(f"<x>{drawn}</x>")


@pytest.mark.parametrize("values", [[], [0.0], [3.0, 3.0], [1e-9, 2e9], [-5.0, 5.0]])
def test_any_values_can_be_drawn(values: list[float]) -> None:
    points = tuple((float(x), y) for x, y in enumerate(values))
    for drawn in (scatter("t", [Series("s", points)], "x", "y"), boxes("t", [("g", values)], "y")):
        ET.fromstring(f"<x>{drawn}</x>")
        places = [float(number) for number in re.findall(r'c[xy]="([-\d.]+)"', drawn)]
        assert all(0 <= place <= 720 for place in places)


@pytest.mark.parametrize(
    "ends", [(0.0, 0.0, 0.0), (0.2, float("-inf"), float("inf")), (float("nan"),) * 3, (9.0, 8.0, 10.0)]
)
def test_any_effect_can_be_drawn(ends: tuple[float, float, float]) -> None:
    ET.fromstring(forest("t", [Line("one", *ends, "note", "better")]))


def test_rates_are_what_a_counter_grew_by() -> None:
    assert rates([(0, 0), (2, 10), (2, 12), (3, 20)]) == ((2, 5.0), (3, 8.0))


def test_a_timeline_shows_what_the_run_has() -> None:
    series = ((1.0, 10.0), (2.0, 30.0), (3.0, 60.0))
    run = RunMetrics(
        {},
        3,
        torn=False,
        numbers={
            names.MESSAGES: {frozenset(): series},
            names.QUEUE_DEPTH: {frozenset({(names.STAGE, "media")}): series},
            names.FLOOD_TIME: {frozenset({(names.METHOD, "messages.getHistory")}): ((3.0, 4.0),)},
        },
        histograms={},
    )
    figures = timeline.figures(run)
    assert [re.findall("<figcaption>(.*?)</figcaption>", figure)[0] for figure in figures] == [
        "Messages",
        "Queues",
        "Flood waits",
    ]
    assert timeline.figures(RunMetrics({}, 0, torn=False, numbers={}, histograms={})) == []


def test_what_cannot_be_told_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no experiment"):
        page(tmp_path)
    with Store(tmp_path / "x", defined()):
        pass
    with pytest.raises(TobsError, match="no whole block"):
        page(tmp_path / "x")


def test_the_command_writes_it_beside_the_experiment_or_where_one_wants(tmp_path: Path) -> None:
    folder = conducted(tmp_path / "x", blocks=2)
    told = CliRunner().invoke(app, ["report", str(folder)])
    assert (told.exit_code, told.stdout) == (0, f"wrote {folder / 'report.html'}\n")
    other = tmp_path / "other.html"
    assert CliRunner().invoke(app, ["report", str(folder), "-o", str(other), "--json"]).exit_code == 0
    assert other.read_text() == (folder / "report.html").read_text()
