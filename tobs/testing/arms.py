"""Arms in which a plugin is tried: alone on the baseline, and among the plugins that are on by default."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from tobs.hookspecs import SLOTS
from tobs.host.arm import written

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tobs.knobs import Knob, Value
    from tobs.manifest import Manifest


class Turned(NamedTuple):
    """A knob turned to one end; `value` None where there is nothing to turn it to, and `why`."""

    knob: str
    value: Value | None
    why: str = ""

    @property
    def label(self) -> str:
        """For reports."""
        return self.knob if self.value is None else f"{self.knob}={written(self.value)}"


def alone(manifests: Mapping[str, Manifest], name: str) -> str:
    """The baseline, the plugin, and what that cannot run without."""
    return " ".join(["baseline", *(f"+{other}" for other in _company(manifests, name)), f"+{name}"])


def among(manifests: Mapping[str, Manifest], name: str) -> str:
    """The default set and the plugin, in the place of those that exclude it or hold a slot that it fills."""
    company = (*_company(manifests, name), name)
    rivals = [
        other
        for other, manifest in sorted(manifests.items())
        if manifest.default and other not in company and any(_exclude(manifests[own], manifest) for own in company)
    ]
    return " ".join(["default", *(f"-{other}" for other in rivals), *(f"+{own}" for own in company)])


def without(manifests: Mapping[str, Manifest], name: str) -> dict[str, Manifest]:
    """The manifests of a machine on which neither the plugin is installed nor one that requires it."""
    gone = {name}
    while more := {other for other, manifest in manifests.items() if gone & {*manifest.requires}} - gone:
        gone |= more
    return {other: manifest for other, manifest in manifests.items() if other not in gone}


def turns(manifest: Manifest) -> Iterator[Turned]:
    """Every knob at each of its ends, or at each of its choices, but for its default."""
    for knob in manifest.knobs:
        ends = list(_ends(knob))
        if not ends:
            yield Turned(knob.name, None, f"{knob.name} is {knob.takes()}, without ends to turn it to")
        yield from (Turned(knob.name, value) for value in ends if value != knob.default)


def _ends(knob: Knob) -> Iterator[Value]:
    kind = type(knob.default)
    if kind is bool:
        yield from (False, True)
    elif kind is str:
        yield from knob.choices
    else:
        yield from (kind(end) for end in (knob.low, knob.high) if end is not None)


def _company(manifests: Mapping[str, Manifest], name: str) -> tuple[str, ...]:
    """What a plugin requires, and for each need the first by name that meets it; what those need too."""
    found: list[str] = []
    open_ones = [name]
    while open_ones:
        manifest = manifests[open_ones.pop()]
        met = {capability for other in (name, *found) for capability in manifests[other].provides}
        able = (
            sorted(other for other, one in manifests.items() if need in one.provides)[:1]
            for need in manifest.needs
            if need not in met
        )
        for other in (*manifest.requires, *chain.from_iterable(able)):
            if other in manifests and other not in (name, *found):
                found.append(other)
                open_ones.append(other)
    return tuple(sorted(found))


def _exclude(one: Manifest, other: Manifest) -> bool:
    shared = {*one.provides} & {*other.provides} & {*SLOTS}
    return bool(shared) or other.name in one.conflicts or one.name in other.conflicts
