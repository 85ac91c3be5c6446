"""Strict reading of TOML: each value is checked once, a mistake names file, key and what is allowed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tobs.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable


class Table:
    """One TOML table, of which every key must be read: `finish` complains about those nobody asked for."""

    def __init__(self, values: dict[str, Any], *, file: str, path: str = "") -> None:
        self._values = values
        self._file = file
        self._path = path
        self._read: list[str] = []

    def fail(self, key: str, allowed: str) -> UsageError:
        """The error for a wrong or missing `key`; `allowed` says in words what belongs there."""
        where = f"{self._path}.{key}" if self._path else key
        given = f" is {self._values[key]!r}" if key in self._values else " is missing"
        return UsageError(
            f"{self._file}: {where}{given}, allowed is {allowed}", hint=f"Correct {where} in {self._file}."
        )

    def _get(self, key: str) -> Any:
        self._read.append(key)
        return self._values.get(key)

    def has(self, key: str) -> bool:
        """Whether the table gives `key`."""
        return key in self._values

    def given(self, key: str) -> Any:
        """The value of `key` as it stands in the file, unchecked and still to be read; None where it is absent."""
        return self._values.get(key)

    def number(self, key: str, default: float | None, *, low: float, high: float, above: bool = False) -> float:
        """A number in [low, high], with `above` (low, high]; `default` None: it must be given."""
        value = self._get(key)
        if value is None and default is not None:
            return default
        start = "above" if above else "from"
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.fail(key, f"a number {start} {low:g} to {high:g}")
        if value < low or value > high or (above and value == low):
            raise self.fail(key, f"a number {start} {low:g} to {high:g}")
        return float(value)

    def optional_number(self, key: str, *, low: float, high: float) -> float | None:
        """A number in (low, high], or None where the key is absent."""
        if not self.has(key):
            return None
        return self.number(key, None, low=low, high=high, above=True)

    def whole(self, key: str, default: int | None, *, low: int, high: int) -> int:
        """A whole number in [low, high]; `default` None means that it must be given."""
        value = self._get(key)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.fail(key, f"a whole number from {low} to {high}")
        return value

    def optional_whole(self, key: str, *, low: int, high: int) -> int | None:
        """A whole number in [low, high], or None where the key is absent."""
        return self.whole(key, None, low=low, high=high) if self.has(key) else None

    def switch(self, key: str, *, default: bool) -> bool:
        """True or false."""
        value = self._get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.fail(key, "true or false")
        return value

    def word(self, key: str, default: str, *, of: Iterable[str] = ()) -> str:
        """A string that is not empty, one `of` the given words if there are any."""
        words = tuple(of)
        value = self._get(key)
        if value is None:
            return default
        if not isinstance(value, str) or not value.strip() or (words and value not in words):
            raise self.fail(key, " or ".join(f'"{word}"' for word in words) or "a string that is not empty")
        return value

    def pair(self, key: str, *, low: int, high: int) -> tuple[int, int]:
        """Two whole numbers in [low, high], the first not above the second."""
        value = self._get(key)
        allowed = f"two whole numbers [low, high] from {low} to {high}"
        if not isinstance(value, list) or len(value) != 2:
            raise self.fail(key, allowed)
        if any(isinstance(end, bool) or not isinstance(end, int) for end in value):
            raise self.fail(key, allowed)
        first, second = value
        if not low <= first <= second <= high:
            raise self.fail(key, allowed)
        return first, second

    def span(self, key: str, default: tuple[float, float], *, low: float, high: float) -> tuple[float, float]:
        """Two numbers in [low, high], the first not above the second."""
        value = self._get(key)
        if value is None:
            return default
        ends = value if isinstance(value, list) and len(value) == 2 else [None, None]
        first, second = (e if isinstance(e, int | float) and not isinstance(e, bool) else math.nan for e in ends)
        if not low <= first <= second <= high:
            raise self.fail(key, f"two numbers [low, high] from {low:g} to {high:g}")
        return float(first), float(second)

    def table(self, key: str) -> Table:
        """The table under `key`, empty where it is absent."""
        value = self._get(key)
        if not isinstance(value, dict | None):
            raise self.fail(key, "a table")
        return Table(value or {}, file=self._file, path=f"{self._path}.{key}" if self._path else key)

    def tables(self, key: str) -> list[Table]:
        """The tables of the array `[[key]]`, at least one."""
        value = self._get(key)
        if not isinstance(value, list) or not value or not all(isinstance(entry, dict) for entry in value):
            raise self.fail(key, f"one or more tables [[{self._path}.{key}]]")
        return [
            Table(entry, file=self._file, path=f"{self._path}.{key}[{number}]") for number, entry in enumerate(value)
        ]

    def keys(self) -> list[str]:
        """The keys as they stand in the file."""
        return list(self._values)

    def finish(self) -> None:
        """Raise UsageError if the file gives a key that nobody reads: most often a misspelt one."""
        for key in self._values:
            if key not in self._read:
                known = ", ".join(dict.fromkeys(self._read))
                where = f"{self._path}.{key}" if self._path else key
                raise UsageError(
                    f"{self._file}: {where} is no key of a scenario, allowed here is: {known}",
                    hint=f"Remove or correct {where} in {self._file}.",
                )
