"""What came of a tuning, for machines, for people, and for the settings file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tobs.experiment.compare import REFUSED
from tobs.experiment.report import together
from tobs.tuning.definition import OTHER_SIZE
from tobs.tuning.journal import CUT, FAILED, UNFIT
from tobs.tuning.search import DRIFT, shown, tries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tobs.experiment.compare import Comparison
    from tobs.knobs import Value
    from tobs.tuning.definition import Definition
    from tobs.tuning.proof import Proof
    from tobs.tuning.search import Found


@dataclass(frozen=True, slots=True)
class Tuning:
    """A tuning that has ended. `values` are those of the result, the start's where nothing better was found.

    `first` is the confirmation of the finalists, `last` that of what was left when the knobs `back` had been put back;
    `gain` compares the result with the start, None if nothing was adopted.
    """

    definition: Definition
    folder: Path
    found: Found
    values: Mapping[str, Value]
    first: Proof | None = None
    gain: Comparison | None = None
    last: Proof | None = None
    back: tuple[str, ...] = ()

    @property
    def adopted(self) -> bool:
        """Whether something better than the start was found and confirmed."""
        return self.gain is not None

    @property
    def sound(self) -> bool:
        """Whether every run that was not cut short ended well and left the truth."""
        proofs = [one for one in (self.first, self.last) if one is not None]
        return not self.found.count(FAILED) and all(one.sound for one in proofs)

    @property
    def measured(self) -> Proof | None:
        """The confirmation that the gain comes from."""
        return self.last or self.first

    def verdict(self) -> str:
        """What was found, in one sentence."""
        metric = self.definition.metric.name
        if self.gain is not None and self.gain.estimate is not None:
            one = self.gain
            blocks = self.gain.estimate.n
            size = f"on {blocks} seeds the search had not seen, at {OTHER_SIZE:g} times its size"
            scenarios = self.definition.wanted.scenarios
            over = f" in the {self.definition.wanted.over} of {len(scenarios)} scenarios" if len(scenarios) > 1 else ""
            return f"{metric} x{one.ratio:.3f} of the start [{one.low:.3f} to {one.high:.3f}]{over}, {size}"
        if self.first is None:
            return f"nothing better was found: no trial within the limits had a better {metric} than the start"
        words = "; ".join(f"finalist {place}: {text}" for place, text in enumerate(self._words(), 1))
        return f"nothing better was found: what looked better was not confirmed ({words})"

    def _words(self) -> list[str]:
        return [] if self.first is None else [self._word(self.first, one) for one in self.first.comparisons()]

    def _word(self, proof: Proof, one: Comparison) -> str:
        broken = proof.broken(self.definition.wanted.limits, one.arm)
        return f"beyond its limits, {'; '.join(broken)}" if broken and one.verdict != REFUSED else one.words

    def warnings(self) -> list[str]:
        """What a reader has to know beside the figures."""
        told = []
        if failed := self.found.count(FAILED):
            why = next(one.why for one in self.found.trials if one.outcome == FAILED)
            told.append(f"{failed} trials failed or left another archive than the truth ({why})")
        if self.found.drift is not None and abs(self.found.drift) > DRIFT:
            told.append(f"the machine drifted: the start itself was {self.found.drift:+.0%} worse at the end")
        if not any(one.feasible for one in self.found.starts):
            told.append("the settings that the search started from are beyond the limits themselves")
        told += self.measured.warnings() if self.measured is not None else []
        return told


def as_json(tuning: Tuning) -> dict[str, Any]:
    """A tuning for machines."""
    definition, found, gain = tuning.definition, tuning.found, tuning.gain
    wanted = definition.wanted
    return {
        "tuning": definition.id,
        "scenario": wanted.named,
        "scenarios": list(wanted.scenarios),
        "over": wanted.over if len(wanted.scenarios) > 1 else None,
        "toggles": [one.name for one in definition.ranges if "." not in one.name],
        "scale": wanted.scale,
        "metric": definition.metric.name,
        "adopted": tuning.adopted,
        "verdict": tuning.verdict(),
        "ratio": gain.ratio if gain else None,
        "low": gain.low if gain else None,
        "high": gain.high if gain else None,
        "p": gain.corrected if gain else None,
        "blocks": tuning.measured.blocks if tuning.measured else 0,
        "arm": definition.arm(tuning.values),
        "start": definition.arm(definition.start),
        "values": dict(tuning.values),
        "changed": _changed(tuning),
        "put_back": list(tuning.back),
        "stopped": found.why,
        "trials": [
            {
                "number": one.number,
                "kind": one.kind,
                "worker": one.worker,
                "outcome": one.outcome,
                "why": one.why,
                "value": one.runs[0].get(definition.metric.name) if len(one.runs) == 1 else None,
                "by_scenario": [run.get(definition.metric.name) for run in one.runs],
                "objective": one.objective,
                "feasible": one.feasible,
                "seconds": round(one.seconds, 3),
                "values": dict(one.values),
            }
            for one in found.trials
        ],
        "cut": found.count(CUT),
        "failed": found.count(FAILED),
        "unfit": found.count(UNFIT),
        "drift": found.drift,
        "machine_factors": found.factors,
        "limits": wanted.limits.as_json(),
        "confirmation": together(tuning.first.outcomes) if tuning.first else None,
        "last_confirmation": together(tuning.last.outcomes) if tuning.last else None,
        "seed": wanted.seed,
        "scenario_seed": definition.seed,
        "held_out_seeds": list(tuning.measured.seeds) if tuning.measured else [],
        "study": definition.name,
        "folder": str(tuning.folder),
        "code": definition.code,
        **definition.facts,
        "warnings": tuning.warnings(),
    }


def _changed(tuning: Tuning) -> dict[str, dict[str, Value]]:
    start = {one.name: one.start for one in tuning.definition.ranges}
    return {name: {"from": start[name], "to": value} for name, value in tuning.values.items() if value != start[name]}


def _told(value: Value) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def lines(tuning: Tuning) -> list[str]:
    """A tuning for people."""
    definition, found, metric = tuning.definition, tuning.found, tuning.definition.metric
    best = min((one for one in found.trials if one.feasible), key=lambda one: one.objective, default=None)
    text = [f"{_summary(tuning)}; stopped: {found.why}"]
    values = [f"start {shown(metric, one)}" for one in found.starts[:1]]
    if best is not None:
        values.append(f"best trial {shown(metric, best)} (chosen for it, so inflated)")
    text += [f"{metric.name}: {'; '.join(values)}", tuning.verdict()]
    text += [f"  {name}: {_told(change['from'])} -> {_told(change['to'])}" for name, change in _changed(tuning).items()]
    if tuning.back:
        text.append(f"put back to the start, since that costs at most a hundredth: {', '.join(tuning.back)}")
    text += [f"warning: {warning}" for warning in tuning.warnings()]
    return [*text, f"arm: {definition.arm(tuning.values)}", f"everything lies in {tuning.folder}"]


def _summary(tuning: Tuning) -> str:
    definition, found = tuning.definition, tuning.found
    wanted = definition.wanted
    cut, failed = found.count(CUT), found.count(FAILED)
    unfit = found.count(UNFIT)
    trials = f"{len(found.trials) - unfit} trials ({cut} cut short, {failed} failed)"
    trials += f", {unfit} combinations that cannot run passed over" if unfit else ""
    return f"{definition.metric.name} on {wanted.named} (scale {wanted.scale:g}): {trials}"


def origin(tuning: Tuning) -> list[str]:
    """Where settings came from and what they gained, for the file that holds them."""
    definition, gain = tuning.definition, tuning.gain
    facts, wanted = definition.facts, definition.wanted
    machine = facts["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    begin = (
        "Tuned by `tobs tune`"
        if tuning.adopted
        else "`tobs tune` changed nothing: these are the settings it began with"
    )
    text = [
        f"{begin}, {datetime.now(UTC).date().isoformat()}.",
        f"{_summary(tuning)}, seed {wanted.seed}.",
        f"Result: {tuning.verdict()}.",
        f"Began with: {definition.arm(definition.start)}",
    ]
    if tuning.measured is not None:
        text.append(
            f"Search on scenario seed {definition.seed}, confirmed on {', '.join(map(str, tuning.measured.seeds))}."
        )
    if gain is not None and gain.corrected is not None:
        text.append(
            f"p {gain.corrected:.4f} after correction, {tuning.measured.blocks if tuning.measured else 0} blocks."
        )
    if tuning.back:
        text.append(f"Put back to the start, since that costs at most a hundredth: {', '.join(tuning.back)}.")
    text += [
        f"Code {definition.code}, study {definition.name}; {versions}.",
        f"Machine: {machine['system']}, {machine['cores']} cores.",
    ]
    return text


def _found_again(scenario: str) -> str:
    """A scenario as it is found from any folder."""
    return str(Path(scenario).resolve()) if Path(scenario).is_file() else scenario


def facts(tuning: Tuning) -> dict[str, Any]:
    """The same for machines: what stands in the file's table `[profile]`."""
    definition, gain, wanted = tuning.definition, tuning.gain, tuning.definition.wanted
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "verdict": tuning.verdict(),
        "adopted": tuning.adopted,
        "metric": definition.metric.name,
        "ratio": gain.ratio if gain else None,
        "low": gain.low if gain else None,
        "high": gain.high if gain else None,
        "p": gain.corrected if gain else None,
        "blocks": tuning.measured.blocks if tuning.measured else 0,
        "scenarios": [_found_again(one) for one in wanted.scenarios],
        "over": wanted.over if len(wanted.scenarios) > 1 else None,
        "scale": wanted.scale,
        "trials": len(tries(tuning.found.trials)),
        "seed": wanted.seed,
        "scenario_seed": definition.seed,
        "held_out_seeds": list(tuning.measured.seeds) if tuning.measured else [],
        "start": definition.arm(definition.start),
        "tuning": definition.id,
        "study": definition.name,
        "code": definition.code,
        "machine": f"{definition.facts['machine']['system']}, {definition.facts['machine']['cores']} cores",
        "limits": {name: bound for name, bound in wanted.limits.as_json().items() if bound is not None},
        "versions": dict(definition.facts["versions"]),
    }
