"""`tobs report STUDY`: a tuning as one page of HTML that needs nothing else."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tobs.experiment.chart import Series, scatter
from tobs.experiment.forest import Line, forest
from tobs.experiment.page import Section, render
from tobs.tuning.definition import EVERY
from tobs.tuning.drawing import START as START_COLOUR
from tobs.tuning.drawing import WINNER as WINNER_COLOUR
from tobs.tuning.drawing import Drawn, axis, one_knob, parallel, shares
from tobs.tuning.journal import CONTROL, OK, START
from tobs.tuning.limits import ERROR_SHARE, MEGABYTE
from tobs.tuning.told import factor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tobs.knobs import Value
    from tobs.tuning.drawing import Axis
    from tobs.tuning.journal import Done
    from tobs.tuning.told import Told

TIMES = "times as good as the start"


def page(told: Told) -> str:
    """The page of a study, finished or not."""
    result = told.result
    lead = [result["verdict"] + "." if result else f"Not finished: {len(told.trials)} trials are done so far."]
    title = f"Tuning of {told.kept['metric']['name']} on {told.kept['scenarios']}"
    sections = [_compared(told), _history(told), *_knobs(told), _importance(told), _workers(told), _trials(told)]
    environment = [
        ("study", told.name),
        ("kept in", told.storage),
        ("started from", str(told.kept["arm"])),
        ("stopped", str(result["stopped"]) if result else "not finished"),
        ("code", str(told.kept["code"])),
        *((name, str(value)) for name, value in told.kept["versions"].items()),
    ]
    return render(title, lead, _warnings(told), [one for one in sections if one], environment, _commands(told))


def _warnings(told: Told) -> list[str]:
    found = list(told.result["warnings"]) if told.result else []
    failed = [one for one in told.trials if one.outcome == "failed"]
    if failed and not told.result:
        found.append(f"{len(failed)} trials failed or left another archive than the truth ({failed[0].why})")
    if told.given_back:
        found.append(f"{told.given_back} trials were broken off, and given back or given up")
    return found


def _commands(told: Told) -> list[str]:
    """What repeats it: the search as it was asked for, and this page."""
    wanted = told.kept["wanted"]
    sources = [one if isinstance(one, str) else one["name"] for one in (wanted["scenario"], *wanted["further"])]
    words = ["tobs tune", *(f"--scenario {one}" for one in sources)]
    words += [f"--over {wanted['over']}"] if wanted["further"] else []
    words += [f"--arm '{wanted['arm']}'"] if wanted["arm"] else []
    words += [f"--from {wanted['file']['name']}"] if wanted["file"] else []
    words += ["--toggles" if name == EVERY else f"--toggle {name}" for name in wanted["toggles"]]
    words += [f"--knob {name}" for name in wanted["knobs"]]
    limits = wanted["limits"]
    bounds = {
        "--max-rss": limits["memory"] and limits["memory"] / MEGABYTE,
        "--max-flood-seconds": limits["flood_seconds"],
        "--max-floods-per-1000": limits["floods_per_1000"],
        "--max-error-share": None if limits["error_share"] == ERROR_SHARE else limits["error_share"],
    }
    words += [f"{option} {bound:g}" for option, bound in bounds.items() if bound is not None]
    words += [f"--metric '{wanted['metric']}' --scale {wanted['scale']:g} --seed {wanted['seed']}"]
    words += [f"--trials {wanted['trials']}"]
    return [" ".join(words), *([f"tobs report {told.place}"] if told.place else [])]


def _compared(told: Told) -> Section:
    """The start against the winner."""
    result = told.result
    if result is None:
        words = (
            "The search has not been confirmed yet. What it has found so far is inflated: it was picked for its luck."
        )
        return Section("Start against winner", words)
    changed: dict[str, dict[str, Value]] = result["changed"]
    rows = [[name, _word(one["from"]), _word(one["to"])] for name, one in changed.items()]
    rows += [[name, _word(told.kept["start"].get(name)), "put back: it hardly matters"] for name in result["put_back"]]
    lines = [_line("winner", result["ratio"], result["low"], result["high"])] if result["adopted"] else []
    if not lines:
        lines = [
            _line(f"finalist {place}", arm.get("ratio"), arm.get("low"), arm.get("high"))
            for place, arm in enumerate((result.get("confirmation") or {}).get("arms", []), 1)
        ]
    drawn = [one for one in lines if one is not None]
    words = f"Paired, on seeds and at a size that the search had not seen, in {result['blocks']} blocks."
    figures = [f"<figure>{forest('Against the start, right is better', drawn)}</figure>"] if drawn else []
    table = [["knob", "start", "winner"], *rows] if rows else ()
    return Section("Start against winner", words, table, figures)


def _line(label: str, ratio: float | None, low: float | None, high: float | None) -> Line | None:
    if ratio is None or ratio <= 0:
        return None
    left, right = -math.inf if low is None else math.log(low), math.inf if high is None else math.log(high)
    tone = "better" if left > 0 else "worse" if right < 0 else ""
    return Line(label, math.log(ratio), left, right, f"x{ratio:.3f}", tone)


def _word(value: Any) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else "-" if value is None else str(value)


def _history(told: Told) -> Section:
    """What each trial gave, and the best so far."""
    shown = [one for one in told.trials if one.outcome != "unfit"]
    series = []
    for name, kinds in (("trials", None), ("the start and its controls", {START, CONTROL})):
        own = [one for one in shown if (one.kind in {START, CONTROL}) == (kinds is not None)]
        counted = tuple((float(one.number), told.gain(one)) for one in own if one.feasible)
        crosses = tuple((float(one.number), told.gain(one)) for one in own if not one.feasible)
        series.append(Series(name, counted, crosses))
    best = told.best_so_far()
    last = max((one.number for one in shown), default=0)
    stairs = [(float(number), gain) for number, gain in best]
    if stairs:
        stairs.append((float(last), stairs[-1][1]))
    words = (
        "Crosses were cut short, failed or are beyond the limits; they are drawn at the penalty they were told with. "
        "The line is the best so far. All are judged by the start on the same machine."
    )
    return Section("History", words, (), [scatter(TIMES, series, "trial", "times", stairs)])


def _drawn(told: Told) -> list[Drawn]:
    start, winner = told.kept["start"], told.result["values"] if told.result and told.result["adopted"] else None
    found = []
    for one in told.trials:
        if one.outcome == "unfit" or one.kind == CONTROL:
            continue
        colour = START_COLOUR if one.values == start else ""
        found.append(Drawn(one.values, told.gain(one), one.feasible, colour))
    if winner is not None and told.result is not None:
        found.append(Drawn(winner, float(told.result["ratio"]), counts=True, colour=WINNER_COLOUR))
    return found


def _knobs(told: Told) -> list[Section]:
    drawn = _drawn(told)
    axes: list[Axis] = [
        axis(
            knob["name"],
            [one.values[knob["name"]] for one in drawn if knob["name"] in one.values],
            knob["choices"],
            log=knob["log"],
        )
        for knob in told.kept["knobs"]
    ]
    if not drawn:
        return []
    key = "The start is orange, the confirmed winner green, good trials are darker; dashes and crosses do not count."
    lying = (
        f'<div class="scroll"><div style="min-width: 36rem">{parallel("All knobs together", axes, drawn)}</div></div>'
    )
    grid = "".join(one_knob(one, drawn) for one in axes)
    return [
        Section("Parallel coordinates", f"A line is a trial, a row is a knob. {key}", (), [lying]),
        Section("Slices", f"Each knob by itself, upwards {TIMES}. {key}", (), [f'<div class="grid">{grid}</div>']),
    ]


def _importance(told: Told) -> Section:
    words = (
        "Which knobs tell good trials from bad ones (PED-ANOVA), over trials drawn again with replacement: bars are "
        "medians, lines hold four of five draws. This is a hint: after fifty trials it is weak, and it says nothing of "
        "knobs that a switched plugin took along. What a knob is worth, `tobs ab` tells."
    )
    if not told.importances:
        return Section("Importance", "There are too few trials to say, or they are too alike.")
    table = [
        ["knob", "share", "from", "to"],
        *([name, *(f"{value:.0%}" for value in one)] for name, one in told.importances.items()),
    ]
    return Section("Importance", words, table, [shares("Share of what tells good trials from bad", told.importances)])


def _workers(told: Told) -> Section | None:
    heading = ["worker", "trials", "machine factor", "its start at the end", "cores", "system"]
    rows = [heading]
    for name, own in told.by_worker().items():
        found = factor(own, told.kept["metric"])
        starts = [one.objective for one in own if one.kind in {START, CONTROL} and one.outcome == OK]
        drift = f"{math.expm1(starts[-1] - starts[0]):+.1%}" if len(starts) > 1 else "-"
        machine = told.machines.get(name, {})
        cells = [str(machine.get("cores", "-")), str(machine.get("system", "-"))]
        rows.append([name or "-", str(len(own)), "-" if found is None else f"{found:.3f}", drift, *cells])
    words = (
        "The factor is how many times as much the start takes there as on the machine that ran it first: a worker's "
        "trials are judged by its own start. Drift is the start's last run against its first."
    )
    return Section("Workers", words, rows)


def _trials(told: Told) -> Section:
    heading = ["trial", "why", "worker", "came", "gain", "seconds", "settings that differ from the start"]
    rows = [heading, *(_row(told, one) for one in told.trials)]
    return Section("Trials", f"{told.pending} more run or stand in line." if told.pending else "", rows)


def _row(told: Told, one: Done) -> Sequence[str]:
    start = told.kept["start"]
    other = ", ".join(f"{name}={_word(value)}" for name, value in one.values.items() if start.get(name) != value)
    gain = f"x{told.gain(one):.3f}" if one.outcome == OK else "-"
    came = one.outcome if one.outcome != OK or one.feasible else "beyond limits"
    return [str(one.number), one.kind, one.worker or "-", came, gain, f"{one.seconds:.1f}", other or "-"]
