"""From manifests and an arm to a plan: which plugins run, in which order, with which values, and what is wrong."""

from __future__ import annotations

import hashlib
import heapq
import json
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tobs.hookspecs import SLOTS
from tobs.host.arm import CORE_OWNER, written
from tobs.host.settings import CORE, Chosen, Problem, choose, refuse, suggest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from tobs.host.arm import Arm
    from tobs.knobs import Knob, Value
    from tobs.manifest import Manifest

NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Plan:
    """What would run. `plugins` are in the order in which they are loaded, those they stand upon first.

    `knobs` has the values of the plugins that are on, and under `core` those of the core; `origins` says for each
    plugin why it is on. `hash` identifies plugins and values, wherever they came from.
    """

    arm: str
    plugins: tuple[str, ...]
    knobs: Mapping[str, Mapping[str, Chosen]]
    problems: tuple[Problem, ...]
    hash: str
    origins: Mapping[str, str]
    manifests: Mapping[str, Manifest]

    @property
    def frozen(self) -> str:
        """An arm that leads to this plan whatever the settings around it are."""
        return " ".join(
            [
                "baseline",
                *(f"+{name}" for name in self.plugins),
                *(
                    f"{owner}.{knob}={written(chosen.value)}"
                    for owner, values in self.knobs.items()
                    for knob, chosen in values.items()
                ),
            ]
        )

    def values(self, owner: str) -> dict[str, Value]:
        """Values of one plugin's knobs, or of core's."""
        return {knob: chosen.value for knob, chosen in self.knobs[owner].items()}

    def require(self) -> Plan:
        """Return the plan itself. Raises one `UsageError` that says all its problems, if it has any."""
        refuse(self.problems)
        return self

    def as_json(self) -> dict[str, Any]:
        """For machines and the archive's table of runs."""
        return {
            "hash": self.hash,
            "arm": self.arm,
            "plugins": [{"name": name, "origin": self.origins[name]} for name in self.plugins],
            "knobs": {
                owner: {knob: {"value": one.value, "origin": one.origin} for knob, one in values.items()}
                for owner, values in self.knobs.items()
            },
            "problems": [{"text": problem.text, "remedy": problem.remedy} for problem in self.problems],
        }


def resolve(
    manifests: Mapping[str, Manifest],
    wanted: Arm,
    broken: Mapping[str, str] = NOTHING,
    core: Sequence[Knob] = CORE,
) -> Plan:
    """The plan for an arm; its `problems` hold everything that is wrong with it, not only the first.

    `broken` says of installed plugins without a usable manifest why they have none.
    """
    problems: list[Problem] = []
    origins = _switched(manifests, wanted, broken, problems)
    on = {name: manifests[name] for name in sorted(origins)}
    values, wrong = choose(CORE_OWNER, core, wanted.settings)
    problems += wrong
    knobs = {CORE_OWNER: values}
    for name, manifest in on.items():
        knobs[name], wrong = choose(name, manifest.knobs, wanted.settings)
        problems += wrong
    problems += _idle(manifests, on, wanted, broken)
    problems += _slots(on)
    problems += _missing(manifests, on)
    problems += _conflicts(on)
    order = _ordered(on, problems)
    return Plan(
        arm=wanted.text,
        plugins=order,
        knobs={owner: knobs[owner] for owner in (CORE_OWNER, *order)},
        problems=tuple(dict.fromkeys(problems)),
        hash=_hash(knobs),
        origins={name: origins[name] for name in order},
        manifests={name: on[name] for name in order},
    )


def _switched(
    manifests: Mapping[str, Manifest], wanted: Arm, broken: Mapping[str, str], problems: list[Problem]
) -> dict[str, str]:
    """Why each plugin is on that is."""
    on = {
        name: wanted.origin
        for name, manifest in manifests.items()
        if wanted.word == "all" or (wanted.word == "default" and manifest.default)
    }
    for toggle in wanted.toggles:
        if toggle.plugin in broken:
            if toggle.on:
                text = f"{toggle.origin}: plugin {toggle.plugin} is installed but broken: {broken[toggle.plugin]}"
                problems.append(Problem(text, "Mend or reinstall it, or leave it out."))
        elif toggle.plugin not in manifests:
            text = f"{toggle.origin}: no plugin is called {toggle.plugin!r}"
            problems.append(Problem(text, suggest(toggle.plugin, manifests)))
        elif toggle.on:
            on[toggle.plugin] = toggle.origin
        else:
            on.pop(toggle.plugin, None)
    return on


