"""What an advisor is told of a run, and the asking of it: only the hook `tobs_advise` of one plugin."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, TypeVar

from tobs.advice import Advice, Attributes, Distribution, RunRecord
from tobs.errors import PluginError, TobsError, UsageError
from tobs.host.arm import CORE_OWNER, parse_arm
from tobs.host.resolve import resolve
from tobs.host.wiring import make
from tobs.knobs import read
from tobs.telemetry import names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tobs.host.plugins import Found
    from tobs.manifest import Manifest
    from tobs.telemetry import Histogram, RunMetrics

T = TypeVar("T")
ADVICE = "advice"
"""What a plugin that implements `tobs_advise` provides."""
LIMITS = ("connections", "in_flight", "history_in_flight")


def record_of(metrics: RunMetrics, found: Found) -> RunRecord:
    """The record of a run, with the plan that its arm leads to, as far as its plugins are installed.

    Limits that a settings file gave are those that the run measured.
    """
    arm = str(metrics.resource.get("tobs.arm", "baseline"))
    plan = resolve(found.manifests, parse_arm(arm, origin="the run's arm"), found.broken)
    knobs = {f"{owner}.{knob}": value for owner in plan.knobs for knob, value in plan.values(owner).items()}
    for limit in LIMITS:
        measured = metrics.value(names.LIMIT, {names.STAGE: limit})
        if measured is not None:
            knobs[f"{CORE_OWNER}.{limit}"] = int(measured)
    numbers = {
        name: {key: series[-1][1] for key, series in held.items() if series} for name, held in metrics.numbers.items()
    }
    spread = {name: {key: _distribution(one) for key, one in held.items()} for name, held in metrics.histograms.items()}
    return RunRecord(arm, frozenset(plan.plugins), knobs, numbers, spread, metrics.complete)


def _distribution(held: Histogram) -> Distribution:
    return Distribution(held.count, held.sum, held.low, held.quantile(0.5), held.high)


def medians(records: Sequence[RunRecord]) -> RunRecord:
    """Runs of one arm as one: the median of every number, over those that have it."""
    first = records[0]
    if len(records) == 1:
        return first

    numbers = {
        name: {key: statistics.median(held[key] for held in every if key in held) for key in keys}
        for name, every, keys in _joined([record.numbers for record in records])
    }
    spread = {
        name: {key: _median([held[key] for held in every if key in held]) for key in keys}
        for name, every, keys in _joined([record.distributions for record in records])
    }
    complete = all(record.complete for record in records)
    return RunRecord(first.arm, first.plugins, first.knobs, numbers, spread, complete, len(records))


def _joined(
    records: Sequence[Mapping[str, Mapping[Attributes, T]]],
) -> list[tuple[str, list[Mapping[Attributes, T]], set[Attributes]]]:
    joined = []
    for name in sorted({name for record in records for name in record}):
        every = [record.get(name, {}) for record in records]
        joined.append((name, every, {key for held in every for key in held}))
    return joined


def _median(held: Sequence[Distribution]) -> Distribution:
    return Distribution(
        round(statistics.median(one.count for one in held)),
        statistics.median(one.sum for one in held),
        statistics.median(one.low for one in held),
        statistics.median(one.median for one in held),
        statistics.median(one.high for one in held),
    )


def ask(record: RunRecord, found: Found, advisor: str | None = None) -> Advice:
    """What the installed advisor says of a run; `advisor` names one where there are several.

    Raises `UsageError` where none can be asked, `PluginError` for one that fails or answers something else.
    """
    manifest = _chosen(found, advisor)
    plugin = make(manifest, read(manifest.knobs, {}, where=manifest.name))
    if "tobs_advise" not in plugin.hooks:
        raise PluginError(manifest.name, f"provides {ADVICE} and does not implement tobs_advise")
    try:
        answers = plugin.calls.tobs_advise(run=record)
    except TobsError:
        raise
    except Exception as error:
        raise PluginError(manifest.name, f"failed in tobs_advise: {type(error).__name__}: {error}") from error
    if not answers or not isinstance(answers[0], Advice):
        raise PluginError(manifest.name, f"returned no Advice from tobs_advise: {answers!r}")
    advice: Advice = answers[0]
    return advice


def _chosen(found: Found, wanted: str | None) -> Manifest:
    able = {name: manifest for name, manifest in found.manifests.items() if ADVICE in manifest.provides}
    if wanted is not None and wanted not in able:
        raise UsageError(
            f"no installed plugin {wanted!r} gives advice", hint=f"Installed: {', '.join(sorted(able)) or 'none'}."
        )
    if wanted is None and len(able) != 1:
        many = f"{' and '.join(sorted(able))} both can" if able else "none is installed"
        hint = "Name one with --advisor." if able else "Install TOBS anew: the plugin advisor comes with it."
        raise UsageError(f"which plugin is to give advice? {many}", hint=hint)
    return able[wanted] if wanted else next(iter(able.values()))
