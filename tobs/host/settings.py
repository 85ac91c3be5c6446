"""Settings: defaults, then the settings file, then the environment, then the command line; the last one wins."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tobs.engine.graph import MEGABYTE, CoreSettings
from tobs.engine.pool import PoolLimits
from tobs.errors import UsageError
from tobs.host import folders
from tobs.knobs import Knob, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CORE = (
    Knob("connections", 4, "Connections a data centre may have at most.", low=1, high=16, log=True),
    Knob("in_flight", 2, "Media requests at once on one connection.", low=1, high=32, log=True),
    Knob("history_in_flight", 16, "History requests at once.", low=1, high=64, log=True),
    Knob("part_kb", 512, "Size of one media request.", low=4, high=1024, log=True, unit="KB, a divisor of 1024"),
    Knob(
        "deadline",
        30.0,
        "Time an answer may take before the attempt counts as lost.",
        low=1,
        high=600,
        unit="s",
    ),
    Knob("retries", 5, "Further attempts after a lost one.", low=0, high=100, tune=False),
    Knob("retry_pause", 1.0, "Pause between two attempts.", low=0, high=60, unit="s", tune=False),
    Knob(
        "history_budget_mb",
        64,
        "Bytes of history that may be in memory.",
        low=1,
        high=4096,
        log=True,
        unit="MB",
    ),
    Knob(
        "media_budget_mb",
        256,
        "Bytes of media parts that may be in memory.",
        low=1,
        high=4096,
        log=True,
        unit="MB",
    ),
)
_PLAIN = ("api_id", "api_hash", "account")


@dataclass(frozen=True, slots=True)
class Chosen:
    """A knob's value and where it came from: default, the file's path, a variable or --set."""

    value: Value
    origin: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a run is told beside its chats."""

    core: dict[str, Chosen]
    api_id: int | None = None
    api_hash: str | None = field(default=None, repr=False)
    account: str | None = None

    def engine(self) -> CoreSettings:
        """The core knobs as the engine takes them."""
        value: dict[str, Any] = {name: chosen.value for name, chosen in self.core.items()}
        return CoreSettings(
            pool=PoolLimits(
                connections=value["connections"],
                in_flight=value["in_flight"],
                history_in_flight=value["history_in_flight"],
                part=value["part_kb"] * 1024,
                deadline=value["deadline"],
            ),
            retries=value["retries"],
            retry_pause=value["retry_pause"],
            history_budget=value["history_budget_mb"] * MEGABYTE,
            media_budget=value["media_budget_mb"] * MEGABYTE,
            knobs=value,
        )


def load(file: Path | None = None, sets: Iterable[str] = (), environment: Mapping[str, str] = os.environ) -> Settings:
    """Read all layers. `sets` are KNOB=VALUE (or core.KNOB=VALUE).

    Raises `UsageError` naming where a wrong setting stands.
    """
    path = file or (Path(environment["TOBS_CONFIG"]) if "TOBS_CONFIG" in environment else None)
    table = _read(path or folders.config() / "config.toml", required=path is not None)
    where = str(path or folders.config() / "config.toml")
    for name in table:
        if name not in (*_PLAIN, "core"):
            raise UsageError(f"{where}: {name!r} is no setting", hint="Known: api_id, api_hash, account, [core].")
    core = _core(table.get("core", {}), where, sets, environment)
    api_id = environment.get("TOBS_API_ID", table.get("api_id"))
    if api_id is not None and not str(api_id).isdigit():
        raise UsageError(f"api_id is a whole number, not {api_id!r}", hint="Yours is at https://my.telegram.org/apps.")
    return Settings(
        core=core,
        api_id=None if api_id is None else int(api_id),
        api_hash=environment.get("TOBS_API_HASH", table.get("api_hash")),
        account=environment.get("TOBS_ACCOUNT", table.get("account")),
    )


def _core(given: object, where: str, sets: Iterable[str], environment: Mapping[str, str]) -> dict[str, Chosen]:
    if not isinstance(given, dict):
        raise UsageError(f"{where}: core is a table, written [core]")
    knobs = {knob.name: knob for knob in CORE}
    layers: list[tuple[str, str, object]] = [(name, where, value) for name, value in given.items()]
    prefix = "TOBS_CORE__"
    layers += [
        (name.removeprefix(prefix).lower(), name, value)
        for name, value in environment.items()
        if name.startswith(prefix)
    ]
    for text in sets:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {text}: write KNOB=VALUE", hint="For example --set connections=8.")
        layers.append((name.strip().removeprefix("core."), f"--set {text}", value.strip()))
    chosen = {knob.name: Chosen(knob.default, "default") for knob in CORE}
    for name, origin, value in layers:
        if name not in knobs:
            raise UsageError(f"{origin}: no knob is called {name!r}", hint="Known: " + ", ".join(sorted(knobs)) + ".")
        chosen[name] = Chosen(knobs[name].parse(value, where=origin), origin)
    part = chosen["part_kb"]
    if 1024 % int(part.value):
        raise UsageError(
            f"{part.origin}: part_kb = {part.value} does not divide 1024",
            hint="A request must stay inside one megabyte: 64, 128, 256, 512 or 1024 do.",
        )
    return chosen


def _read(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if required:
            raise UsageError(f"the settings file {path} does not exist") from None
        return {}
    except OSError as error:
        raise UsageError(f"cannot read the settings file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}", hint="Mend that line, or move the file away.") from None
