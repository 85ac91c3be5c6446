"""`tobs report`: an experiment or an ablation as one page of HTML that needs nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tobs.errors import TobsError, UsageError
from tobs.experiment import timeline
from tobs.experiment.ablate import DESIGN, PAIRS, PICTURE, RESULT
from tobs.experiment.chart import Series, boxes, scatter
from tobs.experiment.compare import BETTER, WORSE, Comparison, compare, digests_equal, invalid, medians, shown
from tobs.experiment.forest import Line, forest
from tobs.experiment.launch import METRICS
from tobs.experiment.metrics import COMPLETE, metric_of
from tobs.experiment.report import BESIDE, human
from tobs.experiment.statistics import Rule
from tobs.experiment.store import FILE, MEASURED, listed
from tobs.telemetry import read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tobs.experiment.metrics import Metric

TONES = {BETTER: "better", WORSE: "worse"}


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page: words, a table (a heading first), figures as HTML."""

    title: str
    words: str = ""
    table: Sequence[Sequence[str]] = ()
    figures: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """An experiment as its folder tells it; `runs` are those of whole blocks."""

    row: Mapping[str, Any]
    arms: tuple[str, ...]
    runs: tuple[Mapping[str, Any], ...]
    metrics: tuple[Metric, ...]
    rule: Rule

    @property
    def blocks(self) -> int:
        """How many whole blocks there are."""
        return len({run["block"] for run in self.runs})

    def compared(self, metric: Metric) -> list[Comparison]:
        """Every arm but the first against it."""
        return compare(self.runs, len(self.arms), metric, self.rule)


def page(folder: Path) -> str:
    """The page of what lies in a folder.

    Raises `UsageError` where there is no experiment, `TobsError` for one without a whole block.
    """
    if (folder / RESULT).is_file():
        return _of_ablation(folder)
    if not (folder / FILE).is_file():
        raise UsageError(f"{folder} holds no experiment", hint="`tobs runs` lists where experiments lie.")
    told = _tell(folder)
    wanted = told.row
    lead = [f"{told.arms[one.arm]}: {one.words}." for one in told.compared(told.metrics[0])]
    title = f"{wanted['name']} on {Path(wanted['scenario']).stem}"
    return _rendered(title, lead, _sections(told, folder), told, [_command(told)])


def _of_ablation(folder: Path) -> str:
    found = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    told = _tell(folder / DESIGN)
    lead = [
        f"Worth it on this scenario: {', '.join(found['proposed']) or 'none'}.",
        f"Not worth their cost: {', '.join(found['not_worth_it']) or 'none'}.",
    ]
    heading = ["plugin", "main effect", "from", "to", "p", "alone", "removed", "mean"]
    rows = [
        [toggle["name"], *(_ratio(toggle[name]) for name in ("ratio", "low", "high")), f"{toggle['p']:.4f}"]
        + [_ratio(toggle[name]) for name in ("alone", "removed", "shapley")]
        for toggle in found["toggles"]
    ]
    groups = [
        ["pairs that cannot be told apart", "half the interaction", "p"],
        *(
            [", ".join(" and ".join(pair) for pair in group["pairs"]), _ratio(group["ratio"]), f"{group['p']:.4f}"]
            for group in found["groups"]
        ),
    ]
    pairs = [
        ["settled pair", "interaction", "p", ""],
        *(
            [" and ".join(one["pair"]), _ratio(one["ratio"]), f"{one['p']:.4f}", "yes" if one["interacts"] else "no"]
            for one in found["interactions"]
        ),
    ]
    sections = [
        Section(
            "Main effects",
            "Filled: over the whole design. Hollow: alone, and removed from the full set. Right is better.",
            [heading, *rows],
            [f"<figure>{(folder / PICTURE).read_text(encoding='utf-8')}</figure>"],
        ),
        Section("Interactions", "", groups),
        *([Section("Settled by 2x2", "", pairs)] if found["interactions"] else []),
        *_sections(told, folder / DESIGN)[1:],
    ]
    plugins = " ".join(f"--plugin {toggle['name']}" for toggle in found["toggles"])
    title = f"Ablation on {Path(told.row['scenario']).stem}"
    words = f"tobs ablate {plugins} {_options(told)}"
    place = f"tobs report {folder / PAIRS}" if (folder / PAIRS / FILE).is_file() else ""
    return _rendered(title, lead, sections, told, [words, *filter(None, [place])])


