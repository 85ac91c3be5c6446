"""The table of priorities as text, Markdown and a page of HTML."""

from __future__ import annotations

from html import escape
from math import expm1
from typing import TYPE_CHECKING

from tobs.experiment.compare import percent
from tobs.experiment.priorities import NOT_MEASURED, as_json, ranks
from tobs.experiment.report import aligned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from tobs.experiment.priorities import Row

SCORES = ("impact", "complexity", "returns", "risk", "depends")
HEAD = ("#", "plugin", "promised", *SCORES, "measured", "cpu", "memory", "verdict")
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .35rem .6rem; vertical-align: top }
th { border-bottom: 2px solid #888 } td { border-bottom: 1px solid #ddd } .kept { color: #1a7f4b }
.not-kept { color: #b3261e } .not-measured { color: #777 } div { overflow-x: auto }
@media print { body { margin: 0; font-size: 10px } }
""".strip()


def cells(found: Sequence[Row]) -> list[list[str]]:
    """The table without its heading: a row an experiment, its optimization named in the first of them."""
    told = as_json(found)
    rows = []
    for entry in (*told["optimizations"], *told["phases"]):
        head = [
            str(entry.get("number", "")),
            entry.get("plugin") or entry["phase"],
            entry["promise"],
            *(str(entry.get(name, "")) for name in SCORES),
        ]
        for one in entry["experiments"] or [{"scenario": "", "problem": NOT_MEASURED, "promises": []}]:
            rows.append([*head, *_measured(one), entry["verdict"]])
            head = [""] * len(head)
    return rows


def _measured(one: Mapping[str, Any]) -> tuple[str, str, str]:
    """What was measured, and what it cost in processor time and memory."""
    where = f"{one['scenario']}: " if one["scenario"] else ""
    if one["problem"]:
        return f"{where}{one['problem']}", "", ""
    words = "; ".join(f"{held['words']}" for held in one["promises"]) or "reported beside, nothing promised"
    cost = one["cost"]
    return f"{where}{words} ({one['blocks']} blocks)", _times(cost["cpu"]), _times(cost["peak_rss"])


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"x{ratio:.2f}"


def ranking(found: Sequence[Row]) -> list[list[str]]:
    """Rank by promise beside rank by measurement, best promise first; a heading first."""
    rows = [["plugin", "return promised", "rank", "effect measured", "rank"]]
    effects = {row.name: row.log_effect for row in found}
    returns = {row.name: row.scores["returns"] for row in found if row.number}
    for name, (promised, measured) in sorted(ranks(found).items(), key=lambda item: item[1][0]):
        effect = effects[name]
        shown = NOT_MEASURED if effect is None else _change(effect)
        rows.append([name, f"{returns[name]:.1f}", str(promised), shown, "-" if measured is None else str(measured)])
    return rows


def _change(log: float) -> str:
    return f"{'+' if log >= 0 else '-'}{percent(abs(expm1(log)))}"


def text(found: Sequence[Row]) -> list[str]:
    """For a terminal: the ranking, then what was measured of each."""
    lines = [*aligned(ranking(found)), ""]
    for row in cells(found):
        number, name, promise, *_, measured, cpu, memory, verdict = row
        if name:
            lines.append(f"{number:>2} {name}: {verdict}; promised {promise}".strip())
        cost = f", cpu {cpu}, memory {memory}" if cpu or memory else ""
        lines.append(f"     {measured}{cost}")
    return lines


def markdown(found: Sequence[Row]) -> str:
    """Two tables for the docs."""

    def table(rows: Sequence[Sequence[str]]) -> list[str]:
        head, *rest = [[cell.replace("|", "\\|") for cell in row] for row in rows]
        return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rest)]

    return "\n".join([*table([list(HEAD), *cells(found)]), "", *table(ranking(found))])


def html(found: Sequence[Row]) -> str:
    """One self-contained page."""

    def table(rows: Sequence[Sequence[str]]) -> str:
        head, *rest = rows
        body = "".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>\n" for row in rest)
        heads = "".join(f"<th>{escape(cell)}</th>" for cell in head)
        return f"<div><table><thead><tr>{heads}</tr></thead>\n<tbody>\n{body}</tbody></table></div>"

    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>TOBS: priorities</title><style>{STYLE}</style></head>\n<body><h1>Promised and measured</h1>\n"
        f"{table([list(HEAD), *cells(found)])}\n<h2>Rank by promise, rank by measurement</h2>\n"
        f"{table(ranking(found))}\n</body></html>\n"
    )


def _cell(cell: str) -> str:
    known = {"kept", "not kept", NOT_MEASURED}
    mark = f' class="{cell.replace(" ", "-")}"' if cell in known else ""
    return f"<td{mark}>{escape(cell)}</td>"