def _idle(
    manifests: Mapping[str, Manifest], on: Collection[str], wanted: Arm, broken: Collection[str]
) -> Iterable[Problem]:
    """Settings of plugins that are off: wrong ones, and those that somebody expects to matter now."""
    for setting in wanted.settings:
        owner = setting.owner
        if owner == CORE_OWNER or owner in on or owner in broken:
            continue
        if owner not in manifests:
            yield Problem(f"{setting.origin}: no plugin is called {owner!r}", suggest(owner, manifests))
            continue
        yield from choose(owner, manifests[owner].knobs, [setting])[1]
        if not setting.standing:
            yield Problem(
                f"{setting.origin}: plugin {owner} is off", f"Switch it on with --with {owner}, or leave that out."
            )


def _slots(on: Mapping[str, Manifest]) -> Iterable[Problem]:
    for slot in SLOTS:
        providers = [name for name, manifest in on.items() if slot in manifest.provides]
        if len(providers) > 1:
            remedy = "One strategy fits in: " + " or ".join(f"--without {name}" for name in providers) + "."
            yield Problem(f"{_and(providers)} each provide the slot {slot}", remedy)


def _missing(manifests: Mapping[str, Manifest], on: Mapping[str, Manifest]) -> Iterable[Problem]:
    offered = {capability for manifest in on.values() for capability in manifest.provides}
    for name, manifest in on.items():
        for other in manifest.requires:
            if other not in on:
                installed = f"--with {other}" if other in manifests else f"install {other}"
                yield Problem(f"{name} requires {other}, which is off", f"Use {installed}, or --without {name}.")
        for need in manifest.needs:
            if need not in offered:
                able = sorted(other for other, found in manifests.items() if need in found.provides)
                ways = [f"--with {other}" for other in able] or [f"install a plugin that provides {need}"]
                yield Problem(
                    f"{name} needs {need}, which nothing provides", f"Use {' or '.join(ways)}, or --without {name}."
                )


def _conflicts(on: Mapping[str, Manifest]) -> Iterable[Problem]:
    for one, other in combinations(on, 2):
        if other in on[one].conflicts or one in on[other].conflicts:
            yield Problem(f"{one} and {other} exclude each other", f"Use --without {one} or --without {other}.")


def _ordered(on: Mapping[str, Manifest], problems: list[Problem]) -> tuple[str, ...]:
    """What a plugin stands upon first, then by name; a cycle is a problem that is named, and cut."""
    before = {name: _stands_upon(name, on) for name in on}
    order: list[str] = []
    left = dict(before)
    ready = [name for name, names in left.items() if not names]
    heapq.heapify(ready)
    while left:
        if not ready:
            cycle = _cycle(left)
            path = " → ".join((*cycle, cycle[0]))
            remedy = "Use " + " or ".join(f"--without {name}" for name in sorted(cycle)) + "."
            problems.append(Problem(f"plugins stand upon each other in a circle: {path}", remedy))
            ready = [min(cycle)]
        name = heapq.heappop(ready)
        del left[name]
        order.append(name)
        for other, names in left.items():
            if name in names:
                left[other] = names - {name}
                if not left[other] and other not in ready:
                    heapq.heappush(ready, other)
    return tuple(order)


def _stands_upon(name: str, on: Mapping[str, Manifest]) -> frozenset[str]:
    manifest = on[name]
    needed = {
        other
        for need in manifest.needs
        if need not in manifest.provides
        for other, found in on.items()
        if need in found.provides
    }
    return frozenset(needed | (on.keys() & set(manifest.requires)))


def _cycle(left: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """A circle among plugins that all stand upon another one."""
    path: list[str] = []
    name = min(left)
    while name not in path:
        path.append(name)
        name = min(left[name])
    return tuple(path[path.index(name) :])


def _hash(knobs: Mapping[str, Mapping[str, Chosen]]) -> str:
    plain = {owner: {knob: chosen.value for knob, chosen in values.items()} for owner, values in knobs.items()}
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _and(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1]
