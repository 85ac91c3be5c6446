"""The file of a profile: a plan written out as settings, and where they came from."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tobs.errors import TobsError, UsageError
from tobs.host.arm import CORE_OWNER
from tobs.host.profiles import ORIGIN, path_of
from tobs.host.settings import CORE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tobs.host.resolve import Plan

_BARE = re.compile(r"[A-Za-z0-9_-]+")
"""Keys that TOML takes without quotes."""


def save(name: str, plan: Plan, facts: Mapping[str, Any], *, replace: bool = False) -> Path:
    """Keep a plan under a name, whole or not at all; its file.

    Raises `UsageError` if the name is taken and `replace` does not say that this does not matter, `TobsError` if the
    file cannot be written.
    """
    file = path_of(name)
    if file.exists() and not replace:
        hint = f"Take another name, or remove that one: tobs profiles remove {name}."
        raise UsageError(f"there is a profile {name!r} already", hint=hint)
    fresh = file.with_name(file.name + ".new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(render(plan, facts), encoding="utf-8")
        fresh.replace(file)
    except OSError as error:
        raise TobsError(f"{file} cannot be written: {error.strerror}", hint="TOBS_CONFIG_DIR moves it.") from None
    return file


def render(plan: Plan, facts: Mapping[str, Any]) -> str:
    """A plan as a profile's file.

    Written are all knobs that tuning can move, at their defaults too, so that no settings file below changes what was
    measured; of the others those that are not at their defaults.
    """
    lines = [f"arm = {_value(' '.join(['baseline', *(f'+{name}' for name in plan.plugins)]))}"]
    for owner in (CORE_OWNER, *plan.plugins):
        declared = CORE if owner == CORE_OWNER else plan.manifests[owner].knobs
        values = plan.values(owner)
        told = {one.name: values[one.name] for one in declared if one.tune or values[one.name] != one.default}
        if told:
            lines += ["", *_table("core" if owner == CORE_OWNER else f"plugins.{owner}", told)]
    return "\n".join([*lines, "", *origin_lines(facts)]) + "\n"


def origin_lines(facts: Mapping[str, Any]) -> list[str]:
    """The table of a file's origin, in TOML. What is None is left out."""
    return list(_table(ORIGIN, facts))


def _table(name: str, content: Mapping[str, Any]) -> Iterator[str]:
    yield f"[{name}]"
    below = {key: value for key, value in content.items() if isinstance(value, dict)}
    for key, value in content.items():
        if value is not None and key not in below:
            yield f"{_key(key)} = {_value(value)}"
    for key, value in below.items():
        yield ""
        yield from _table(f"{name}.{_key(key)}", value)


def _key(text: str) -> str:
    return text if _BARE.fullmatch(text) else _value(text)


def _value(value: object) -> str:
    """A scalar or a list of them: JSON's form of these is TOML's too."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
