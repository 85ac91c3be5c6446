"""A/B files: an experiment written down before it is run.

A file holds `name`, `scenario` (a name or path, or a list of them: an experiment each), `arms` (at least two; the
first is compared against), `metrics` (the first decides), and if wanted `scale`, `seed`, `blocks` (a fixed number of
blocks instead of looks), `log` (a level: all loggers write to a file at it), `patience` (seconds a run may take),
`[prepare]` (`arm`, `keep_archive`) and `[[promise]]` (`metric`, `direction`, `low`, `high` as shares, `scenario`, and
the `arm` that it is about, if not every one but the first).
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tobs.errors import UsageError
from tobs.experiment.definition import Prepare, Promise, Wanted
from tobs.experiment.launch import PATIENCE
from tobs.experiment.metrics import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_KEYS = frozenset(
    {"name", "scenario", "arms", "metrics", "scale", "seed", "blocks", "log", "patience", "prepare", "promise"}
)


def shipped() -> list[str]:
    """The names of the A/B files that come with TOBS, sorted."""
    return sorted({file.stem for folder in _folders() for file in folder.glob("*.toml")})


def find(source: str) -> Path | None:
    """The A/B file that is meant: a path to a TOML file, or the name of a shipped one; None if it is an arm."""
    path = Path(source)
    if path.suffix == ".toml":
        return path
    for folder in _folders():
        if (folder / f"{source}.toml").is_file():
            return folder / f"{source}.toml"
    return None


def _folders() -> list[Path]:
    package = Path(str(resources.files("tobs")))
    folders = (package / "experiment" / "ab", package.parent / "experiments" / "ab")
    return [folder for folder in folders if folder.is_dir()]


def load(file: Path) -> list[Wanted]:
    """Read an A/B file: an experiment for each of its scenarios. Raises `UsageError` naming file and key."""
    try:
        given = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}", hint=f"Shipped: {', '.join(shipped())}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not valid TOML: {error}", hint="Mend that line.") from None
    return _read(given, file)


def _read(given: Mapping[str, Any], file: Path) -> list[Wanted]:
    reader = _Reader(given, str(file))
    reader.only(_KEYS)
    scenario = given.get("scenario")
    names = [scenario] if isinstance(scenario, str) else reader.words("scenario")
    prepare = reader.table("prepare")
    prepare.only({"arm", "keep_archive"})
    promises = tuple(_promise(_Reader(one, f"{file}: promise")) for one in reader.tables("promise"))
    return [
        Wanted(
            name=reader.text("name", file.stem),
            scenario=_beside(file, name),
            arms=tuple(reader.words("arms")),
            metrics=tuple(reader.words("metrics", (DEFAULT,))),
            scale=reader.number("scale", 1.0),
            seed=int(reader.number("seed", 1)),
            blocks=int(reader.number("blocks", 0)) or None,
            log=reader.text("log", ""),
            patience=reader.number("patience", PATIENCE),
            prepare=Prepare(prepare.text("arm", None), prepare.flag("keep_archive")) if prepare.given else None,
            promises=tuple(promise for promise in promises if promise.scenario in {"", name}),
        )
        for name in names
    ]


def _beside(file: Path, scenario: str) -> str:
    """A scenario's path counts from its A/B file; a name stays a name."""
    beside = file.parent / scenario
    return str(beside) if beside.suffix == ".toml" and beside.is_file() else scenario


def _promise(reader: _Reader) -> Promise:
    reader.only({"metric", "direction", "low", "high", "scenario", "arm"})
    direction = reader.text("direction", None)
    if direction not in {"up", "down"}:
        raise reader.refuse("direction", "up or down")
    return Promise(
        reader.text("metric", None),
        direction,
        reader.number("low", None),
        reader.number("high", None),
        reader.text("scenario", ""),
        reader.text("arm", ""),
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    """A table of a file whose entries are asked for by type; a wrong one is named."""

    given: Mapping[str, Any]
    where: str

    def only(self, known: frozenset[str] | set[str]) -> None:
        for key in self.given:
            if key not in known:
                raise UsageError(f"{self.where}: {key!r} is no key", hint=f"Known: {', '.join(sorted(known))}.")

    def text(self, key: str, default: str | None) -> str:
        value = self.given.get(key, default)
        if not isinstance(value, str):
            raise self.refuse(key, "text")
        return value

    def number(self, key: str, default: float | None) -> float:
        value = self.given.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.refuse(key, "a number")
        return value

    def flag(self, key: str) -> bool:
        value = self.given.get(key, False)
        if not isinstance(value, bool):
            raise self.refuse(key, "true or false")
        return value

    def words(self, key: str, default: Sequence[str] | None = None) -> list[str]:
        value = self.given.get(key, default)
        if not isinstance(value, list | tuple) or not value or not all(isinstance(word, str) for word in value):
            raise self.refuse(key, "a list of texts")
        return list(value)

    def table(self, key: str) -> _Reader:
        value = self.given.get(key, {})
        if not isinstance(value, dict):
            raise self.refuse(key, f"a table, written [{key}]")
        return _Reader(value, f"{self.where}: {key}")

    def tables(self, key: str) -> list[dict[str, Any]]:
        value = self.given.get(key, [])
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise self.refuse(key, f"tables, written [[{key}]]")
        return value

    def refuse(self, key: str, kind: str) -> UsageError:
        return UsageError(f"{self.where}: {key} is to be {kind}", hint="See docs/experiments.md.")
