"""The result as settings in TOML that `tobs export --config` takes, and `tobs profiles add`; with its origin."""

from __future__ import annotations

import json
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from tobs.errors import TobsError
from tobs.host import settings
from tobs.host.arm import CORE_OWNER
from tobs.host.plugins import discover
from tobs.host.profile_file import origin_lines
from tobs.host.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tobs.knobs import Value
    from tobs.tuning.definition import Definition

WIDTH = 110
"""Most characters of a line of a comment."""


def render(definition: Definition, values: Mapping[str, Value], origin: Iterable[str], facts: Mapping[str, Any]) -> str:
    """The file's text: `origin` as comments, the plugins that are on, knobs that are not at their default, `facts`."""
    lines = [
        f"# {line}" for told in origin for line in wrap(told, WIDTH, break_long_words=False, break_on_hyphens=False)
    ]
    on = " ".join(["baseline", *(f"+{name}" for name in definition.on(values))])
    lines += ["", f"arm = {json.dumps(on)}"]
    for owner, own in definition.differing(values).items():
        lines += ["", "[core]" if owner == CORE_OWNER else f"[plugins.{owner}]"]
        for name, (knob, value) in own.items():
            lines.append(f"{name} = {json.dumps(value)}  # default {json.dumps(knob.default)}")
    return "\n".join([*lines, "", *origin_lines(facts)]) + "\n"


def write(
    file: Path,
    definition: Definition,
    values: Mapping[str, Value],
    origin: Iterable[str],
    facts: Mapping[str, Any],
) -> None:
    """Write the file, whole or not at all. Raises `TobsError` if reading it back would not lead to these settings."""
    fresh = file.with_name(file.name + ".new")
    fresh.write_text(render(definition, values, origin, facts), encoding="utf-8")
    found = discover()
    read = resolve(found.manifests, settings.load(fresh, environment={}).wanted, found.broken)
    if read.problems or read.hash != definition.resolve(values).hash:
        raise TobsError(f"{fresh} does not lead to the settings that were measured", hint="Please report this bug.")
    fresh.replace(file)
