"""What an advisor is told of a run, and who is asked: one plugin, and nothing but its hook."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.host.kit import HERE, by_name, plugin
from tobs.advice import Attributes, Distribution, RunRecord
from tobs.errors import PluginError, TobsError, UsageError
from tobs.host.advice import ask, medians, record_of
from tobs.host.plugins import Found
from tobs.knobs import Knob
from tobs.meters import Meters
from tobs.telemetry import Telemetry, read
from tobs.values import Attempt, Traffic

if TYPE_CHECKING:
    from pathlib import Path

    from tobs.manifest import Manifest

RECORD = RunRecord("baseline", frozenset(), {}, {}, {})
HOLDER = plugin("holder", knobs=(Knob("depth", 3, "How deep."),))


def advisor(kind: str, name: str = "") -> Manifest:
    return plugin(name or kind.lower(), load=f"{HERE}.advisors:{kind}", provides=("advice",))


def found(*manifests: Manifest) -> Found:
    return Found(by_name(*manifests))


def test_the_one_advisor_that_is_installed_is_asked() -> None:
    assert ask(RECORD, found(HOLDER, advisor("Content"))).evidence == ("baseline",)


def test_of_several_one_has_to_be_named() -> None:
    both = found(advisor("Content"), advisor("Wordy"))
    with pytest.raises(UsageError, match="content and wordy both can") as raised:
        ask(RECORD, both)
    assert "--advisor" in raised.value.hint
    assert ask(RECORD, both, "content").ceiling == 1.0


@pytest.mark.parametrize(
    ("installed", "wanted", "word"),
    [((), None, "none is installed"), ((HOLDER,), "holder", "'holder' gives advice"), ((HOLDER,), "x", "'x' gives")],
)
def test_who_gives_no_advice_is_not_asked(installed: tuple[Manifest, ...], wanted: str | None, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        ask(RECORD, found(*installed), wanted)


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("Wordy", "plugin wordy returned no Advice"),
        ("Failing", "plugin failing failed in tobs_advise: ZeroDivisionError: baseline"),
        ("Silent", "plugin silent provides advice and does not implement tobs_advise"),
    ],
)
def test_an_advisor_that_breaks_its_contract_is_named(kind: str, word: str) -> None:
    with pytest.raises(PluginError, match=word):
        ask(RECORD, found(advisor(kind)))


def test_what_an_advisor_refuses_is_for_the_user() -> None:
    with pytest.raises(TobsError, match="too short") as raised:
        ask(RECORD, found(advisor("Refusing")))
    assert raised.value.hint == "Export more."


def run_of(folder: Path, arm: str, *seconds: float) -> RunRecord:
    """The record of a run with these answers, in which two steps were taken."""
    meters = Meters()
    file = folder / "metrics.jsonl"
    telemetry = Telemetry.start(meters=meters, resource={"tobs.arm": arm}, file=file)
    telemetry.limit("connections", lambda: 7.0)
    for each in seconds:
        telemetry.probes[0].attempt(Attempt("upload.getFile", Traffic.MEDIA, 4, each, 100, "ok", 1, 1))
    with meters.step("media", 4), meters.step("write"):
        pass
    telemetry.close(complete=True)
    return record_of(read(file), found(HOLDER))


def test_the_record_has_the_plan_of_the_arm_and_what_was_measured(tmp_path: Path) -> None:
    record = run_of(tmp_path, "baseline +holder holder.depth=5 in_flight=3", 0.5, 0.1, 0.3)
    assert record.plugins == {"holder"}
    assert (record.knobs["holder.depth"], record.knobs["core.in_flight"]) == (5, 3)
    assert record.knobs["core.connections"] == 7, "a limit is what the run says, wherever it came from"
    assert record.complete
    assert record.total("tobs.requests", method="upload.getFile", dc=4) == 3
    (answers,) = record.spread("tobs.rpc.duration", dc=4, outcome="ok")
    assert (answers.count, answers.low, answers.high) == (3, 0.1, 0.5)
    assert answers.sum == pytest.approx(0.9)
    assert answers.median == pytest.approx(0.3, rel=0.03)
    assert record.by("tobs.step.count", "stage") == {"media": 1, "write": 1}
    assert record.by("tobs.activity.time", "active").keys() >= {"media", "media+write"}


def test_a_plugin_that_is_gone_does_not_keep_a_run_from_being_read(tmp_path: Path) -> None:
    record = run_of(tmp_path, "baseline +gone +holder", 0.1)
    assert record.plugins == {"holder"}
    assert record.knobs["holder.depth"] == 3


def test_medians_are_over_the_runs_that_have_a_number() -> None:
    key: Attributes = frozenset({("tobs.dc", 2)})
    other: Attributes = frozenset({("tobs.dc", 4)})
    records = [
        RunRecord(
            "baseline",
            frozenset(),
            {},
            {"tobs.io": {key: value} | ({other: 8.0} if value == 5 else {})},
            {"tobs.rpc.duration": {key: Distribution(int(value), value, value, value, value)}},
            complete=value != 9,
        )
        for value in (1.0, 9.0, 5.0)
    ]
    joined = medians(records)
    assert (joined.runs, joined.complete) == (3, False)
    assert joined.numbers == {"tobs.io": {key: 5.0, other: 8.0}}
    assert joined.distributions["tobs.rpc.duration"][key] == Distribution(5, 5.0, 5.0, 5.0, 5.0)
    assert medians(records[:1]) is records[0]
