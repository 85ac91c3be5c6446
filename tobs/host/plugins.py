"""Plugins that are installed: their manifests, read without their implementations being imported."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tobs.errors import UsageError
from tobs.host.arm import CORE_OWNER, NAME, WORDS
from tobs.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from importlib.metadata import EntryPoint

GROUP = "tobs"
"""The group of entry points; each names a light module and its manifest: `tobs_quick:manifest`."""

RESERVED = frozenset({CORE_OWNER, "on", "off", *WORDS})
"""Words that mean something else in an arm or in the settings file."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is installed, by name: usable manifests, and of the others why they are not."""

    manifests: dict[str, Manifest] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)


def discover(entries: Iterable[EntryPoint] | None = None) -> Found:
    """Read the manifest of every installed plugin; one that is broken does not hide the others.

    `entries` are the entry points to read, by default those of the group `tobs`.
    """
    found = Found()
    given = importlib.metadata.entry_points(group=GROUP) if entries is None else entries
    for entry in sorted(given, key=lambda entry: (entry.name, entry.value)):
        if entry.name in found.broken:
            continue
        if entry.name in found.manifests:
            del found.manifests[entry.name]
            found.broken[entry.name] = "two installed packages announce this name; uninstall one of them"
            continue
        try:
            manifest = entry.load()
        except Exception as error:  # noqa: BLE001 - whatever a stranger's module raises
            found.broken[entry.name] = f"{entry.value} cannot be imported: {type(error).__name__}: {error}"
            continue
        faults = list(faults_of(entry.name, manifest))
        if faults:
            found.broken[entry.name] = "; ".join(faults)
        else:
            found.manifests[entry.name] = manifest
    return found


def faults_of(name: str, manifest: object) -> Iterator[str]:
    """What is wrong with a manifest that is announced as `name`."""
    if not isinstance(manifest, Manifest):
        yield f"{type(manifest).__name__} is no Manifest"
        return
    if manifest.name != name:
        yield f"it is announced as {name} and calls itself {manifest.name}"
    if not NAME.fullmatch(name) or name in RESERVED:
        yield f"{name!r} cannot be a plugin's name: lower-case words joined by single underscores, not reserved"
    module, _, attribute = manifest.load.partition(":")
    if not module or not attribute:
        yield f"load = {manifest.load!r} is not MODULE:CLASS"
    names = [knob.name for knob in manifest.knobs]
    for knob in manifest.knobs:
        if not NAME.fullmatch(knob.name) or names.count(knob.name) > 1:
            yield f"{knob.name!r} cannot be a knob's name, or is declared twice"
        if knob.log and not (knob.low or 0) > 0:
            yield f"{knob.name} has a logarithmic scale and no lower bound above 0"
        try:
            knob.parse(knob.default, where=name)
        except UsageError as error:
            yield f"its own default is refused: {error}"