def _tell(folder: Path) -> Told:
    (row,) = listed([folder])
    arms = tuple(arm["text"] for arm in row["arms"])
    measured = [run for run in row["runs"] if run["kind"] == MEASURED and not run["abandoned"]]
    seen: dict[int, set[int]] = {}
    for run in measured:
        seen.setdefault(run["block"], set()).add(run["arm"])
    whole = tuple(run for run in measured if len(seen[run["block"]]) == len(arms))
    if not whole:
        raise TobsError(f"{folder} holds no whole block yet", hint="Run its command again; it goes on.")
    names = json.loads(row["definition"]).get("metrics") or [row["decides"]]
    rule = Rule(tuple(json.loads(row["looks"])), row["alpha"])
    return Told(row, arms, whole, tuple(metric_of(name) for name in names), rule)


def _sections(told: Told, folder: Path) -> list[Section]:
    ratios = [metric for metric in told.metrics if metric.name != COMPLETE]
    found = [(metric, one) for metric in told.metrics for one in told.compared(metric)]
    drawn = [(metric, one) for metric, one in found if one.estimate is not None]
    lines = [_line(told, metric, one) for metric, one in drawn]
    heading = ["arm", "metric", "ratio", "from", "to", "p", "verdict"]
    table = [heading, *(_figures(told, metric, one) for metric, one in found)]
    words = f"Against {told.arms[0]}; above 1 is better. {told.blocks} blocks, {_level(told)} intervals."
    figures = [f"<figure>{forest('Ratios and their intervals, right is better', lines)}</figure>"] if lines else []
    return [
        Section("Arms compared", words, table, figures),
        Section("Medians of each arm", "", _medians(told)),
        Section(
            "Run by run",
            "In the order in which they ran; crosses are runs that do not count. A drift of the machine shows here.",
            figures=[_in_order(told, metric) for metric in ratios],
        ),
        Section("Distributions", "", figures=[_spread(told, metric) for metric in ratios]),
        *_timelines(told, folder),
    ]


def _level(told: Told) -> str:
    return f"{(1 - told.rule.alpha) * 100:.1f}".removesuffix(".0") + " %"


def _line(told: Told, metric: Metric, one: Comparison) -> Line:
    found = one.estimate
    assert found is not None
    label = f"{told.arms[one.arm]}"
    short = label if len(label) <= 27 else f"{label[:26]}…"
    note = f"{metric.name.split('{')[0]} x{shown(found.centre)}"
    return Line(short, found.centre, found.low, found.high, note, TONES.get(one.verdict, ""))


def _figures(told: Told, metric: Metric, one: Comparison) -> list[str]:
    p = one.corrected
    return [
        told.arms[one.arm],
        metric.name,
        *(_ratio(value) for value in (one.ratio, one.low, one.high)),
        "-" if p is None else f"{p:.4f}",
        one.verdict,
    ]


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"x{value:.3f}"


def _medians(told: Told) -> list[list[str]]:
    names = list(dict.fromkeys([*(metric.name for metric in told.metrics), *BESIDE]))
    rows = [["arm", *names, "invalid", "digests"]]
    for number, arm in enumerate(told.arms):
        found = medians(told.runs, number)
        bad = len(invalid(told.runs, number))
        equal = "equal" if digests_equal(told.runs, number) else "DIFFER"
        rows.append([arm, *(human(found.get(name), metric_of(name).unit) for name in names), str(bad), equal])
    return rows


