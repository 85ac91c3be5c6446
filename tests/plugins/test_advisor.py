"""advisor: the bottleneck of runs whose numbers are written down here, what it advises, and what it expects."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from tobs.advice import Advice, Distribution, RunRecord
from tobs.api import TobsError
from tobs_advisor.changes import armed
from tobs_advisor.plugin import Advisor

if TYPE_CHECKING:
    from collections.abc import Mapping

HOME = 2
KNOBS: dict[str, Any] = {
    "core.connections": 4,
    "core.in_flight": 2,
    "core.history_in_flight": 16,
    "core.part_kb": 512,
    "core.media_budget_mb": 256,
}
GET_FILE, GET_HISTORY = "upload.getFile", "messages.getHistory"


@dataclass
class Run:
    """A run that is written down: its series, and the stretches in which kinds of step were under way at once."""

    arm: str = "baseline"
    plugins: tuple[str, ...] = ()
    knobs: Mapping[str, Any] = field(default_factory=dict)
    numbers: dict[str, dict[frozenset[Any], float]] = field(default_factory=dict)
    spreads: dict[str, dict[frozenset[Any], Distribution]] = field(default_factory=dict)

    def number(self, name: str, value: float, **attributes: str | int) -> Run:
        """One series more, of `tobs.NAME` unless it is spelled out."""
        series = self.numbers.setdefault(name if name.startswith("process.") else f"tobs.{name}", {})
        series[_key(attributes)] = value
        return self

    def spread(self, name: str, count: int, each: float, low: float | None = None, **attributes: str | int) -> Run:
        """A histogram of `count` values that are alike."""
        held = Distribution(count, count * each, each if low is None else low, each, each)
        self.spreads.setdefault(f"tobs.{name}", {})[_key(attributes)] = held
        return self

    def step(self, kind: str, count: int, active: float, total: float = 0.0, peak: int = 1, dc: int = 0) -> Run:
        """What core tells of a kind of step."""
        where: dict[str, str | int] = {"stage": kind, **({"dc": dc} if dc else {})}
        for name, value in (
            ("step.active.time", active),
            ("step.time", total or active),
            ("step.count", count),
            ("step.peak", peak),
        ):
            self.number(name, value, **where)
        return self

    def went(self, **seconds: float) -> Run:
        """How the run is cut: seconds by kinds under way, `_` between them; `idle` is none."""
        for kinds, length in seconds.items():
            self.number("activity.time", length, active="" if kinds == "idle" else "+".join(kinds.split("_")))
        return self.number("run.duration", sum(seconds.values()))

    def history(self, pages: int, reply: float, *, flying: float = 1.0, peak: int = 1) -> Run:
        """Pages from home and the two requests before them."""
        total = (pages + 2) * reply
        self.step("history", pages + 2, total / flying, total, peak, HOME)
        self.spread("rpc.duration", 2, reply, method="users.getUsers", outcome="ok", dc=HOME)
        return self.spread("rpc.duration", pages, reply, method=GET_HISTORY, outcome="ok", dc=HOME)

    def media(
        self,
        requests: int,
        seconds: float,
        size: int,
        *,
        dc: int = HOME,
        best: float | None = None,
        flying: float = 1.0,
        connections: int = 1,
        files: int | None = None,
    ) -> Run:
        """Parts of `size` bytes from a data centre; the fastest of them took `best`."""
        total = requests * seconds
        self.step("media", requests, total / flying, total, round(flying), dc)
        self.spread("rpc.duration", requests, seconds, best, method=GET_FILE, outcome="ok", dc=dc)
        power = 1 << (size.bit_length() - 1)
        self.spread("part.duration", requests, seconds, best, dc=dc, size=power)
        self.number("part.io", requests * size, dc=dc, size=power)
        self.number("connections", connections, dc=dc)
        self.number("files", files or requests, outcome="done")
        return self.number("io", requests * size, stage="store")

    def record(self) -> RunRecord:
        knobs = {**KNOBS, **self.knobs}
        return RunRecord(self.arm, frozenset(self.plugins), knobs, self.numbers, self.spreads)


def _key(attributes: Mapping[str, str | int]) -> frozenset[Any]:
    prefix = {"method": "rpc.", "mode": "cpu."}
    return frozenset((prefix.get(name, "tobs.") + name, value) for name, value in attributes.items())


def asked(run: Run) -> Advice:
    return Advisor({}).tobs_advise(run=run.record())


def names(advice: Advice) -> tuple[str, str]:
    return advice.bottleneck.stage, advice.bottleneck.kind


def far_text() -> Run:
    return Run().history(40, 0.1).went(history=4.2, dial=0.2, commit=0.05, normalise=0.05, idle=0.0)


def test_far_history_in_turn_is_latency_and_wants_requests_in_flight() -> None:
    advice = asked(far_text())
    assert names(advice) == ("history", "latency")
    assert advice.changes[0].arm == "baseline +async_pipeline"
    # 16 in flight: a first page, 39 / 16 round trips and one at the end, beside what comes before.
    expected = 4.5 / (4.5 - 4.0 + 0.1 * (2 + 39 / 16))
    assert advice.changes[0].predicted.ratio == pytest.approx(expected, rel=0.15)
    assert advice.ceiling == pytest.approx(4.5 / 0.3, rel=0.01)
    assert advice.critical_path["history"] == pytest.approx(4.2 / 4.5, abs=0.001)
    assert advice.after is not None


def test_a_depth_that_is_held_low_is_to_be_let_go() -> None:
    run = Run("baseline +async_pipeline async_pipeline.depth=2", ("async_pipeline",), {"async_pipeline.depth": 2})
    advice = asked(run.history(40, 0.1, flying=2, peak=2).went(history=2.1, dial=0.2))
    assert names(advice) == ("history", "latency")
    assert advice.changes[0].arm == "baseline +async_pipeline async_pipeline.depth=0"
    assert 2 < advice.changes[0].predicted.ratio < 4


def test_too_few_history_requests_are_raised_to_the_usual_number() -> None:
    run = Run("baseline +async_pipeline core.history_in_flight=2", ("async_pipeline",), {"core.history_in_flight": 2})
    advice = asked(run.history(40, 0.1, flying=2, peak=2).went(history=2.1, dial=0.2))
    assert advice.changes[0].arm == "baseline +async_pipeline history_in_flight=16"


def test_far_small_files_in_turn_want_to_move_at_once() -> None:
    run = Run().history(1, 0.08).media(60, 0.08, 30_000).step("sync", 60, 0.1)
    advice = asked(run.went(media=4.8, dial=0.2, history=0.24, sync=0.1))
    assert names(advice) == ("media", "latency")
    assert advice.changes[0].arm == "baseline +parallel_media"
    assert 3 < advice.changes[0].predicted.ratio < 7
    low, high = advice.changes[0].predicted.low, advice.changes[0].predicted.high
    assert low < advice.changes[0].predicted.ratio <= high, "a full line is not ruled out"


def test_small_parts_are_to_be_larger() -> None:
    run = Run("baseline core.part_kb=16", knobs={"core.part_kb": 16})
    run.history(1, 0.04).media(100, 0.04, 16_384, files=4)
    advice = asked(run.went(media=4.0, dial=0.1, history=0.12))
    assert names(advice) == ("media", "latency")
    assert advice.changes[0].arm == "baseline part_kb=512"
    assert advice.changes[0].predicted.ratio == pytest.approx(4.22 / (4.22 - 4.0 + 0.16), rel=0.1)


def test_a_single_full_connection_is_bandwidth_and_wants_others() -> None:
    run = Run("baseline +parallel_media core.connections=1", ("parallel_media",), {"core.connections": 1}).history(
        1, 0.04
    )
    run.media(16, 0.7, 500_000, best=0.375, flying=2, connections=1)
    advice = asked(run.went(media=5.6, dial=0.1, history=0.12))
    assert names(advice) == ("media", "bandwidth")
    assert advice.changes[0].arm == "baseline +parallel_media connections=4 in_flight=2"
    assert 2 < advice.changes[0].predicted.ratio < 4
    assert advice.changes[0].predicted.low == pytest.approx(1, abs=0.05)


def test_a_full_line_is_told_and_no_arm_is_expected_to_help() -> None:
    run = Run("baseline +parallel_media", ("parallel_media",)).history(1, 0.04)
    run.media(30, 1.0, 250_000, best=0.165, flying=8, connections=4)
    advice = asked(run.went(media=3.75, dial=0.1, history=0.12))
    assert names(advice) == ("media", "bandwidth")
    assert advice.changes[0].arm is None
    assert [change.predicted.ratio for change in advice.changes] == pytest.approx([1.0] * len(advice.changes), abs=0.02)
    assert any("the line" in sentence for sentence in advice.evidence)


def test_a_budget_that_keeps_parts_from_flying_is_named() -> None:
    run = Run("baseline +parallel_media", ("parallel_media",), {"core.media_budget_mb": 1}).history(1, 0.15)
    run.media(60, 0.15, 500_000, flying=1.5, connections=2).step("budget", 50, 5.5, 30.0, 8)
    advice = asked(run.went(media_budget=6.0, dial=0.3, history=0.45))
    assert names(advice) == ("media", "latency")
    assert advice.changes[0].arm == "baseline +parallel_media media_budget_mb=256"
    assert advice.bottleneck.saturation == pytest.approx(30 / 6.75, rel=0.01)


def test_a_knob_that_allows_one_file_at_a_time_is_to_be_let_go() -> None:
    arm = "baseline +parallel_media parallel_media.files=1"
    run = Run(arm, ("parallel_media",), {"parallel_media.files": 1}).history(1, 0.08)
    advice = asked(run.media(60, 0.08, 30_000).went(media=4.8, dial=0.2, history=0.24))
    assert names(advice) == ("media", "latency")
    assert advice.changes[0].arm == "baseline +parallel_media parallel_media.files=0 parallel_media.parts=0"
    assert 2 < advice.changes[0].predicted.ratio < 7


def test_waits_for_the_server_are_its_own_and_a_takeout_may_help() -> None:
    run = Run().history(40, 0.01).number("flood_wait.time", 1, method=GET_HISTORY)
    advice = asked(run.went(pace=5.0, history=0.42, dial=0.1).step("pace", 42, 5.0))
    assert names(advice) == ("history", "server")
    assert advice.changes[0].arm == "baseline +takeout"
    assert 2 < advice.changes[0].predicted.ratio < 3
    assert "assumed" in advice.changes[0].predicted.rests_on


def test_a_bucket_of_file_requests_wants_larger_parts() -> None:
    run = Run(knobs={"core.part_kb": 32}).history(1, 0.01).media(128, 0.01, 32_768, files=4)
    run.number("flood_wait.time", 1, method=GET_FILE).step("pace", 130, 5.0)
    advice = asked(run.went(pace=5.0, media=1.28, history=0.03, dial=0.05))
    assert names(advice) == ("media", "server")
    assert advice.changes[0].arm == "baseline part_kb=512"
    assert advice.changes[0].predicted.ratio > 5


def test_migrations_are_saved_by_asking_the_right_data_centre() -> None:
    run = Run().history(1, 0.12).media(40, 0.006, 40_000, dc=4)
    run.spread("rpc.duration", 40, 0.12, method=GET_FILE, outcome="FILE_MIGRATE", dc=HOME)
    run.step("media", 40, 4.8, dc=HOME)
    advice = asked(run.went(media=5.04, dial=0.4, history=0.36))
    assert names(advice) == ("media", "latency")
    saved = {change.arm: change.predicted.ratio for change in advice.changes}
    assert saved["baseline +dc_routing"] == pytest.approx(5.8 / 1.0, rel=0.1)


@pytest.mark.parametrize(("loop", "kind"), [(0.2, "disk"), (4.1, "cpu")])
def test_commits_are_the_disk_s_unless_the_processor_was_busy(loop: float, kind: str) -> None:
    run = Run().history(40, 0.005).step("commit", 40, 4.0).number("loop.time", loop, mode="cpu")
    advice = asked(run.went(commit=4.0, history=0.2, normalise=0.05))
    assert names(advice) == ("commit", kind)
    assert advice.changes[0].arm is None
    assert advice.changes[0].predicted.ratio == pytest.approx(4.25 / 0.25, rel=0.2)


def test_syncs_in_turn_want_files_at_once() -> None:
    run = Run().history(1, 0.001).media(60, 0.002, 30_000).step("sync", 60, 3.6)
    advice = asked(run.went(sync=3.6, media=0.12, idle=0.1))
    assert names(advice) == ("sync", "disk")
    assert advice.changes[0].arm == "baseline +parallel_media"
    assert 3 < advice.changes[0].predicted.ratio < 6
    assert any(change.arm is None for change in advice.changes), "a faster disk is an answer too"


def test_what_is_derived_keeps_a_run_from_ending() -> None:
    run = Run("baseline core.transform_workers=1 core.transforms=all", knobs={"core.transform_workers": 1})
    run.history(1, 0.001).media(40, 0.005, 300_000).step("transform", 80, 4.0)
    advice = asked(run.went(transform=3.6, media_transform=0.2, sync_transform=0.2, dial=0.02))
    assert names(advice) == ("transform", "cpu")
    assert advice.changes[0].arm == "baseline core.transform_workers=1 transforms=''"
    by_words = {change.what: change.predicted.ratio for change in advice.changes}
    assert 1.5 < by_words["Derive with 2 processes."] <= 2.1


def test_a_busy_loop_is_the_processor_s_whatever_is_in_flight() -> None:
    run = Run("all", ("async_pipeline", "parallel_media")).history(100, 0.05, flying=5, peak=16)
    run.number("loop.time", 0.95, mode="cpu").number("loop.time", 0.1, mode="runnable")
    advice = asked(run.went(history=0.8, history_normalise=0.2, history_commit=0.1))
    assert advice.bottleneck.kind == "cpu"


def test_instruments_that_disagree_are_not_believed() -> None:
    good = asked(far_text())
    assert good.littles_law < 0.01
    assert good.distrust == ()
    run = far_text()
    run.spread("rpc.duration", 40, 0.2, method=GET_HISTORY, outcome="ok", dc=HOME)
    bad = asked(run)
    assert bad.littles_law == pytest.approx(1 - 4.2 / 8.2, abs=0.001)
    assert any("Little" in why for why in bad.distrust)
    queued = far_text().number("queue.depth.integral", 6.0, stage="pages").spread("queue.wait", 10, 0.3, stage="pages")
    assert asked(queued).littles_law == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("run", "word"),
    [
        (replace(far_text().record(), complete=False), "end well"),
        (Run().history(4, 0.1).went(history=0.6).record(), "too short"),
        (Run().history(40, 0.1).went(history=4.2, idle=3.0).record(), "nothing was under way"),
        (
            far_text().number("loop.time", 0.2, mode="cpu").number("loop.time", 2, mode="runnable").record(),
            "other prog",
        ),
    ],
)
def test_what_may_mislead_is_said(run: RunRecord, word: str) -> None:
    assert any(word in why for why in Advisor({}).tobs_advise(run=run).distrust)


def test_a_run_without_a_duration_is_refused() -> None:
    with pytest.raises(TobsError, match="how long"):
        Advisor({}).tobs_advise(run=Run().record())


def test_errors_stand_with_their_traffic() -> None:
    run = far_text().media(3, 0.1, 1000).number("errors", 2, method=GET_FILE).number("errors", 3, method=GET_HISTORY)
    errors = {load.stage: load.errors for load in asked(run).stages}
    assert errors == {**dict.fromkeys(errors, 0), "media": 2, "history": 3}
    assert any(sentence.startswith("5 attempts were lost") for sentence in asked(run).evidence)


@pytest.mark.parametrize(
    ("arm", "words", "changed"),
    [
        ("baseline core.part_kb=16", ("part_kb=512",), "baseline part_kb=512"),
        ("baseline connections=1 +parallel_media", ("connections=4",), "baseline +parallel_media connections=4"),
        ("all -parallel_media", ("+parallel_media",), "all +parallel_media"),
        ("all async_pipeline.depth=2", ("async_pipeline.depth=0",), "all async_pipeline.depth=0"),
        ("all x.depth=2", ("async_pipeline.depth=0",), "all x.depth=2 async_pipeline.depth=0"),
    ],
)
def test_a_word_takes_the_place_of_what_said_the_same(arm: str, words: tuple[str, ...], changed: str) -> None:
    assert armed(arm, words) == changed


def test_a_run_with_the_plugin_on_does_not_load_the_analysis(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith("tobs_advisor.")]:
        monkeypatch.delitem(sys.modules, module)
    __import__("tobs_advisor.plugin").plugin.Advisor({})
    assert [name for name in sys.modules if name.startswith("tobs_advisor.")] == ["tobs_advisor.plugin"]


def test_where_nothing_is_left_to_change_that_is_said() -> None:
    on = ("adaptive_connections", "async_pipeline", "dc_routing", "parallel_media")
    run = Run("all", on).history(1, 0.1, peak=1).media(40, 0.12, 300_000, best=0.11, flying=8, connections=4)
    (only,) = asked(run.went(media=3.0, dial=0.3, history=0.3)).changes
    assert (only.arm, only.predicted.ratio) == (None, 1.0)
    assert only.predicted.high > 1
