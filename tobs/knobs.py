"""Typed tunables, each declared once.

From one declaration come the command-line flag, the environment variable, the TOML key, the row in the docs,
the JSON schema and the search space of the tuner.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tobs.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Value = bool | int | float | str
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Knob:
    """One tunable: `default` also fixes its type; `low` and `high` are inclusive bounds of numbers.

    `log` asks the tuner to search on a logarithmic scale, `choices` lists the words a text knob takes, `tune`
    is False for what changes the result or is steered within a run.
    """

    name: str
    default: Value
    help: str
    low: float | None = None
    high: float | None = None
    log: bool = False
    unit: str = ""
    choices: tuple[str, ...] = ()
    tune: bool = True

    def parse(self, given: object, *, where: str) -> Value:
        """Turn what a flag, variable or file holds into a checked value.

        Raises `UsageError` naming `where` it stood, the knob and what it takes.
        """
        value = self._typed(given, where)
        if isinstance(value, str):
            if self.choices and value not in self.choices:
                raise self._refuse(given, where)
            return value
        if not isinstance(value, bool) and not self._inside(value):
            raise self._refuse(given, where)
        return value

    def takes(self) -> str:
        """What this knob takes, in words."""
        if isinstance(self.default, bool):
            return "true or false"
        if self.choices:
            return "one of " + ", ".join(self.choices)
        kind = {int: "a whole number", float: "a number", str: "text"}[type(self.default)]
        unit = f" ({self.unit})" if self.unit else ""
        if self.low is not None and self.high is not None:
            return f"{kind} from {self.low:g} to {self.high:g}{unit}"
        if self.low is not None:
            return f"{kind} of at least {self.low:g}{unit}"
        if self.high is not None:
            return f"{kind} of at most {self.high:g}{unit}"
        return kind + unit

    def _inside(self, value: float) -> bool:
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def _typed(self, given: object, where: str) -> Value:
        kind = type(self.default)
        if kind is bool:
            if isinstance(given, bool):
                return given
            word = str(given).strip().lower()
            if word in _TRUE | _FALSE:
                return word in _TRUE
        elif kind is str:
            if isinstance(given, str):
                return given
        elif not isinstance(given, bool) and isinstance(given, int | float | str):
            try:
                number = float(given)
                if kind is float and number == number:  # noqa: PLR0124 - not a number is unequal to itself
                    return number
                if kind is int and number == int(number):
                    return int(number)
            except (ValueError, OverflowError):
                pass
        raise self._refuse(given, where)

    def _refuse(self, given: object, where: str) -> UsageError:
        return UsageError(
            f"{where}: {self.name} = {given!r} is not {self.takes()}",
            hint=f"{self.help} The default is {self.default}.",
        )


def read(knobs: Iterable[Knob], given: Mapping[str, object], *, where: str) -> dict[str, Value]:
    """Check a whole table of settings; knobs that are not named keep their defaults.

    Raises `UsageError` for a name nobody declared.
    """
    known = {knob.name: knob for knob in knobs}
    for name in given:
        if name not in known:
            raise UsageError(f"{where}: no knob is called {name!r}", hint="Known: " + ", ".join(sorted(known)) + ".")
    return {
        name: knob.parse(given[name], where=where) if name in given else knob.default for name, knob in known.items()
    }