def _in_order(told: Told, metric: Metric) -> str:
    order = {run["id"]: float(place) for place, run in enumerate(sorted(told.runs, key=lambda run: run["id"]), 1)}
    series = []
    for number, arm in enumerate(told.arms):
        own = [run for run in told.runs if run["arm"] == number and metric.name in run["measurements"]]
        points = [(order[run["id"]], run["measurements"][metric.name], bool(run["invalid"])) for run in own]
        counted = tuple((x, y) for x, y, bad in points if not bad)
        series.append(Series(arm, counted, tuple((x, y) for x, y, bad in points if bad)))
    return scatter(metric.name, series, "run", metric.unit)


def _spread(told: Told, metric: Metric) -> str:
    groups = []
    for number, arm in enumerate(told.arms):
        own = [run for run in told.runs if run["arm"] == number and not run["invalid"]]
        groups.append((arm, [run["measurements"][metric.name] for run in own if metric.name in run["measurements"]]))
    return boxes(metric.name, groups, metric.unit)


def _timelines(told: Told, folder: Path) -> list[Section]:
    """How the last run of each arm that counts went, from its telemetry; at most four arms."""
    sections = []
    for number, arm in list(enumerate(told.arms))[:4]:
        own = [run for run in told.runs if run["arm"] == number and not run["invalid"]]
        file = folder / own[-1]["folder"] / METRICS if own else None
        if file is None or not file.is_file():
            continue
        figures = timeline.figures(read(file))
        if figures:
            sections.append(Section(f"Over time: {arm}", f"Block {own[-1]['block']}, from its telemetry.", (), figures))
    return sections


def _options(told: Told) -> str:
    row = told.row
    blocks = f" --blocks {told.rule.most}" if len(told.rule.looks) == 1 else ""
    return f"--scenario {row['scenario']} --scale {row['scale']:g} --seed {row['seed']}{blocks}"


def _command(told: Told) -> str:
    arms = " ".join(f"'{arm}'" if " " in arm else arm for arm in told.arms)
    metrics = " ".join(f"--metric '{metric.name}'" for metric in told.metrics)
    return f"tobs ab {arms} {_options(told)} {metrics}"


def _rendered(title: str, lead: Sequence[str], sections: Sequence[Section], told: Told, commands: Sequence[str]) -> str:
    row = told.row
    facts = {**json.loads(row["machine"]), **json.loads(row["versions"])}
    environment = [
        ("experiment", row["id"]),
        ("scenario", f"{row['scenario']}, scale {row['scale']:g}, seed {row['seed']}"),
        ("started", row["started"]),
        ("stopped", row["why"] or "not finished"),
        ("code", row["code"]),
        *((name, str(value)) for name, value in facts.items()),
    ]
    bad = [f"{len(found)} runs of {arm} are invalid: {found[0]['invalid']}" for arm, found in _invalid(told)]
    return render(title, lead, bad, sections, environment, commands)


def render(
    title: str,
    lead: Sequence[str],
    warnings: Sequence[str],
    sections: Sequence[Section],
    environment: Sequence[tuple[str, str]],
    commands: Sequence[str],
) -> str:
    """A page of these parts. Figures are put in as they are: their texts have to be escaped."""
    shown_ = [
        Section(one.title, one.words, one.table, [Markup(figure) for figure in one.figures])  # noqa: S704
        for one in sections
    ]
    loader = Environment(loader=PackageLoader("tobs.experiment", "."), autoescape=True, undefined=StrictUndefined)
    return loader.get_template("report.html.j2").render(
        title=title, lead=lead, warnings=warnings, sections=shown_, environment=environment, commands=commands
    )


def _invalid(told: Told) -> list[tuple[str, list[Any]]]:
    found = [(arm, invalid(told.runs, number)) for number, arm in enumerate(told.arms)]
    return [(arm, runs) for arm, runs in found if runs]
