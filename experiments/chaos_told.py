"""What came of chaotic runs, and whether a resumed run fetches little again.

The bar: at most `BAR` more bytes than an undisturbed run, beside what was in flight at each stop (`chaos_bytes`). It is
held twice, since faults scatter and stops do not:

each run    What the stops cost *beyond* what was in flight is at most `BAR` of the bytes of the files. The lab and the
            archive tell it to the byte, and no fault is in it: a large file that begins anew breaks it. `beyond` lists
            the runs that break it: they have ended with the truth, but cost too much.
all runs    The *excess* of a run is what it fetched again, less what undisturbed runs on the same lab fetch again (the
            mean of some, with the same faults), less what was in flight. So all is in it, whatever the reason, and also
            luck with faults. The mean of its share of the files is at most `BAR` over all runs without outages: there
            a fault comes with so many requests, to a stopped run as to another. Outages come at fixed seconds
            of a run, and an undisturbed one meets them at other work than a stopped one; so with them, and of each
            kind alone, the mean may be over the bar by no more than chance explains (two standard errors).

A standard error is taken from the means of labs: runs on one lab share their undisturbed runs. `at_most` is the mean
and two standard errors: what the campaign has shown.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import sqrt
from statistics import fmean, stdev
from typing import Any

import chaos_bytes

KINDS = ("kill", "full", "away", "all")
AWAY = frozenset({"away", "all"})
"""Kinds with outages."""
BAR = 0.02
"""Share of the bytes of the files."""
ERRORS = 2.0
"""Standard errors that chance explains."""


@dataclass(slots=True)
class Run:
    """What came of one run on the lab `lab`. `stops` are those that met an export at work, by what they were.

    Bytes: of the `files`, fetched `again`, `undisturbed` ones again (a mean; `alone` by kind of fault), and what the
    stops cost.
    """

    number: int
    kind: str
    seed: int
    lab: int = 0
    stops: Counter[str] = field(default_factory=Counter)
    inside: int = 0
    files: int = 0
    again: int = 0
    undisturbed: float = 0.0
    alone: Counter[str] = field(default_factory=Counter)
    cost: chaos_bytes.Cost = field(default_factory=chaos_bytes.Cost)
    seconds: float = 0.0
    failure: str = ""

    @property
    def excess(self) -> float:
        """Bytes fetched again that neither faults alone nor what was in flight explain."""
        return self.again - self.undisturbed - self.cost.in_flight

    def told(self) -> str:
        """What stopped it, in words."""
        return ", ".join(f"{count} {way}" for way, count in self.stops.items()) or "no stop met it"

    def hold(self) -> str:
        """What is wrong with what the stops cost; empty when nothing is."""
        if self.cost.beyond <= BAR * self.files:
            return ""
        return (
            f"{self.cost.beyond:,} of {self.files:,} bytes were fetched again beside what was in flight "
            f"({self.cost.kept_again:,} of them though they were kept), {self.cost.beyond / self.files:.1%}"
        )


def excess(runs: list[Run]) -> dict[str, float | None]:
    """The mean share of the excess, its standard error (None: from one lab there is none), and both together."""
    by_lab: dict[int, list[float]] = {}
    for run in runs:
        if run.files:
            by_lab.setdefault(run.lab, []).append(run.excess / run.files)
    if not by_lab:
        return {"share": None, "error": None, "at_most": None}
    mean = fmean(share for shares in by_lab.values() for share in shares)
    if len(by_lab) < 2:
        return {"share": round(mean, 5), "error": None, "at_most": None}
    error = stdev(fmean(shares) for shares in by_lab.values()) / sqrt(len(by_lab))
    return {"share": round(mean, 5), "error": round(error, 5), "at_most": round(mean + ERRORS * error, 5)}


def bars(runs: list[Run]) -> list[str]:
    """Bars that the runs together do not keep to, in words."""
    found = []
    if over := [run for run in runs if run.hold()]:
        most = max(run.cost.beyond / run.files for run in over)
        found.append(f"{len(over)} of {len(runs)} runs fetched more than {BAR:.0%} beside it, at most {most:.1%}")
    mean = excess([run for run in runs if run.kind not in AWAY])["share"]
    if mean is not None and mean > BAR:
        found.append(f"without outages: {mean:.2%} of the bytes were fetched again in excess, where {BAR:.0%} may be")
    for kind in KINDS:
        told = excess([run for run in runs if run.kind == kind])
        mean, error = told["share"], told["error"]
        if mean is not None and error is not None and mean - ERRORS * error > BAR:
            found.append(f"{kind}: {mean:.2%} (standard error {error:.2%}) in excess, where {BAR:.0%} may be")
    return found


def summary(runs: list[Run]) -> dict[str, Any]:
    """What came of some runs, in all and by kind."""
    return {
        **_of(runs),
        "by_kind": {kind: _of([run for run in runs if run.kind == kind]) for kind in KINDS},
        "bar": BAR,
        "bars_broken": bars(runs),
        "beyond": [{"run": run.number, "kind": run.kind, "told": run.hold()} for run in runs if run.hold()],
        "failed": [{"run": run.number, "kind": run.kind, "failure": run.failure} for run in runs if run.failure],
    }


def _of(runs: list[Run]) -> dict[str, Any]:
    stops: Counter[str] = Counter()
    flight: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    alone: Counter[str] = Counter()
    for run in runs:
        stops.update(run.stops)
        flight.update(run.cost.flight)
        faults.update(run.cost.faults)
        alone.update(run.alone)
    return {
        "runs": len(runs),
        "ok": sum(not run.failure for run in runs),
        "stops": dict(stops),
        "stops_inside_a_file": sum(run.inside for run in runs),
        "bytes_of_files": sum(run.files for run in runs),
        "bytes_again": {
            "all": sum(run.again for run in runs),
            "undisturbed": round(sum(run.undisturbed for run in runs)),
            "lost_at_stops": sum(run.cost.lost for run in runs),
            "in_flight": sum(flight.values()),
            "in_flight_by_kind": {kind: flight[kind] for kind in chaos_bytes.KINDS},
            "kept_and_fetched": sum(run.cost.kept_again for run in runs),
            "beyond": sum(run.cost.beyond for run in runs),
            "excess": round(sum(run.excess for run in runs)),
            "by_faults": {kind: faults[kind] for kind in chaos_bytes.FAULTS},
            "by_faults_undisturbed": {kind: round(alone[kind]) for kind in chaos_bytes.FAULTS},
        },
        "excess": excess(runs),
        "largest_beyond": max((round(run.cost.beyond / run.files, 5) for run in runs if run.files), default=None),
    }
