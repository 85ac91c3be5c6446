"""What may be tuned: the search space of a plan, and the schema of the settings file, both from the declarations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tobs.host.arm import CORE_OWNER, WORDS
from tobs.host.settings import CORE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tobs.host.resolve import Plan
    from tobs.knobs import Knob, Value
    from tobs.manifest import Manifest

PARTS = (64, 128, 256, 512, 1024)
"""Values of core's part_kb that a request may have; smaller ones only cost."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """One knob to search: `name` is owner.knob, `kind` int, float or choice; `log` asks for a logarithmic scale.

    A choice has `choices` and no bounds, a number `low` and `high`, both included.
    """

    name: str
    kind: str
    default: Value
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[Value, ...] = ()


def space(plan: Plan) -> tuple[Dimension, ...]:
    """The tunable knobs of core and of the plugins that are on, core's first, in their declared order.

    Left out are those declared with `tune=False`, numbers without both bounds and texts without choices.
    """
    knobs = [(CORE_OWNER, CORE), *((name, plan.manifests[name].knobs) for name in plan.plugins)]
    return tuple(found for owner, declared in knobs for found in dimensions(owner, declared))


def dimensions(owner: str, knobs: Sequence[Knob]) -> Iterator[Dimension]:
    """The tunable ones of an owner's knobs, whether it is on or off."""
    for knob in knobs:
        name = f"{owner}.{knob.name}"
        choices: tuple[Value, ...] = knob.choices
        if isinstance(knob.default, bool):
            choices = (False, True)
        elif owner == CORE_OWNER and knob.name == "part_kb":
            choices = PARTS
        if not knob.tune:
            continue
        if choices:
            yield Dimension(name, "choice", knob.default, choices=choices)
        elif knob.low is not None and knob.high is not None:
            yield Dimension(name, type(knob.default).__name__, knob.default, knob.low, knob.high, knob.log)


def schema(manifests: Mapping[str, Manifest]) -> dict[str, Any]:
    """The JSON schema (2020-12) of the settings file, for editors that complete and check TOML."""
    names = {"type": "array", "items": {"enum": sorted(manifests)}, "uniqueItems": True}
    plugins = {name: _table(manifest.summary, manifest.knobs) for name, manifest in sorted(manifests.items())}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Settings of TOBS",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "api_id": {"type": "integer", "description": "Yours from https://my.telegram.org/apps."},
            "api_hash": {"type": "string", "description": "Yours from https://my.telegram.org/apps."},
            "account": {"type": "string", "description": "The account to use where none is named."},
            "arm": {
                "type": "string",
                "description": "Which plugins are on: "
                + ", ".join(WORDS)
                + ", then +plugin, -plugin, plugin.knob=value.",
            },
            "core": _table("Knobs of the core.", CORE),
            "profile": {"type": "object", "description": "Where these settings came from; it sets nothing."},
            "plugins": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "on": {**names, "description": "Plugins to switch on."},
                    "off": {**names, "description": "Plugins to switch off."},
                    **plugins,
                },
            },
        },
    }


def _table(description: str, knobs: Sequence[Knob]) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "additionalProperties": False,
        "properties": {knob.name: _knob(knob) for knob in knobs},
    }


def _knob(knob: Knob) -> dict[str, Any]:
    kinds: dict[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}
    unit = f" In {knob.unit}." if knob.unit else ""
    found: dict[str, Any] = {
        "type": kinds[type(knob.default)],
        "default": knob.default,
        "description": knob.help + unit,
    }
    if knob.low is not None:
        found["minimum"] = knob.low
    if knob.high is not None:
        found["maximum"] = knob.high
    if knob.choices:
        found["enum"] = list(knob.choices)
    return found
