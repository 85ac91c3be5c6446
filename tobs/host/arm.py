"""Arms: which plugins are on and which knobs are turned, in words: `default +async_pipeline async_pipeline.depth=8`.

Parsing knows no plugin; whether what an arm names exists is for `tobs.host.resolve` to say.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tobs.errors import UsageError

Word: TypeAlias = Literal["baseline", "default", "all"]
WORDS: dict[str, Word] = {"baseline": "baseline", "default": "default", "all": "all"}
"""No plugins; those that are on unless switched off; every one that is installed."""

CORE_OWNER = "core"
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
"""Names of plugins and knobs: two underscores in a row would be ambiguous in TOBS_PLUGIN__KNOB."""

_HINT = "Write baseline, default or all, then +plugin, -plugin, plugin.knob=value; for example 'default -NAME'."


@dataclass(frozen=True, slots=True)
class Toggle:
    """A plugin switched on or off; `origin` says where that stands."""

    plugin: str
    on: bool
    origin: str


@dataclass(frozen=True, slots=True)
class Setting:
    """A value given to a knob of `owner` (a plugin, or core), not yet checked.

    A `standing` one stands in a file or the environment, and is of no account while its plugin is off.
    """

    owner: str
    knob: str
    value: object
    origin: str
    standing: bool = False


@dataclass(frozen=True, slots=True)
class Arm:
    """A word and its changes. Of toggles of one plugin and of settings of one knob the last counts."""

    word: Word = "default"
    origin: str = "default"
    toggles: tuple[Toggle, ...] = ()
    settings: tuple[Setting, ...] = ()

    @property
    def text(self) -> str:
        """The arm as it would be written; equal arms have equal texts."""
        last = {toggle.plugin: toggle.on for toggle in self.toggles}
        values = {(setting.owner, setting.knob): setting.value for setting in self.settings if not setting.standing}
        return " ".join(
            [
                self.word,
                *(("+" if on else "-") + plugin for plugin, on in sorted(last.items())),
                *(f"{owner}.{knob}={written(value)}" for (owner, knob), value in sorted(values.items())),
            ]
        )


def parse_arm(text: str, *, origin: str = "--arm") -> Arm:
    """Read an arm. Raises `UsageError` for what is no arm, naming `origin`."""
    try:
        word, *changes = shlex.split(text)
    except ValueError:
        word, changes = "", []
    if word not in WORDS:
        raise UsageError(f"{origin} {text!r}: an arm begins with {', '.join(WORDS)}", hint=_HINT)
    toggles, settings = [], []
    for change in changes:
        if "=" in change:
            settings.append(parse_setting(change, origin=f"{origin} {change}"))
        elif change[0] in "+-" and NAME.fullmatch(change[1:]):
            toggles.append(Toggle(change[1:], change[0] == "+", f"{origin} {change}"))
        else:
            raise UsageError(f"{origin} {text!r}: {change!r} changes nothing", hint=_HINT)
    return Arm(WORDS[word], f"{origin} {word}", tuple(toggles), tuple(settings))


def parse_setting(text: str, *, origin: str) -> Setting:
    """Read PLUGIN.KNOB=VALUE, or KNOB=VALUE for a knob of the core. Raises `UsageError` naming `origin`."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UsageError(f"{origin}: write KNOB=VALUE or PLUGIN.KNOB=VALUE", hint="For example --set connections=8.")
    owner, dot, knob = name.strip().partition(".")
    return Setting(owner if dot else CORE_OWNER, knob if dot else owner, value, origin)


def written(value: object) -> str:
    """A value as it stands in an arm."""
    return shlex.quote(str(value).lower() if isinstance(value, bool) else str(value))
