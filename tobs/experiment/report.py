"""What came of an experiment, for machines and for people."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tobs.experiment.compare import REFUSED, Comparison, compare, differences, digests_equal, invalid, kept, medians
from tobs.experiment.metrics import COMPLETE, metric_of
from tobs.experiment.several import combine
from tobs.experiment.statistics import LOOKS, self_test

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tobs.experiment.compare import Run
    from tobs.experiment.definition import Definition
    from tobs.experiment.statistics import SelfTest

BESIDE = ("cpu", "peak_rss", "requests", "bytes_received", "flood_seconds", "errors")
"""Metrics that are told of every arm, whatever was asked for."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """An experiment that has ended: its measured runs, why it stopped, and where everything lies."""

    definition: Definition
    runs: Sequence[Run]
    blocks: int
    seeds: tuple[int, ...]
    why: str
    folder: Path

    @property
    def sound(self) -> bool:
        """Whether every run counts and left the truth, or whether they do is what is measured."""
        if self.definition.metrics[0].name == COMPLETE:
            return True
        arms = range(len(self.definition.arms))
        return not any(invalid(self.runs, arm) for arm in arms)

    def comparisons(self) -> dict[str, list[Comparison]]:
        """For each metric that was asked for, every arm but the first against it."""
        definition = self.definition
        arms = len(definition.arms)
        return {metric.name: compare(self.runs, arms, metric, definition.rule) for metric in definition.metrics}

    def promises(self) -> list[dict[str, Any]]:
        """What was promised of which arm, and whether it was kept."""
        definition, told = self.definition, []
        for promise in definition.wanted.promises:
            metric = metric_of(promise.metric)
            for one in compare(self.runs, len(definition.arms), metric, definition.rule):
                arm = definition.arms[one.arm].text
                if promise.concerns(arm):
                    held, words = kept(promise, one)
                    told.append({"arm": arm, "metric": metric.name, "kept": held, "words": words})
        return told

    def self_test(self) -> SelfTest | None:
        """Where an arm is compared with itself: whether this machine calls that an effect too often."""
        first, *others = self.definition.arms
        if any(arm.plan_hash != first.plan_hash for arm in others):
            return None
        found = differences(self.runs, 1, self.definition.metrics[0])
        return self_test(found) if found and len(found) >= LOOKS[0] else None

    def warnings(self) -> list[str]:
        """What a reader has to know beside the figures."""
        found = []
        tested = self.self_test()
        if tested is not None and not tested.sound:
            found.append(f"{tested.positives} of {tested.experiments} experiments found an effect where there is none")
        if codes := len({run["code"] for run in self.runs} - {self.definition.code}):
            found.append(f"the code was changed {codes} times while this ran: its runs are not of one thing")
        if ignored := sum(run["floods_ignored"] or 0 for run in self.runs):
            found.append(f"{ignored} requests were sent during flood waits")
        return found


def as_json(outcome: Outcome) -> dict[str, Any]:
    """One experiment for machines; `arms` holds every arm but the first, each against the first."""
    definition = outcome.definition
    wanted, compared = definition.wanted, outcome.comparisons()
    decides = definition.metrics[0]
    reference = _of_arm(outcome, 0)
    return {
        "name": wanted.name,
        "experiment": definition.id,
        "scenario": wanted.scenario,
        "scale": wanted.scale,
        "seed": wanted.seed,
        "metric": decides.name,
        "blocks": outcome.blocks,
        "stopped": outcome.why,
        "level": round(1 - definition.rule.alpha, 6),
        "reference": reference,
        "arms": [
            {
                **_of_arm(outcome, one.arm),
                "against": definition.arms[0].text,
                "scenario": wanted.scenario,
                **_figures(one),
                "medians_of_first": reference["medians"],
                "metrics": {name: _figures(ones[place]) for name, ones in compared.items()},
            }
            for place, one in enumerate(compared[decides.name])
        ],
        "promises": outcome.promises(),
        "self_test": _self_test(outcome),
        "seeds": list(outcome.seeds),
        "folder": str(outcome.folder),
        "code": definition.code,
        **definition.facts,
        "warnings": outcome.warnings(),
    }


def _self_test(outcome: Outcome) -> dict[str, Any] | None:
    tested = outcome.self_test()
    return None if tested is None else {**asdict(tested), "sound": tested.sound}


def _of_arm(outcome: Outcome, number: int) -> dict[str, Any]:
    arm = outcome.definition.arms[number]
    bad = invalid(outcome.runs, number)
    return {
        "arm": arm.text,
        "plan_hash": arm.plan_hash,
        "plugins": list(arm.plugins),
        "runs": sum(run["arm"] == number for run in outcome.runs),
        "invalid": len(bad),
        "reasons": sorted({run["invalid"] for run in bad}),
        "digests_equal": digests_equal(outcome.runs, number),
        "medians": medians(outcome.runs, number),
    }


def _figures(one: Comparison) -> dict[str, Any]:
    return {
        "metric": one.metric.name,
        "ratio": one.ratio,
        "low": one.low,
        "high": one.high,
        "p": None if one.estimate is None else one.estimate.p,
        "p_corrected": one.corrected,
        "blocks": 0 if one.estimate is None else one.estimate.n,
        "smallest_visible": one.visible,
        "verdict": one.verdict,
        "words": one.words,
        **({} if one.shares is None else {"shares": asdict(one.shares)}),
    }


def lines(outcome: Outcome) -> list[str]:
    """The whole report for people, but for the table of medians."""
    definition = outcome.definition
    wanted = definition.wanted
    text = [
        f"{wanted.name} on {wanted.scenario} (scale {wanted.scale:g}), {outcome.blocks} blocks; stopped: {outcome.why}",
        f"first arm: {definition.arms[0].text}",
    ]
    for name, ones in outcome.comparisons().items():
        text += [_line(one, definition.arms[one.arm].text, name) for one in ones]
    text += [f"promise: {promise['arm']}: {promise['words']}" for promise in outcome.promises()]
    if tested := outcome.self_test():
        text.append(
            f"self-test: {tested.positives} of {tested.experiments} experiments of ten blocks found an effect of an "
            f"arm over itself; {tested.alarm} would be an alarm"
        )
    text += [f"warning: {warning}" for warning in outcome.warnings()]
    seeds = ", ".join(map(str, outcome.seeds))
    text += [f"plan {arm.plan_hash[:12]}: {arm.text}" for arm in definition.arms]
    return [*text, f"seed {wanted.seed}, scenario seeds {seeds}", f"raw runs: {outcome.folder}"]


def _line(one: Comparison, arm: str, metric: str) -> str:
    if one.estimate is None or one.ratio is None or one.verdict == REFUSED:
        return f"{arm}: {metric}: {one.words}"
    interval = f"{one.low:.3f} to {one.high:.3f}" if one.low and one.high else "no interval"
    visible = f", smallest visible effect x{one.visible:.3f}" if one.visible else ""
    corrected = "" if one.corrected == one.estimate.p else f", corrected {one.corrected:.4f}"
    return (
        f"{arm}: {metric} x{one.ratio:.3f} [{interval}], {one.estimate.n} blocks, p {one.estimate.p:.4f}{corrected}"
        f"{visible}: {one.verdict}"
    )


def table(outcome: Outcome) -> list[list[str]]:
    """Rows for people, a heading first: each arm's medians, invalid runs, and whether its digests equal the truth."""
    names = list(dict.fromkeys([*(metric.name for metric in outcome.definition.metrics), *BESIDE]))
    rows = [["arm", *names, "invalid", "digests"]]
    for number, arm in enumerate(outcome.definition.arms):
        told = _of_arm(outcome, number)
        values = [human(told["medians"].get(name), metric_of(name).unit) for name in names]
        equal = "equal" if told["digests_equal"] else "DIFFER"
        rows.append([arm.text, *values, f"{told['invalid']} of {told['runs']}", equal])
    return rows


