"""Profiles: settings under a name, each a TOML file beside the settings file, which `--profile NAME` uses.

A profile holds an arm, values of knobs, and in `[profile]` where they came from. It never holds an account or its keys.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

from tobs.errors import UsageError
from tobs.host import folders

if TYPE_CHECKING:
    from pathlib import Path

ORIGIN = "profile"
"""The table of a settings file that says where its values came from; it sets nothing."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_RESERVED = re.compile(r"con|prn|aux|nul|com\d|lpt\d")
"""Names that Windows keeps for devices."""


def folder() -> Path:
    """Where profiles are kept."""
    return folders.config() / "profiles"


def path_of(name: str) -> Path:
    """The file of a profile, whether it is there or not. Raises `UsageError` for what is no name."""
    if not _NAME.fullmatch(name) or _RESERVED.fullmatch(name):
        hint = "Take small letters, digits, - and _, at most 64, a letter or digit first: for example home-fibre."
        raise UsageError(f"{name!r} is no name for a profile", hint=hint)
    return folder() / f"{name}.toml"


def names() -> list[str]:
    """The profiles that there are, by name."""
    return sorted(file.stem for file in folder().glob("*.toml") if _NAME.fullmatch(file.stem))


def existing(name: str) -> Path:
    """The file of a profile. Raises `UsageError` if there is none of this name."""
    file = path_of(name)
    if not file.is_file():
        known = ", ".join(names()) or "none yet; `tobs tune --save NAME` makes one"
        raise UsageError(f"there is no profile {name!r}", hint=f"Known: {known}.")
    return file


def origin(name: str) -> dict[str, Any]:
    """Where a profile came from; empty if its file does not say. Raises `UsageError` if there is no such profile."""
    return origin_of(existing(name))


def origin_of(file: Path) -> dict[str, Any]:
    """What a settings file says of its origin; empty if it says nothing or cannot be read."""
    try:
        told = tomllib.loads(file.read_text(encoding="utf-8")).get(ORIGIN, {})
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def remove(name: str) -> None:
    """Delete a profile. Raises `UsageError` if there is none of this name."""
    existing(name).unlink()
