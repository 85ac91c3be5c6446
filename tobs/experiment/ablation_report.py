"""What an ablation found, for machines and for people, and as a picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tobs.experiment.compare import BETTER, WORSE
from tobs.experiment.forest import Line, forest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tobs.experiment.ablation import Ablation, Figure, PairResult

TONES = {BETTER: "better", WORSE: "worse"}


def as_json(found: Ablation, pairs: Sequence[PairResult], metric: str) -> dict[str, Any]:
    """One value; ratios are of the metric, above 1 is better."""
    return {
        "metric": metric,
        "toggles": [
            {
                "name": toggle.name,
                **_figure(toggle.main),
                "alone": _ratio(toggle.alone),
                "removed": _ratio(toggle.removed),
                "shapley": _ratio(toggle.shapley),
                "worth_it": toggle.is_worth_it,
                "beside": {name: _figure(figure) for name, figure in toggle.beside.items()},
            }
            for toggle in found.toggles
        ],
        "groups": [
            {"pairs": [list(pair) for pair in group.pairs], **_figure(group.figure), "suspicious": group.is_suspicious}
            for group in found.groups
        ],
        "interactions": [
            {"pair": list(pair.pair), "ratio": _ratio(pair.log), "p": pair.p, "interacts": pair.interacts}
            for pair in pairs
        ],
        "proposed": list(found.proposed),
        "not_worth_it": [toggle.name for toggle in found.toggles if not toggle.is_worth_it],
        "invalid": list(found.invalid),
    }


def _ratio(log: float | None) -> float | None:
    return None if log is None or not math.isfinite(log) else math.exp(log)


def _figure(figure: Figure) -> dict[str, Any]:
    return {
        "ratio": _ratio(figure.log),
        "low": _ratio(figure.low),
        "high": _ratio(figure.high),
        "p": figure.p,
        "verdict": figure.verdict,
    }


def table(found: Ablation) -> list[list[str]]:
    """Rows for people, a heading first: best main effect on top."""
    beside = list(found.toggles[0].beside)
    rows = [["plugin", "main effect", "interval", "p", "alone", "removed", "mean", *beside, "worth it"]]
    for toggle in sorted(found.toggles, key=lambda one: (math.isnan(one.main.log), -one.main.log)):
        main = toggle.main
        rows.append(
            [
                toggle.name,
                _times(main.log),
                f"{_times(main.low)} to {_times(main.high)}",
                f"{main.p:.4f}",
                _times(toggle.alone),
                _times(toggle.removed),
                _times(toggle.shapley),
                *(_times(toggle.beside[name].log) for name in beside),
                "yes" if toggle.is_worth_it else f"no: {main.verdict}",
            ]
        )
    return rows


def _times(log: float | None) -> str:
    return "-" if log is None or not math.isfinite(log) else f"x{math.exp(log):.3f}"


def lines(found: Ablation, pairs: Sequence[PairResult]) -> list[str]:
    """What is to be said beside the table."""
    told = [f"invalid runs: {arm}" for arm in found.invalid]
    for group in found.groups:
        if group.is_suspicious:
            names = ", ".join(f"{one} and {other}" for one, other in group.pairs)
            told.append(f"interaction of {_times(2 * group.figure.log)} (p {group.figure.p:.4f}) in one of: {names}")
    if not any(group.is_suspicious for group in found.groups):
        told.append("no group of interactions stands out")
    for pair in pairs:
        verdict = "interact" if pair.interacts else "do not interact, as far as this shows"
        told.append(f"{pair.pair[0]} and {pair.pair[1]} {verdict}: {_times(pair.log)} (p {pair.p:.4f})")
    told.append("proposed for this scenario: " + (", ".join(found.proposed) or "none"))
    idle = [toggle.name for toggle in found.toggles if not toggle.is_worth_it]
    told.append("not worth their cost on this scenario: " + (", ".join(idle) or "none"))
    return told


def picture(found: Ablation, title: str) -> str:
    """The main effects as SVG; hollow dots are the toggle alone and removed."""
    ordered = sorted(found.toggles, key=lambda one: (math.isnan(one.main.log), -one.main.log))
    return forest(
        title,
        [
            Line(
                toggle.name,
                toggle.main.log,
                toggle.main.low,
                toggle.main.high,
                f"{_times(toggle.main.log)}  {toggle.main.verdict}",
                TONES.get(toggle.main.verdict, ""),
                tuple(log for log in (toggle.alone, toggle.removed) if log is not None),
            )
            for toggle in ordered
        ],
    )