def human(value: float | None, unit: str) -> str:
    """A measurement for people."""
    if value is None:
        return "-"
    if unit in {"B", "B/s"}:
        for prefix in ("", "K", "M", "G"):
            if value < 1000 or prefix == "G":
                return f"{value:.4g} {prefix}{unit}"
            value /= 1000
    return f"{value:,.4g} {unit}".strip() if value < 1000 else f"{value:,.0f} {unit}".strip()


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """A table as text: the first column to the left, the others to the right."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def together(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Several experiments of one command as one value.

    `arms` has those of all, `experiments` each by itself, `combined` the geometric means over the scenarios.
    """
    told = [as_json(outcome) for outcome in outcomes]
    if len(told) == 1:
        return told[0]
    names = [arm.text for arm in outcomes[0].definition.arms]
    return {
        "name": told[0]["name"],
        "arms": [arm for one in told for arm in one["arms"]],
        "combined": [{"arm": names[one.arm], **_figures(one)} for one in combine(outcomes)],
        "experiments": told,
    }


def combined_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """The geometric means for people; nothing unless there are several scenarios."""
    names = [arm.text for arm in outcomes[0].definition.arms]
    over = f"over {len(outcomes)} scenarios"
    return [f"{over}: {_line(one, names[one.arm], one.metric.name)}" for one in combine(outcomes)]
